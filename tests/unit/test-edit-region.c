/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Edits of regions: each verb, its inverse, and what it refuses. */

#include <string.h>

#include "lib/memory/render.h"
#include "tests/unit/edit-scene.h"

#define TOP UINT64_MAX

static void test_add_region(void **state) {
        Map *map = *state;
        Edit edit = add_region(REGION_RAM, "dimm", 0x2000, "bus", 0x4000, -3);
        const Region *region;

        reversible(map, edit);
        must_edit(map, with_flags(edit, REGION_NONVOLATILE));
        region = must_find(map, "dimm");
        assert_int_equal(region->kind, REGION_RAM);
        assert_int_equal(region->state.size, 0x2000);
        assert_int_equal(region->state.offset, 0x4000);
        assert_int_equal(region->state.priority, -3);
        assert_ptr_equal(region->state.parent, must_find(map, "bus"));
        assert_true(region_is(region, REGION_NONVOLATILE));
        assert_true(region_is(region, REGION_ENABLED));
        assert_false(region_is(region, REGION_READONLY));
}

static void test_add_every_kind(void **state) {
        Map *map = *state;

        for (RegionKind kind = REGION_CONTAINER; kind <= REGION_RESERVED; kind++) {
                reversible(map, add_region(kind, "x", 0x100, "bus", 0, 0));
                reversible(map, add_region(kind, "x", 0x100, NULL, 0, 0));
                reversible(map, add_region(kind, "x", 0x100, "", 0, 0));
        }
        must_edit(map, add_region(REGION_ROM, "rom", 0x100, "bus", 0, 0));
        assert_int_equal(must_find(map, "rom")->kind, REGION_RAM);
        assert_int_equal(region_reported_kind(must_find(map, "rom")), REGION_ROM);
}

static void test_add_alias(void **state) {
        Map *map = *state;

        reversible(map, add_alias("x", "ram", 0x100, 0x100, "bus", 0, 0));
        reversible(map, add_alias("x", "alias", 0x100, 0x100, "bus", 0, 0));
        reversible(map, add_alias("x", "system", 0, SIZE_WHOLE, NULL, 0, 0));
        reversible(map, add_alias("x", "ram", TOP, 1, "bus", 0, 0));
        must_edit(map, add_alias("x", "ram", 0x100, 0x80, "bus", 0, 7));
        assert_ptr_equal(must_find(map, "x")->target, must_find(map, "ram"));
        assert_int_equal(must_find(map, "x")->state.target_offset, 0x100);
}

static void test_add_is_refused(void **state) {
        Map *map = *state;

        refused(map, add_region(REGION_RAM, "ram", 1, "bus", 0, 0), MAP_E_REGION_EXISTS, "\"ram\"");
        refused(map, add_alias("bus", "ram", 0, 1, "bus", 0, 0), MAP_E_REGION_EXISTS, "\"bus\"");
        refused(map, add_region(REGION_RAM, "x", 1, "nowhere", 0, 0), MAP_E_NO_SUCH_REGION,
                "\"nowhere\"");
        refused(map, add_alias("x", "nothing", 0, 1, "bus", 0, 0), MAP_E_NO_SUCH_REGION,
                "\"nothing\"");
        refused(map, add_region(REGION_RAM, "x", 1, "alias", 0, 0), MAP_E_INVALID_KIND,
                "\"x\"|\"alias\"");
        refused(map, add_region(REGION_RAM, "", 1, "bus", 0, 0), MAP_E_INVALID_NAME, "128");
        refused(map, add_region(REGION_RAM, "a\nb", 1, "bus", 0, 0), MAP_E_INVALID_NAME, "128");
        refused(map, add_region(REGION_ALIAS, "x", 1, "bus", 0, 0), MAP_E_INVALID_KIND, "\"x\"");
        refused(map, with_flags(add_region(REGION_MMIO, "x", 1, "bus", 0, 0), REGION_DIRTY_LOG),
                MAP_E_INVALID_KIND, "\"x\"|mmio");
        refused(map, with_flags(add_region(REGION_RAM, "x", 1, "bus", 0, 0), REGION_DIRECT_READ),
                MAP_E_INVALID_KIND, "\"x\"|ram");
}

