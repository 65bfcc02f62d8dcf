/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Backings: a file that nobody can shrink, and descriptors that nobody can widen
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/memory/backing.h"
#include "lib/memory/map-error.h"
#include "lib/util/range.h"
#include "tests/common/slow-unmap.h"
#include "tests/common/unit.h"

enum { NOBODY = 65534 };

static Backing *must_backing(uint64_t size) {
        Backing *backing = NULL;
        Detail detail = {};

        if (backing_new_memfd(&backing, 7, "pc.ram", size, NULL, &detail) != 0)
                fail_msg("%s", detail.text);
        return backing;
}

static void test_memory(void **state) {
        _cleanup_(backing_unrefp) Backing *backing = must_backing(3 * 4096);
        char *bytes = backing->host;
        char byte;

        assert_int_equal(backing->id, 7);
        assert_int_equal(backing->size, 3 * 4096);
        assert_int_equal(backing->mapped, 3 * 4096);
        assert_int_equal((uintptr_t)bytes % 4096, 0);
        assert_int_equal(bytes[0], 0);
        assert_int_equal(bytes[3 * 4096 - 1], 0);

        bytes[5000] = 42;
        assert_int_equal(pread(backing->fd, &byte, 1, 5000), 1);
        assert_int_equal(byte, 42);
        assert_int_equal(pwrite(backing->fd, "x", 1, 4095), 1);
        assert_int_equal(bytes[4095], 'x');
}

static void test_last_page(void **state) {
        _cleanup_(backing_unrefp) Backing *backing = must_backing(4097);
        struct stat status;

        assert_int_equal(backing->size, 4097);
        assert_int_equal(backing->mapped, 2 * 4096);
        assert_int_equal(((char *)backing->host)[2 * 4096 - 1], 0);
        assert_int_equal(fstat(backing->fd, &status), 0);
        assert_int_equal(status.st_size, 4097);
}

