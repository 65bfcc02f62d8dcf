/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Transactions conflict when others have set what they set. */

#include <string.h>

#include "tests/unit/transaction-scene.h"

static void conflicts(Transaction *transaction, const char *word) {
        Map *map = transaction->map;
        char *before = scene_text(map), *after;
        size_t n = transaction->n_edits;
        Detail detail = {};

        assert_int_equal(commit_transaction(transaction, &detail), MAP_E_CONFLICT);
        if (!strstr(detail.text, word))
                fail_msg("\"%s\" is not in: %s", word, detail.text);
        after = scene_text(map);
        assert_string_equal(after, before);
        assert_int_equal(transaction->n_edits, n);
        assert_null(map->checked_out);
        free(before);
        free(after);
}

static void test_conflict_an_edit_fails(void **state) {
        Map *map = *state;
        Transaction *t = begin_transaction(map);

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
        Transaction *t = begin_transaction(map);

        must_stage(t, set_size("device", 0x10));
        map_check_in(map);
        must_edit_commit(map, remove_region("device"));
        conflicts(t, "edit 1: ");
        transaction_free(t);
}

static void test_conflict_in_use(void **state) {
        Map *map = *state;
        Transaction *t = begin_transaction(map);

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

                        transaction_scene_setup((void **)&map);
                        t = begin_transaction(map);
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
        t = begin_transaction(map);
        must_stage(t, move_device());
        map_check_in(map);
        must_edit_commit(map, place_device_again());
        conflicts(t, "\"device\"");
        transaction_free(t);
}

static void test_no_conflict(void **state) {
        Map *map = *state;
        Transaction *t = begin_transaction(map);

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
        Transaction *t = begin_transaction(map), *other = begin_transaction(map);
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
        Transaction *t = begin_transaction(map);
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
        t = begin_transaction(map);
        must_stage(t, set_offset("device", 0x400));
        must_commit_transaction(t);
        transaction_free(t);
}

static void test_one_commits_under_the_other(void **state) {
        Map *map = *state;
        Transaction *a = begin_transaction(map), *b = begin_transaction(map);

        must_stage(a, set_size("device", 0x10));
        must_stage(b, set_size("device", 0x20));
        must_commit_transaction(a);
        conflicts(b, "edit 1: region \"device\"");
        transaction_free(a);
        transaction_free(b);
}

static void test_names_the_edit(void **state) {
        Map *map = *state;
        Transaction *t = begin_transaction(map);

        must_stage(t, disable("ram"));
        must_stage(t, set_size("bus", 0x8000));
        must_stage(t, set_size("device", 0x10));
        map_check_in(map);
        must_edit_commit(map, set_size("device", 0x20));
        conflicts(t, "edit 3: ");
        transaction_free(t);
}

UNIT_TESTS(TRANSACTION_TEST(test_conflict_an_edit_fails),
           TRANSACTION_TEST(test_conflict_removed_under_it), TRANSACTION_TEST(test_conflict_in_use),
           TRANSACTION_TEST(test_what_conflicts_with_what),
           TRANSACTION_TEST(test_replacing_is_placement), TRANSACTION_TEST(test_no_conflict),
           TRANSACTION_TEST(test_no_conflict_however_often),
           TRANSACTION_TEST(test_nothing_left_of_an_empty_one),
           TRANSACTION_TEST(test_base_generation),
           TRANSACTION_TEST(test_one_commits_under_the_other),
           TRANSACTION_TEST(test_names_the_edit));
