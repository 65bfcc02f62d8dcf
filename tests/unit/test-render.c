/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Rendering: who is visible where, as trees built by hand. */

#include "tests/unit/render-scene.h"

#define TOP UINT64_MAX

static void test_kinds(void **state) {
        Map *map = *state;

        ram(map, "a", 0x10, "root", 0, 0);
        must_edit(map, add_region(REGION_ROM, "b", 0x10, "root", 0x10, 0));
        must_edit(map, add_region(REGION_ROMD, "c", 0x10, "root", 0x20, 0));
        must_edit(map, with_flags(add_region(REGION_ROMD, "d", 0x10, "root", 0x30, 0),
                                  REGION_DIRECT_READ));
        must_edit(map, add_region(REGION_MMIO, "e", 0x10, "root", 0x40, 0));
        must_edit(map, add_region(REGION_RESERVED, "f", 0x10, "root", 0x50, 0));
        container(map, "g", 0x10, "root", 0x60, 0);
        check(map, "0-f a@0 ram\n"
                   "10-1f b@0 rom readonly\n"
                   "20-2f c@0 romd\n"
                   "30-3f d@0 romd romd\n"
                   "40-4f e@0 mmio\n"
                   "50-5f f@0 reserved\n");
}

static void test_rom_is_read_only_ram(void **state) {
        Map *map = *state;

        ram(map, "a", 0x10, "root", 0, 0);
        must_edit(map, set_flags("a", REGION_READONLY, REGION_READONLY));
        check(map, "0-f a@0 rom readonly\n");
        must_edit(map, set_flags("a", REGION_READONLY, 0));
        check(map, "0-f a@0 ram\n");
        must_edit(map, add_region(REGION_ROM, "b", 0x10, "root", 0x10, 0));
        must_edit(map, set_flags("b", REGION_READONLY, 0));
        check(map, "0-f a@0 ram\n10-1f b@0 ram\n");
}

static void test_direct_read_toggles(void **state) {
        Map *map = *state;

        must_edit(map, with_flags(add_region(REGION_ROMD, "flash", 0x10, "root", 0, 0),
                                  REGION_DIRECT_READ));
        check(map, "0-f flash@0 romd romd\n");
        must_edit(map, set_flags("flash", REGION_DIRECT_READ, 0));
        check(map, "0-f flash@0 romd\n");
}

static void test_children_win_over_a_leaf(void **state) {
        Map *map = *state;

        must_edit(map, add_region(REGION_MMIO, "device", 0x100, "root", 0x1000, 0));
        must_edit(map, add_region(REGION_MMIO, "register", 0x10, "device", 0x20, -5));
        check(map, "1000-101f device@0 mmio\n"
                   "1020-102f register@0 mmio\n"
                   "1030-10ff device@30 mmio\n");
}

static void test_reserved_hides(void **state) {
        Map *map = *state;

        ram(map, "ram", 0x100, "root", 0, 0);
        must_edit(map, add_region(REGION_RESERVED, "hole", 0x10, "root", 0x40, 1));
        check(map, "0-3f ram@0 ram\n40-4f hole@0 reserved\n50-ff ram@50 ram\n");
}

static void test_holes_of_a_container_are_transparent(void **state) {
        Map *map = *state;

        ram(map, "ram", 0x100, "root", 0, 0);
        container(map, "bus", 0x100, "root", 0, 10);
        must_edit(map, add_region(REGION_MMIO, "device", 0x10, "bus", 0x20, 0));
        check(map, "0-1f ram@0 ram\n20-2f device@0 mmio\n30-ff ram@30 ram\n");
}

static void test_nesting_adds_offsets(void **state) {
        Map *map = *state;

        container(map, "outer", 0x1000, "root", 0x10000, 0);
        container(map, "inner", 0x800, "outer", 0x200, 0);
        ram(map, "ram", 0x10, "inner", 0x3, 0);
        check(map, "10203-10212 ram@0 ram\n");
}

static void test_clipped_by_the_parent(void **state) {
        Map *map = *state;

        container(map, "window", 0x100, "root", 0x1000, 0);
        ram(map, "over", 0x100, "window", 0x80, 0);
        ram(map, "beyond", 0x100, "window", 0x100, 0);
        container(map, "wide", SIZE_WHOLE, "window", 0, 1);
        ram(map, "far", 0x1000, "wide", 0x10, 0);
        check(map, "1010-10ff far@0 ram\n");
        must_edit(map, disable("wide"));
        check(map, "1080-10ff over@0 ram\n");
}

