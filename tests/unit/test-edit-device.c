/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Edits of ioeventfds and coalesced zones, their inverses, and what they refuse. */

#include "tests/unit/edit-scene.h"

#define TOP UINT64_MAX

static void test_add_ioeventfd(void **state) {
        Map *map = *state;

        reversible_ioeventfd(map, "device", 0x10, 4, true, 1);
        reversible_ioeventfd(map, "device", 0xff, 0, false, 0);
        reversible_ioeventfd(map, "device", 0xff, 1, false, 0);
        must_add_ioeventfd(map, "device", 0x10, 4, true, 1);
        assert_int_equal(map->n_ioeventfds, 1);
        reversible_ioeventfd(map, "device", 0x10, 4, true, 2);
        reversible_ioeventfd(map, "device", 0x10, 2, true, 1);
        refused_ioeventfd(map, "device", 0x10, 4, true, 1, MAP_E_IOEVENTFD_EXISTS,
                          "\"device\"|0x10|4");
        refused_ioeventfd(map, "device", 0x10, 4, false, 0, MAP_E_IOEVENTFD_EXISTS,
                          "\"device\"|0x10");
        refused_ioeventfd(map, "device", 0x10, 0, false, 0, MAP_E_IOEVENTFD_EXISTS,
                          "\"device\"|0x10");
        refused_ioeventfd(map, "device", 0xfd, 4, false, 0, MAP_E_INVALID_RANGE,
                          "\"device\"|0xfd|0x100");
        refused_ioeventfd(map, "device", 0x100, 0, false, 0, MAP_E_INVALID_RANGE, "0x100");
        refused_ioeventfd(map, "device", TOP, 8, false, 0, MAP_E_INVALID_RANGE, "\"device\"");
        refused_ioeventfd(map, "ram", 0, 4, false, 0, MAP_E_INVALID_KIND, "\"ram\"|ram");
        refused_ioeventfd(map, "bus", 0, 4, false, 0, MAP_E_INVALID_KIND, "\"bus\"|container");
        refused_ioeventfd(map, "alias", 0, 4, false, 0, MAP_E_INVALID_KIND, "\"alias\"|alias");
        refused_ioeventfd(map, "nothing", 0, 4, false, 0, MAP_E_NO_SUCH_REGION, "\"nothing\"");
}

static void test_remove_ioeventfd(void **state) {
        _cleanup_(ioeventfd_unrefp) IOEventFD *key = must_ioeventfd(0x10, 4, true, 1);
        _cleanup_(ioeventfd_unrefp) IOEventFD *near = must_ioeventfd(0x10, 4, true, 2);
        Map *map = *state;

        refused(map, remove_ioeventfd("device", key), MAP_E_NO_SUCH_IOEVENTFD, "\"device\"|0x10");
        must_add_ioeventfd(map, "device", 0x10, 4, true, 1);
        must_commit(map);
        refused(map, remove_ioeventfd("device", near), MAP_E_NO_SUCH_IOEVENTFD, "\"device\"|0x10");
        reversible(map, remove_ioeventfd("device", key));
        must_edit(map, remove_ioeventfd("device", key));
        assert_int_equal(map->n_ioeventfds, 0);
        assert_null(ioeventfds_first(&must_find(map, "device")->ioeventfds, 0));
}

static void test_coalesced(void **state) {
        Map *map = *state;

        reversible(map, add_coalesced("device", 0, 0x100));
        must_edit(map, add_coalesced("device", 0x10, 0x10));
        must_edit(map, add_coalesced("device", 0x40, 0x10));
        must_commit(map);
        assert_int_equal(map->n_coalesced, 2);
        changes_nothing(map, add_coalesced("device", 0x40, 0x10));
        reversible(map, clear_coalesced("device"));
        refused(map, add_coalesced("device", 0xf1, 0x10), MAP_E_INVALID_RANGE,
                "\"device\"|0xf1|0x10|0x100");
        refused(map, add_coalesced("device", 0, 0), MAP_E_INVALID_RANGE, "\"device\"");
        refused(map, add_coalesced("ram", 0, 1), MAP_E_INVALID_KIND, "\"ram\"|ram");
        refused(map, add_coalesced("nothing", 0, 1), MAP_E_NO_SUCH_REGION, "\"nothing\"");
        refused(map, clear_coalesced("nothing"), MAP_E_NO_SUCH_REGION, "\"nothing\"");
        must_edit(map, clear_coalesced("device"));
        assert_int_equal(map->n_coalesced, 0);
        changes_nothing(map, clear_coalesced("device"));
}

/* Who removes a device removes its doorbells; they no longer count. */
static void test_doorbells_go_with_their_region(void **state) {
        Map *map = *state;

        must_add_ioeventfd(map, "device", 0x10, 4, true, 1);
        must_edit(map, add_coalesced("device", 0x40, 0x10));
        must_commit(map);
        reversible(map, remove_region("device"));
        must_edit(map, remove_region("device"));
        assert_int_equal(map->n_ioeventfds, 0);
        assert_int_equal(map->n_coalesced, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, edit_scene_setup, edit_scene_teardown)

UNIT_TESTS(TEST(test_add_ioeventfd), TEST(test_remove_ioeventfd), TEST(test_coalesced),
           TEST(test_doorbells_go_with_their_region));