static void test_sizes(void **state) {
        static const RegionKind backed[] = {REGION_RAM, REGION_ROM, REGION_ROMD};
        static const RegionKind others[] = {REGION_CONTAINER, REGION_MMIO, REGION_RESERVED};
        Map *map = *state;

        for (size_t i = 0; i < 3; i++) {
                refused(map, add_region(backed[i], "x", 0, "bus", 0, 0), MAP_E_INVALID_RANGE,
                        "\"x\"|size 0");
                refused(map, add_region(backed[i], "x", SIZE_WHOLE, "bus", 0, 0),
                        MAP_E_INVALID_RANGE, "\"x\"|2^64");
                reversible(map, add_region(others[i], "x", 0, "bus", 0, 0));
                reversible(map, add_region(others[i], "x", SIZE_WHOLE, "bus", 0, 0));
        }
        reversible(map, add_alias("x", "ram", 0, 0, "bus", 0, 0));
        reversible(map, add_alias("x", "ram", TOP, 0, "bus", TOP, 0));
}

static void test_ranges_beyond_the_end(void **state) {
        Map *map = *state;

        refused(map, add_region(REGION_RAM, "x", 0x1000, "system", TOP - 0xffe, 0),
                MAP_E_INVALID_RANGE, "\"x\"|0x1000|0xfffffffffffff001");
        reversible(map, add_region(REGION_RAM, "x", 0x1000, "system", TOP - 0xfff, 0));
        refused(map, add_region(REGION_CONTAINER, "x", SIZE_WHOLE, "system", 1, 0),
                MAP_E_INVALID_RANGE, "\"x\"|offset 0x1");
        refused(map, add_alias("x", "ram", TOP, 2, "bus", 0, 0), MAP_E_INVALID_RANGE,
                "\"x\"|0x2|0xffffffffffffffff");
        refused(map, add_alias("x", "ram", 1, SIZE_WHOLE, NULL, 0, 0), MAP_E_INVALID_RANGE,
                "\"x\"");
        /* Reaching past the parent, or past the target, is no error: it is clipped. */
        reversible(map, add_region(REGION_RAM, "x", 0x100000, "bus", 0xffff, 0));
        reversible(map, add_alias("x", "ram", 0xfff, 0x100000, "bus", 0, 0));
}

static void test_beyond_the_backing(void **state) {
        Map *map = *state;
        Edit edit = add_region(REGION_RAM, "dimm", 0x3001, "bus", 0, 0);

        assert_int_equal(backing_new_memfd(&edit.backing, 1, "dimm", 0x3000, NULL, NULL), 0);
        refused(map, edit, MAP_E_INVALID_RANGE, "\"dimm\"|0x3001|0x3000");
        edit.size = 0x3000;
        reversible(map, edit);
        must_edit(map, edit);
        assert_int_equal(map->ram_bytes, 0x3000);
        refused(map, set_size("dimm", 0x4000), MAP_E_INVALID_RANGE, "\"dimm\"|0x4000|0x3000");
        reversible(map, set_size("dimm", 0x1000));
        must_edit(map, remove_region("dimm"));
        assert_int_equal(map->ram_bytes, 0);
        backing_unref(edit.backing);
}

static void test_remove(void **state) {
        Map *map = *state;

        reversible(map, remove_region("alias"));
        reversible(map, remove_region("device"));
        refused(map, remove_region("nothing"), MAP_E_NO_SUCH_REGION, "\"nothing\"");
        refused(map, remove_region("bus"), MAP_E_IN_USE, "\"bus\"|2 children");
        refused(map, remove_region("ram"), MAP_E_IN_USE, "\"ram\"|1 aliases");
        must_edit(map, remove_region("alias"));
        reversible(map, remove_region("ram"));
        must_edit(map, remove_region("device"));
        must_edit(map, remove_region("bus"));
        must_edit(map, remove_region("ram"));
        refused(map, remove_region("system"), MAP_E_IN_USE, "\"system\"|root|1 address space");
        must_edit(map, remove_space("memory"));
        must_edit(map, remove_region("system"));
        assert_int_equal(map->n_regions, 0);
        map_rollback(map, 0);
        assert_int_equal(map->n_regions, 5);
}

static void test_the_same_name_again(void **state) {
        Map *map = *state;

        must_edit(map, remove_region("device"));
        must_edit(map, add_region(REGION_RAM, "device", 0x20, "bus", 0, 0));
        assert_int_equal(must_find(map, "device")->kind, REGION_RAM);
        assert_false(map_is_unchanged(map));
        map_rollback(map, 0);
        assert_int_equal(must_find(map, "device")->kind, REGION_MMIO);
}

