/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The map: look-up by name, address spaces, quotas. */

#include <string.h>

#include "tests/unit/edit-scene.h"

static void test_empty_map(void **state) {
        Map *map = scene_new_empty();

        assert_int_equal(map->generation, 0);
        assert_int_equal(map_mark(map), 0);
        assert_true(map_is_unchanged(map));
        assert_null(map_find_region(map, "x"));
        assert_null(map_next_region(map, ""));
        assert_null(map_find_space(map, "memory"));
        assert_int_equal(map_snapshot(map)->n_spaces, 0);
        assert_null(snapshot_find(map_snapshot(map), "memory"));
        map_rollback(map, 0);
        map_free(map);
}

static void test_look_up(void **state) {
        Map *map = *state;
        static const char *const names[] = {"alias", "bus", "device", "ram", "system"};
        const char *last = "";

        for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
                assert_string_equal(must_find(map, names[i])->name, names[i]);
                assert_string_equal(map_next_region(map, last)->name, names[i]);
                last = names[i];
        }
        assert_null(map_next_region(map, last));
        assert_string_equal(map_next_region(map, "bus!")->name, "device");
        assert_null(map_find_region(map, "bu"));
        assert_non_null(map_find_space(map, "memory"));
        assert_null(map_find_space(map, "memory2"));
}

static void test_next_region_is_bytewise(void **state) {
        Map *map = scene_new_empty();

        must_edit(map, add_region(REGION_RAM, "\xc3\xa9", 1, NULL, 0, 0));
        must_edit(map, add_region(REGION_RAM, "a", 1, NULL, 0, 0));
        must_edit(map, add_region(REGION_RAM, "B", 1, NULL, 0, 0));
        assert_string_equal(map_next_region(map, "")->name, "B");
        assert_string_equal(map_next_region(map, "B")->name, "a");
        assert_string_equal(map_next_region(map, "a")->name, "\xc3\xa9");
        map_free(map);
}

static void test_spaces(void **state) {
        Map *map = *state;

        reversible(map, add_space("io", "bus"));
        reversible(map, add_space("memory2", "system"));
        reversible(map, remove_space("memory"));
        refused(map, add_space("memory", "bus"), MAP_E_ADDRESS_SPACE_EXISTS, "\"memory\"");
        refused(map, add_space("io", "nothing"), MAP_E_NO_SUCH_REGION, "\"nothing\"");
        refused(map, add_space("", "bus"), MAP_E_INVALID_NAME, "128");
        refused(map, remove_space("io"), MAP_E_NO_SUCH_ADDRESS_SPACE, "\"io\"");
        must_edit(map, add_space("io", "bus"));
        assert_int_equal(map->n_spaces, 2);
        refused(map, remove_region("bus"), MAP_E_IN_USE, "\"bus\"");
        must_edit(map, remove_space("io"));
        assert_int_equal(map->n_spaces, 1);
}

static void test_spaces_of_one_root_share_the_view(void **state) {
        Map *map = *state;

        must_edit(map, add_space("cpu0", "system"));
        assert_ptr_equal(map_find_space(map, "cpu0")->view, map_find_space(map, "memory")->view);
        must_edit(map, remove_space("memory"));
        assert_ptr_equal(map_find_space(map, "cpu0")->view, must_find(map, "system")->view);
        map_rollback(map, 0);
        assert_int_equal(must_find(map, "system")->view->n_spaces, 1);
}

static void test_quotas(void **state) {
        const MapLimits limits = {.regions = 3,
                                  .address_spaces = 1,
                                  .ioeventfds = 1,
                                  .coalesced_zones = 1,
                                  .ram_bytes = 0x3000,
                                  .edits = 1};
        Edit edit = add_region(REGION_RAM, "ram", 0x2000, NULL, 0, 0);
        Map *map = NULL;

        assert_int_equal(map_new(&map, &limits), 0);
        assert_int_equal(backing_new_memfd(&edit.backing, 1, "ram", 0x2000, NULL, NULL), 0);
        must_edit(map, edit);
        edit.name = "ram2";
        refused(map, edit, MAP_E_QUOTA_EXCEEDED, "8KiB|12KiB");
        must_edit(map, add_region(REGION_MMIO, "device", 0x100, NULL, 0, 0));
        must_edit(map, add_space("memory", "device"));
        refused(map, add_space("io", "device"), MAP_E_QUOTA_EXCEEDED, "AddressSpaces|1");
        must_edit(map, add_alias("alias", "device", 0, 0x100, NULL, 0, 0));
        refused(map, add_alias("fourth", "device", 0, 0x100, NULL, 0, 0), MAP_E_QUOTA_EXCEEDED,
                "Regions|3");
        must_add_ioeventfd(map, "device", 0, 4, false, 0);
        refused_ioeventfd(map, "device", 4, 4, false, 0, MAP_E_QUOTA_EXCEEDED, "IOEventFDs|1");
        must_edit(map, add_coalesced("device", 0, 4));
        refused(map, add_coalesced("device", 4, 4), MAP_E_QUOTA_EXCEEDED, "CoalescedZones|1");
        must_edit(map, remove_region("alias"));
        must_edit(map, add_region(REGION_MMIO, "third", 0x100, NULL, 0, 0));
        backing_unref(edit.backing);
        map_free(map);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, edit_scene_setup, edit_scene_teardown)

UNIT_TESTS(cmocka_unit_test(test_empty_map), TEST(test_look_up),
           cmocka_unit_test(test_next_region_is_bytewise), TEST(test_spaces),
           TEST(test_spaces_of_one_root_share_the_view), cmocka_unit_test(test_quotas));
