/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Memory that callers pass in: what is refused and why, who may open it, and what becomes of those
 * who use it when the file is cut off or cannot grow
 */

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
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
        assert_refused(make_memfd(F_SEAL_SHRINK | F_SEAL_WRITE), 0, 4096, MAP_E_INVALID_ARGUMENT,
                       DESCRIPTOR " is of a file that is sealed against writing");
        assert_refused(make_memfd(F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE), 0, 4096,
                       MAP_E_INVALID_ARGUMENT,
                       DESCRIPTOR " is of a file that is sealed against writing");
}

#define NO_FILE(kind) DESCRIPTOR " is of " kind ", not of a regular file or a dax device"

static void test_kinds(void **state) {
        int pipes[2], sockets[2];

        assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
        for (int i = 0; i < 2; i++) {
                assert_refused(pipes[i], 0, 4096, MAP_E_INVALID_ARGUMENT, NO_FILE("a pipe"));
                assert_refused(sockets[i], 0, 4096, MAP_E_INVALID_ARGUMENT, NO_FILE("a socket"));
        }
        assert_refused(open("/", O_RDONLY | O_CLOEXEC), 0, 4096, MAP_E_INVALID_ARGUMENT,
                       NO_FILE("a directory"));
        assert_refused(open("/dev/zero", O_RDWR | O_CLOEXEC), 0, 4096, MAP_E_INVALID_ARGUMENT,
                       NO_FILE("a character device"));
        assert_refused(eventfd(0, EFD_CLOEXEC), 0, 4096, MAP_E_INVALID_ARGUMENT,
                       NO_FILE("something else"));
}

