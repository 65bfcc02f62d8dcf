/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Transactions: staged edits are invisible, checked against each other, and conflict when others
 * have set what they set. */

#include <string.h>

#include "lib/memory/map-error.h"
#include "lib/memory/transaction.h"
#include "tests/common/scene.h"
#include "tests/common/trace.h"
#include "tests/common/unit.h"

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

static Transaction *begin(Map *map) {
        Transaction *transaction = NULL;

        assert_int_equal(transaction_new(&transaction, map), 0);
        return transaction;
}

static char *copy_string(const char *string) {
        return string ? strdup(string) : NULL;
}

/* Stages an edit made of literals. What was not taken over is given up. */
static int stage(Transaction *transaction, Edit edit, Detail *detail) {
        int r;

        edit.name = copy_string(edit.name);
        edit.parent = copy_string(edit.parent);
        edit.target = copy_string(edit.target);
        ioeventfd_ref(edit.ioeventfd);
        r = transaction_stage(transaction, &edit, detail);
        assert_int_equal(r == 0, !edit.name);
        edit_deinit(&edit);
        return r;
}

static void must_stage(Transaction *transaction, Edit edit) {
        Detail detail = {};

        if (stage(transaction, edit, &detail) != 0)
                fail_msg("stage \"%s\": %s", edit.name, detail.text);
}

static int commit(Transaction *transaction, Detail *detail) {
        _cleanup_(commit_freep) Commit *commit = NULL;
        int r;

        r = transaction_prepare(transaction, &commit, detail);
        if (r == 0)
                r = commit_apply(commit, detail);
        map_check_in(transaction->map);
        return r;
}

static void must_commit_transaction(Transaction *transaction) {
        Detail detail = {};

        if (commit(transaction, &detail) != 0)
                fail_msg("commit: %s", detail.text);
        assert_int_equal(transaction->n_edits, 0);
}

static void conflicts(Transaction *transaction, const char *word) {
        Map *map = transaction->map;
        char *before = scene_text(map), *after;
        size_t n = transaction->n_edits;
        Detail detail = {};

        assert_int_equal(commit(transaction, &detail), MAP_E_CONFLICT);
        if (!strstr(detail.text, word))
                fail_msg("\"%s\" is not in: %s", word, detail.text);
        after = scene_text(map);
        assert_string_equal(after, before);
        assert_int_equal(transaction->n_edits, n);
        assert_null(map->checked_out);
        free(before);
        free(after);
}

static void test_staged_is_invisible(void **state) {
        Map *map = *state;
        char *before = scene_text(map), *after;
        Transaction *t = begin(map);

        must_stage(t, add_region(REGION_CONTAINER, "window", 0x1000, "bus", 0x1000, 0));
        must_stage(t, add_region(REGION_RAM, "dimm", 0x1000, "window", 0, 0));
        must_stage(t, remove_region("device"));
        assert_int_equal(t->n_edits, 3);
        map_check_in(map);
        assert_null(map->checked_out);
        after = scene_text(map);
        assert_string_equal(after, before);
        free(after);
        transaction_free(t);
        after = scene_text(map);
        assert_string_equal(after, before);
        free(before);
        free(after);
}

static void test_commits(void **state) {
        Map *map = *state;
        uint64_t generation = map->generation;
        Transaction *t = begin(map);

        assert_int_equal(t->base_generation, generation);
        must_stage(t, add_region(REGION_RAM, "dimm", 0x1000, "bus", 0x1000, 0));
        must_stage(t, disable("ram"));
        map_check_in(map);
        must_commit_transaction(t);
        assert_int_equal(map->generation, generation + 1);
        assert_text(scene_view(map, "memory"),
                    "10100-101ff device@0 mmio\n11000-11fff dimm@0 ram\n");
        transaction_free(t);
        assert_true(cds_list_empty(&map->transactions));
}

static void test_refused_edit_is_not_staged(void **state) {
        Map *map = *state;
        Transaction *t = begin(map);
        Detail detail = {};

        must_stage(t, remove_region("device"));
        assert_int_equal(stage(t, disable("device"), &detail), MAP_E_NO_SUCH_REGION);
        assert_non_null(strstr(detail.text, "\"device\""));
        assert_int_equal(stage(t, add_region(REGION_RAM, "ram", 1, "bus", 0, 0), &detail),
                         MAP_E_REGION_EXISTS);
        assert_int_equal(t->n_edits, 1);
        must_stage(t, add_region(REGION_RAM, "device", 0x10, "bus", 0, 0));
        must_commit_transaction(t);
        assert_text(scene_view(map, "memory"), "0-fff ram@0 ram\n10000-1000f device@0 ram\n");
        transaction_free(t);
}

