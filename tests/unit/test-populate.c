/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Populate: all of the memory is there, or none of it is left and it is said why
 *
 * madvise() goes through here, by --wrap, and fails or has somebody cancel it when a test says so.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/memory/map-error.h"
#include "lib/memory/populate.h"
#include "lib/util/size-words.h"
#include "tests/common/huge-pages.h"
#include "tests/common/unit.h"

#define SIZE (UINT64_C(200) << 20)

static const BackingSpec prealloc = {.prealloc = true};
static int fails_with;     /* errno of the third call; 0: none fails */
static unsigned n_calls;   /* atomic */
static Cancel *to_request; /* in the third call */

int __real_madvise(void *address, size_t length, int advice);
int __wrap_madvise(void *address, size_t length, int advice);

int __wrap_madvise(void *address, size_t length, int advice) {
        enum { POPULATE_WRITE = 23 };

        if (advice != POPULATE_WRITE)
                return __real_madvise(address, length, advice);
        if (__atomic_add_fetch(&n_calls, 1, __ATOMIC_RELAXED) < 3)
                return __real_madvise(address, length, advice);
        if (to_request)
                cancel_request(to_request);
        if (fails_with == 0)
                return __real_madvise(address, length, advice);
        errno = fails_with;
        return -1;
}

static int setup(void **state) {
        fails_with = 0;
        n_calls = 0;
        to_request = NULL;
        return 0;
}

static Backing *must_make(uint64_t size, const BackingSpec *spec) {
        Backing *backing = NULL;
        Detail detail = {};

        if (backing_new_memfd(&backing, 1, "dimm0", size, spec, &detail) != 0)
                fail_msg("%s", detail.text);
        return backing;
}

static uint64_t bytes_of(const Backing *backing) {
        struct stat status;

        assert_int_equal(fstat(backing->fd, &status), 0);
        return (uint64_t)status.st_blocks * 512;
}

static void must_populate(Backing *backing) {
        Detail detail = {};

        if (backing_populate(backing, "dimm0", NULL, &detail) != 0)
                fail_msg("%s", detail.text);
        assert_true(backing_is_populated(backing));
        assert_int_equal(backing_populated(backing), backing->mapped);
        assert_int_equal(bytes_of(backing), backing->mapped);
}

static void test_all(void **state) {
        _cleanup_(backing_unrefp) Backing *backing = must_make(SIZE + 1, &prealloc);

        assert_false(backing_is_populated(backing));
        must_populate(backing);
        assert_int_equal(((char *)backing->host)[SIZE], 0);
}

static void test_twice(void **state) {
        _cleanup_(backing_unrefp) Backing *backing = must_make(1, &prealloc);

        must_populate(backing);
        n_calls = 0;
        must_populate(backing);
        assert_int_equal(n_calls, 0);
}

static void test_huge(void **state) {
        const BackingSpec spec = {.huge_page = HUGE_2M, .prealloc = true, .numa = {NUMA_BIND, 1}};
        Backing *backing;

        if (!huge_pages_take(HUGE_2M, 8)) {
                print_message("# the host gives no huge pages\n");
                skip();
        }
        backing = must_make(8 * HUGE_2M, &spec);
        must_populate(backing);
        backing_unref(backing);
        huge_pages_give_back();
}

/* Those that are reserved for nobody else may still be used up, on the node that is bound. */
static void test_huge_gone(void **state) {
        const BackingSpec spec = {.huge_page = HUGE_2M, .prealloc = true};
        Backing *backing;
        Detail detail = {};

        if (!huge_pages_take(HUGE_2M, 80)) {
                print_message("# the host gives no huge pages\n");
                skip();
        }
        backing = must_make(80 * HUGE_2M, &spec);
        fails_with = EFAULT;
        assert_int_equal(backing_populate(backing, "dimm0", NULL, &detail), MAP_E_NO_MEMORY);
        assert_string_equal(detail.text,
                            "memory of \"dimm0\": the kernel has no more pages of 2MiB for it "
                            "(nr_hugepages, or a limit of its cgroup or file system)");
        assert_int_equal(bytes_of(backing), 0);
        backing_unref(backing);
        huge_pages_give_back();
}

