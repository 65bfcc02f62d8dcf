/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Epochs: regions of an old view live until that view and all before it have gone. Whether a
 * region still lives is read off its count: the test holds one reference of its own.
 */

#include "lib/memory/epoch.h"
#include "tests/common/unit.h"

static Region *make_region(void) {
        Region *region = NULL;

        assert_int_equal(region_new(&region, "x", REGION_RAM, NULL, NULL), 0);
        return region;
}

static Epoch *make_epoch(void) {
        Epoch *epoch = NULL;

        assert_int_equal(epoch_new(&epoch), 0);
        return epoch;
}

static long count(const Region *region) {
        return __atomic_load_n(&region->ref.refcount, __ATOMIC_RELAXED);
}

static void close_with(Epoch *epoch, Epoch *next, Region *region) {
        Region **regions = malloc(sizeof(*regions));

        assert_non_null(regions);
        regions[0] = region_ref(region);
        epoch_close(epoch, next, regions, 1);
}

static void test_open_epoch(void **state) {
        Epoch *epoch = make_epoch();

        assert_int_equal(epoch->n_regions, 0);
        assert_ptr_equal(epoch_ref(epoch), epoch);
        assert_null(epoch_unref(epoch));
        assert_null(epoch_unref(epoch));
        assert_null(epoch_unref(NULL));
}

static void test_drops_its_regions(void **state) {
        Epoch *first = make_epoch(), *second = make_epoch();
        Region *region = make_region();

        close_with(first, second, region);
        assert_int_equal(count(region), 2);
        epoch_unref(first);
        assert_int_equal(count(region), 1);
        epoch_unref(second);
        region_unref(region);
}

/* What the second view lost, a holder of the first may still be looking at. */
static void test_an_older_one_keeps_the_newer(void **state) {
        Epoch *epochs[3] = {make_epoch(), make_epoch(), make_epoch()};
        Region *early = make_region(), *late = make_region();

        close_with(epochs[0], epochs[1], early);
        close_with(epochs[1], epochs[2], late);
        epoch_unref(epochs[1]);
        assert_int_equal(count(early), 2);
        assert_int_equal(count(late), 2);
        epoch_unref(epochs[0]);
        assert_int_equal(count(early), 1);
        assert_int_equal(count(late), 1);
        epoch_unref(epochs[2]);
        region_unref(early);
        region_unref(late);
}

static void test_a_newer_one_does_not_keep_the_older(void **state) {
        Epoch *epochs[3] = {make_epoch(), make_epoch(), make_epoch()};
        Region *early = make_region(), *late = make_region();

        close_with(epochs[0], epochs[1], early);
        close_with(epochs[1], epochs[2], late);
        epoch_unref(epochs[0]);
        assert_int_equal(count(early), 1);
        assert_int_equal(count(late), 2);
        epoch_unref(epochs[1]);
        assert_int_equal(count(late), 1);
        epoch_unref(epochs[2]);
        region_unref(early);
        region_unref(late);
}

/* A reader may sleep through very many commits; letting go must not recurse as deep. */
static void test_long_chain(void **state) {
        enum { N = 1000000 };
        Epoch *oldest = make_epoch(), *last = epoch_ref(oldest);

        for (int i = 0; i < N; i++) {
                Epoch *next = make_epoch();

                epoch_close(last, next, NULL, 0);
                epoch_unref(last);
                last = next;
        }
        epoch_unref(last);
        epoch_unref(oldest);
}

UNIT_TESTS(cmocka_unit_test(test_open_epoch), cmocka_unit_test(test_drops_its_regions),
           cmocka_unit_test(test_an_older_one_keeps_the_newer),
           cmocka_unit_test(test_a_newer_one_does_not_keep_the_older),
           cmocka_unit_test(test_long_chain));
