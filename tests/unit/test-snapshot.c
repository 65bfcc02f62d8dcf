/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Snapshots: what one shows is there for as long as it is held, whatever came after it. */

#include "lib/memory/commit.h"
#include "tests/common/scene.h"
#include "tests/common/unit.h"

#define RAM    "0-fff ram@0 ram\n"
#define DEVICE "0-ff device@0 mmio\n"

static int setup(void **state) {
        Map *map = scene_new();

        must_edit(map, add_region(REGION_RAM, "ram", 0x1000, "system", 0, 0));
        must_edit(map, add_region(REGION_MMIO, "device", 0x100, NULL, 0, 0));
        must_edit(map, add_space("dma", "device"));
        must_commit(map);
        *state = map;
        return 0;
}

static int teardown(void **state) {
        map_free(*state);
        return 0;
}

static void check(const Snapshot *snapshot, const char *space, const char *expected) {
        assert_text(scene_view_text(snapshot_find(snapshot, space)), expected);
}

static void test_in_order(void **state) {
        const Snapshot *snapshot = map_snapshot(*state);

        assert_int_equal(snapshot->n_spaces, 2);
        assert_string_equal(snapshot->spaces[0].space->name, "dma");
        assert_string_equal(snapshot->spaces[1].space->name, "memory");
        check(snapshot, "dma", DEVICE);
        check(snapshot, "memory", RAM);
        assert_null(snapshot_find(snapshot, "io"));
        assert_null(snapshot_find_space(snapshot, "io"));
        assert_ptr_equal(snapshot_find_space(snapshot, "dma"), map_find_space(*state, "dma"));
}

/* What a commit does not touch it shows as it was: the very same. */
static void test_shares(void **state) {
        const Snapshot *before = map_snapshot(*state), *after;
        const FlatView *view = before->spaces[0].view;

        must_edit_commit(*state, set_offset("ram", 0x1000));
        after = map_snapshot(*state);
        assert_ptr_not_equal(before, after);
        assert_ptr_equal(after->spaces[0].view, view);
        check(after, "memory", "1000-1fff ram@0 ram\n");
}

/* Of three that are held the middle one, the first, then the last is given up. */
static void test_held(void **state) {
        Snapshot *held[3];
        Map *map = *state;

        held[0] = snapshot_ref(map->snapshot);
        must_edit(map, remove_space("dma"));
        must_edit_commit(map, remove_region("ram"));
        held[1] = snapshot_ref(map->snapshot);
        must_edit(map, remove_region("device"));
        must_edit(map, add_region(REGION_RAM, "ram", 0x10, "system", 0, 0));
        must_edit_commit(map, add_space("dma", "system"));
        held[2] = snapshot_ref(map->snapshot);
        must_edit(map, remove_space("dma"));
        must_edit_commit(map, remove_space("memory"));
        rcu_barrier_all();

        check(held[1], "memory", "");
        assert_null(snapshot_find(held[1], "dma"));
        assert_null(snapshot_unref(held[1]));
        check(held[0], "memory", RAM);
        check(held[0], "dma", DEVICE);
        assert_null(snapshot_unref(held[0]));
        check(held[2], "memory", "0-f ram@0 ram\n");
        check(held[2], "dma", "0-f ram@0 ram\n");
        assert_null(snapshot_unref(held[2]));
        assert_int_equal(map_snapshot(map)->n_spaces, 0);
}

/* A space that another of its name replaces in one commit, and two that change their roots. */
static void test_replaced(void **state) {
        Map *map = *state;
        Snapshot *held = snapshot_ref(map->snapshot);

        must_edit(map, remove_space("dma"));
        must_edit_commit(map, add_space("dma", "device"));
        check(map_snapshot(map), "dma", DEVICE);
        must_edit(map, remove_space("dma"));
        must_edit(map, remove_space("memory"));
        must_edit(map, add_space("dma", "system"));
        must_edit_commit(map, add_space("memory", "device"));
        rcu_barrier_all();
        check(map_snapshot(map), "dma", RAM);
        check(map_snapshot(map), "memory", DEVICE);
        check(held, "dma", DEVICE);
        check(held, "memory", RAM);
        snapshot_unref(held);
}

/* However often: nothing of a commit that is not applied stays. */
static void test_abandoned(void **state) {
        Map *map = *state;
        Snapshot *before = map->snapshot;

        for (int i = 0; i < 3; i++) {
                Commit *commit = NULL;

                must_edit(map, remove_region("ram"));
                must_edit(map, add_space("io", "device"));
                must_edit(map, remove_space("dma"));
                assert_int_equal(commit_new(&commit, map, NULL), 0);
                assert_int_equal(commit->n_changes, 3);
                commit_free(commit);
                map_rollback(map, 0);
        }
        assert_ptr_equal(map->snapshot, before);
        check(before, "memory", RAM);
        check(before, "dma", DEVICE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

UNIT_TESTS(TEST(test_in_order), TEST(test_shares), TEST(test_held), TEST(test_replaced),
           TEST(test_abandoned));
