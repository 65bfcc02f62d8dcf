/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Commits: generations, address spaces that come and go, what old views keep alive, and every
 * allocation failing in turn.
 */

#include <string.h>

#include "lib/memory/commit.h"
#include "lib/memory/transaction.h"
#include "tests/common/scene.h"
#include "tests/common/trace.h"
#include "tests/common/unit.h"
#include "tests/unit/fail-allocation.h"

static int setup(void **state) {
        Map *map = scene_new();

        must_edit(map, add_region(REGION_CONTAINER, "bus", 0x10000, "system", 0x10000, 0));
        must_edit(map, add_region(REGION_RAM, "ram", 0x1000, "system", 0, 0));
        must_edit(map, add_region(REGION_MMIO, "device", 0x100, "bus", 0x100, 0));
        must_commit(map);
        *state = map;
        return 0;
}

static int teardown(void **state) {
        map_free(*state);
        return 0;
}

#define RAM        "0-fff ram@0 ram\n"
#define DEVICE     "10100-101ff device@0 mmio\n"
#define BUS_DEVICE "100-1ff device@0 mmio\n"

static uint64_t space_generation(Map *map, const char *name) {
        return map_find_space(map, name)->generation;
}

/* Generations */

static void test_nil(void **state) {
        Map *map = *state;
        const Snapshot *snapshot = map_snapshot(map);
        Commit *commit = NULL;

        assert_int_equal(commit_new(&commit, map, NULL), 0);
        assert_false(commit->tree_changed);
        assert_int_equal(commit->n_changes, 0);
        assert_int_equal(commit->generation, 2);
        assert_int_equal(commit_apply(commit, NULL), 0);
        commit_free(commit);
        assert_int_equal(map->generation, 2);
        assert_ptr_equal(map_snapshot(map), snapshot);
}

static void test_net_nil(void **state) {
        Map *map = *state;

        must_edit(map, disable("ram"));
        must_edit(map, set_size("device", 1));
        must_edit(map, set_size("device", 0x100));
        must_edit(map, enable("ram"));
        must_commit(map);
        assert_int_equal(map->generation, 2);
        assert_int_equal(map_mark(map), 0);
        assert_text(scene_view(map, "memory"), RAM DEVICE);
}

static void test_tree_only(void **state) {
        Map *map = *state;
        const FlatView *view = scene_published(map, "memory");
        Commit *commit = NULL;

        must_edit(map, add_region(REGION_RAM, "spare", 0x1000, NULL, 0, 0));
        must_edit(map, add_region(REGION_RAM, "hidden", 0x10, "bus", 0x100, -1));
        assert_int_equal(commit_new(&commit, map, NULL), 0);
        assert_true(commit->tree_changed);
        assert_int_equal(commit->n_changes, 0);
        assert_int_equal(commit->generation, 3);
        assert_int_equal(commit_apply(commit, NULL), 0);
        commit_free(commit);
        assert_int_equal(map->generation, 3);
        assert_int_equal(map_snapshot(map)->generation, 3);
        assert_int_equal(space_generation(map, "memory"), 2);
        assert_ptr_equal(scene_published(map, "memory"), view);
        map_rollback(map, 0);
        assert_non_null(map_find_region(map, "spare"));
}

static void test_a_change(void **state) {
        Map *map = *state;
        Commit *commit = NULL;

        must_edit(map, disable("ram"));
        must_edit(map, move_region("device", "bus", 0x200, 0));
        assert_int_equal(commit_new(&commit, map, NULL), 0);
        assert_text(scene_view(map, "memory"), RAM DEVICE);
        assert_int_equal(map->generation, 2);
        assert_int_equal(commit->n_changes, 1);
        assert_string_equal(commit->changes[0].space, "memory");
        assert_int_equal(commit->changes[0].since, 2);
        assert_text(scene_view_text(commit->changes[0].old), RAM DEVICE);
        assert_text(scene_view_text(commit->changes[0].new), "10200-102ff device@0 mmio\n");
        assert_text(scene_sections_text(commit->changes[0].diff->removed.items, 2), RAM DEVICE);
        assert_int_equal(commit_apply(commit, NULL), 0);
        /* What the commit says holds until it is freed. */
        assert_text(scene_view_text(commit->changes[0].old), RAM DEVICE);
        commit_free(commit);
        assert_int_equal(map->generation, 3);
        assert_int_equal(space_generation(map, "memory"), 3);
        assert_text(scene_view(map, "memory"), "10200-102ff device@0 mmio\n");
}

