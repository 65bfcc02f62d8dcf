/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How memory is made: huge pages, core dumps, and what is said where it cannot be
 */

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/memory/backing.h"
#include "lib/memory/map-error.h"
#include "lib/util/size-words.h"
#include "tests/common/huge-pages.h"
#include "tests/common/unit.h"

static Backing *must_make(uint64_t size, const BackingSpec *spec) {
        Backing *backing = NULL;
        Detail detail = {};

        if (backing_new_memfd(&backing, 1, "dimm0", size, spec, &detail) != 0)
                fail_msg("%s", detail.text);
        return backing;
}

static void assert_refused(uint64_t size, const BackingSpec *spec, int outcome, const char *words) {
        Backing *backing = NULL;
        Detail detail = {};

        assert_int_equal(backing_new_memfd(&backing, 1, "dimm0", size, spec, &detail), outcome);
        detail.text[strnlen(words, sizeof(detail.text) - 1)] = '\0';
        assert_string_equal(detail.text, words);
        assert_null(backing);
}

static bool has_pages(uint64_t page, long n) {
        if (huge_pages_take(page, n))
                return true;
        print_message("# the host gives no %ld huge pages of %" PRIu64 " bytes\n", n, page);
        return false;
}

static void assert_huge(uint64_t page) {
        const BackingSpec spec = {.huge_page = page};
        _cleanup_(backing_unrefp) Backing *backing = NULL;
        char words[128], *bytes;
        long free;

        if (!has_pages(page, 1))
                skip();
        backing = must_make(page, &spec);
        assert_int_equal(backing->page, page);
        assert_int_equal(backing->mapped, page);
        bytes = backing->host;
        bytes[page - 1] = 1;

        /* One more than there are beside it. */
        free = huge_pages_number(page, "free_hugepages") -
               huge_pages_number(page, "resv_hugepages");
        snprintf(words, sizeof(words),
                 "memory of \"dimm0\": needs %ld huge pages of %s, %ld are free (nr_hugepages)",
                 free + 1, size_words(page).text, free);
        assert_refused((uint64_t)(free + 1) * page, &spec, MAP_E_NO_MEMORY, words);

        backing = backing_unref(backing);
        huge_pages_give_back();
}

static void test_2m(void **state) {
        assert_huge(HUGE_2M);
}

static void test_1g(void **state) {
        assert_huge(HUGE_1G);
}

static void test_sizes(void **state) {
        const BackingSpec odd = {.huge_page = 3 << 20}, huge = {.huge_page = HUGE_2M};

        assert_refused(12 << 20, &odd, MAP_E_INVALID_ARGUMENT,
                       "memory of \"dimm0\": there are no huge pages of 3MiB; the host has: ");
        if (huge_pages_number(HUGE_2M, "nr_hugepages") < 0)
                skip();
        assert_refused(0x300000, &huge, MAP_E_INVALID_RANGE,
                       "memory of \"dimm0\": size 3MiB is no multiple of its huge pages, of "
                       "2MiB");
}

/* What /proc/self/FILE says of the mapping, up to a line that begins so. */
static void read_mapping(const char *file, const void *host, const char *begins, char line[1024]) {
        _cleanup_(fclosep) FILE *stream = fopen(file, "re");
        char address[32];
        bool found = false;

        assert_non_null(stream);
        snprintf(address, sizeof(address), "%lx", (unsigned long)host);
        while (fgets(line, 1024, stream)) {
                found = found || strncmp(line, address, strlen(address)) == 0;
                if (found && strncmp(line, begins, strlen(begins)) == 0)
                        return;
        }
        fail_msg("%s has no such mapping", file);
}

static void test_bound_huge_pages(void **state) {
        const BackingSpec bound = {.numa = {NUMA_BIND, 1}, .huge_page = HUGE_2M};

        if (huge_pages_number(HUGE_2M, "nr_hugepages") < 0 ||
            access("/sys/devices/system/node/node0", F_OK) < 0)
                skip();
        assert_refused(HUGE_2M, &bound, MAP_E_INVALID_ARGUMENT,
                       "memory of \"dimm0\": huge pages are not reserved on NUMA node 0, to which "
                       "they are bound, unless prealloc is set");
}

static void assert_dumped(bool dump) {
        const BackingSpec spec = {.dump = dump};
        _cleanup_(backing_unrefp) Backing *backing = must_make(1 << 20, &spec);
        char line[1024];

        read_mapping("/proc/self/smaps", backing->host, "VmFlags:", line);
        assert_int_equal(strstr(line, " dd") == NULL, dump);
}

static void test_dump(void **state) {
        assert_dumped(false);
        assert_dumped(true);
}

static void test_words(void **state) {
        assert_string_equal(size_words(4096).text, "4KiB");
        assert_string_equal(size_words(HUGE_2M).text, "2MiB");
        assert_string_equal(size_words(16 * HUGE_1G).text, "16GiB");
        assert_string_equal(size_words(1025).text, "1025B");
        assert_string_equal(size_words(0).text, "0B");
        assert_string_equal(size_words(UINT64_C(64) << 40).text, "64TiB");
        assert_string_equal(size_words(UINT64_C(1) << 60).text, "1048576TiB");
        assert_string_equal(size_words(UINT64_MAX - 1).text, "18446744073709551614B");
        assert_string_equal(size_words(UINT64_MAX).text, "2^64");
}

/* A file of a caller's has the pages that it has. */
static void test_passed(void **state) {
        const BackingSpec huge = {.huge_page = HUGE_2M};
        _cleanup_(closep) int fd = memfd_create("passed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        PassedFD passed = {.fd = fd};
        Backing *backing = NULL;
        Detail detail = {};

        if (huge_pages_number(HUGE_2M, "nr_hugepages") < 0)
                skip();
        assert_int_equal(ftruncate(fd, HUGE_2M), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
        assert_int_equal(backing_new_passed(&backing, 1, "dimm0", HUGE_2M, &huge, &passed, &detail),
                         MAP_E_INVALID_ARGUMENT);
        assert_string_equal(detail.text, "memory of \"dimm0\": the descriptor's file has pages of "
                                         "4KiB, not huge pages of 2MiB");
}

UNIT_TESTS(cmocka_unit_test(test_2m), cmocka_unit_test(test_1g), cmocka_unit_test(test_sizes),
           cmocka_unit_test(test_bound_huge_pages), cmocka_unit_test(test_dump),
           cmocka_unit_test(test_words),
           cmocka_unit_test(test_passed));
