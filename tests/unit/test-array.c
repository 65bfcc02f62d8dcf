/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Growing arrays: room for what is asked, old items kept, nothing lost when there is no memory. */

#include "lib/util/array.h"
#include "tests/common/unit.h"
#include "tests/unit/fail-allocation.h"

static void test_grows(void **state) {
        size_t used = 0, allocated = 0;
        int *items = NULL;

        assert_int_equal(array_reserve(&items, &allocated, used, 0), 0);
        assert_null(items);
        for (int i = 0; i < 10000; i++) {
                assert_int_equal(array_reserve(&items, &allocated, used, 1), 0);
                assert_true(allocated > used);
                items[used++] = i;
        }
        /* Doubling: no more than twice what is needed. */
        assert_true(allocated <= 2 * used);
        for (int i = 0; i < 10000; i++)
                assert_int_equal(items[i], i);
        free(items);
}

static void test_many_at_once(void **state) {
        size_t allocated = 0;
        int *items = NULL;

        assert_int_equal(array_reserve(&items, &allocated, 0, 1000), 0);
        assert_true(allocated >= 1000);
        assert_int_equal(array_reserve(&items, &allocated, 1000, 5000), 0);
        assert_true(allocated >= 6000);
        free(items);
}

static void test_no_memory(void **state) {
        size_t allocated = 0;
        int *items = NULL, *before;

        assert_int_equal(array_reserve(&items, &allocated, 0, 8), 0);
        items[0] = 7;
        before = items;
        fail_allocation_at(1);
        assert_int_equal(array_reserve(&items, &allocated, 8, 1), -ENOMEM);
        assert_true(fail_allocation_done());
        assert_ptr_equal(items, before);
        assert_int_equal(allocated, 8);
        assert_int_equal(items[0], 7);
        free(items);
}

static void test_relaxes(void **state) {
        size_t allocated = 0;
        int *items = NULL;

        array_relax(&items, &allocated);
        assert_int_equal(array_reserve(&items, &allocated, 0, ARRAY_KEPT), 0);
        array_relax(&items, &allocated);
        assert_int_equal(allocated, ARRAY_KEPT);
        assert_int_equal(array_reserve(&items, &allocated, 0, ARRAY_KEPT + 1), 0);
        array_relax(&items, &allocated);
        assert_int_equal(allocated, 0);
        assert_null(items);
        assert_int_equal(array_reserve(&items, &allocated, 0, 1), 0);
        free(items);
}

UNIT_TESTS(cmocka_unit_test(test_grows), cmocka_unit_test(test_many_at_once),
           cmocka_unit_test(test_no_memory), cmocka_unit_test(test_relaxes));