/* Doorbells are no part of the sections that the space's generation is about. */
static void test_doorbells_alone(void **state) {
        Map *map = *state;
        uint64_t before = space_generation(map, "memory");

        must_edit_commit(map, add_coalesced("device", 0, 0x10));
        assert_int_equal(map->generation, 3);
        assert_int_equal(flat_view_n_announced(scene_published(map, "memory")), 1);
        assert_int_equal(space_generation(map, "memory"), before);
        must_edit_commit(map, set_flags("ram", REGION_DIRTY_LOG, REGION_DIRTY_LOG));
        assert_int_equal(space_generation(map, "memory"), 4);
}

/* Address spaces */

static void test_space_comes_and_goes(void **state) {
        Map *map = *state;

        must_edit_commit(map, add_space("io", "bus"));
        assert_int_equal(map->generation, 3);
        assert_text(scene_view(map, "io"), BUS_DEVICE);
        assert_int_equal(space_generation(map, "io"), 3);
        assert_int_equal(space_generation(map, "memory"), 2);
        must_edit_commit(map, remove_space("memory"));
        assert_null(scene_published(map, "memory"));
        assert_int_equal(map_snapshot(map)->n_spaces, 1);
        must_edit_commit(map, disable("device"));
        assert_text(scene_view(map, "io"), "");
        must_edit_commit(map, add_space("memory", "system"));
        assert_text(scene_view(map, "memory"), RAM);
        must_edit_commit(map, enable("device"));
        assert_text(scene_view(map, "memory"), RAM DEVICE);
        assert_text(scene_view(map, "io"), BUS_DEVICE);
}

static void test_space_of_something_empty(void **state) {
        Map *map = *state;

        must_edit(map, add_region(REGION_CONTAINER, "void", 0x1000, NULL, 0, 0));
        must_edit_commit(map, add_space("void", "void"));
        assert_text(scene_view(map, "void"), "");
        assert_int_equal(map_snapshot(map)->n_spaces, 2);
        must_edit_commit(map, add_region(REGION_RAM, "x", 0x10, "void", 0, 0));
        assert_text(scene_view(map, "void"), "0-f x@0 ram\n");
}

static void test_space_renamed(void **state) {
        Map *map = *state;
        Commit *commit = NULL;

        must_edit(map, remove_space("memory"));
        must_edit(map, add_space("physical", "system"));
        assert_int_equal(commit_new(&commit, map, NULL), 0);
        assert_int_equal(commit->n_changes, 2);
        assert_string_equal(commit->changes[0].space, "memory");
        assert_int_equal(commit->changes[0].diff->removed.n, 2);
        assert_int_equal(commit->changes[0].diff->added.n, 0);
        assert_int_equal(commit->changes[0].since, 2);
        assert_int_equal(commit->changes[1].since, 0);
        assert_string_equal(commit->changes[1].space, "physical");
        assert_int_equal(commit->changes[1].diff->removed.n, 0);
        assert_int_equal(commit->changes[1].diff->added.n, 2);
        assert_int_equal(commit_apply(commit, NULL), 0);
        commit_free(commit);
        assert_null(scene_published(map, "memory"));
        assert_text(scene_view(map, "physical"), RAM DEVICE);
}

static void test_space_with_another_root(void **state) {
        Map *map = *state;
        Commit *commit = NULL;

        must_edit(map, remove_space("memory"));
        must_edit(map, add_space("memory", "bus"));
        assert_int_equal(commit_new(&commit, map, NULL), 0);
        assert_int_equal(commit->n_changes, 1);
        assert_text(scene_sections_text(commit->changes[0].diff->added.items, 1), BUS_DEVICE);
        assert_int_equal(commit->changes[0].diff->removed.n, 2);
        assert_int_equal(commit_apply(commit, NULL), 0);
        commit_free(commit);
        assert_text(scene_view(map, "memory"), BUS_DEVICE);
        must_edit_commit(map, disable("device"));
        assert_text(scene_view(map, "memory"), "");
}

static void test_space_removed_and_added_again(void **state) {
        Map *map = *state;

        must_edit(map, remove_space("memory"));
        must_edit(map, add_space("memory", "system"));
        must_commit(map);
        assert_int_equal(map->generation, 2);
        assert_text(scene_view(map, "memory"), RAM DEVICE);
        must_edit_commit(map, disable("ram"));
        assert_text(scene_view(map, "memory"), DEVICE);

        /* With an edit between the two. */
        must_edit(map, remove_space("memory"));
        must_edit(map, enable("ram"));
        must_edit(map, add_space("memory", "system"));
        must_commit(map);
        assert_text(scene_view(map, "memory"), RAM DEVICE);
        must_edit_commit(map, disable("device"));
        assert_text(scene_view(map, "memory"), RAM);
}