static void test_ranges(void **state) {
        assert_refused(make_memfd(F_SEAL_SHRINK), 512, 4096, MAP_E_INVALID_RANGE,
                       "memory of \"dimm\": offset 0x200 in the file is no multiple of its page "
                       "size, 4KiB");
        assert_refused(make_memfd(F_SEAL_SHRINK), 0x3000, 0x1001, MAP_E_INVALID_RANGE,
                       "memory of \"dimm\": 4097B at offset 0x3000 reach beyond the end of "
                       "the file (size 16KiB)");
        assert_refused(make_memfd(F_SEAL_SHRINK), 0x5000, 1, MAP_E_INVALID_RANGE,
                       "memory of \"dimm\": 1B at offset 0x5000 reach beyond the end of "
                       "the file (size 16KiB)");
        assert_refused(make_memfd(F_SEAL_SHRINK), 0xfffffffffffff000, 0x2000, MAP_E_INVALID_RANGE,
                       "memory of \"dimm\": 8KiB at offset 0xfffffffffffff000 reach beyond "
                       "the end of the file (size 16KiB)");
        assert_refused(make_memfd(F_SEAL_SHRINK), 0x4000, 1, MAP_E_INVALID_RANGE,
                       "memory of \"dimm\": 1B at offset 0x4000 reach beyond the end of "
                       "the file (size 16KiB)");
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
        assert_true(backing->sealed);
        assert_int_equal(backing_read(backing, "dimm", 0x800, bytes, 4, NULL), 0);
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

static uint64_t size_of(int fd) {
        struct stat status;

        assert_int_equal(fstat(fd, &status), 0);
        return (uint64_t)status.st_size;
}

/* A file of FILE_SIZE bytes on the file system of a directory. */
static int make_file(const char *directory) {
        int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        if (fd >= 0)
                assert_int_equal(ftruncate(fd, FILE_SIZE), 0);
        return fd;
}

static void assert_fails(const Backing *backing, uint64_t offset, size_t size, const char *words) {
        char bytes[FILE_SIZE] = {};
        Detail detail = {};

        assert_int_equal(backing_read(backing, "dimm", offset, bytes, size, &detail),
                         MAP_E_NO_MEMORY);
        assert_string_equal(detail.text, words);
        detail = (Detail){};
        assert_int_equal(backing_write(backing, "dimm", offset, bytes, size, &detail),
                         MAP_E_NO_MEMORY);
        assert_string_equal(detail.text, words);
}

#define CUT_OFF "memory of \"dimm\": the file has 4352B, the region uses it up to 16KiB"

/* From the second of its pages on. */
static void use_and_cut_off(int fd) {
        _cleanup_(backing_unrefp) Backing *backing = NULL;
        char bytes[0x2800] = {};
        Detail detail = {};

        assert_int_equal(pass(&backing, fd, 0x1000, 0x3000, NULL), 0);
        assert_false(backing->sealed);
        memset(bytes, 'x', sizeof(bytes));
        assert_int_equal(backing_write(backing, "dimm", 0x7ff, bytes, sizeof(bytes), NULL), 0);
        assert_int_equal(pread(fd, bytes, 3, 0x1000 + 0x7fe), 3);
        assert_memory_equal(bytes, "\0xx", 3);
        assert_int_equal(pwrite(fd, "abc", 3, 0x2fff), 3);
        assert_int_equal(backing_read(backing, "dimm", 0x1fff, bytes, 4, NULL), 0);
        assert_memory_equal(bytes, "abcx", 4);
        assert_int_equal(backing_check_file(backing, "dimm", EFAULT, NULL), 0);

        assert_int_equal(ftruncate(fd, 0x1100), 0);
        assert_int_equal(backing_read(backing, "dimm", 0xf8, bytes, 8, NULL), 0);
        assert_fails(backing, 0xf9, 8, CUT_OFF);   /* the rest of a page */
        assert_fails(backing, 0x1000, 1, CUT_OFF); /* a page */
        assert_fails(backing, 0, 0x3000, CUT_OFF);
        assert_int_equal(backing_check_file(backing, "dimm", 0, &detail), MAP_E_NO_MEMORY);
        assert_string_equal(detail.text, CUT_OFF);
        assert_int_equal(size_of(fd), 0x1100);

        assert_int_equal(ftruncate(fd, FILE_SIZE), 0);
        assert_int_equal(backing_write(backing, "dimm", 0x2fff, "y", 1, NULL), 0);
        assert_int_equal(pread(fd, bytes, 1, FILE_SIZE - 1), 1);
        assert_int_equal(bytes[0], 'y');
        close(fd);
}

static void test_cut_off(void **state) {
        int fd = make_file("."); /* on a disk, for the most part */

        assert_true(fd >= 0);
        use_and_cut_off(fd);
        use_and_cut_off(make_memfd(0));
        use_and_cut_off(make_file("/dev/shm"));
}

/* Where there is no size to look at, the kernel has the last word. */
static void test_no_page(void **state) {
        _cleanup_(backing_unrefp) Backing *backing = NULL;
        int fd = make_memfd(0);

        assert_int_equal(pass(&backing, fd, 0, FILE_SIZE, NULL), 0);
        close(fd);
        munmap((char *)backing->host + 0x2000, 0x1000);
        assert_fails(backing, 0x1800, 0x1000,
                     "memory of \"dimm\": the kernel has no page of its file at 0x2000: Bad "
                     "address");
}

static int mount_small(const char *directory) {
        if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
                return -errno;
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return -errno;
        return mount("none", directory, "tmpfs", 0, "size=8k,mode=0777") < 0 ? -errno : 0;
}

/* In a process with a file system of two pages: 0, 77 to skip, or the step that went wrong. */
static int in_full_file_system(const char *directory) {
        Backing *backing = NULL;
        Detail detail = {};
        int fd;

        if (mount_small(directory) < 0)
                return 77;
        fd = make_file(directory);
        if (fd < 0 || pass(&backing, fd, 0, FILE_SIZE, NULL) != 0)
                return 1;
        if (backing_write(backing, "dimm", 0x1000, "ab", 2, NULL) != 0 ||
            backing_write(backing, "dimm", 0x3000, "ab", 2, NULL) != 0)
                return 2;
        if (backing_write(backing, "dimm", 0x2000, "ab", 2, &detail) != MAP_E_NO_MEMORY)
                return 3;
        if (strcmp(detail.text, "memory of \"dimm\": the file system of its file is full") != 0)
                return 4;
        if (backing_check_file(backing, "dimm", EINVAL, NULL) != 0 ||
            backing_check_file(backing, "dimm", EFAULT, NULL) != MAP_E_NO_MEMORY)
                return 6;
        return backing_write(backing, "dimm", 0x1000, "cd", 2, NULL) == 0 ? 0 : 5;
}

static void test_full_file_system(void **state) {
        char directory[] = "/tmp/guestmap-full-XXXXXX";
        pid_t pid;
        int status;

        assert_non_null(mkdtemp(directory));
        pid = fork();
        if (pid == 0)
                _exit(in_full_file_system(directory));
        status = exit_status(pid);
        rmdir(directory);
        if (status == 77) {
                print_message("# no file system can be mounted here\n");
                skip();
        }
        assert_int_equal(status, 0);
}

static void test_nodes(void **state) {
        _cleanup_(backing_unrefp) Backing *backing = NULL;
        _cleanup_(closep) int file = make_file("."), memfd = make_memfd(0);
        const BackingSpec spec = {.numa = {NUMA_PREFERRED, 1}};
        PassedFD passed = {.fd = file};
        struct statfs status;
        Detail detail = {};

        assert_int_equal(fstatfs(file, &status), 0);
        if (status.f_type == TMPFS_MAGIC) {
                print_message("# the working directory is on no disk\n");
                skip();
        }
        assert_int_equal(backing_new_passed(&backing, 3, "dimm", 4096, &spec, &passed, &detail),
                         MAP_E_INVALID_ARGUMENT);
        assert_string_equal(detail.text,
                            DESCRIPTOR "'s file is on a disk or a device, whose pages come from no "
                                       "NUMA nodes of choice");
        passed.fd = memfd;
        assert_int_equal(backing_new_passed(&backing, 3, "dimm", 4096, &spec, &passed, NULL), 0);
}

UNIT_TESTS(cmocka_unit_test(test_access_modes), cmocka_unit_test(test_seals),
           cmocka_unit_test(test_kinds), cmocka_unit_test(test_ranges),
           cmocka_unit_test(test_memory), cmocka_unit_test(test_descriptors),
           cmocka_unit_test(test_files_of_others), cmocka_unit_test(test_cut_off),
           cmocka_unit_test(test_no_page), cmocka_unit_test(test_full_file_system),
           cmocka_unit_test(test_nodes));
