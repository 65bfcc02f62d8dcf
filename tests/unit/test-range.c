/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Inclusive ranges: the ends of the address space, empty results, clipping. */

#include "lib/util/range.h"
#include "tests/common/unit.h"

#define TOP UINT64_MAX

static void assert_range(Range range, uint64_t first, uint64_t last) {
        assert_int_equal(range.first, first);
        assert_int_equal(range.last, last);
}

static void test_size(void **state) {
        Range range = {7, 9};

        assert_false(range_from_size(0, &range));
        assert_range(range, 7, 9);
        assert_true(range_from_size(1, &range));
        assert_range(range, 0, 0);
        assert_true(range_from_size(TOP - 1, &range));
        assert_range(range, 0, TOP - 2);
        assert_true(range_from_size(SIZE_WHOLE, &range));
        assert_range(range, 0, TOP);

        assert_int_equal(range_size((Range){5, 5}), 1);
        assert_int_equal(range_size(RANGE_WHOLE), SIZE_WHOLE);
}

static void test_contains(void **state) {
        assert_true(range_contains((Range){4, 6}, 4));
        assert_true(range_contains((Range){4, 6}, 6));
        assert_false(range_contains((Range){4, 6}, 3));
        assert_false(range_contains((Range){4, 6}, 7));
        assert_true(range_contains((Range){TOP, TOP}, TOP));

        assert_true(range_covers((Range){4, 6}, (Range){4, 6}));
        assert_true(range_covers(RANGE_WHOLE, (Range){TOP, TOP}));
        assert_false(range_covers((Range){4, 6}, (Range){3, 6}));
        assert_false(range_covers((Range){4, 6}, (Range){4, 7}));
}

static void test_neighbours(void **state) {
        assert_true(range_overlaps((Range){0, 4}, (Range){4, 8}));
        assert_false(range_overlaps((Range){0, 3}, (Range){4, 8}));
        assert_false(range_overlaps((Range){4, 8}, (Range){0, 3}));

        assert_true(range_touches((Range){0, 3}, (Range){4, 8}));
        assert_false(range_touches((Range){4, 8}, (Range){0, 3}));
        assert_false(range_touches((Range){0, 4}, (Range){4, 8}));
        /* Behind the last byte there is nothing; it does not wrap to 0. */
        assert_false(range_touches(RANGE_WHOLE, (Range){0, 0}));
        assert_true(range_touches((Range){0, TOP - 1}, (Range){TOP, TOP}));

        assert_true(range_equal((Range){1, 2}, (Range){1, 2}));
        assert_false(range_equal((Range){1, 2}, (Range){1, 3}));
        assert_false(range_equal((Range){0, 2}, (Range){1, 2}));
}

static void test_intersect(void **state) {
        Range range = {7, 9};

        assert_false(range_intersect((Range){0, 3}, (Range){4, 8}, &range));
        assert_range(range, 7, 9);
        assert_true(range_intersect((Range){0, 4}, (Range){4, 8}, &range));
        assert_range(range, 4, 4);
        assert_true(range_intersect(RANGE_WHOLE, (Range){4, TOP}, &range));
        assert_range(range, 4, TOP);
        assert_true(range_intersect((Range){2, 9}, (Range){0, 5}, &range));
        assert_range(range, 2, 5);
}

static void test_shift(void **state) {
        Range range = {7, 9};

        assert_true(range_shift_up((Range){1, 2}, 10, &range));
        assert_range(range, 11, 12);
        assert_true(range_shift_up((Range){1, 2}, TOP - 1, &range));
        assert_range(range, TOP, TOP);
        assert_true(range_shift_up(RANGE_WHOLE, 5, &range));
        assert_range(range, 5, TOP);
        range = (Range){7, 9};
        assert_false(range_shift_up((Range){2, 3}, TOP - 1, &range));
        assert_range(range, 7, 9);

        assert_true(range_shift_down((Range){11, 12}, 10, &range));
        assert_range(range, 1, 2);
        assert_true(range_shift_down((Range){3, 12}, 10, &range));
        assert_range(range, 0, 2);
        assert_true(range_shift_down(RANGE_WHOLE, TOP, &range));
        assert_range(range, 0, 0);
        range = (Range){7, 9};
        assert_false(range_shift_down((Range){3, 9}, 10, &range));
        assert_range(range, 7, 9);
}

static void test_compare(void **state) {
        const Range range = {2, 5};

        assert_int_equal(range_compare(range, (Range){2, 5}), 0);
        assert_true(range_compare(range, (Range){3, 3}) < 0);
        assert_true(range_compare(range, (Range){1, TOP}) > 0);
        assert_true(range_compare(range, (Range){2, 6}) < 0);
        assert_true(range_compare(range, (Range){2, 4}) > 0);
}

static void test_place(void **state) {
        Range range = {7, 9};

        assert_true(range_place(0x1000, 0x1000, &range));
        assert_range(range, 0x1000, 0x1fff);
        assert_true(range_place(0, SIZE_WHOLE, &range));
        assert_range(range, 0, TOP);
        assert_true(range_place(TOP, 1, &range));
        assert_range(range, TOP, TOP);
        assert_true(range_place(1, TOP - 1, &range));
        assert_range(range, 1, TOP - 1);
        range = (Range){7, 9};
        assert_false(range_place(TOP, 2, &range));
        assert_false(range_place(1, SIZE_WHOLE, &range));
        assert_false(range_place(0, 0, &range));
        assert_range(range, 7, 9);
}

UNIT_TESTS(cmocka_unit_test(test_size), cmocka_unit_test(test_contains),
           cmocka_unit_test(test_neighbours), cmocka_unit_test(test_intersect),
           cmocka_unit_test(test_shift), cmocka_unit_test(test_place),
           cmocka_unit_test(test_compare));