static void test_whole_space(void **state) {
        Map *map = *state;

        must_edit(map, add_region(REGION_MMIO, "all", SIZE_WHOLE, "root", 0, -1));
        ram(map, "last", 1, "root", TOP, 0);
        ram(map, "first", 1, "root", 0, 0);
        check(map, "0-0 first@0 ram\n"
                   "1-fffffffffffffffe all@1 mmio\n"
                   "ffffffffffffffff-ffffffffffffffff last@0 ram\n");
        must_edit(map, disable("last"));
        must_edit(map, disable("first"));
        check(map, "0-ffffffffffffffff all@0 mmio\n");
}

static void test_clipped_at_the_top(void **state) {
        Map *map = *state;

        container(map, "high", 0x1000, "root", TOP - 0xfff, 0);
        container(map, "wide", SIZE_WHOLE, "high", 0, 0);
        ram(map, "ram", 0x10000, "wide", 0x800, 0);
        check(map, "fffffffffffff800-ffffffffffffffff ram@0 ram\n");
}

static void test_size_zero_shows_nothing(void **state) {
        Map *map = *state;

        must_edit(map, add_region(REGION_MMIO, "closed", 0, "root", 0x100, 1));
        container(map, "shut", 0, "root", 0, 1);
        ram(map, "inside", 0x10, "shut", 0, 0);
        ram(map, "ram", 0x200, "root", 0, 0);
        alias(map, "slit", "ram", 0, 0, "root", 0x300);
        check(map, "0-1ff ram@0 ram\n");
}

static void test_size_zero_hides_its_children(void **state) {
        Map *map = *state;

        must_edit(map, add_region(REGION_MMIO, "device", 0x10, "root", 0x100, 1));
        ram(map, "inside", 0x10, "device", 0, 0);
        check(map, "100-10f inside@0 ram\n");
        must_edit(map, set_size("device", 0));
        check(map, "");
}

static void test_place_of_the_root_is_irrelevant(void **state) {
        Map *map = *state;

        container(map, "bus", 0x100, "root", 0x5000, 3);
        ram(map, "ram", 0x10, "bus", 0x20, 0);
        must_edit(map, add_region(REGION_MMIO, "over", 0x1000, "root", 0x5000, 9));
        check_in(map, "bus", RANGE_WHOLE, "20-2f ram@0 ram\n");
        must_edit(map, disable("root"));
        check_in(map, "bus", RANGE_WHOLE, "20-2f ram@0 ram\n");
}

static void test_any_kind_may_be_root(void **state) {
        Map *map = *state;

        ram(map, "ram", 0x100, "root", 0x5000, 0);
        alias(map, "alias", "ram", 0x40, 0x20, "root", 0x7000);
        check_in(map, "ram", RANGE_WHOLE, "0-ff ram@0 ram\n");
        check_in(map, "alias", RANGE_WHOLE, "0-1f ram@40 ram\n");
}

static void test_priority(void **state) {
        Map *map = *state;

        ram(map, "middle", 0x30, "root", 0x10, 0);
        ram(map, "low", 0x100, "root", 0, INT32_MIN);
        ram(map, "high", 0x10, "root", 0x20, INT32_MAX);
        check(map, "0-f low@0 ram\n"
                   "10-1f middle@0 ram\n"
                   "20-2f high@0 ram\n"
                   "30-3f middle@20 ram\n"
                   "40-ff low@40 ram\n");
}

static void test_among_equals_the_last_placed_wins(void **state) {
        Map *map = *state;

        ram(map, "a", 0x20, "root", 0, 5);
        ram(map, "b", 0x20, "root", 0x10, 5);
        check(map, "0-f a@0 ram\n10-2f b@0 ram\n");
        must_edit(map, move_region("a", "root", 0, 5));
        check(map, "0-1f a@0 ram\n20-2f b@10 ram\n");
}

