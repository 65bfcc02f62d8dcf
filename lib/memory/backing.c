/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Backings on memfds of our own, and on files that callers pass in
 *
 * Our file gets its final size before it is sealed, and mode 0600 before anybody else can see it: a
 * memfd is born with 0777, and whoever holds a descriptor, even one that is read-only, may open the
 * file again through /proc as its mode allows.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <linux/memfd.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

#include "lib/memory/backing.h"
#include "lib/memory/headroom.h"
#include "lib/memory/map-error.h"
#include "lib/util/range.h"
#include "lib/util/size-words.h"

#ifndef MFD_NOEXEC_SEAL /* Linux 6.3 */
#define MFD_NOEXEC_SEAL 0x0008U
#endif

enum {
        SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
        NAME_MAX_BYTES = 200, /* the kernel takes 249 */
        STEP_BYTES = 256 << 20,
};

static uint64_t page_size(void) {
        return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The kernel takes the binary logarithm of a huge page. */
static int memfd_open(const char *name, uint64_t huge_page) {
        unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
        char cut[NAME_MAX_BYTES];
        int fd;

        if (huge_page > 0)
                flags |= MFD_HUGETLB | (unsigned)__builtin_ctzll(huge_page) << MFD_HUGE_SHIFT;
        snprintf(cut, sizeof(cut), "%s", name);
        fd = memfd_create(cut, flags | MFD_NOEXEC_SEAL);
        if (fd < 0 && errno == EINVAL)
                fd = memfd_create(cut, flags);
        return fd < 0 ? -errno : fd;
}

/* A sealed file of `size` bytes. */
static int memfd_new(int *ret_fd, const char *name, uint64_t size, uint64_t huge_page) {
        _cleanup_(closep) int fd = -1;

        /* More than off_t can say. */
        if (size > INT64_MAX)
                return -EFBIG;
        fd = memfd_open(name, huge_page);
        if (fd < 0)
                return fd;
        if (fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)size) < 0 ||
            fcntl(fd, F_ADD_SEALS, SEALS) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/*
 * `size` in whole pages, of which there is one kind per file. Huge pages are reserved by being
 * mapped: none is missing when it is touched.
 */
static int backing_map(Backing *backing, uint64_t page) {
        int flags = page > page_size() ? 0 : MAP_NORESERVE;
        void *host;

        backing->mapped = (backing->size + page - 1) & ~(page - 1);
        backing->page = page;
        host = mmap(NULL, backing->mapped, PROT_READ | PROT_WRITE, MAP_SHARED | flags, backing->fd,
                    (off_t)backing->offset);
        if (host == MAP_FAILED)
                return -errno;
        /* A core dump of this process is about this process, not about the guest's secrets. */
        if (!backing->spec.dump)
                (void)madvise(host, backing->mapped, MADV_DONTDUMP);
        backing->host = host;
        return 0;
}

static int backing_new(Backing **ret, uint64_t id, const char *name, uint64_t size,
                       const BackingSpec *spec, Detail *detail) {
        Backing *backing;

        if (size == 0 || size == SIZE_WHOLE)
                return detail_set(detail, MAP_E_INVALID_RANGE,
                                  "memory of \"%s\": size %s, memory has from 1 to 2^64 - 2 bytes",
                                  name, size == 0 ? "0" : "2^64");
        backing = calloc(1, sizeof(*backing));
        if (!backing)
                return -ENOMEM;
        urcu_ref_init(&backing->ref);
        backing->id = backing->stored = id;
        backing->size = size;
        backing->fd = -1;
        if (spec)
                backing->spec = *spec;
        page_log_init(&backing->log, (size - 1) / page_size() + 1);
        *ret = backing;
        return 0;
}

typedef struct ProcessLimit {
        int error; /* of who comes to it */
        int resource;
        const char *name;
        bool is_count; /* else a size */
} ProcessLimit;

/* The limit of this process that an error comes from; NULL: from none, or that is not known. */
static const ProcessLimit *find_limit(int r, rlim_t *ret) {
        static const ProcessLimit limits[] = {
                {-ENOMEM, RLIMIT_AS, "RLIMIT_AS"},
                {-EFBIG, RLIMIT_FSIZE, "RLIMIT_FSIZE"},
                {-EMFILE, RLIMIT_NOFILE, "RLIMIT_NOFILE", true},
        };
        struct rlimit limit;

        for (size_t i = 0; i < ELEMENTS_OF(limits); i++) {
                if (limits[i].error != r || getrlimit(limits[i].resource, &limit) < 0 ||
                    limit.rlim_cur == RLIM_INFINITY)
                        continue;
                *ret = limit.rlim_cur;
                return &limits[i];
        }
        return NULL;
}

static int none_within_limit(const ProcessLimit *limit, rlim_t value, const char *name,
                             uint64_t size, Detail *detail) {
        SizeWords words = size_words(value);

        if (limit->is_count)
                snprintf(words.text, sizeof(words.text), "%" PRIu64, (uint64_t)value);
        return detail_set(detail, MAP_E_NO_MEMORY, "memory of \"%s\": no %s to be had: %s is %s",
                          name, size_words(size).text, limit->name, words.text);
}

/* Which limit it was, where that can be told. */
static int none_to_be_had(int r, const Backing *backing, const char *name, Detail *detail) {
        const Headroom headroom = {
                .name = name,
                .spec = &backing->spec,
                .page = backing->page,
                .bytes = backing->mapped,
                .root = "",
        };
        const ProcessLimit *limit;
        rlim_t value;

        if (r == -ENOMEM && backing->in_memory && backing->page > page_size() &&
            headroom_check_huge(&headroom, detail) != 0)
                return MAP_E_NO_MEMORY;
        limit = find_limit(r, &value);
        if (limit)
                return none_within_limit(limit, value, name, backing->size, detail);
        return detail_set(detail, MAP_E_NO_MEMORY, "memory of \"%s\": no %s to be had: %s", name,
                          size_words(backing->size).text, strerror(-r));
}

/* Its file, which is there, into memory of ours. On failure it has none. */
static int backing_use_file(Backing *backing, const char *name, uint64_t page, Detail *detail) {
        int r;

        r = backing_map(backing, page);
        if (r < 0)
                r = none_to_be_had(r, backing, name, detail);
        else
                r = numa_bind(&backing->spec.numa, name, backing->host, backing->mapped, detail);
        if (r == 0)
                return 0;
        if (backing->host)
                munmap(backing->host, backing->mapped);
        backing->host = NULL;
        backing->fd = safe_close(backing->fd);
        return r;
}

/* A file of our own. */
static int backing_make_file(Backing *backing, const char *name, Detail *detail) {
        const BackingSpec *spec = &backing->spec;
        int r;

        r = backing_spec_check(spec, name, backing->size, detail);
        if (r != 0)
                return r;
        backing->sealed = backing->in_memory = true;
        r = memfd_new(&backing->fd, name, backing->size, spec->huge_page);
        if (r < 0)
                return none_to_be_had(r, backing, name, detail);
        return backing_use_file(backing, name, MAX_OF(spec->huge_page, page_size()), detail);
}

int backing_new_memfd(Backing **ret, uint64_t id, const char *name, uint64_t size,
                      const BackingSpec *spec, Detail *detail) {
        _cleanup_(backing_unrefp) Backing *backing = NULL;
        int r;

        r = backing_new(&backing, id, name, size, spec, detail);
        if (r == 0)
                r = backing_make_file(backing, name, detail);
        if (r == 0)
                *ret = TAKE_PTR(backing);
        return r;
}

static int check_pages(const BackingSpec *spec, const PassedFD *passed, const char *name,
                       Detail *detail) {
        if (spec->numa.policy != NUMA_ANYWHERE && !passed->in_memory)
                return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                                  "memory of \"%s\": the descriptor's file is on a disk or a "
                                  "device, whose pages come from no NUMA nodes of choice",
                                  name);
        if (spec->huge_page != 0 && spec->huge_page != passed->page)
                return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                                  "memory of \"%s\": the descriptor's file has pages of %s, not "
                                  "huge pages of %s",
                                  name, size_words(passed->page).text,
                                  size_words(spec->huge_page).text);
        return backing_spec_check_bound(spec, name, passed->page, detail);
}