static void test_seals(void **state) {
        _cleanup_(backing_unrefp) Backing *backing = must_backing(8192);
        struct stat status;

        assert_int_equal(fcntl(backing->fd, F_GET_SEALS) &
                                 (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
                         F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
        assert_int_equal(ftruncate(backing->fd, 4096), -1);
        assert_int_equal(errno, EPERM);
        assert_int_equal(ftruncate(backing->fd, 12288), -1);
        assert_int_equal(fcntl(backing->fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
        assert_int_equal(fstat(backing->fd, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0600);
        assert_true(fcntl(backing->fd, F_GETFD) & FD_CLOEXEC);
}

static void assert_refused(int outcome, uint64_t size, const char *words) {
        Backing *backing = NULL;
        Detail detail = {};

        assert_int_equal(backing_new_memfd(&backing, 1, "dimm1", size, NULL, &detail), outcome);
        assert_string_equal(detail.text, words);
        assert_null(backing);
}

static int count_fds(void) {
        int n = 0;

        for (int fd = 0; fd < 1024; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

static void test_sizes(void **state) {
        int n_fds = count_fds();

        assert_refused(MAP_E_INVALID_RANGE, 0,
                       "memory of \"dimm1\": size 0, memory has from 1 to 2^64 - 2 bytes");
        assert_refused(MAP_E_INVALID_RANGE, SIZE_WHOLE,
                       "memory of \"dimm1\": size 2^64, memory has from 1 to 2^64 - 2 bytes");
        assert_refused(
                MAP_E_NO_MEMORY, SIZE_WHOLE - 1,
                "memory of \"dimm1\": no 18446744073709551614B to be had: File too large");
        assert_refused(
                MAP_E_NO_MEMORY, UINT64_C(1) << 63,
                "memory of \"dimm1\": no 8388608TiB to be had: File too large");
        /* A file may be that long, but no process has that many addresses. */
        assert_refused(MAP_E_NO_MEMORY, UINT64_C(1) << 60,
                       "memory of \"dimm1\": no 1048576TiB to be had: "
                       "Cannot allocate memory");
        assert_int_equal(count_fds(), n_fds);
}

static void assert_limited(int resource, rlim_t value, const char *words) {
        struct rlimit before, limit;

        assert_int_equal(getrlimit(resource, &before), 0);
        limit = (struct rlimit){value, before.rlim_max};
        assert_int_equal(setrlimit(resource, &limit), 0);
        assert_refused(MAP_E_NO_MEMORY, UINT64_C(3) << 40, words);
        assert_int_equal(setrlimit(resource, &before), 0);
}

/* Limits of the process are named, with their values. */
static void test_limits(void **state) {
        int next = dup(STDOUT_FILENO);
        char words[80];

        assert_true(next >= 0);
        close(next);
        (void)signal(SIGXFSZ, SIG_IGN);
        assert_limited(RLIMIT_FSIZE, 1 << 20,
                       "memory of \"dimm1\": no 3TiB to be had: RLIMIT_FSIZE is 1MiB");
        (void)signal(SIGXFSZ, SIG_DFL);
        snprintf(words, sizeof(words),
                 "memory of \"dimm1\": no 3TiB to be had: RLIMIT_NOFILE is %d", next);
        assert_limited(RLIMIT_NOFILE, (rlim_t)next, words);
}

/* Nothing is reserved: far more than any machine has. */
static void test_large(void **state) {
        _cleanup_(backing_unrefp) Backing *backing = must_backing(UINT64_C(9) << 40);
        char *bytes = backing->host;

        bytes[(UINT64_C(9) << 40) - 1] = 1;
        assert_int_equal(bytes[UINT64_C(8) << 40], 0);
}

static void test_long_name(void **state) {
        _cleanup_(backing_unrefp) Backing *backing = NULL;
        char name[513];

        memset(name, 'x', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        assert_int_equal(backing_new_memfd(&backing, 1, name, 4096, NULL, NULL), 0);
}

static void test_open(void **state) {
        _cleanup_(backing_unrefp) Backing *backing = must_backing(8192);
        _cleanup_(closep) int writable = -1, readonly = -1;
        char byte = 0;

        assert_int_equal(backing_open(backing, true, &writable), 0);
        assert_int_equal(backing_open(backing, false, &readonly), 0);
        assert_true(fcntl(writable, F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(readonly, F_GETFD) & FD_CLOEXEC);

        assert_int_equal(pwrite(writable, "g", 1, 6000), 1);
        assert_int_equal(((char *)backing->host)[6000], 'g');
        assert_int_equal(pread(readonly, &byte, 1, 6000), 1);
        assert_int_equal(byte, 'g');

        assert_int_equal(pwrite(readonly, "h", 1, 0), -1);
        assert_ptr_equal(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, readonly, 0), MAP_FAILED);
        /* Neither shares its offset with anybody. */
        assert_int_equal(lseek(writable, 100, SEEK_SET), 100);
        assert_int_equal(lseek(backing->fd, 0, SEEK_CUR), 0);
}

/* In a process of another uid: 0 if the descriptor cannot be opened for writing, else 1. */
static int try_to_widen(int fd) {
        char path[64];

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
                return 2;
        return open(path, O_RDWR) < 0 && open(path, O_WRONLY) < 0 ? 0 : 1;
}

static void test_readonly_stays_readonly(void **state) {
        _cleanup_(backing_unrefp) Backing *backing = must_backing(8192);
        _cleanup_(closep) int readonly = -1;
        int status;
        pid_t pid;

        if (geteuid() != 0) {
                print_message("# only root can try this under another uid\n");
                skip();
        }
        assert_int_equal(backing_open(backing, false, &readonly), 0);
        pid = fork();
        if (pid == 0)
                _exit(try_to_widen(readonly));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

/* The kernel says so of every mbind(), by --wrap: a C library's function there is none for it. */
long __wrap_syscall(long number, ...);

long __wrap_syscall(long number, ...) {
        errno = EPERM;
        return -1;
}

/* Whoever cannot use a file has no part of it, and may be given another. */
static void test_file_that_cannot_be_bound(void **state) {
        const BackingSpec spec = {.numa = {NUMA_BIND, 1}};
        _cleanup_(backing_unrefp) Backing *backing = NULL;
        _cleanup_(backing_unrefp) Backing *file = must_backing(4096);

        assert_int_equal(backing_new_absent(&backing, 8, "dimm0", 4096, &spec, false, 0, NULL), 0);
        assert_int_equal(backing_adopt(backing, "dimm0", file->fd, NULL), MAP_E_INVALID_ARGUMENT);
        assert_true(backing_is_absent(backing));
        assert_null(backing->host);
}

static bool no_threads;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument) {
        return no_threads ? EAGAIN : __real_pthread_create(thread, attributes, start, argument);
}

/* More than one step of it; the descriptor does not wait. */
static void test_large_is_freed_elsewhere(void **state) {
        Backing *backing = must_backing(9 * BACKING_LARGE + 1);
        int fd = backing->fd;

        slow_unmap_begin();
        backing_unref(backing);
        assert_true(memory_is_mapped("pc.ram"));
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        slow_unmap_end("pc.ram");
}

/* Small memory is, and what no thread can be had for. */
static void test_freed_at_once(void **state) {
        backing_unref(must_backing(BACKING_LARGE / 2));
        assert_false(memory_is_mapped("pc.ram"));
        no_threads = true;
        backing_unref(must_backing(9 * BACKING_LARGE + 1));
        assert_false(memory_is_mapped("pc.ram"));
        no_threads = false;
}

static void test_references(void **state) {
        Backing *backing = must_backing(4096);
        int fd = backing->fd;

        assert_ptr_equal(backing_ref(backing), backing);
        assert_null(backing_unref(backing));
        ((char *)backing->host)[0] = 1; /* still there */
        assert_null(backing_unref(backing));
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        assert_null(backing_unref(NULL));
}

UNIT_TESTS(cmocka_unit_test(test_memory), cmocka_unit_test(test_last_page),
           cmocka_unit_test(test_seals), cmocka_unit_test(test_sizes),
           cmocka_unit_test(test_limits),
                cmocka_unit_test(test_limits), cmocka_unit_test(test_large),
           cmocka_unit_test(test_long_name), cmocka_unit_test(test_open),
           cmocka_unit_test(test_readonly_stays_readonly), cmocka_unit_test(test_references),
           cmocka_unit_test(test_file_that_cannot_be_bound),
           cmocka_unit_test(test_large_is_freed_elsewhere), cmocka_unit_test(test_freed_at_once));