static void test_move(void **state) {
        Map *map = *state;

        reversible(map, move_region("device", "bus", 0x200, 0));
        reversible(map, move_region("device", "bus", 0x100, 1));
        reversible(map, move_region("device", "system", 0x100, 0));
        reversible(map, move_region("device", "", 0, 0));
        reversible(map, move_region("device", NULL, 0, 0));
        reversible(map, move_region("bus", NULL, 0x1234, 5));
        must_edit(map, move_region("device", "", 0x55, 6));
        assert_null(must_find(map, "device")->state.parent);
        changes_nothing(map, move_region("device", "", 0, 0));
        refused(map, set_offset("device", 1), MAP_E_INVALID_ARGUMENT, "\"device\"");
        refused(map, set_priority("device", 1), MAP_E_INVALID_ARGUMENT, "\"device\"");
        reversible(map, move_region("device", "ram", 0, 0));
}

static void test_move_to_where_it_is(void **state) {
        Map *map = *state;

        changes_nothing(map, move_region("alias", "bus", 0x1000, 0));
        reversible(map, move_region("device", "bus", 0x100, 0));
        must_edit(map, move_region("device", "bus", 0x100, 0));
        changes_nothing(map, move_region("device", "bus", 0x100, 0));
        /* Only those of its own priority count. */
        must_edit(map, move_region("alias", "bus", 0x1000, 1));
        changes_nothing(map, move_region("device", "bus", 0x100, 0));
}

static void test_nested_too_deep(void **state) {
        Map *map = *state;
        char name[32], parent[32] = "system";

        for (int i = 2; i <= RENDER_DEPTH_MAX; i++) {
                snprintf(name, sizeof(name), "c%d", i);
                must_edit(map, add_region(REGION_CONTAINER, name, 0x10, parent, 0, 0));
                snprintf(parent, sizeof(parent), "%s", name);
        }
        refused(map, add_region(REGION_MMIO, "x", 1, parent, 0, 0), MAP_E_TOO_LARGE, "\"x\"|128");
        must_edit(map, add_region(REGION_MMIO, "x", 1, NULL, 0, 0));
        refused(map, move_region("x", parent, 0, 0), MAP_E_TOO_LARGE, "\"x\"|128");
        map_rollback(map, 0);
}

static void test_move_is_refused(void **state) {
        Map *map = *state;

        refused(map, move_region("nothing", "bus", 0, 0), MAP_E_NO_SUCH_REGION, "\"nothing\"");
        refused(map, move_region("device", "nowhere", 0, 0), MAP_E_NO_SUCH_REGION, "\"nowhere\"");
        refused(map, move_region("device", "alias", 0, 0), MAP_E_INVALID_KIND,
                "\"device\"|\"alias\"");
        refused(map, move_region("ram", "system", TOP - 0xffe, 0), MAP_E_INVALID_RANGE,
                "\"ram\"|0x1000|0xfffffffffffff001");
        refused(map, move_region("system", "bus", 0, 0), MAP_E_WOULD_LOOP, "\"system\"|\"bus\"");
        refused(map, move_region("bus", "bus", 0, 0), MAP_E_WOULD_LOOP, "\"bus\"");
        refused(map, move_region("bus", "device", 0, 0), MAP_E_WOULD_LOOP, "\"bus\"|\"device\"");
}

/* An alias may lie inside what it shows, as long as its window does not show the alias itself. */
static void test_loops(void **state) {
        Map *map = *state;

        refused(map, add_alias("x", "bus", 0, 0x1000, "bus", 0xfff, 0), MAP_E_WOULD_LOOP, "\"x\"");
        reversible(map, add_alias("x", "bus", 0, 0x1000, "bus", 0x1000, 0));
        refused(map, add_alias("x", "system", 0x10000, 0x1000, "bus", 0x100, 0), MAP_E_WOULD_LOOP,
                "\"x\"");
        reversible(map, add_alias("x", "system", 0, 0x1000, "bus", 0x100, 0));
        refused(map, add_alias("x", "bus", 0x100, 1, "device", 0, 0), MAP_E_WOULD_LOOP, "\"x\"");

        must_edit(map, add_alias("x", "bus", 0, 0x100, "bus", 0x100, 1));
        refused(map, set_target_offset("x", 1), MAP_E_WOULD_LOOP, "\"x\"");
        refused(map, set_size("x", 0x101), MAP_E_WOULD_LOOP, "\"x\"");
        refused(map, set_offset("x", 0xff), MAP_E_WOULD_LOOP, "\"x\"");
        refused(map, move_region("x", "bus", 0, 1), MAP_E_WOULD_LOOP, "\"x\"");
        /* Disabled is not gone. */
        must_edit(map, disable("x"));
        refused(map, set_offset("x", 0xff), MAP_E_WOULD_LOOP, "\"x\"");
        must_edit(map, set_size("x", 0));
        must_edit(map, set_offset("x", 0));
        refused(map, set_size("x", 1), MAP_E_WOULD_LOOP, "\"x\"");
}