/* Part of a file that is there: its size, offset and spec are the backing's. */
static int backing_pass_file(Backing *backing, const char *name, PassedFD *passed, Detail *detail) {
        int r;

        r = backing_spec_check(&backing->spec, name, backing->size, detail);
        if (r == 0)
                r = passed_fd_check(passed, name, backing->size, detail);
        if (r == 0)
                r = check_pages(&backing->spec, passed, name, detail);
        if (r != 0)
                return r;
        backing->sealed = passed->sealed;
        backing->in_memory = passed->in_memory;
        backing->fd = fcntl(passed->fd, F_DUPFD_CLOEXEC, 3);
        if (backing->fd < 0)
                return none_to_be_had(-errno, backing, name, detail);
        return backing_use_file(backing, name, passed->page, detail);
}

int backing_new_passed(Backing **ret, uint64_t id, const char *name, uint64_t size,
                       const BackingSpec *spec, PassedFD *passed, Detail *detail) {
        _cleanup_(backing_unrefp) Backing *backing = NULL;
        int r;

        r = backing_new(&backing, id, name, size, spec, detail);
        if (r != 0)
                return r;
        backing->passed = true;
        backing->offset = passed->offset;
        r = backing_pass_file(backing, name, passed, detail);
        if (r == 0)
                *ret = TAKE_PTR(backing);
        return r;
}

