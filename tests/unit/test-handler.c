/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Handlers: what the built-in ones answer, widths, and which two are the same. */

#include "lib/memory/handler.h"
#include "tests/common/unit.h"

static uint64_t must_read(Handler *handler, uint64_t offset, unsigned size) {
        uint64_t value = 0;

        assert_int_equal(handler_read(handler, offset, size, &value, NULL, NULL), 0);
        return value;
}

static void must_write(Handler *handler, uint64_t offset, unsigned size, uint64_t value) {
        assert_int_equal(handler_write(handler, offset, size, value, NULL, NULL), 0);
}

static void test_none(void **state) {
        _cleanup_(handler_unrefp) Handler *none = NULL;

        assert_int_equal(handler_new_none(&none), 0);
        must_write(none, 0, 8, 0);
        assert_int_equal(must_read(none, 0, 1), 0xff);
        assert_int_equal(must_read(none, 6, 2), 0xffff);
        assert_int_equal(must_read(none, 4, 4), 0xffffffff);
        assert_true(must_read(none, 8, 8) == UINT64_MAX);
        assert_int_equal(none->n_reads, 4);
        assert_int_equal(none->n_writes, 1);
}

static void test_constant(void **state) {
        _cleanup_(handler_unrefp) Handler *constant = NULL;

        assert_int_equal(handler_new_constant(&constant, UINT64_C(0x8877665544332211)), 0);
        must_write(constant, 0, 4, 0);
        assert_int_equal(must_read(constant, 0, 1), 0x11);
        assert_int_equal(must_read(constant, 3, 1), 0x44);
        assert_int_equal(must_read(constant, 2, 2), 0x4433);
        assert_int_equal(must_read(constant, 0x1004, 4), 0x88776655);
        assert_true(must_read(constant, 0x1000, 8) == UINT64_C(0x8877665544332211));
        /* Those who take accesses that are not aligned see it begin again. */
        assert_int_equal(must_read(constant, 7, 2), 0x1188);
        assert_true(must_read(constant, 1, 8) == UINT64_C(0x1188776655443322));
}

static void test_latch(void **state) {
        _cleanup_(handler_unrefp) Handler *latch = NULL;

        assert_int_equal(handler_new_latch(&latch, 5), 0);
        assert_int_equal(must_read(latch, 0, 8), 5);
        must_write(latch, 0x10, 8, UINT64_C(0x0807060504030201));
        assert_int_equal(must_read(latch, 0, 4), 0x04030201);
        must_write(latch, 2, 1, 0x1ff);
        assert_true(must_read(latch, 8, 8) == UINT64_C(0x0807060504ff0201));
        must_write(latch, 6, 2, 0xabcd);
        assert_true(must_read(latch, 0, 8) == UINT64_C(0xabcd060504ff0201));
        must_write(latch, 7, 2, 0x7788);
        assert_true(must_read(latch, 0, 8) == UINT64_C(0x88cd060504ff0277));
}

static void test_widths(void **state) {
        static const struct {
                HandlerWidths widths;
                uint64_t offset, n;
                unsigned width;
        } cases[] = {
                {{1, 8, false}, 0, 8, 8}, {{1, 8, false}, 4, 8, 4}, {{1, 8, false}, 1, 8, 1},
                {{1, 8, false}, 2, 3, 2}, {{1, 8, true}, 1, 8, 8},  {{1, 8, true}, 1, 7, 4},
                {{1, 4, false}, 0, 8, 4}, {{1, 4, true}, 3, 4, 4},  {{1, 1, true}, 0, 8, 1},
                {{4, 4, false}, 2, 4, 2}, {{4, 8, false}, 8, 3, 2},
        };
        _cleanup_(handler_unrefp) Handler *none = NULL;

        assert_int_equal(handler_new_none(&none), 0);
        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                none->widths = cases[i].widths;
                assert_int_equal(handler_width(none, cases[i].offset, cases[i].n), cases[i].width);
        }
}

static void test_valid_widths(void **state) {
        assert_true(handler_widths_are_valid(&(HandlerWidths){1, 8, false}));
        assert_true(handler_widths_are_valid(&(HandlerWidths){4, 4, true}));
        assert_false(handler_widths_are_valid(&(HandlerWidths){0, 8, false}));
        assert_false(handler_widths_are_valid(&(HandlerWidths){1, 16, false}));
        assert_false(handler_widths_are_valid(&(HandlerWidths){3, 4, false}));
        assert_false(handler_widths_are_valid(&(HandlerWidths){4, 2, false}));
}

static void test_same(void **state) {
        Handler *none = NULL, *one = NULL, *other = NULL, *two = NULL, *latch = NULL, *wide = NULL;

        assert_int_equal(handler_new_none(&none), 0);
        assert_int_equal(handler_new_constant(&one, 1), 0);
        assert_int_equal(handler_new_constant(&other, 1), 0);
        assert_int_equal(handler_new_constant(&two, 2), 0);
        assert_int_equal(handler_new_latch(&latch, 1), 0);
        assert_int_equal(handler_new_constant(&wide, 1), 0);
        wide->widths.min = 4;

        assert_true(handler_same(NULL, none));
        assert_true(handler_same(none, NULL));
        assert_true(handler_same(NULL, NULL));
        assert_true(handler_same(one, other));
        assert_false(handler_same(one, two));
        assert_false(handler_same(one, wide));
        assert_false(handler_same(one, latch));
        assert_false(handler_same(one, none));
        assert_false(handler_same(NULL, one));

        handler_unref(wide);
        handler_unref(latch);
        handler_unref(two);
        handler_unref(other);
        handler_unref(one);
        handler_unref(none);
}

UNIT_TESTS(cmocka_unit_test(test_none), cmocka_unit_test(test_constant),
           cmocka_unit_test(test_latch), cmocka_unit_test(test_widths),
           cmocka_unit_test(test_valid_widths), cmocka_unit_test(test_same));