/* One alias shows another, which shows the first. */
static void test_loop_of_two_aliases(void **state) {
        Map *map = *state;

        must_edit(map, add_alias("a", "bus", 0x8000, 0x1000, "system", 0x100000, 0));
        refused(map, add_alias("b", "system", 0x100000, 0x1000, "bus", 0x8000, 0), MAP_E_WOULD_LOOP,
                "\"b\"");
        refused(map, add_alias("b", "a", 0xfff, 1, "bus", 0x8fff, 0), MAP_E_WOULD_LOOP, "\"b\"");
        reversible(map, add_alias("b", "system", 0x101000, 0x1000, "bus", 0x8000, 0));
        must_edit(map, add_alias("b", "system", 0x100000, 0x1000, NULL, 0, 0));
        refused(map, move_region("b", "bus", 0x8000, 0), MAP_E_WOULD_LOOP, "\"b\"");
        reversible(map, move_region("b", "bus", 0x9000, 0));
        reversible(map, move_region("b", "bus", 0x7000, 0));
}

/* A container takes along the aliases below it. */
static void test_loop_by_a_container(void **state) {
        Map *map = *state;

        must_edit(map, add_region(REGION_CONTAINER, "apart", 0x1000, NULL, 0, 0));
        must_edit(map, add_alias("x", "bus", 0x2000, 0x1000, "apart", 0, 0));
        refused(map, move_region("apart", "bus", 0x2000, 0), MAP_E_WOULD_LOOP, "\"apart\"");
        reversible(map, move_region("apart", "bus", 0x3000, 0));
        must_edit(map, set_size("apart", 0));
        must_edit(map, move_region("apart", "bus", 0x2000, 0));
        refused(map, set_size("apart", 0x1000), MAP_E_WOULD_LOOP, "\"apart\"");
}

/* The order in which a loop is made does not matter: the last step of it is refused. */
static void test_loop_through_a_shifted_window(void **state) {
        Map *map = *state;

        must_edit(map, add_region(REGION_CONTAINER, "apart", 0x1000, NULL, 0, 0));
        must_edit(map, add_alias("x", "bus", 0x2000, 0x1000, "apart", 0, 0));
        /* x would show bus from 0x2000 on, where its own first half would lie. */
        refused(map, move_region("apart", "bus", 0x2800, 0), MAP_E_WOULD_LOOP, "\"apart\"");
        must_edit(map, move_region("x", "", 0, 0));
        must_edit(map, move_region("apart", "bus", 0x2800, 0));
        refused(map, move_region("x", "apart", 0, 0), MAP_E_WOULD_LOOP, "\"x\"");
}

static void test_set(void **state) {
        Map *map = *state;
        Edit edit = set_size("device", 0x200);

        reversible(map, set_size("device", 0x80));
        reversible(map, set_size("device", SIZE_WHOLE - 0x100));
        reversible(map, set_offset("device", 0x300));
        reversible(map, set_priority("device", INT32_MIN));
        reversible(map, set_target_offset("alias", 0x10));
        reversible(map, disable("device"));
        reversible(map, set_flags("ram", REGION_READONLY, REGION_READONLY));
        reversible(map, set_flags("ram", REGION_NONVOLATILE, REGION_NONVOLATILE));
        reversible(map, set_flags("bus", REGION_UNMERGEABLE, REGION_UNMERGEABLE));
        reversible(map, set_flags("ram", REGION_DIRTY_LOG, REGION_DIRTY_LOG));

        edit.mask |= PROPERTY_OFFSET | PROPERTY_PRIORITY | PROPERTY_FLAGS;
        edit.offset = 0x40;
        edit.priority = 9;
        edit.flags_mask = REGION_READONLY | REGION_ENABLED;
        edit.flags = REGION_READONLY;
        reversible(map, edit);
        must_edit(map, edit);
        assert_int_equal(must_find(map, "device")->state.size, 0x200);
        assert_int_equal(must_find(map, "device")->state.offset, 0x40);
        assert_int_equal(must_find(map, "device")->state.priority, 9);
        assert_int_equal(must_find(map, "device")->state.flags, REGION_READONLY | REGION_PRESENT);
}

