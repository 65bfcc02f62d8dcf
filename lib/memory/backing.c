/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Backings on memfds
 *
 * The file gets its final size before it is sealed, and mode 0600 before anybody else can see it: a
 * memfd is born with 0777, and whoever holds a descriptor, even one that is read-only, may open the
 * file again through /proc as its mode allows.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/memory/backing.h"
#include "lib/memory/map-error.h"
#include "lib/util/range.h"

#ifndef MFD_NOEXEC_SEAL /* Linux 6.3 */
#define MFD_NOEXEC_SEAL 0x0008U
#endif

enum {
        SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
        NAME_MAX_BYTES = 200, /* the kernel takes 249 */
};

static uint64_t page_size(void) {
        return (uint64_t)sysconf(_SC_PAGESIZE);
}

static int memfd_open(const char *name) {
        unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
        char cut[NAME_MAX_BYTES];
        int fd;

        snprintf(cut, sizeof(cut), "%s", name);
        fd = memfd_create(cut, flags | MFD_NOEXEC_SEAL);
        if (fd < 0 && errno == EINVAL)
                fd = memfd_create(cut, flags);
        return fd < 0 ? -errno : fd;
}

/* A sealed file of `size` bytes. */
static int memfd_new(int *ret_fd, const char *name, uint64_t size) {
        _cleanup_(closep) int fd = memfd_open(name);

        if (fd < 0)
                return fd;
        if (fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)size) < 0 ||
            fcntl(fd, F_ADD_SEALS, SEALS) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int backing_map(Backing *backing) {
        void *host = mmap(NULL, backing->mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                          backing->fd, 0);

        if (host == MAP_FAILED)
                return -errno;
        /* A core dump of this process is about this process, not about the guest's secrets. */
        (void)madvise(host, backing->mapped, MADV_DONTDUMP);
        backing->host = host;
        return 0;
}

static int backing_fill(Backing *backing, const char *name, uint64_t size) {
        int r;

        /* Beyond this neither off_t nor the rounding holds; ftruncate() would say the same. */
        if (size > INT64_MAX - (page_size() - 1))
                return -EFBIG;
        backing->size = size;
        backing->mapped = (size + page_size() - 1) & ~(page_size() - 1);
        r = memfd_new(&backing->fd, name, size);
        return r < 0 ? r : backing_map(backing);
}

int backing_new_memfd(Backing **ret, uint64_t id, const char *name, uint64_t size, Detail *detail) {
        _cleanup_(backing_unrefp) Backing *backing = NULL;
        int r;

        if (size == 0 || size == SIZE_WHOLE)
                return detail_set(detail, MAP_E_INVALID_RANGE,
                                  "memory of \"%s\": size %s, memory has from 1 to 2^64 - 2 bytes",
                                  name, size == 0 ? "0" : "2^64");

        backing = calloc(1, sizeof(*backing));
        if (!backing)
                return -ENOMEM;
        urcu_ref_init(&backing->ref);
        backing->id = id;
        backing->fd = -1;

        r = backing_fill(backing, name, size);
        if (r < 0)
                return detail_set(detail, MAP_E_NO_MEMORY,
                                  "memory of \"%s\": no %#" PRIx64 " bytes to be had: %s", name,
                                  size, strerror(-r));
        *ret = TAKE_PTR(backing);
        return 0;
}

static void backing_release(struct urcu_ref *ref) {
        Backing *backing = caa_container_of(ref, Backing, ref);

        if (backing->host)
                munmap(backing->host, backing->mapped);
        safe_close(backing->fd);
        free(backing);
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

int backing_open(const Backing *backing, bool writable, int *ret_fd) {
        char path[64];
        int fd;

        /* Opened anew, not duplicated: holders share neither the access mode nor a file offset. */
        snprintf(path, sizeof(path), "/proc/self/fd/%d", backing->fd);
        fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}