int backing_new_absent(Backing **ret, uint64_t id, const char *name, uint64_t size,
                       const BackingSpec *spec, bool passed, uint64_t offset, Detail *detail) {
        int r;

        r = backing_new(ret, id, name, size, spec, detail);
        if (r != 0)
                return r;
        (*ret)->passed = passed;
        (*ret)->offset = offset;
        return 0;
}

int backing_adopt(Backing *backing, const char *name, int fd, Detail *detail) {
        PassedFD passed = {.fd = fd, .offset = backing->offset};
        int r;

        r = backing_pass_file(backing, name, &passed, detail);
        /* It was before anybody could see it. */
        if (r == 0 && backing->spec.prealloc)
                backing_note_populated(backing, backing->mapped);
        return r;
}

int backing_renew(Backing *backing, const char *name, Detail *detail) {
        backing->passed = false;
        backing->offset = 0;
        return backing_make_file(backing, name, detail);
}

/*
 * In steps: each keeps others from mapping anything. With the last the file goes, if it is nobody
 * else's, and its pages are freed; that keeps nobody.
 */
static void backing_unmap(Backing *backing) {
        for (size_t at = 0, step; at < backing->mapped; at += step) {
                step = MIN_OF(backing->mapped - at, MAX_OF(backing->page, (uint64_t)STEP_BYTES));
                munmap((char *)backing->host + at, step);
        }
}

static void *backing_free(void *data) {
        Backing *backing = data;

        if (backing->host)
                backing_unmap(backing);
        page_log_deinit(&backing->log);
        free(backing);
        return NULL;
}

/*
 * Whoever drops the last reference to large memory goes on: the loop does, and RCU's thread, behind
 * which others stand in line. A process that ends leaves what is left to the kernel. The descriptor
 * goes at once, which takes no time as long as the file is mapped.
 */
static void backing_release(struct urcu_ref *ref) {
        Backing *backing = caa_container_of(ref, Backing, ref);
        pthread_t thread;

        kept_leave(backing->kept);
        safe_close(backing->fd);
        if (backing->host && backing->mapped >= BACKING_LARGE &&
            pthread_create(&thread, NULL, backing_free, backing) == 0)
                pthread_detach(thread);
        else
                backing_free(backing);
}

Backing *backing_ref(Backing *backing) {
        if (backing)
                urcu_ref_get(&backing->ref);
        return backing;
}

Backing *backing_unref(Backing *backing) {
        if (backing)
                urcu_ref_put(&backing->ref, backing_release);
        return NULL;
}

void backing_mark(Backing *backing, uint64_t offset, uint64_t size) {
        uint64_t first = offset / page_size(), last = (offset + size - 1) / page_size();

        page_log_mark(&backing->log, first, last - first + 1);
}

