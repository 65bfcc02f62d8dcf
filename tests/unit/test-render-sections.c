/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Rendering: flags, merging, windows, limits, and what sections announce. */

#include "lib/memory/announce.h"
#include "tests/unit/render-scene.h"

#define TOP UINT64_MAX

static void test_flags_of_the_path(void **state) {
        Map *map = *state;

        container(map, "bus", 0x100, "root", 0, 0);
        must_edit(map, set_flags("bus", REGION_NONVOLATILE, REGION_NONVOLATILE));
        ram(map, "ram", 0x100, NULL, 0, 0);
        must_edit(map,
                  with_flags(add_alias("alias", "ram", 0, 0x100, "bus", 0, 0), REGION_READONLY));
        check(map, "0-ff ram@0 ram readonly nonvolatile\n");
        must_edit(map, set_flags("root", REGION_UNMERGEABLE, REGION_UNMERGEABLE));
        check(map, "0-ff ram@0 ram readonly nonvolatile unmergeable\n");
        must_edit(map, set_flags("ram", REGION_READONLY, REGION_READONLY));
        check(map, "0-ff ram@0 rom readonly nonvolatile unmergeable\n");
}

static void test_read_only_through_an_alias_stays_ram(void **state) {
        Map *map = *state;

        ram(map, "ram", 0x100, "root", 0, 0);
        must_edit(map, with_flags(add_alias("pam", "ram", 0x40, 0x20, "root", 0x40, 1),
                                  REGION_READONLY));
        check(map, "0-3f ram@0 ram\n40-5f ram@40 ram readonly\n60-ff ram@60 ram\n");
}

static void test_leaf_flags_come_from_the_leaf_alone(void **state) {
        Map *map = *state;

        container(map, "bus", 0x100, "root", 0, 0);
        ram(map, "parent", 0x80, "bus", 0, 0);
        must_edit(map, set_flags("parent", REGION_DIRTY_LOG, REGION_DIRTY_LOG));
        ram(map, "child", 0x10, "parent", 0, 0);
        check(map, "0-f child@0 ram\n10-7f parent@10 ram dirty-log\n");
}

static void test_neighbours_merge(void **state) {
        Map *map = *state;

        ram(map, "ram", 0x1000, NULL, 0, 0);
        alias(map, "low", "ram", 0, 0x800, "root", 0x1000);
        alias(map, "high", "ram", 0x800, 0x800, "root", 0x1800);
        check(map, "1000-1fff ram@0 ram\n");
}

static void test_neighbours_that_do_not_merge(void **state) {
        Map *map = *state;

        ram(map, "ram", 0x1000, NULL, 0, 0);
        alias(map, "low", "ram", 0, 0x100, "root", 0);
        alias(map, "jump", "ram", 0x200, 0x100, "root", 0x100);
        must_edit(map, with_flags(add_alias("ro", "ram", 0x300, 0x100, "root", 0x200, 0),
                                  REGION_READONLY));
        alias(map, "gap", "ram", 0x401, 0x100, "root", 0x301);
        check(map, "0-ff ram@0 ram\n"
                   "100-1ff ram@200 ram\n"
                   "200-2ff ram@300 ram readonly\n"
                   "301-400 ram@401 ram\n");
}

static void test_unmergeable_neighbours(void **state) {
        Map *map = *state;

        ram(map, "ram", 0x1000, NULL, 0, 0);
        alias(map, "low", "ram", 0, 0x100, "root", 0);
        alias(map, "high", "ram", 0x100, 0x100, "root", 0x100);
        check(map, "0-1ff ram@0 ram\n");
        must_edit(map, set_flags("ram", REGION_UNMERGEABLE, REGION_UNMERGEABLE));
        check(map, "0-ff ram@0 ram unmergeable\n100-1ff ram@100 ram unmergeable\n");
}

/* One visit of an unmergeable leaf is one section, whatever was looked at on the way. */
static void test_one_visit_is_one_section(void **state) {
        Map *map = *state;

        must_edit(map, with_flags(add_region(REGION_MMIO, "device", 0x100, "root", 0, 0),
                                  REGION_UNMERGEABLE));
        container(map, "empty", 0x40, "device", 0x20, 0);
        must_edit(map, disabled(add_region(REGION_RAM, "off", 0x10, "device", 0x80, 0)));
        check(map, "0-ff device@0 mmio unmergeable\n");
}

static void test_same_leaf_through_different_paths_merges(void **state) {
        Map *map = *state;

        ram(map, "ram", 0x100, "root", 0, 0);
        alias(map, "same", "ram", 0x40, 0x20, "root", 0x40);
        check(map, "0-ff ram@0 ram\n");
}

static void test_window_equals_the_whole_cut(void **state) {
        Map *map = *state;
        char *text;

        ram(map, "ram", 0x100, "root", 0x100, 0);
        must_edit(map, add_region(REGION_MMIO, "device", 0x10, "root", 0x140, 1));
        alias(map, "alias", "ram", 0, 0x100, "root", 0x200);
        check_in(map, "root", (Range){0x120, 0x144}, "120-13f ram@20 ram\n140-144 device@0 mmio\n");
        check_in(map, "root", (Range){0x144, 0x144}, "144-144 device@4 mmio\n");
        check_in(map, "root", (Range){0x1f0, 0x20f}, "1f0-1ff ram@f0 ram\n200-20f ram@0 ram\n");
        check_in(map, "root", (Range){0x300, TOP}, "");
        check_in(map, "root", (Range){0, 0xff}, "");
        text = render_text(map, "root", (Range){0x100, 0x2ff});
        check(map, text);
        free(text);
}

