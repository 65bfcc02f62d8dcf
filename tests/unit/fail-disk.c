/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/common/unit.h"
#include "tests/unit/fail-disk.h"

FailDisk fail_disk;

static char image[1 << 16];
static size_t image_length;

ssize_t __real_pwritev64(int fd, const struct iovec *vectors, int n, off_t at);
int __real_ftruncate64(int fd, off_t length);
int __real_fdatasync(int fd);
int __real_fsync(int fd);
ssize_t __wrap_pwritev64(int fd, const struct iovec *vectors, int n, off_t at);
int __wrap_ftruncate64(int fd, off_t length);
int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);

static int fail_now(void) {
        errno = EIO;
        return -1;
}

static void note(int fd) {
        ssize_t n = pread(fd, image, sizeof(image), 0);

        assert_in_range(n, 0, sizeof(image) - 1);
        image_length = (size_t)n;
}

void fail_disk_lose_power(const char *path) {
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        assert_int_equal(fwrite(image, 1, image_length, file), image_length);
        assert_int_equal(fclose(file), 0);
}

ssize_t __wrap_pwritev64(int fd, const struct iovec *vectors, int n, off_t at) {
        return fail_disk.writes ? fail_now() : __real_pwritev64(fd, vectors, n, at);
}

int __wrap_ftruncate64(int fd, off_t length) {
        return fail_disk.truncations ? fail_now() : __real_ftruncate64(fd, length);
}

int __wrap_fdatasync(int fd) {
        if (fail_disk.syncs)
                return fail_now();
        note(fd);
        return __real_fdatasync(fd);
}

int __wrap_fsync(int fd) {
        struct stat status;

        assert_int_equal(fstat(fd, &status), 0);
        if (S_ISDIR(status.st_mode) ? fail_disk.directory_syncs : fail_disk.syncs)
                return fail_now();
        if (S_ISREG(status.st_mode))
                note(fd);
        return __real_fsync(fd);
}
