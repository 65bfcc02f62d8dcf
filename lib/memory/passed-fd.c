/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "lib/memory/map-error.h"
#include "lib/memory/passed-fd.h"

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

static int check_file_system(PassedFD *passed, const char *name, Detail *detail) {
        struct statfs status;

        if (fstatfs(passed->fd, &status) < 0)
                return -errno;
        if (status.f_type != TMPFS_MAGIC && status.f_type != HUGETLBFS_MAGIC)
                return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                                  "memory of \"%s\": the descriptor's file is on a file system of "
                                  "type 0x%lx, not on tmpfs or hugetlbfs as those of "
                                  "memfd_create are",
                                  name, (unsigned long)status.f_type);
        passed->huge = status.f_type == HUGETLBFS_MAGIC;
        passed->page = (uint64_t)status.f_bsize;
        return 0;
}

static int check_seals(const PassedFD *passed, const char *name, Detail *detail) {
        int seals = fcntl(passed->fd, F_GET_SEALS);

        if (seals < 0)
                return refuse(name, detail, "is of a file that has no seals");
        if (!(seals & F_SEAL_SHRINK) && seals & F_SEAL_SEAL)
                return refuse(name, detail,
                              "is of a file that may shrink and takes no seals: only those of "
                              "memfd_create with MFD_ALLOW_SEALING do");
        if (!(seals & F_SEAL_SHRINK))
                return refuse(name, detail,
                              "is of a file that may shrink: it lacks the seal F_SEAL_SHRINK");
        if (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
                return refuse(name, detail, "is of a file that is sealed against writing");
        return 0;
}

static int check_range(const PassedFD *passed, const char *name, uint64_t size, Detail *detail) {
        struct stat status;

        if (fstat(passed->fd, &status) < 0)
                return -errno;
        if (passed->offset % passed->page != 0)
                return detail_set(detail, MAP_E_INVALID_RANGE,
                                  "memory of \"%s\": offset 0x%" PRIx64 " in the file is no "
                                  "multiple of its page size, 0x%" PRIx64,
                                  name, passed->offset, passed->page);
        if (passed->offset > (uint64_t)status.st_size ||
            size > (uint64_t)status.st_size - passed->offset)
                return detail_set(detail, MAP_E_INVALID_RANGE,
                                  "memory of \"%s\": 0x%" PRIx64 " bytes at offset 0x%" PRIx64
                                  " reach beyond the end of the file (size 0x%" PRIx64 ")",
                                  name, size, passed->offset, (uint64_t)status.st_size);
        return 0;
}

int passed_fd_check(PassedFD *passed, const char *name, uint64_t size, Detail *detail) {
        int r;

        r = check_mode(passed, name, detail);
        if (r == 0)
                r = check_file_system(passed, name, detail);
        if (r == 0)
                r = check_seals(passed, name, detail);
        if (r == 0)
                r = check_range(passed, name, size, detail);
        return r;
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