static void test_two_take_turns(void **state) {
        Map *map = *state;
        Transaction *a = begin(map), *b = begin(map);

        must_stage(a, add_region(REGION_RAM, "x", 0x10, "bus", 0, 0));
        must_stage(b, add_region(REGION_MMIO, "y", 0x10, "bus", 0x10, 0));
        must_stage(a, set_size("x", 0x8));
        must_stage(b, set_size("y", 0x8));
        assert_ptr_equal(map->checked_out, b);
        assert_null(map_find_region(map, "x"));
        must_commit_transaction(a);
        must_commit_transaction(b);
        assert_text(scene_view(map, "memory"), "0-fff ram@0 ram\n10000-10007 x@0 ram\n"
                                               "10010-10017 y@0 mmio\n10100-101ff device@0 mmio\n");
        transaction_free(a);
        transaction_free(b);
}

static void test_unstage(void **state) {
        Map *map = *state;
        Transaction *t = begin(map);

        must_stage(t, disable("ram"));
        must_stage(t, disable("device"));
        transaction_unstage(t, 1);
        assert_int_equal(t->n_edits, 1);
        assert_true(region_is(must_find(map, "device"), REGION_ENABLED));
        must_commit_transaction(t);
        assert_text(scene_view(map, "memory"), "10100-101ff device@0 mmio\n");
        transaction_free(t);
}

static void test_preview(void **state) {
        Map *map = *state;
        char *before = scene_text(map), *after;
        Transaction *t = begin(map);
        Commit *preview = NULL;

        must_stage(t, disable("ram"));
        assert_int_equal(transaction_prepare(t, &preview, NULL), 0);
        assert_int_equal(preview->n_changes, 1);
        assert_string_equal(preview->changes[0].space, "memory");
        assert_text(scene_sections_text(preview->changes[0].diff->removed.items,
                                        preview->changes[0].diff->removed.n),
                    "0-fff ram@0 ram\n");
        commit_free(preview);
        map_check_in(map);
        after = scene_text(map);
        assert_string_equal(after, before);
        assert_int_equal(t->n_edits, 1);
        free(before);
        free(after);
        must_commit_transaction(t);
        transaction_free(t);
}

static void test_net_nil(void **state) {
        Map *map = *state;
        uint64_t generation = map->generation;
        Transaction *t = begin(map);
        Trace trace = {.listener = {.ops = &trace_ops}, .name = "t"};
        TraceText out;

        trace_text_init(&out);
        trace.out = &out;
        assert_int_equal(listener_register(&trace.listener, map, NULL), 0);
        trace_take(&out);
        must_stage(t, disable("ram"));
        must_stage(t, add_region(REGION_RAM, "x", 0x10, "bus", 0, 0));
        must_stage(t, enable("ram"));
        must_stage(t, remove_region("x"));
        must_commit_transaction(t);
        assert_int_equal(map->generation, generation);
        assert_null(strstr(trace_take(&out), " del "));
        transaction_free(t);
        listener_unregister(&trace.listener, map);
        trace_text_deinit(&out);
}

static void test_empty_transaction(void **state) {
        Map *map = *state;
        uint64_t generation = map->generation;
        Transaction *t = begin(map);

        must_commit_transaction(t);
        assert_int_equal(map->generation, generation);
        transaction_free(t);
}

/* Conflicts */

static void test_conflict_an_edit_fails(void **state) {
        Map *map = *state;
        Transaction *t = begin(map);

        must_stage(t, disable("ram"));
        must_stage(t, add_region(REGION_RAM, "x", 0x10, "bus", 0, 0));
        map_check_in(map);
        must_edit_commit(map, add_region(REGION_MMIO, "x", 0x10, "bus", 0, 0));
        conflicts(t, "edit 2: ");
        /* It stays open, and holds again when the other is gone: but it was set meanwhile. */
        must_edit_commit(map, remove_region("x"));
        conflicts(t, "edit 2: ");
        transaction_unstage(t, 1);
        must_commit_transaction(t);
        transaction_free(t);
}

static void test_conflict_removed_under_it(void **state) {
        Map *map = *state;
        Transaction *t = begin(map);

        must_stage(t, set_size("device", 0x10));
        map_check_in(map);
        must_edit_commit(map, remove_region("device"));
        conflicts(t, "edit 1: ");
        transaction_free(t);
}

static void test_conflict_in_use(void **state) {
        Map *map = *state;
        Transaction *t = begin(map);

        must_stage(t, remove_region("device"));
        map_check_in(map);
        must_edit_commit(map, add_region(REGION_RAM, "x", 0x10, "device", 0, 0));
        conflicts(t, "edit 1: ");
        must_edit_commit(map, remove_region("x"));
        must_commit_transaction(t);
        transaction_free(t);
}

