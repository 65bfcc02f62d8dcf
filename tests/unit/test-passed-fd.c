/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Memory that callers pass in: what is refused and why, who may open it
 */

#include <fcntl.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/memory/backing.h"
#include "lib/memory/map-error.h"
#include "tests/common/unit.h"

enum { FILE_SIZE = 0x4000 };

/* A memfd of FILE_SIZE bytes with these seals. */
static int make_memfd(int seals) {
        int fd = memfd_create("passed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, FILE_SIZE), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
        return fd;
}

static int pass(Backing **ret, int fd, uint64_t offset, uint64_t size, Detail *detail) {
        PassedFD passed = {.fd = fd, .offset = offset};

        return backing_new_passed(ret, 3, "dimm", size, NULL, &passed, detail);
}

/* Closes fd. */
static void assert_refused(int fd, uint64_t offset, uint64_t size, int outcome, const char *words) {
        Backing *backing = NULL;
        Detail detail = {};

        assert_true(fd >= 0);
        assert_int_equal(pass(&backing, fd, offset, size, &detail), outcome);
        assert_string_equal(detail.text, words);
        assert_null(backing);
        close(fd);
}

#define DESCRIPTOR "memory of \"dimm\": the descriptor"

static void test_access_modes(void **state) {
        static const int modes[] = {O_RDONLY, O_WRONLY, O_PATH};
        int fd = make_memfd(F_SEAL_SHRINK);
        char path[64];

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        for (size_t i = 0; i < ELEMENTS_OF(modes); i++)
                assert_refused(open(path, modes[i] | O_CLOEXEC), 0, 4096, MAP_E_INVALID_ARGUMENT,
                               DESCRIPTOR " is not open for reading and writing");
        close(fd);
}

static void test_seals(void **state) {
        assert_refused(make_memfd(0), 0, 4096, MAP_E_INVALID_ARGUMENT,
                       DESCRIPTOR " is of a file that may shrink: it lacks the seal F_SEAL_SHRINK");
        assert_refused(make_memfd(F_SEAL_GROW | F_SEAL_SEAL), 0, 4096, MAP_E_INVALID_ARGUMENT,
                       DESCRIPTOR " is of a file that may shrink and takes no seals: only those of "
                                  "memfd_create with MFD_ALLOW_SEALING do");
        assert_refused(memfd_create("unsealable", MFD_CLOEXEC), 0, 4096, MAP_E_INVALID_ARGUMENT,
                       DESCRIPTOR " is of a file that may shrink and takes no seals: only those of "
                                  "memfd_create with MFD_ALLOW_SEALING do");
        assert_refused(make_memfd(F_SEAL_SHRINK | F_SEAL_WRITE), 0, 4096, MAP_E_INVALID_ARGUMENT,
                       DESCRIPTOR " is of a file that is sealed against writing");
        assert_refused(make_memfd(F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE), 0, 4096,
                       MAP_E_INVALID_ARGUMENT,
                       DESCRIPTOR " is of a file that is sealed against writing");
}

static void test_file_systems(void **state) {
        FILE *file = tmpfile(); /* wherever that is, it takes no seals */
        Backing *backing = NULL;
        Detail detail = {};

        assert_non_null(file);
        assert_int_equal(pass(&backing, fileno(file), 0, 4096, &detail), MAP_E_INVALID_ARGUMENT);
        fclose(file);
        /* devtmpfs is of tmpfs' type. */
        assert_refused(open("/dev/zero", O_RDWR | O_CLOEXEC), 0, 4096, MAP_E_INVALID_ARGUMENT,
                       DESCRIPTOR " is of a file that has no seals");
        assert_refused(eventfd(0, EFD_CLOEXEC), 0, 4096, MAP_E_INVALID_ARGUMENT,
                       DESCRIPTOR "'s file is on a file system of type 0x9041934, not on tmpfs or "
                                  "hugetlbfs as those of memfd_create are");
}

static void test_ranges(void **state) {
        assert_refused(make_memfd(F_SEAL_SHRINK), 512, 4096, MAP_E_INVALID_RANGE,
                       "memory of \"dimm\": offset 0x200 in the file is no multiple of its page "
                       "size, 0x1000");
        assert_refused(make_memfd(F_SEAL_SHRINK), 0x3000, 0x1001, MAP_E_INVALID_RANGE,
                       "memory of \"dimm\": 0x1001 bytes at offset 0x3000 reach beyond the end of "
                       "the file (size 0x4000)");
        assert_refused(make_memfd(F_SEAL_SHRINK), 0x5000, 1, MAP_E_INVALID_RANGE,
                       "memory of \"dimm\": 0x1 bytes at offset 0x5000 reach beyond the end of "
                       "the file (size 0x4000)");
        assert_refused(make_memfd(F_SEAL_SHRINK), 0xfffffffffffff000, 0x2000, MAP_E_INVALID_RANGE,
                       "memory of \"dimm\": 0x2000 bytes at offset 0xfffffffffffff000 reach beyond "
                       "the end of the file (size 0x4000)");
        assert_refused(make_memfd(F_SEAL_SHRINK), 0x4000, 1, MAP_E_INVALID_RANGE,
                       "memory of \"dimm\": 0x1 bytes at offset 0x4000 reach beyond the end of "
                       "the file (size 0x4000)");
        assert_refused(make_memfd(F_SEAL_SHRINK), 0, 0, MAP_E_INVALID_RANGE,
                       "memory of \"dimm\": size 0, memory has from 1 to 2^64 - 2 bytes");
}

static void test_memory(void **state) {
        _cleanup_(backing_unrefp) Backing *backing = NULL;
        _cleanup_(closep) int fd = make_memfd(F_SEAL_SHRINK), writable = -1, readonly = -1;
        char bytes[4] = {};

        assert_int_equal(pass(&backing, fd, 0x1000, 0x3000, NULL), 0);
        assert_int_equal(backing->id, 3);
        assert_int_equal(backing->offset, 0x1000);
        assert_int_equal(backing->size, 0x3000);
        assert_int_equal(pwrite(fd, "abc", 4, 0x1800), 4);
        assert_string_equal((char *)backing->host + 0x800, "abc");
        assert_int_equal(backing_read(backing, 0x800, bytes, 4), 0);
        assert_string_equal(bytes, "abc");

        assert_int_equal(backing_open(backing, true, &writable), 0);
        assert_int_equal(pwrite(writable, "xyz", 4, 0x1800), 4);
        assert_int_equal(backing_open(backing, false, &readonly), 0);
        assert_int_equal(pread(readonly, bytes, 4, 0x1800), 4);
        assert_string_equal(bytes, "xyz");
        assert_int_equal(pwrite(readonly, "-", 1, 0), -1);
}

/* The caller goes on with his descriptor, or without it. */
static void test_descriptors(void **state) {
        Backing *backing = NULL;
        int fd = make_memfd(F_SEAL_SHRINK), kept;

        assert_int_equal(pass(&backing, fd, 0, FILE_SIZE, NULL), 0);
        kept = backing->fd;
        assert_int_not_equal(kept, fd);
        assert_true(fcntl(kept, F_GETFD) & FD_CLOEXEC);
        close(fd);
        ((char *)backing->host)[FILE_SIZE - 1] = 1;
        backing_unref(backing);
        assert_int_equal(fcntl(kept, F_GETFD), -1);
}

/* In a process of another uid: whether a memfd of mode 0600 that is not its own is served. */
static int as_nobody(int fd) {
        Backing *backing = NULL;
        int got = -1;

        if (setgid(65534) < 0 || setuid(65534) < 0)
                return 2;
        if (pass(&backing, fd, 0, FILE_SIZE, NULL) != 0)
                return 3;
        if (backing_open(backing, true, &got) != 0)
                return 4;
        return backing_open(backing, false, &got) == -EACCES ? 0 : 5;
}

static int exit_status(pid_t pid) {
        int status;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void test_files_of_others(void **state) {
        _cleanup_(closep) int fd = make_memfd(F_SEAL_SHRINK);
        pid_t pid;

        if (geteuid() != 0) {
                print_message("# only root can try this under another uid\n");
                skip();
        }
        assert_int_equal(fchmod(fd, 0600), 0);
        pid = fork();
        if (pid == 0)
                _exit(as_nobody(fd));
        assert_int_equal(exit_status(pid), 0);
}

UNIT_TESTS(cmocka_unit_test(test_access_modes), cmocka_unit_test(test_seals),
           cmocka_unit_test(test_file_systems), cmocka_unit_test(test_ranges),
           cmocka_unit_test(test_memory), cmocka_unit_test(test_descriptors),
           cmocka_unit_test(test_files_of_others));
