/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Dirty ranges: joining, forgetting nothing, and climbing to every view that shows a region. */

#include <inttypes.h>

#include "lib/memory/dirty-range.h"
#include "tests/common/scene.h"
#include "tests/common/unit.h"

static char *ranges_text(DirtyRanges *ranges) {
        char *text = NULL;
        size_t length;
        FILE *f = open_memstream(&text, &length);

        dirty_ranges_sort(ranges);
        if (ranges->everything)
                fputs("everything", f);
        for (size_t i = 0; i < ranges->n; i++)
                fprintf(f, "%" PRIx64 "-%" PRIx64 " ", ranges->items[i].first,
                        ranges->items[i].last);
        fclose(f);
        return text;
}

static void test_sorts_and_joins(void **state) {
        static const Range added[] = {{0x50, 0x5f},
                                      {0x10, 0x1f},
                                      {0x20, 0x2f},
                                      {0x5a, 0x6f},
                                      {0x0, 0x0},
                                      {0x12, 0x13},
                                      {UINT64_MAX, UINT64_MAX},
                                      {0x71, 0x72}};
        DirtyRanges ranges = {};

        assert_true(dirty_ranges_is_empty(&ranges));
        for (size_t i = 0; i < ELEMENTS_OF(added); i++)
                dirty_ranges_add(&ranges, added[i]);
        assert_false(dirty_ranges_is_empty(&ranges));
        assert_text(ranges_text(&ranges),
                    "0-0 10-2f 50-6f 71-72 ffffffffffffffff-ffffffffffffffff ");
        dirty_ranges_clear(&ranges);
        assert_true(dirty_ranges_is_empty(&ranges));
        dirty_ranges_add(&ranges, RANGE_WHOLE);
        dirty_ranges_add(&ranges, (Range){1, 2});
        assert_text(ranges_text(&ranges), "0-ffffffffffffffff ");
        dirty_ranges_deinit(&ranges);
        assert_true(dirty_ranges_is_empty(&ranges));
}

static void test_many(void **state) {
        DirtyRanges ranges = {};

        for (uint64_t i = 0; i < 100000; i++)
                dirty_ranges_add(&ranges,
                                 (Range){(i * 7919 % 100000) * 16, (i * 7919 % 100000) * 16 + 7});
        dirty_ranges_sort(&ranges);
        assert_int_equal(ranges.n, 100000);
        for (uint64_t i = 0; i < ranges.n; i++)
                assert_int_equal(ranges.items[i].first, i * 16);
        dirty_ranges_deinit(&ranges);
}

static char *dirty_text(Map *map, const char *root) {
        return ranges_text(&must_find(map, root)->view->dirty);
}

static void mark(Map *map, const char *region, uint64_t first, uint64_t last) {
        dirty_climb(map, must_find(map, region), (Range){first, last});
}

static void check(Map *map, const char *root, const char *expected) {
        assert_text(dirty_text(map, root), expected);
        dirty_ranges_clear(&must_find(map, root)->view->dirty);
}

static int setup(void **state) {
        Map *map = scene_new();

        must_edit(map, add_region(REGION_CONTAINER, "bus", 0x1000, "system", 0x10000, 0));
        must_edit(map, add_region(REGION_RAM, "ram", 0x100, "bus", 0x200, 0));
        must_commit(map);
        check(map, "system", "");
        *state = map;
        return 0;
}

static int teardown(void **state) {
        map_free(*state);
        return 0;
}

static void test_climbs(void **state) {
        Map *map = *state;

        mark(map, "ram", 0x10, 0x1f);
        check(map, "system", "10210-1021f ");
        mark(map, "bus", 0, 0xfff);
        check(map, "system", "10000-10fff ");
        mark(map, "system", 0, UINT64_MAX);
        check(map, "system", "0-ffffffffffffffff ");
}

static void test_clips(void **state) {
        Map *map = *state;

        must_edit_commit(map, set_size("bus", 0x280));
        mark(map, "ram", 0x70, 0x1000);
        check(map, "system", "10270-1027f ");
        mark(map, "ram", 0x80, 0xff);
        check(map, "system", "");
        mark(map, "ram", 0x100, 0x1ff);
        check(map, "system", "");
}

static void test_what_nobody_sees(void **state) {
        Map *map = *state;

        must_edit(map, disable("bus"));
        must_edit_commit(map, add_region(REGION_RAM, "loose", 0x100, NULL, 0, 0));
        mark(map, "ram", 0, 0xff);
        mark(map, "loose", 0, 0xff);
        check(map, "system", "");
        must_edit_commit(map, enable("bus"));
        must_edit_commit(map, disable("ram"));
        mark(map, "ram", 0, 0xff);
        check(map, "system", "");
}

static void test_through_aliases(void **state) {
        Map *map = *state;

        must_edit(map, add_alias("low", "ram", 0x80, 0x80, "system", 0x100, 0));
        must_edit(map, add_alias("again", "low", 0x20, 0x20, "system", 0, 0));
        must_edit_commit(map, add_alias("off", "ram", 0, 0x100, NULL, 0, 0));
        mark(map, "ram", 0, 0xff);
        check(map, "system", "0-1f 100-17f 10200-102ff ");
        mark(map, "ram", 0, 0x7f);
        check(map, "system", "10200-1027f ");
        mark(map, "ram", 0xa0, 0xa0);
        check(map, "system", "0-0 120-120 102a0-102a0 ");
        must_edit_commit(map, disable("low"));
        mark(map, "ram", 0xa0, 0xa0);
        check(map, "system", "102a0-102a0 ");
}

static void test_every_view(void **state) {
        Map *map = *state;

        must_edit(map, add_region(REGION_CONTAINER, "dma", SIZE_WHOLE, NULL, 0, 0));
        must_edit(map, add_alias("window", "bus", 0x200, 0x80, "dma", 0x5000, 0));
        must_edit(map, add_space("device", "dma"));
        must_edit(map, add_space("inner", "bus"));
        must_commit(map);
        mark(map, "ram", 0x10, 0x9f);
        check(map, "system", "10210-1029f ");
        check(map, "dma", "5010-507f ");
        check(map, "bus", "210-29f ");
}

/* Twice as many ways up with each level: more than can be followed, so all is dirty. */
static void test_too_many_ways(void **state) {
        Map *map = *state;
        char name[32], below[32] = "ram", twin[32];

        for (int i = 0; i < 40; i++) {
                snprintf(name, sizeof(name), "c%d", i);
                must_edit(map, add_region(REGION_CONTAINER, name, 0x1000, NULL, 0, 0));
                for (int j = 0; j < 2; j++) {
                        snprintf(twin, sizeof(twin), "a%d.%d", i, j);
                        must_edit(map, add_alias(twin, below, 0, 0x100, name, 0, 0));
                }
                snprintf(below, sizeof(below), "%s", name);
        }
        mark(map, "ram", 0, 0);
        assert_true(range_covers(must_find(map, "system")->view->dirty.items[0], (Range){0, 0}) ||
                    must_find(map, "system")->view->dirty.everything);
        map_rollback(map, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

UNIT_TESTS(cmocka_unit_test(test_sorts_and_joins), cmocka_unit_test(test_many), TEST(test_climbs),
           TEST(test_clips), TEST(test_what_nobody_sees), TEST(test_through_aliases),
           TEST(test_every_view), TEST(test_too_many_ways));