static int check_end(const Backing *backing, const char *name, uint64_t end, Detail *detail) {
        struct stat status;

        if (fstat(backing->fd, &status) < 0 || !S_ISREG(status.st_mode) ||
            backing->offset + end <= (uint64_t)status.st_size)
                return 0;
        return detail_set(detail, MAP_E_NO_MEMORY,
                          "memory of \"%s\": the file has %s, the region uses it up to %s", name,
                          size_words((uint64_t)status.st_size).text,
                          size_words(backing->offset + backing->size).text);
}

/* Many file systems have no number of blocks, and no end. */
static int check_room(const Backing *backing, const char *name, Detail *detail) {
        struct statvfs status;

        if (fstatvfs(backing->fd, &status) < 0 || status.f_blocks == 0 || status.f_bavail > 0)
                return 0;
        return detail_set(detail, MAP_E_NO_MEMORY,
                          "memory of \"%s\": the file system of its file is full", name);
}

int backing_check_file(const Backing *backing, const char *name, int error, Detail *detail) {
        int r;

        if (backing->sealed)
                return 0;
        r = check_end(backing, name, backing->size, detail);
        if (r == 0 && (error == EFAULT || error == ENOSPC))
                r = check_room(backing, name, detail);
        return r;
}

/* Why the kernel could not copy. */
static int explain(int error, const Backing *backing, const char *name, uint64_t offset,
                   Detail *detail) {
        int r;

        r = backing_check_file(backing, name, error, detail);
        if (r != 0)
                return r;
        return detail_set(detail, MAP_E_NO_MEMORY,
                          "memory of \"%s\": the kernel has no page of its file at 0x%" PRIx64
                          ": %s",
                          name, backing->offset + offset, strerror(error));
}

/*
 * The kernel copies between this process and another one, which is this one. Guest memory is on the
 * side of who calls, `local`: used as if by a load or store, but that a page that cannot be had is
 * an error. Beyond the end of a file that is cut off there may be the rest of a page, from which
 * nothing gets into the file.
 */
static int copy(const Backing *backing, const char *name, uint64_t offset, void *data, size_t size,
                bool write, Detail *detail) {
        struct iovec guest = {(char *)backing->host + offset, size}, ours = {data, size};
        ssize_t n;
        int r;

        r = check_end(backing, name, offset + size, detail);
        if (r != 0)
                return r;
        n = write ? process_vm_readv(getpid(), &guest, 1, &ours, 1, 0)
                  : process_vm_writev(getpid(), &guest, 1, &ours, 1, 0);
        if (n == (ssize_t)size)
                return 0;
        return explain(n < 0 ? errno : EFAULT, backing, name, offset + (n < 0 ? 0 : (uint64_t)n),
                       detail);
}

/* In a mapping, memory that nobody has used yet would come into being by being looked at. */
static int read_file(const Backing *backing, uint64_t offset, void *data, size_t size) {
        char *at = data;

        while (size > 0) {
                ssize_t n = pread(backing->fd, at, size, (off_t)(backing->offset + offset));

                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n == 0)
                        return -EIO;
                if (n < 0)
                        continue;
                at += n;
                offset += (uint64_t)n;
                size -= (size_t)n;
        }
        return 0;
}

int backing_read(const Backing *backing, const char *name, uint64_t offset, void *data, size_t size,
                 Detail *detail) {
        return backing->sealed ? read_file(backing, offset, data, size)
                               : copy(backing, name, offset, data, size, false, detail);
}

int backing_write(const Backing *backing, const char *name, uint64_t offset, const void *data,
                  size_t size, Detail *detail) {
        return copy(backing, name, offset, (void *)data, size, true, detail);
}

uint64_t backing_resident(const Backing *backing) {
        struct stat status;

        if (backing_is_absent(backing) || fstat(backing->fd, &status) < 0)
                return 0;
        return MIN_OF((uint64_t)status.st_blocks * S_BLKSIZE, (uint64_t)backing->mapped);
}

int backing_open(const Backing *backing, bool writable, int *ret_fd) {
        char path[64];
        int fd;

        /*
         * Opened anew, not duplicated: holders share neither the access mode nor a file offset.
         * Of a file that was passed in there may be no opening anew: its mode is not ours to set.
         */
        snprintf(path, sizeof(path), "/proc/self/fd/%d", backing->fd);
        fd = backing->passed && writable ? fcntl(backing->fd, F_DUPFD_CLOEXEC, 3)
                                         : open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}
