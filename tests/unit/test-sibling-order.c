/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/vm/sibling-order.h"
#include "tests/common/unit.h"

#define ASSERT_ORDER(expected, ...)                                                                \
        do {                                                                                       \
                uint64_t places_[] = {__VA_ARGS__};                                                \
                                                                                                   \
                assert_order(expected, places_, sizeof(places_) / sizeof(places_[0]));             \
        } while (0)

static void assert_order(const char *expected, uint64_t *places, size_t n) {
        char text[256] = "";

        assert_int_equal(sibling_order(places, n), 0);
        for (size_t i = 0; i < n; i++)
                sprintf(text + strlen(text), "%s%" PRIu64, i ? " " : "", places[i]);
        assert_string_equal(text, expected);
}

static void test_nothing_to_do(void **state) {
        assert_int_equal(sibling_order(NULL, 0), 0);
        ASSERT_ORDER("7", 7);
        ASSERT_ORDER("1 2 3", 1, 2, 3);
        ASSERT_ORDER("1 500 18446744073709551615", 1, 500, UINT64_MAX);
}

static void test_new_on_top(void **state) {
        ASSERT_ORDER("0", 0);
        ASSERT_ORDER("0 0 0", 0, 0, 0);
        ASSERT_ORDER("10 20 0 0", 10, 20, 0, 0);
}

static void test_new_between(void **state) {
        ASSERT_ORDER("50 100", 0, 100);
        ASSERT_ORDER("100 133 166 200 0", 100, 0, 0, 200, 0);
}

static void test_fewest_move(void **state) {
        /* The last to the front, the first to the end, two that change places. */
        ASSERT_ORDER("50 100 200 300", 400, 100, 200, 300);
        ASSERT_ORDER("200 300 400 0", 200, 300, 400, 100);
        ASSERT_ORDER("100 150 200 400", 100, 300, 200, 400);
        /* Equal places cannot both stay. */
        ASSERT_ORDER("2 5", 5, 5);
}

static void test_no_room(void **state) {
        /* One number between 10 and 12, two wanted: 12 has to make room, 20 has enough. */
        ASSERT_ORDER("10 12 14 16 20", 10, 0, 0, 12, 20);
        ASSERT_ORDER("10 0 0", 10, 0, 11);
        ASSERT_ORDER("0 0", 0, 1);
        ASSERT_ORDER("1 2", 0, 2);
}

/* The longest ascending subsequence by trying all, where there is room for everything. */
static unsigned count_kept(const uint64_t *places, size_t n) {
        unsigned best = 0;

        for (unsigned set = 0; set < 1u << n; set++) {
                uint64_t last = 0;
                unsigned kept = 0;

                for (size_t i = 0; i < n; i++) {
                        if (!(set & 1u << i))
                                continue;
                        if (places[i] <= last) {
                                kept = 0;
                                break;
                        }
                        last = places[i];
                        kept++;
                }
                best = kept > best ? kept : best;
        }
        return best;
}

static void test_random_orders_keep_most(void **state) {
        unsigned seed = 1;

        for (unsigned round = 0; round < 2000; round++) {
                uint64_t before[8], after[8], last = 0;
                size_t n = 1 + (size_t)rand_r(&seed) % 8;
                unsigned kept = 0;

                for (size_t i = 0; i < n; i++)
                        before[i] = (uint64_t)(rand_r(&seed) % 12) * 1000;
                memcpy(after, before, sizeof(before));
                assert_int_equal(sibling_order(after, n), 0);
                for (size_t i = 0; i < n; i++) {
                        if (after[i] == 0)
                                last = UINT64_MAX; /* all behind must be 0, too */
                        else
                                assert_true(after[i] > last);
                        last = after[i] ? after[i] : last;
                        kept += after[i] != 0 && after[i] == before[i];
                }
                assert_int_equal(kept, count_kept(before, n));
        }
}

UNIT_TESTS(cmocka_unit_test(test_nothing_to_do), cmocka_unit_test(test_new_on_top),
           cmocka_unit_test(test_new_between), cmocka_unit_test(test_fewest_move),
           cmocka_unit_test(test_no_room), cmocka_unit_test(test_random_orders_keep_most));