static void test_set_to_equal_values(void **state) {
        Map *map = *state;

        changes_nothing(map, set_size("device", 0x100));
        changes_nothing(map, set_offset("device", 0x100));
        changes_nothing(map, set_priority("device", 0));
        changes_nothing(map, enable("device"));
        changes_nothing(map, set_target_offset("alias", 0));
        changes_nothing(map, set_flags("ram", REGION_READONLY, 0));
}

static void test_set_keeps_the_place(void **state) {
        Map *map = *state;
        uint64_t place = must_find(map, "device")->state.place;

        must_edit(map, disable("device"));
        must_edit(map, enable("device"));
        must_edit(map, set_size("device", 0x80));
        must_edit(map, set_flags("device", REGION_NONVOLATILE, REGION_NONVOLATILE));
        assert_int_equal(must_find(map, "device")->state.place, place);
        must_edit(map, move_region("device", "bus", 0x100, 0));
        assert_true(must_find(map, "device")->state.place > place);
}

static void test_set_is_refused(void **state) {
        Map *map = *state;
        Edit edit = set_offset("ram", 0x10);

        refused(map, set_size("nothing", 1), MAP_E_NO_SUCH_REGION, "\"nothing\"");
        refused(map, set_size("ram", 0), MAP_E_INVALID_RANGE, "\"ram\"|size 0");
        refused(map, set_size("ram", SIZE_WHOLE), MAP_E_INVALID_RANGE, "\"ram\"|2^64");
        refused(map, set_offset("ram", TOP - 0xffe), MAP_E_INVALID_RANGE,
                "\"ram\"|0xfffffffffffff001");
        refused(map, set_size("device", SIZE_WHOLE), MAP_E_INVALID_RANGE, "\"device\"|0x100");
        refused(map, set_target_offset("alias", TOP - 0xffe), MAP_E_INVALID_RANGE,
                "\"alias\"|0x1000|0xfffffffffffff001");
        refused(map, set_target_offset("ram", 0), MAP_E_INVALID_KIND, "\"ram\"|ram");
        refused(map, set_flags("ram", REGION_DIRECT_READ, REGION_DIRECT_READ), MAP_E_INVALID_KIND,
                "\"ram\"|ram");
        refused(map, set_flags("device", REGION_DIRTY_LOG, REGION_DIRTY_LOG), MAP_E_INVALID_KIND,
                "\"device\"|mmio");
        /* All or none. */
        edit.mask |= PROPERTY_SIZE;
        edit.size = 0;
        refused(map, edit, MAP_E_INVALID_RANGE, "\"ram\"");
}

static void test_direct_read_mode(void **state) {
        Map *map = *state;

        must_edit(map, add_region(REGION_ROMD, "flash", 0x100, "bus", 0, 0));
        must_edit(map, set_flags("flash", REGION_DIRECT_READ, REGION_DIRECT_READ));
        assert_true(region_is(must_find(map, "flash"), REGION_DIRECT_READ));
        must_edit(map, set_flags("flash", REGION_DIRECT_READ, 0));
        assert_false(region_is(must_find(map, "flash"), REGION_DIRECT_READ));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, edit_scene_setup, edit_scene_teardown)

UNIT_TESTS(TEST(test_nested_too_deep), TEST(test_add_region), TEST(test_add_every_kind),
           TEST(test_add_alias), TEST(test_add_is_refused), TEST(test_sizes),
           TEST(test_ranges_beyond_the_end), TEST(test_beyond_the_backing), TEST(test_remove),
           TEST(test_the_same_name_again), TEST(test_move), TEST(test_move_to_where_it_is),
           TEST(test_move_is_refused), TEST(test_loops), TEST(test_loop_of_two_aliases),
           TEST(test_loop_by_a_container), TEST(test_loop_through_a_shifted_window), TEST(test_set),
           TEST(test_set_to_equal_values), TEST(test_set_keeps_the_place),
           TEST(test_set_is_refused), TEST(test_direct_read_mode));
