/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The log: taking edits back, and whether they came to nothing. */

#include "tests/unit/edit-scene.h"

static void test_rollback_to_a_mark(void **state) {
        Map *map = *state;
        char *before, *after;
        size_t mark;

        must_edit(map, disable("device"));
        mark = map_mark(map);
        assert_int_equal(mark, 1);
        before = scene_text(map);
        must_edit(map, remove_region("device"));
        must_edit(map, add_region(REGION_RAM, "device", 0x10, "system", 0, 0));
        must_edit(map, move_region("bus", "", 0, 0));
        must_edit(map, remove_space("memory"));
        must_edit(map, add_space("memory", "bus"));
        map_rollback(map, mark);
        after = scene_text(map);
        assert_string_equal(after, before);
        free(before);
        free(after);
        map_rollback(map, 0);
        assert_true(region_is(must_find(map, "device"), REGION_ENABLED));
}

static void test_net_nil(void **state) {
        _cleanup_(ioeventfd_unrefp) IOEventFD *key = must_ioeventfd(0, 4, false, 0);
        Map *map = *state;

        must_edit(map, disable("device"));
        assert_false(map_is_unchanged(map));
        must_edit(map, enable("device"));
        assert_true(map_is_unchanged(map));
        must_edit(map, set_size("device", 0x10));
        must_edit(map, add_region(REGION_RAM, "x", 1, NULL, 0, 0));
        must_edit(map, add_ioeventfd("device", key));
        must_edit(map, add_space("io", "bus"));
        must_edit(map, remove_space("io"));
        must_edit(map, remove_ioeventfd("device", key));
        must_edit(map, remove_region("x"));
        assert_false(map_is_unchanged(map));
        must_edit(map, set_size("device", 0x100));
        assert_true(map_is_unchanged(map));
        /* Placing again is a change of the order, even to the same offset. */
        must_edit(map, move_region("device", "bus", 0x100, 0));
        assert_false(map_is_unchanged(map));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, edit_scene_setup, edit_scene_teardown)

UNIT_TESTS(TEST(test_rollback_to_a_mark), TEST(test_net_nil));