static Edit offset_of_device(void) {
        return set_offset("device", 0x200);
}

static Edit size_of_device(void) {
        return set_size("device", 0x80);
}

static Edit priority_of_device(void) {
        return set_priority("device", 3);
}

static Edit device_off(void) {
        return disable("device");
}

static Edit device_read_only(void) {
        return set_flags("device", REGION_READONLY, REGION_READONLY);
}

static Edit move_device(void) {
        return move_region("device", "system", 0x4000, 0);
}

static Edit place_device_again(void) {
        return move_region("device", "bus", 0x100, 0);
}

/* What the one sets, the other has set: same property, or placement. */
static void test_what_conflicts_with_what(void **state) {
        static Edit (*const edits[])(void) = {offset_of_device,   size_of_device,
                                              priority_of_device, device_off,
                                              device_read_only,   move_device};
        static const bool conflict[6][6] = {
                /* offset  size   prio   off    ro     move */
                {true, false, false, false, false, true},  /* offset */
                {false, true, false, false, false, false}, /* size */
                {false, false, true, false, false, true},  /* priority */
                {false, false, false, true, false, false}, /* off */
                {false, false, false, false, true, false}, /* read-only */
                {true, false, true, false, false, true},   /* move */
        };

        for (size_t i = 0; i < 6; i++)
                for (size_t j = 0; j < 6; j++) {
                        Map *map;
                        Transaction *t;

                        setup((void **)&map);
                        t = begin(map);
                        must_stage(t, edits[i]());
                        map_check_in(map);
                        must_edit_commit(map, edits[j]());
                        if (conflict[i][j])
                                conflicts(t, "edit 1: region \"device\"");
                        else
                                must_commit_transaction(t);
                        transaction_free(t);
                        map_free(map);
                }
}

static void test_replacing_is_placement(void **state) {
        Map *map = *state;
        Transaction *t;

        must_edit_commit(map, add_region(REGION_RAM, "x", 0x10, "bus", 0, 0));
        t = begin(map);
        must_stage(t, move_device());
        map_check_in(map);
        must_edit_commit(map, place_device_again());
        conflicts(t, "\"device\"");
        transaction_free(t);
}

static void test_no_conflict(void **state) {
        Map *map = *state;
        Transaction *t = begin(map);

        must_stage(t, move_device());
        map_check_in(map);
        /* Others, and what came to nothing. */
        must_edit_commit(map, disable("ram"));
        must_edit_commit(map, add_region(REGION_RAM, "x", 0x10, "bus", 0, 0));
        must_edit(map, move_device());
        must_edit(map, set_offset("device", 0x5000));
        map_rollback(map, 0);
        must_commit_transaction(t);
        assert_int_equal(must_find(map, "device")->state.offset, 0x4000);
        transaction_free(t);
}

/* What was set before it began is no concern of it. */
/* What others do again and again to one region is one note, and no conflict for another. */
static void test_no_conflict_however_often(void **state) {
        Map *map = *state;
        Transaction *t = begin(map), *other = begin(map);
        Commit *commit = NULL;

        must_stage(t, add_region(REGION_MMIO, "mine", 0x10, "system", 0x500000, 0));
        must_stage(other, disable("device"));
        for (int i = 0; i < 70 * 1000; i++) {
                map_check_in(map);
                must_edit_commit(map, i % 2 ? enable("device") : disable("device"));
        }
        assert_int_equal(transaction_prepare(other, &commit, NULL), MAP_E_CONFLICT);
        assert_int_equal(transaction_prepare(t, &commit, NULL), 0);
        assert_int_equal(commit_apply(commit, NULL), 0);
        commit_free(commit);
        transaction_free(other);
        transaction_free(t);
}

/* Begun, previewed, given up: nothing of it is left checked out. */
static void test_nothing_left_of_an_empty_one(void **state) {
        Map *map = *state;
        Transaction *t = begin(map);
        Commit *commit = NULL;

        assert_int_equal(transaction_prepare(t, &commit, NULL), 0);
        commit_free(commit);
        transaction_free(t);
        assert_null(map->checked_out);
}

static void test_base_generation(void **state) {
        Map *map = *state;
        Transaction *t;

        must_edit_commit(map, move_region("device", "bus", 0x300, 0));
        t = begin(map);
        must_stage(t, set_offset("device", 0x400));
        must_commit_transaction(t);
        transaction_free(t);
}