static void nest(Map *map, int depth) {
        char name[32], parent[32] = "root";

        for (int i = 1; i < depth; i++) {
                snprintf(name, sizeof(name), "c%d", i);
                container(map, name, SIZE_WHOLE, parent, 0, 0);
                snprintf(parent, sizeof(parent), "%s", name);
        }
        ram(map, "ram", 0x10, parent, 0, 0);
}

static int render_result(Map *map) {
        Sections sections = {};
        Detail detail = {};
        int r = render(must_find(map, "root"), RANGE_WHOLE, &sections, &detail);

        assert_true(r == 0 || detail.text[0]);
        sections_deinit(&sections);
        return r;
}

static void test_deep_nesting(void **state) {
        nest(*state, 100);
        check(*state, "0-f ram@0 ram\n");
}

static void test_too_deep(void **state) {
        Map *map = *state;

        nest(map, RENDER_DEPTH_MAX - 1);
        check(map, "0-f ram@0 ram\n");
        /* The edit that nests the whole of it one deeper does not look down. */
        container(map, "above", SIZE_WHOLE, "root", 0, 0);
        must_edit(map, move_region("c1", "above", 0, 0));
        assert_int_equal(render_result(map), MAP_E_TOO_LARGE);
}

/* Each level shows the one below twice: 2^40 visits if nobody counted. */
static void test_aliases_multiply(void **state) {
        Map *map = *state;
        char name[32], below[32] = "c0", twin[32];

        container(map, "c0", SIZE_WHOLE, NULL, 0, 0);
        for (int i = 1; i <= 40; i++) {
                snprintf(name, sizeof(name), "c%d", i);
                container(map, name, SIZE_WHOLE, NULL, 0, 0);
                for (int j = 0; j < 2; j++) {
                        snprintf(twin, sizeof(twin), "a%d.%d", i, j);
                        alias(map, twin, below, 0, SIZE_WHOLE, name, 0);
                }
                snprintf(below, sizeof(below), "%s", name);
        }
        alias(map, "all", below, 0, SIZE_WHOLE, "root", 0);
        assert_int_equal(render_result(map), MAP_E_TOO_LARGE);
}

static void check_announced(Map *map, const char *expected) {
        Sections sections = {};
        AnnouncedList list = {};

        assert_int_equal(render(must_find(map, "root"), RANGE_WHOLE, &sections, NULL), 0);
        assert_int_equal(announce_sections(sections.items, sections.n, RANGE_WHOLE, &list), 0);
        assert_text(scene_announced_text(list.items, list.n), expected);
        sections_deinit(&sections);
        announced_list_deinit(&list);
}

static void test_announced_where_it_is_seen(void **state) {
        Map *map = *state;

        must_edit(map, add_region(REGION_MMIO, "device", 0x100, "root", 0x1000, 0));
        must_add_ioeventfd(map, "device", 0x10, 4, true, 0xab);
        must_add_ioeventfd(map, "device", 0x20, 0, false, 0);
        must_edit(map, add_coalesced("device", 0x80, 0x20));
        alias(map, "again", "device", 0, 0x100, "root", 0);
        check_announced(map, "eventfd 10-13 device length 4 data ab\n"
                             "eventfd 20-20 device length 0\n"
                             "coalesced 80-9f device\n"
                             "eventfd 1010-1013 device length 4 data ab\n"
                             "eventfd 1020-1020 device length 0\n"
                             "coalesced 1080-109f device\n");
        must_edit(map, disable("device"));
        check_announced(map, "");
}

static void test_announced_only_where_visible(void **state) {
        Map *map = *state;

        must_edit(map, add_region(REGION_MMIO, "device", 0x100, "root", 0, 0));
        must_add_ioeventfd(map, "device", 0xe, 4, false, 0);
        must_add_ioeventfd(map, "device", 0x18, 2, false, 0);
        must_add_ioeventfd(map, "device", 0x20, 4, false, 0);
        must_edit(map, add_coalesced("device", 0x8, 0x20));
        must_edit(map, add_region(REGION_RESERVED, "cover", 0x10, "root", 0x10, 1));
        check_announced(map, "coalesced 8-f device\n"
                             "eventfd 20-23 device length 4\n"
                             "coalesced 20-27 device\n");
}

static void test_announced_in_order(void **state) {
        Map *map = *state;

        must_edit(map, add_region(REGION_MMIO, "device", 0x100, "root", 0, 0));
        must_edit(map, add_coalesced("device", 0x10, 0x10));
        must_add_ioeventfd(map, "device", 0x10, 4, true, 2);
        must_add_ioeventfd(map, "device", 0x10, 2, true, 9);
        must_add_ioeventfd(map, "device", 0x10, 4, true, 1);
        must_add_ioeventfd(map, "device", 0, 8, false, 0);
        check_announced(map, "eventfd 0-7 device length 8\n"
                             "eventfd 10-11 device length 2 data 9\n"
                             "eventfd 10-13 device length 4 data 1\n"
                             "eventfd 10-13 device length 4 data 2\n"
                             "coalesced 10-1f device\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, render_scene_setup, render_scene_teardown)

UNIT_TESTS(TEST(test_flags_of_the_path), TEST(test_read_only_through_an_alias_stays_ram),
           TEST(test_leaf_flags_come_from_the_leaf_alone), TEST(test_neighbours_merge),
           TEST(test_neighbours_that_do_not_merge), TEST(test_unmergeable_neighbours),
           TEST(test_one_visit_is_one_section), TEST(test_same_leaf_through_different_paths_merges),
           TEST(test_window_equals_the_whole_cut), TEST(test_deep_nesting), TEST(test_too_deep),
           TEST(test_aliases_multiply), TEST(test_announced_where_it_is_seen),
           TEST(test_announced_only_where_visible), TEST(test_announced_in_order));
