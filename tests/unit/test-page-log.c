/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "lib/memory/page-log.h"
#include "tests/common/unit.h"
#include "tests/unit/fail-allocation.h"

enum { PAGES = 300, WORDS = 5 };

static int setup(void **state) {
        PageLog *log = calloc(1, sizeof(*log));

        assert_non_null(log);
        page_log_init(log, PAGES);
        assert_int_equal(page_log_begin(log, PAGE_LOG_REGION), 0);
        page_log_set_on(log, PAGE_LOG_REGION, true);
        *state = log;
        return 0;
}

static int teardown(void **state) {
        page_log_deinit(*state);
        free(*state);
        return 0;
}

/* The reader's pages, as "3 64-127", which are cleared if so asked. */
static char *read_text(PageLog *log, PageLogReader reader, uint64_t n, bool clear) {
        uint64_t bits[WORDS] = {}, count = 0, told;
        char *text;
        size_t length;
        FILE *stream = open_memstream(&text, &length);

        assert_non_null(stream);
        told = page_log_read(log, reader, n, clear, bits);
        for (uint64_t page = 0, first; page < WORDS * 64; page++) {
                if (!(bits[page / 64] >> page % 64 & 1))
                        continue;
                first = page;
                while (page + 1 < WORDS * 64 && bits[(page + 1) / 64] >> (page + 1) % 64 & 1)
                        page++;
                fprintf(stream, first == page ? "%s%u" : "%s%u-%u", count ? " " : "",
                        (unsigned)first, (unsigned)page);
                count += page - first + 1;
        }
        fclose(stream);
        assert_int_equal(told, count);
        return text;
}

static void test_words(void **state) {
        assert_int_equal(page_log_words(0), 0);
        assert_int_equal(page_log_words(1), 1);
        assert_int_equal(page_log_words(64), 1);
        assert_int_equal(page_log_words(65), 2);
        assert_int_equal(page_log_words(UINT64_MAX), UINT64_C(1) << 58);
}

static void test_mark(void **state) {
        PageLog *log = *state;

        assert_text(read_text(log, PAGE_LOG_REGION, PAGES, false), "");
        page_log_mark(log, 5, 0);
        page_log_mark(log, 3, 1);
        page_log_mark(log, 62, 4);
        page_log_mark(log, 128, 64);
        page_log_mark(log, PAGES - 1, 1);
        assert_text(read_text(log, PAGE_LOG_REGION, PAGES, false), "3 62-65 128-191 299");
        page_log_mark(log, 0, PAGES);
        assert_text(read_text(log, PAGE_LOG_REGION, PAGES, true), "0-299");
        assert_text(read_text(log, PAGE_LOG_REGION, PAGES, false), "");
}

/* Who reads a part clears that part. */
static void test_read_part(void **state) {
        PageLog *log = *state;

        page_log_mark(log, 60, 10);
        assert_text(read_text(log, PAGE_LOG_REGION, 66, true), "60-65");
        assert_text(read_text(log, PAGE_LOG_REGION, 64, true), "");
        assert_text(read_text(log, PAGE_LOG_REGION, PAGES, true), "66-69");
}

/* Each reader has his own; one who comes later has none of before. */
static void test_readers(void **state) {
        PageLog *log = *state;

        assert_true(page_log_has(log, PAGE_LOG_REGION));
        assert_false(page_log_has(log, PAGE_LOG_VM));
        page_log_mark(log, 1, 1);
        assert_text(read_text(log, PAGE_LOG_VM, PAGES, true), "");
        assert_int_equal(page_log_begin(log, PAGE_LOG_VM), 0);
        page_log_set_on(log, PAGE_LOG_VM, true);
        page_log_mark(log, 2, 1);
        assert_text(read_text(log, PAGE_LOG_VM, PAGES, true), "2");
        assert_int_equal(page_log_begin(log, PAGE_LOG_REGION), 0);
        assert_text(read_text(log, PAGE_LOG_REGION, PAGES, false), "1-2");
        page_log_clear(log, PAGE_LOG_REGION);
        page_log_mark(log, 4, 1);
        assert_text(read_text(log, PAGE_LOG_REGION, PAGES, false), "4");
        assert_text(read_text(log, PAGE_LOG_VM, PAGES, false), "4");
}

/* Nothing is marked for who is off, by whatever way; what was is there still. */
static void test_off(void **state) {
        const uint64_t bit = 1;
        PageLog *log = *state;

        page_log_set_on(log, PAGE_LOG_VM, true); /* who never began */
        assert_false(page_log_has(log, PAGE_LOG_VM));
        page_log_mark(log, 1, 1);
        page_log_set_on(log, PAGE_LOG_REGION, false);
        page_log_mark(log, 2, 1);
        page_log_merge(log, 3, &bit, 1);
        assert_text(read_text(log, PAGE_LOG_REGION, PAGES, false), "1");
        page_log_set_on(log, PAGE_LOG_REGION, true);
        page_log_mark(log, 4, 1);
        assert_text(read_text(log, PAGE_LOG_REGION, PAGES, false), "1 4");
}

/* Any bits at any shift, against one after the other. */
static void test_merge(void **state) {
        static const uint64_t bits[] = {UINT64_C(0x8000000000000001), 0,
                                        UINT64_C(0xf00000000000000f)};
        PageLog *log = *state;

        for (uint64_t first = 0; first < 130; first++) {
                for (uint64_t n = 1; n <= 170; n += first % 7 + 1) {
                        char *merged;

                        page_log_merge(log, first, bits, n);
                        merged = read_text(log, PAGE_LOG_REGION, PAGES, true);
                        for (uint64_t i = 0; i < n; i++)
                                if (bits[i / 64] >> i % 64 & 1)
                                        page_log_mark(log, first + i, 1);
                        assert_text(read_text(log, PAGE_LOG_REGION, PAGES, true), merged);
                        free(merged);
                }
        }
        page_log_merge(log, PAGES - 1, bits, 1);
        assert_text(read_text(log, PAGE_LOG_REGION, PAGES, true), "299");
}

static void test_no_memory(void **state) {
        PageLog *log = *state;

        fail_allocation_at(1);
        assert_int_equal(page_log_begin(log, PAGE_LOG_VM), -ENOMEM);
        assert_true(fail_allocation_done());
        assert_false(page_log_has(log, PAGE_LOG_VM));
}

enum { MARKS = 200000 };

static void *mark_all(void *data) {
        for (unsigned i = 0; i < MARKS; i++)
                page_log_mark(data, i % PAGES, 1);
        return NULL;
}

/* While others mark, no mark is lost: in the end each page was seen after its last one. */
static void test_threads(void **state) {
        uint64_t bits[WORDS] = {};
        pthread_t threads[2];
        uint64_t seen = 0;

        for (unsigned i = 0; i < 2; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, mark_all, *state), 0);
        for (unsigned i = 0; i < 1000; i++)
                seen += page_log_read(*state, PAGE_LOG_REGION, PAGES, true, bits);
        for (unsigned i = 0; i < 2; i++)
                pthread_join(threads[i], NULL);
        seen += page_log_read(*state, PAGE_LOG_REGION, PAGES, true, bits);
        assert_true(seen >= PAGES);
        for (unsigned page = 0; page < PAGES; page++)
                assert_true(bits[page / 64] >> page % 64 & 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

UNIT_TESTS(cmocka_unit_test(test_words), TEST(test_mark), TEST(test_read_part), TEST(test_readers),
           TEST(test_off), TEST(test_merge), TEST(test_no_memory), TEST(test_threads));