static void test_only_moving_replaces(void **state) {
        Map *map = *state;

        ram(map, "a", 0x20, "root", 0, 5);
        ram(map, "b", 0x20, "root", 0x10, 5);
        must_edit(map, disable("a"));
        must_edit(map, enable("a"));
        must_edit(map, set_size("a", 0x18));
        must_edit(map, set_flags("a", REGION_NONVOLATILE, REGION_NONVOLATILE));
        check(map, "0-f a@0 ram nonvolatile\n10-2f b@0 ram\n");
        must_edit(map, set_size("a", 0x30));
        check(map, "0-f a@0 ram nonvolatile\n10-2f b@0 ram\n");
}

static void test_a_higher_one_cut_by_two_equals(void **state) {
        Map *map = *state;

        ram(map, "floor", 0x100, "root", 0, 0);
        ram(map, "a", 0x10, "root", 0x10, 1);
        ram(map, "b", 0x10, "root", 0x18, 1);
        ram(map, "c", 0x4, "root", 0x16, 1);
        check(map, "0-f floor@0 ram\n"
                   "10-15 a@0 ram\n"
                   "16-19 c@0 ram\n"
                   "1a-27 b@2 ram\n"
                   "28-ff floor@28 ram\n");
}

static void test_priorities_are_local_to_the_parent(void **state) {
        Map *map = *state;

        container(map, "one", 0x100, "root", 0, 1);
        container(map, "two", 0x100, "root", 0, 2);
        ram(map, "proud", 0x20, "one", 0, 1000);
        ram(map, "humble", 0x10, "two", 0x10, -1000);
        check(map, "0-f proud@0 ram\n10-1f humble@0 ram\n");
}

static void test_disabled(void **state) {
        Map *map = *state;

        ram(map, "floor", 0x100, "root", 0, 0);
        container(map, "bus", 0x100, "root", 0, 1);
        ram(map, "device", 0x10, "bus", 0x10, 0);
        check(map, "0-f floor@0 ram\n10-1f device@0 ram\n20-ff floor@20 ram\n");
        must_edit(map, disable("bus"));
        check(map, "0-ff floor@0 ram\n");
        must_edit(map, enable("bus"));
        must_edit(map, disable("device"));
        check(map, "0-ff floor@0 ram\n");
        must_edit(map, disable("root"));
        check(map, "");
}

static void test_alias_window(void **state) {
        Map *map = *state;

        ram(map, "ram", 0x1000, NULL, 0, 0);
        alias(map, "low", "ram", 0, 0x400, "root", 0);
        alias(map, "high", "ram", 0x400, 0xc00, "root", 0x10000);
        check(map, "0-3ff ram@0 ram\n10000-10bff ram@400 ram\n");
}

static void test_alias_shows_the_overlap_only(void **state) {
        Map *map = *state;

        ram(map, "ram", 0x100, NULL, 0, 0);
        alias(map, "long", "ram", 0x80, 0x1000, "root", 0x1000);
        alias(map, "beyond", "ram", 0x100, 0x10, "root", 0);
        check(map, "1000-107f ram@80 ram\n");
}

static void test_position_of_the_target_is_irrelevant(void **state) {
        Map *map = *state;

        container(map, "elsewhere", 0x10000, NULL, 0, 0);
        must_edit(map, disable("elsewhere"));
        ram(map, "ram", 0x100, "elsewhere", 0x8000, 0);
        alias(map, "alias", "ram", 0, 0x100, "root", 0x40);
        check(map, "40-13f ram@0 ram\n");
        must_edit(map, set_flags("elsewhere", REGION_READONLY, REGION_READONLY));
        check(map, "40-13f ram@0 ram\n");
}

static void test_disabled_target(void **state) {
        Map *map = *state;

        ram(map, "ram", 0x100, NULL, 0, 0);
        alias(map, "alias", "ram", 0, 0x100, "root", 0);
        must_edit(map, disable("ram"));
        check(map, "");
        must_edit(map, enable("ram"));
        must_edit(map, disable("alias"));
        check(map, "");
}

static void test_alias_of_an_alias(void **state) {
        Map *map = *state;

        ram(map, "ram", 0x1000, NULL, 0, 0);
        alias(map, "inner", "ram", 0x100, 0x200, NULL, 0);
        alias(map, "outer", "inner", 0x40, 0x1000, "root", 0x7000);
        check(map, "7000-71bf ram@140 ram\n");
        must_edit(map, disable("inner"));
        check(map, "");
}