static void test_failure(void **state) {
        _cleanup_(backing_unrefp) Backing *backing = must_make(SIZE, &prealloc);
        Detail detail = {};

        fails_with = ENOMEM;
        assert_int_equal(backing_populate(backing, "dimm0", NULL, &detail), MAP_E_NO_MEMORY);
        assert_string_equal(detail.text, "memory of \"dimm0\": cannot be populated: Cannot "
                                         "allocate memory");
        assert_int_equal(bytes_of(backing), 0);
        assert_int_equal(backing_populated(backing), 0);

        setup(state);
        must_populate(backing);
}

/* All that the host has, of which some is used: said at once, and nobody is killed. */
static void test_too_much(void **state) {
        uint64_t size = (uint64_t)sysconf(_SC_PHYS_PAGES) * 4096;
        _cleanup_(backing_unrefp) Backing *backing = must_make(size, &prealloc);
        Detail detail = {};
        char begins[128];

        if (access("/sys/devices/system/node/node0/meminfo", R_OK) < 0) {
                print_message("# the kernel does not say how much memory there is\n");
                skip();
        }
        snprintf(begins, sizeof(begins), "memory of \"dimm0\": needs %s, ", size_words(size).text);
        assert_int_equal(backing_populate(backing, "dimm0", NULL, &detail), MAP_E_NO_MEMORY);
        assert_int_equal(strncmp(detail.text, begins, strlen(begins)), 0);
        assert_int_equal(n_calls, 0);
        assert_int_equal(bytes_of(backing), 0);
}

static void test_old_kernel(void **state) {
        _cleanup_(backing_unrefp) Backing *backing = must_make(SIZE, &prealloc);

        fails_with = EINVAL;
        must_populate(backing);
}

static void test_cancelled(void **state) {
        _cleanup_(backing_unrefp) Backing *backing = must_make(SIZE, &prealloc);
        Cancel cancel = {};

        to_request = &cancel;
        assert_int_equal(backing_populate(backing, "dimm0", &cancel, NULL), -ECANCELED);
        assert_true(n_calls >= 3);
        assert_int_equal(bytes_of(backing), 0);
        assert_int_equal(backing_populated(backing), 0);
        /* Before its first step, too. */
        n_calls = 0;
        assert_int_equal(backing_populate(backing, "dimm0", &cancel, NULL), -ECANCELED);
        assert_int_equal(n_calls, 0);
}

/* The file is a caller's, with what is in it: that stays, whatever comes out. */
static void test_passed(void **state) {
        _cleanup_(closep) int fd = memfd_create("passed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        _cleanup_(backing_unrefp) Backing *backing = NULL;
        PassedFD passed = {.fd = fd, .offset = 4096};
        Cancel cancel = {};
        char byte;

        assert_int_equal(ftruncate(fd, SIZE + 8192), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
        assert_int_equal(pwrite(fd, "g", 1, 4096), 1);
        assert_int_equal(backing_new_passed(&backing, 1, "dimm0", SIZE, &prealloc, &passed, NULL),
                         0);
        to_request = &cancel;
        assert_int_equal(backing_populate(backing, "dimm0", &cancel, NULL), -ECANCELED);
        assert_int_equal(pread(fd, &byte, 1, 4096), 1);
        assert_int_equal(byte, 'g');

        setup(state);
        assert_int_equal(backing_populate(backing, "dimm0", NULL, NULL), 0);
        assert_int_equal(bytes_of(backing), SIZE);
        assert_int_equal(pread(fd, &byte, 1, 4096), 1);
        assert_int_equal(byte, 'g');
}

#define TEST(function) cmocka_unit_test_setup(function, setup)

UNIT_TESTS(TEST(test_all), TEST(test_twice), TEST(test_huge), TEST(test_huge_gone),
           TEST(test_failure), TEST(test_too_much), TEST(test_old_kernel), TEST(test_cancelled),
           TEST(test_passed));