static void test_shared_view(void **state) {
        Map *map = *state;
        const FlatView *old = scene_published(map, "memory");
        Commit *commit = NULL;

        must_edit_commit(map, add_space("cpu0", "system"));
        assert_ptr_equal(scene_published(map, "cpu0"), old);
        must_edit(map, disable("ram"));
        assert_int_equal(commit_new(&commit, map, NULL), 0);
        assert_int_equal(commit->n_changes, 2);
        assert_ptr_equal(commit->changes[0].diff, commit->changes[1].diff);
        assert_int_equal(commit_apply(commit, NULL), 0);
        commit_free(commit);
        assert_ptr_equal(scene_published(map, "cpu0"), scene_published(map, "memory"));
        assert_int_equal(space_generation(map, "cpu0"), space_generation(map, "memory"));
}

/* A region that two roots show changes both views; one that only one shows, one. */
static void test_only_what_changed(void **state) {
        Map *map = *state;
        const FlatView *io;

        must_edit_commit(map, add_space("io", "bus"));
        io = scene_published(map, "io");
        must_edit_commit(map, disable("ram"));
        assert_ptr_equal(scene_published(map, "io"), io);
        must_edit_commit(map, disable("device"));
        assert_text(scene_view(map, "io"), "");
        assert_text(scene_view(map, "memory"), "");
}

/* Lifetime */

static void test_an_old_view_keeps_its_regions(void **state) {
        Map *map = *state;
        Edit edit = add_region(REGION_RAM, "dimm", 0x1000, "system", 0x4000, 0);
        FlatView *held;
        const Section *section;

        assert_int_equal(backing_new_memfd(&edit.backing, 1, "dimm", 0x1000, NULL, NULL), 0);
        must_edit_commit(map, edit);
        backing_unref(edit.backing);
        held = flat_view_ref((FlatView *)scene_published(map, "memory"));
        must_edit_commit(map, remove_region("dimm"));
        must_edit_commit(map, disable("device"));
        rcu_barrier_all();
        section = flat_view_find(held, 0x4000);
        assert_string_equal(section->region->name, "dimm");
        memset(section_host(section), 0x55, 0x1000);
        assert_text(scene_view_text(held), RAM "4000-4fff dimm@0 ram\n" DEVICE);
        flat_view_unref(held);
}

static void test_a_held_backing_goes_with_its_last_view(void **state) {
        Map *map = *state;
        Edit edit = add_region(REGION_RAM, "dimm", 0x1000, "system", 0x4000, 0);
        FlatView *held;

        assert_int_equal(backing_new_memfd(&edit.backing, 1, "dimm", 0x1000, NULL, NULL), 0);
        must_edit_commit(map, edit);
        held = flat_view_ref((FlatView *)scene_published(map, "memory"));
        must_edit_commit(map, remove_region("dimm"));
        rcu_barrier_all();
        assert_int_equal(edit.backing->ref.refcount, 2);
        flat_view_unref(held);
        rcu_barrier_all();
        assert_int_equal(edit.backing->ref.refcount, 1);
        backing_unref(edit.backing);
}

/* The view went because its address space did; the regions went in the same commit. */
static void test_a_view_without_successor_keeps_its_regions(void **state) {
        Map *map = *state;
        FlatView *held;

        must_edit_commit(map, add_space("io", "bus"));
        held = flat_view_ref((FlatView *)scene_published(map, "io"));
        must_edit(map, remove_space("io"));
        must_edit(map, remove_region("device"));
        must_commit(map);
        rcu_barrier_all();
        assert_text(scene_view_text(held), BUS_DEVICE);
        flat_view_unref(held);
}

static void test_a_view_without_successor_and_later_removal(void **state) {
        Map *map = *state;
        FlatView *held;

        must_edit_commit(map, add_space("io", "bus"));
        held = flat_view_ref((FlatView *)scene_published(map, "io"));
        must_edit_commit(map, remove_space("io"));
        must_edit_commit(map, remove_region("device"));
        rcu_barrier_all();
        assert_text(scene_view_text(held), BUS_DEVICE);
        flat_view_unref(held);
}

static void test_a_reader_sees_what_it_fetched(void **state) {
        Map *map = *state;
        const Snapshot *snapshot;

        rcu_register();
        rcu_enter();
        snapshot = map_snapshot(map);
        must_edit(map, remove_space("memory"));
        must_edit(map, remove_region("device"));
        must_edit(map, remove_region("ram"));
        must_commit(map);
        assert_int_equal(snapshot->generation, 2);
        assert_text(scene_view_text(snapshot_find(snapshot, "memory")), RAM DEVICE);
        rcu_leave();
        rcu_unregister();
}

