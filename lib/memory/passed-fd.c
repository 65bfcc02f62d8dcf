/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "lib/memory/dax-device.h"
#include "lib/memory/map-error.h"
#include "lib/memory/passed-fd.h"
#include "lib/util/file-type.h"
#include "lib/util/size-words.h"

static int refuse(const char *name, Detail *detail, const char *why) {
        return detail_set(detail, MAP_E_INVALID_ARGUMENT, "memory of \"%s\": the descriptor %s",
                          name, why);
}

static int check_mode(const PassedFD *passed, const char *name, Detail *detail) {
        int flags = fcntl(passed->fd, F_GETFL);

        if (flags < 0)
                return -errno;
        if ((flags & O_ACCMODE) != O_RDWR || flags & O_PATH)
                return refuse(name, detail, "is not open for reading and writing");
        return 0;
}

static int check_file(PassedFD *passed, const char *name, uint64_t size, Detail *detail) {
        int seals = fcntl(passed->fd, F_GET_SEALS);
        struct statfs status;

        if (seals >= 0 && seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
                return refuse(name, detail, "is of a file that is sealed against writing");
        if (fstatfs(passed->fd, &status) < 0)
                return -errno;
        passed->size = size;
        passed->sealed = seals >= 0 && seals & F_SEAL_SHRINK;
        passed->in_memory = status.f_type == TMPFS_MAGIC || status.f_type == HUGETLBFS_MAGIC;
        passed->page = status.f_type == HUGETLBFS_MAGIC ? (uint64_t)status.f_bsize
                                                        : (uint64_t)sysconf(_SC_PAGESIZE);
        return 0;
}

static int check_device(PassedFD *passed, const char *name, dev_t number, Detail *detail) {
        DAXDevice device;
        int r;

        r = dax_device_read(&device, passed->root ? passed->root : "", number);
        if (r == -EINVAL)
                return refuse(name, detail, "is of a dax device without size or align in /sys");
        if (r < 0)
                return r;
        passed->size = device.size;
        passed->page = device.align;
        passed->sealed = passed->in_memory = false;
        return 0;
}

static int check_kind(PassedFD *passed, const char *name, Detail *detail) {
        struct stat status;
        int r = -ENODEV;

        if (fstat(passed->fd, &status) < 0)
                return -errno;
        if (S_ISREG(status.st_mode))
                return check_file(passed, name, (uint64_t)status.st_size, detail);
        if (S_ISCHR(status.st_mode))
                r = check_device(passed, name, status.st_rdev, detail);
        if (r != -ENODEV)
                return r;
        return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                          "memory of \"%s\": the descriptor is of %s, not of a regular file or a "
                          "dax device",
                          name, file_type_words(status.st_mode));
}

static int check_range(const PassedFD *passed, const char *name, uint64_t size, Detail *detail) {
        if (passed->offset % passed->page != 0)
                return detail_set(detail, MAP_E_INVALID_RANGE,
                                  "memory of \"%s\": offset 0x%" PRIx64 " in the file is no "
                                  "multiple of its page size, %s",
                                  name, passed->offset, size_words(passed->page).text);
        if (passed->offset > passed->size || size > passed->size - passed->offset)
                return detail_set(detail, MAP_E_INVALID_RANGE,
                                  "memory of \"%s\": %s at offset 0x%" PRIx64
                                  " reach beyond the end of the file (size %s)",
                                  name, size_words(size).text, passed->offset,
                                  size_words(passed->size).text);
        return 0;
}

int passed_fd_check(PassedFD *passed, const char *name, uint64_t size, Detail *detail) {
        int r;

        r = check_kind(passed, name, detail);
        if (r == 0)
                r = check_mode(passed, name, detail);
        return r != 0 ? r : check_range(passed, name, size, detail);
}

/* No call tells what a descriptor is but its name in /proc. */
int passed_eventfd_check(int fd, const char *name, Detail *detail) {
        char path[32], kind[32];
        ssize_t n;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        n = readlink(path, kind, sizeof(kind) - 1);
        if (n < 0)
                return -errno;
        kind[n] = '\0';
        if (strcmp(kind, "anon_inode:[eventfd]") == 0)
                return 0;
        return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                          "region \"%s\": the descriptor is no eventfd", name);
}