static void test_alias_of_a_container(void **state) {
        Map *map = *state;

        container(map, "pci", SIZE_WHOLE, NULL, 0, 0);
        ram(map, "bar", 0x1000, "pci", 0xe0000800, 0);
        must_edit(map, add_region(REGION_MMIO, "tail", 0x1000, "pci", 0xe0001000, 1));
        alias(map, "hole", "pci", 0xe0000000, 0x1800, "root", 0xe0000000);
        check(map, "e0000800-e0000fff bar@0 ram\ne0001000-e00017ff tail@0 mmio\n");
        must_edit(map, move_region("hole", "root", 0, 0));
        check(map, "800-fff bar@0 ram\n1000-17ff tail@0 mmio\n");
}

/* Target and window lie so that the target's zero would be below address 0. */
static void test_alias_delta_is_negative(void **state) {
        Map *map = *state;

        ram(map, "ram", 0x100000, NULL, 0, 0);
        alias(map, "alias", "ram", 0x5000, 0x1000, "root", 0);
        check(map, "0-fff ram@5000 ram\n");
}

static void test_alias_of_the_very_top(void **state) {
        Map *map = *state;

        container(map, "big", SIZE_WHOLE, NULL, 0, 0);
        ram(map, "ram", 0x1000, "big", TOP - 0xfff, 0);
        alias(map, "alias", "big", TOP - 0x7ff, 0x800, "root", 0x10);
        check(map, "10-80f ram@800 ram\n");
}

/* The window ends at 2^64 and is placed low: what would lie behind 2^64 of the target is not 0. */
static void test_nothing_wraps(void **state) {
        Map *map = *state;

        container(map, "big", SIZE_WHOLE, NULL, 0, 0);
        ram(map, "zero", 0x1000, "big", 0, 0);
        ram(map, "top", 0x1000, "big", TOP - 0xfff, 0);
        alias(map, "alias", "big", TOP - 0xfff, 0x1000, "root", 0);
        alias(map, "second", "alias", 0x800, 0x8000, "root", 0x10000);
        check(map, "0-fff top@0 ram\n10000-107ff top@800 ram\n");
}

static void test_alias_high_up_of_something_low(void **state) {
        Map *map = *state;

        ram(map, "ram", 0x1000, NULL, 0, 0);
        alias(map, "alias", "ram", 0, 0x1000, "root", TOP - 0xfff);
        check(map, "fffffffffffff000-ffffffffffffffff ram@0 ram\n");
}

/* One container seen at two places, and seen by itself. */
static void test_seen_twice(void **state) {
        Map *map = *state;

        container(map, "bank", 0x100, "root", 0, 0);
        ram(map, "cell", 0x10, "bank", 0x20, 0);
        alias(map, "mirror", "bank", 0, 0x100, "root", 0x100);
        check(map, "20-2f cell@0 ram\n120-12f cell@0 ram\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, render_scene_setup, render_scene_teardown)

UNIT_TESTS(TEST(test_kinds), TEST(test_rom_is_read_only_ram), TEST(test_direct_read_toggles),
           TEST(test_children_win_over_a_leaf), TEST(test_reserved_hides),
           TEST(test_holes_of_a_container_are_transparent), TEST(test_nesting_adds_offsets),
           TEST(test_clipped_by_the_parent), TEST(test_whole_space), TEST(test_clipped_at_the_top),
           TEST(test_size_zero_shows_nothing), TEST(test_size_zero_hides_its_children),
           TEST(test_place_of_the_root_is_irrelevant), TEST(test_any_kind_may_be_root),
           TEST(test_priority), TEST(test_among_equals_the_last_placed_wins),
           TEST(test_only_moving_replaces), TEST(test_a_higher_one_cut_by_two_equals),
           TEST(test_priorities_are_local_to_the_parent), TEST(test_disabled),
           TEST(test_alias_window), TEST(test_alias_shows_the_overlap_only),
           TEST(test_position_of_the_target_is_irrelevant), TEST(test_disabled_target),
           TEST(test_alias_of_an_alias), TEST(test_alias_of_a_container),
           TEST(test_alias_delta_is_negative), TEST(test_alias_of_the_very_top),
           TEST(test_nothing_wraps), TEST(test_alias_high_up_of_something_low),
           TEST(test_seen_twice));
