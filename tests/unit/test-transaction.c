/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Transactions: staged edits are invisible, checked against each other, and what fails leaves. */

#include <string.h>

#include "tests/common/trace.h"
#include "tests/unit/transaction-scene.h"

static void test_staged_is_invisible(void **state) {
        Map *map = *state;
        char *before = scene_text(map), *after;
        Transaction *t = begin_transaction(map);

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
        Transaction *t = begin_transaction(map);

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
        Transaction *t = begin_transaction(map);
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
        Transaction *a = begin_transaction(map), *b = begin_transaction(map);

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
        Transaction *t = begin_transaction(map);

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
        Transaction *t = begin_transaction(map);
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
        Transaction *t = begin_transaction(map);
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
        Transaction *t = begin_transaction(map);

        must_commit_transaction(t);
        assert_int_equal(map->generation, generation);
        transaction_free(t);
}

static void test_a_listener_refuses(void **state) {
        Map *map = *state;
        char *before = scene_text(map), *after;
        Transaction *t = begin_transaction(map);
        Trace trace = {.listener = {.ops = &trace_ops}, .name = "t"};
        TraceText out;
        Detail detail = {};

        trace_text_init(&out);
        trace.out = &out;
        assert_int_equal(listener_register(&trace.listener, map, NULL), 0);
        must_stage(t, disable("ram"));
        trace.refuse_prepare = true;
        assert_int_equal(commit_transaction(t, &detail), MAP_E_NO_SLOTS);
        trace.fail_apply = true;
        assert_int_equal(commit_transaction(t, &detail), MAP_E_KVM);
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
        t = begin_transaction(map);
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
        Transaction *t = begin_transaction(map);

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

UNIT_TESTS(TRANSACTION_TEST(test_staged_is_invisible), TRANSACTION_TEST(test_commits),
           TRANSACTION_TEST(test_refused_edit_is_not_staged), TRANSACTION_TEST(test_two_take_turns),
           TRANSACTION_TEST(test_unstage), TRANSACTION_TEST(test_preview),
           TRANSACTION_TEST(test_net_nil), TRANSACTION_TEST(test_empty_transaction),
           TRANSACTION_TEST(test_a_listener_refuses), TRANSACTION_TEST(test_limit_of_edits),
           TRANSACTION_TEST(test_all_verbs));
