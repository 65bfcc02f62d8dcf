/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Climbing: whom a range of a region is seen by, and where; loops; ways without end. */

#include <inttypes.h>

#include "lib/memory/climb.h"
#include "tests/unit/edit-scene.h"

static void write_down(Region *region, Range range, void *userdata) {
        fprintf(userdata, "%s %" PRIx64 "-%" PRIx64 "\n", region->name, range.first, range.last);
}

static char *climb_text(Map *map, const char *name, Range range, bool enabled_only) {
        char *text = NULL;
        size_t length;
        FILE *f = open_memstream(&text, &length);

        unsigned budget = CLIMB_BUDGET;

        assert_int_equal(climb(must_find(map, name), range, enabled_only, &budget, write_down, f),
                         0);
        assert_true(budget < CLIMB_BUDGET);
        fclose(f);
        return text;
}

static int climb_quietly(Region *region) {
        unsigned budget = CLIMB_BUDGET;

        return climb(region, (Range){0, 0}, true, &budget, NULL, NULL);
}

static void check(Map *map, const char *name, Range range, const char *expected) {
        assert_text(climb_text(map, name, range, true), expected);
}

static void test_parents(void **state) {
        check(*state, "device", (Range){0x10, 0x1f},
              "device 10-1f\nbus 110-11f\nsystem 10110-1011f\n");
        check(*state, "system", RANGE_WHOLE, "system 0-ffffffffffffffff\n");
}

static void test_aliases(void **state) {
        Map *map = *state;

        check(map, "ram", (Range){0x800, 0x8ff},
              "ram 800-8ff\nalias 800-8ff\nbus 1800-18ff\nsystem 11800-118ff\nsystem 800-8ff\n");
        must_edit(map, set_target_offset("alias", 0x880));
        check(map, "ram", (Range){0x800, 0x8ff},
              "ram 800-8ff\nalias 0-7f\nbus 1000-107f\nsystem 11000-1107f\nsystem 800-8ff\n");
        must_edit(map, set_target_offset("alias", 0x900));
        check(map, "ram", (Range){0x800, 0x8ff}, "ram 800-8ff\nsystem 800-8ff\n");
}

static void test_cut(void **state) {
        Map *map = *state;

        check(map, "device", (Range){0xf0, 0x200},
              "device f0-ff\nbus 1f0-1ff\nsystem 101f0-101ff\n");
        check(map, "device", (Range){0x100, 0x200}, "");
        must_edit(map, set_size("bus", 0x1f8));
        check(map, "device", (Range){0xf0, 0xff},
              "device f0-ff\nbus 1f0-1f7\nsystem 101f0-101f7\n");
        must_edit(map, set_size("alias", 0x10));
        check(map, "ram", (Range){0, 0xff}, "ram 0-ff\nalias 0-f\nsystem 0-ff\n");
}

static void test_disabled(void **state) {
        Map *map = *state;

        must_edit(map, disable("bus"));
        check(map, "device", (Range){0, 0}, "device 0-0\n");
        assert_text(climb_text(map, "device", (Range){0, 0}, false),
                    "device 0-0\nbus 100-100\nsystem 10100-10100\n");
        must_edit(map, disable("device"));
        check(map, "device", (Range){0, 0}, "");
}

/* Loops are refused by map_edit(); so this one is made underneath it. */
static void test_loop(void **state) {
        Map *map = *state;
        Region *alias = must_find(map, "alias");
        RegionState before = alias->state, state_of_loop = before;

        state_of_loop.parent = must_find(map, "ram");
        state_of_loop.offset = 0;
        region_set_state(alias, &state_of_loop);
        assert_int_equal(climb_quietly(alias), CLIMB_E_LOOP);
        assert_int_equal(climb_quietly(must_find(map, "ram")), CLIMB_E_LOOP);
        region_set_state(alias, &before);
        assert_int_equal(climb_quietly(alias), 0);
}

/* Twice as many ways with each level. */
static void test_too_far(void **state) {
        Map *map = *state;
        char name[32], below[32] = "ram", twin[32];

        for (int i = 0; i < 30; i++) {
                snprintf(name, sizeof(name), "c%d", i);
                must_edit(map, add_region(REGION_CONTAINER, name, 0x1000, NULL, 0, 0));
                for (int j = 0; j < 2; j++) {
                        snprintf(twin, sizeof(twin), "a%d.%d", i, j);
                        must_edit(map, add_alias(twin, below, 0, 0x100, name, 0, 0));
                }
                snprintf(below, sizeof(below), "%s", name);
        }
        assert_int_equal(climb_quietly(must_find(map, "ram")), CLIMB_E_TOO_FAR);
        map_rollback(map, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, edit_scene_setup, edit_scene_teardown)

UNIT_TESTS(TEST(test_parents), TEST(test_aliases), TEST(test_cut), TEST(test_disabled),
           TEST(test_loop), TEST(test_too_far));