/* Every allocation fails in turn */

typedef struct Attempt {
        Map *map;
        Trace trace;
        TraceText out;
        Transaction *watcher; /* another's transaction, which takes note of commits */
        IOEventFD *ioeventfd;
} Attempt;

static void attempt_init(Attempt *a) {
        *a = (Attempt){};
        setup((void **)&a->map);
        must_edit(a->map, add_alias("alias", "ram", 0, 0x1000, "bus", 0x1000, 0));
        must_edit(a->map, add_coalesced("device", 0, 0x10));
        must_edit(a->map, add_space("io", "bus"));
        must_edit_commit(a->map, add_space("dma", "system"));
        trace_text_init(&a->out);
        a->trace = (Trace){.listener = {.ops = &trace_ops}, .name = "t", .out = &a->out};
        assert_int_equal(listener_register(&a->trace.listener, a->map, NULL), 0);
        assert_int_equal(transaction_new(&a->watcher, a->map), 0);
        a->ioeventfd = must_ioeventfd(0x20, 4, false, 0);
        trace_take(&a->out);
}

static void attempt_deinit(Attempt *a) {
        transaction_free(a->watcher);
        listener_unregister(&a->trace.listener, a->map);
        map_free(a->map);
        trace_text_deinit(&a->out);
        ioeventfd_unref(a->ioeventfd);
}

/* One edit of every verb, and the commit of all. */
static int work(Attempt *a) {
        const Edit edits[] = {
                add_region(REGION_RAM, "dimm", 0x1000, "system", 0x4000, 0),
                add_alias("again", "dimm", 0, 0x1000, "bus", 0x4000, 1),
                remove_region("alias"),
                move_region("ram", "bus", 0x2000, 0),
                set_size("device", 0x80),
                add_ioeventfd("device", a->ioeventfd),
                clear_coalesced("device"),
                add_coalesced("device", 0x40, 0x10),
                remove_space("dma"),
                add_space("dma2", "dimm"),
        };
        _cleanup_(commit_freep) Commit *commit = NULL;
        Detail detail = {};
        int r = 0;

        for (size_t i = 0; r == 0 && i < ELEMENTS_OF(edits); i++)
                r = map_edit(a->map, &edits[i], &detail);
        if (r == 0)
                r = commit_new(&commit, a->map, &detail);
        if (r == 0)
                r = commit_apply(commit, &detail);
        return r;
}

static bool attempt_at(unsigned n, void (*arm)(unsigned n), const char *success) {
        char *before, *after;
        bool failed;
        Attempt a;
        int r;

        attempt_init(&a);
        before = scene_text(a.map);
        arm(n);
        r = work(&a);
        if (r != 0)
                map_rollback(a.map, 0);
        failed = fail_allocation_done();
        after = scene_text(a.map);
        assert_true(r == 0 || (failed && r == -ENOMEM));
        assert_string_equal(after, r == 0 ? success : before);
        if (r != 0)
                assert_null(strstr(trace_take(&a.out), "begin"));
        free(before);
        free(after);
        attempt_deinit(&a);
        return failed;
}

static char *text_of_success(void) {
        char *text;
        Attempt a;

        attempt_init(&a);
        assert_int_equal(work(&a), 0);
        text = scene_text(a.map);
        attempt_deinit(&a);
        return text;
}

static void test_each_allocation_fails(void **state) {
        char *success = text_of_success();
        unsigned n = 1;

        while (attempt_at(n, fail_allocation_at, success))
                n++;
        assert_true(n > 20);
        free(success);
}

static void test_all_allocations_fail_from_one_on(void **state) {
        char *success = text_of_success();
        unsigned n = 1;

        while (attempt_at(n, fail_allocations_from, success))
                n++;
        assert_true(n > 20);
        free(success);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

UNIT_TESTS(TEST(test_nil), TEST(test_net_nil), TEST(test_tree_only), TEST(test_a_change),
           TEST(test_doorbells_alone), TEST(test_space_comes_and_goes),
           TEST(test_space_of_something_empty), TEST(test_space_renamed),
           TEST(test_space_with_another_root), TEST(test_space_removed_and_added_again),
           TEST(test_shared_view), TEST(test_only_what_changed),
           TEST(test_an_old_view_keeps_its_regions),
           TEST(test_a_held_backing_goes_with_its_last_view),
           TEST(test_a_view_without_successor_keeps_its_regions),
           TEST(test_a_view_without_successor_and_later_removal),
           TEST(test_a_reader_sees_what_it_fetched), cmocka_unit_test(test_each_allocation_fails),
           cmocka_unit_test(test_all_allocations_fail_from_one_on));