static void test_one_commits_under_the_other(void **state) {
        Map *map = *state;
        Transaction *a = begin(map), *b = begin(map);

        must_stage(a, set_size("device", 0x10));
        must_stage(b, set_size("device", 0x20));
        must_commit_transaction(a);
        conflicts(b, "edit 1: region \"device\"");
        transaction_free(a);
        transaction_free(b);
}

static void test_names_the_edit(void **state) {
        Map *map = *state;
        Transaction *t = begin(map);

        must_stage(t, disable("ram"));
        must_stage(t, set_size("bus", 0x8000));
        must_stage(t, set_size("device", 0x10));
        map_check_in(map);
        must_edit_commit(map, set_size("device", 0x20));
        conflicts(t, "edit 3: ");
        transaction_free(t);
}

/* Failures */

static void test_a_listener_refuses(void **state) {
        Map *map = *state;
        char *before = scene_text(map), *after;
        Transaction *t = begin(map);
        Trace trace = {.listener = {.ops = &trace_ops}, .name = "t"};
        TraceText out;
        Detail detail = {};

        trace_text_init(&out);
        trace.out = &out;
        assert_int_equal(listener_register(&trace.listener, map, NULL), 0);
        must_stage(t, disable("ram"));
        trace.refuse_prepare = true;
        assert_int_equal(commit(t, &detail), MAP_E_NO_SLOTS);
        trace.fail_apply = true;
        assert_int_equal(commit(t, &detail), MAP_E_KVM);
        after = scene_text(map);
        assert_string_equal(after, before);
        assert_int_equal(t->n_edits, 1);
        free(before);
        free(after);
        must_commit_transaction(t);
        transaction_free(t);
        listener_unregister(&trace.listener, map);
        trace_text_deinit(&out);
}

static void test_limit_of_edits(void **state) {
        MapLimits limits = map_limits_default;
        Map *map = NULL;
        Transaction *t;
        Detail detail = {};

        limits.edits = 2;
        assert_int_equal(map_new(&map, &limits), 0);
        t = begin(map);
        must_stage(t, add_region(REGION_RAM, "a", 1, NULL, 0, 0));
        must_stage(t, add_region(REGION_RAM, "b", 1, NULL, 0, 0));
        assert_int_equal(stage(t, add_region(REGION_RAM, "c", 1, NULL, 0, 0), &detail),
                         MAP_E_QUOTA_EXCEEDED);
        assert_non_null(strstr(detail.text, "2"));
        transaction_free(t);
        map_free(map);
}

/* Doorbells and address spaces are staged like everything else. */
static void test_all_verbs(void **state) {
        _cleanup_(ioeventfd_unrefp) IOEventFD *ioeventfd = must_ioeventfd(0, 4, false, 0);
        Map *map = *state;
        Transaction *t = begin(map);

        must_stage(t, add_ioeventfd("device", ioeventfd));
        must_stage(t, add_coalesced("device", 0x40, 0x10));
        must_stage(t, add_alias("alias", "ram", 0, 0x1000, "bus", 0x1000, 0));
        must_stage(t, add_space("io", "bus"));
        map_check_in(map);
        assert_int_equal(map->n_ioeventfds, 0);
        assert_int_equal(map->n_spaces, 1);
        must_commit_transaction(t);
        assert_text(scene_view(map, "io"), "100-1ff device@0 mmio\n1000-1fff ram@0 ram\n"
                                           "eventfd 100-103 device length 4\n"
                                           "coalesced 140-14f device\n");
        must_stage(t, remove_ioeventfd("device", ioeventfd));
        must_stage(t, clear_coalesced("device"));
        must_stage(t, remove_space("io"));
        must_stage(t, remove_region("alias"));
        must_commit_transaction(t);
        assert_int_equal(map->n_ioeventfds, 0);
        assert_int_equal(map->n_coalesced, 0);
        transaction_free(t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

UNIT_TESTS(TEST(test_staged_is_invisible), TEST(test_commits),
           TEST(test_refused_edit_is_not_staged), TEST(test_two_take_turns), TEST(test_unstage),
           TEST(test_preview), TEST(test_net_nil), TEST(test_empty_transaction),
           TEST(test_conflict_an_edit_fails), TEST(test_conflict_removed_under_it),
           TEST(test_conflict_in_use), cmocka_unit_test(test_what_conflicts_with_what),
           TEST(test_replacing_is_placement), TEST(test_no_conflict),
           TEST(test_no_conflict_however_often), TEST(test_nothing_left_of_an_empty_one),
           TEST(test_base_generation), TEST(test_one_commits_under_the_other),
           TEST(test_names_the_edit), TEST(test_a_listener_refuses),
           cmocka_unit_test(test_limit_of_edits), TEST(test_all_verbs));
