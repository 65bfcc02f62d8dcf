/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Registration, two phases, global dirty tracking, as expected traces. */

#include "tests/unit/audience.h"

static void test_replay(void **state) {
        Audience *f = *state;
        Trace late = audience_trace(f, "late", 5);

        must_add_ioeventfd(f->map, "device", 0x10, 4, false, 0);
        must_edit(f->map, add_coalesced("device", 0x40, 0x10));
        must_edit(f->map, set_flags("ram", REGION_DIRTY_LOG, REGION_DIRTY_LOG));
        must_commit(f->map);
        assert_int_equal(map_log_global_start(f->map, 1, NULL), 0);
        trace_take(&f->out);
        audience_join(f, &late);
        told(f, "late prepare\nlate apply\nlate settle\n"
                "late begin\n"
                "late log-global-start\n"
                "late add memory 0-fff ram@0\n"
                "late log-start memory 0-fff ram@0 0>1\n"
                "late add memory 2000-20ff device@0\n"
                "late coalesced-add memory 2000-20ff device@0 2040-204f\n"
                "late eventfd-add memory 2000-20ff device@0 10/4\n"
                "late commit\n");
        listener_unregister(&late.listener, f->map);
        told(f, "late begin\n"
                "late eventfd-del memory 2000-20ff device@0 10/4\n"
                "late log-stop memory 0-fff ram@0 1>0\n"
                "late del memory 0-fff ram@0\n"
                "late coalesced-del memory 2000-20ff device@0 2040-204f\n"
                "late del memory 2000-20ff device@0\n"
                "late log-global-stop\n"
                "late commit\n"
                "late prepare\nlate apply\nlate settle\n");
        map_log_global_stop(f->map, 1);
}

static void test_unregistered_hears_nothing(void **state) {
        Audience *f = *state;

        listener_unregister(&f->lo.listener, f->map);
        trace_take(&f->out);
        must_edit_commit(f->map, disable("device"));
        told(f, "hi prepare\nhi apply\nhi published\nhi begin\n"
                "hi del memory 2000-20ff device@0\n"
                "hi commit\nhi settle\n");
        audience_join(f, &f->lo);
}

static void test_registration_refused(void **state) {
        Audience *f = *state;
        Trace late = audience_trace(f, "late", 5);
        Detail detail = {};

        late.refuse_prepare = true;
        assert_int_equal(listener_register(&late.listener, f->map, &detail), MAP_E_NO_SLOTS);
        assert_string_equal(detail.text, "late refuses");
        told(f, "late prepare\n");
        late.fail_apply = true;
        assert_int_equal(listener_register(&late.listener, f->map, &detail), MAP_E_KVM);
        told(f, "late prepare\nlate apply\nlate settle\n");
        must_edit_commit(f->map, disable("device"));
        told(f, BEGUN "hi del memory 2000-20ff device@0\nlo del memory 2000-20ff device@0\n" ENDED);
}

static void check_unchanged(Audience *f, const char *before) {
        char *after;

        map_rollback(f->map, 0);
        after = scene_text(f->map);
        assert_string_equal(after, before);
        free(after);
}

static void test_prepare_refuses(void **state) {
        Audience *f = *state;
        char *before = scene_text(f->map);
        Commit *commit = NULL;
        Detail detail = {};

        f->hi.refuse_prepare = true;
        must_edit(f->map, disable("device"));
        assert_int_equal(commit_new(&commit, f->map, &detail), MAP_E_NO_SLOTS);
        assert_null(commit);
        assert_string_equal(detail.text, "hi refuses");
        told(f, "lo prepare\nhi prepare\nlo settle\n");
        check_unchanged(f, before);
        free(before);

        must_edit_commit(f->map, disable("device"));
        told(f, BEGUN "hi del memory 2000-20ff device@0\nlo del memory 2000-20ff device@0\n" ENDED);
}

static void test_apply_fails(void **state) {
        Audience *f = *state;
        Trace top = audience_trace(f, "top", 20);
        char *before = scene_text(f->map);
        Commit *commit = NULL;
        Detail detail = {};

        audience_join(f, &top);
        trace_take(&f->out);
        top.fail_apply = true;
        must_edit(f->map, disable("device"));
        assert_int_equal(commit_new(&commit, f->map, &detail), 0);
        assert_int_equal(commit_apply(commit, &detail), MAP_E_KVM);
        assert_string_equal(detail.text, "top fails");
        told(f, "lo prepare\nhi prepare\ntop prepare\n"
                "lo apply\nhi apply\ntop apply\nhi undo\nlo undo\n");
        commit_free(commit);
        told(f, "lo settle\nhi settle\ntop settle\n");
        /* The edits are still there: they may be tried again, or undone. */
        assert_false(map_is_unchanged(f->map));
        check_unchanged(f, before);
        free(before);
        listener_unregister(&top.listener, f->map);
}

static void test_tried_again_after_a_failure(void **state) {
        Audience *f = *state;
        Commit *commit = NULL;
        Detail detail = {};

        f->lo.fail_apply = true;
        must_edit(f->map, disable("device"));
        assert_int_equal(commit_new(&commit, f->map, &detail), 0);
        assert_int_equal(commit_apply(commit, &detail), MAP_E_KVM);
        commit_free(commit);
        told(f, "lo prepare\nhi prepare\nlo apply\nlo settle\nhi settle\n");
        must_commit(f->map);
        told(f, BEGUN "hi del memory 2000-20ff device@0\nlo del memory 2000-20ff device@0\n" ENDED);
        assert_text(scene_view(f->map, "memory"), "0-fff ram@0 ram\n");
}

/* A dry run prepares and settles. */
static void test_dry_run(void **state) {
        Audience *f = *state;
        char *before = scene_text(f->map);
        Commit *commit = NULL;

        must_edit(f->map, disable("device"));
        assert_int_equal(commit_new(&commit, f->map, NULL), 0);
        assert_int_equal(commit->n_changes, 1);
        commit_free(commit);
        told(f, "lo prepare\nhi prepare\nlo settle\nhi settle\n");
        check_unchanged(f, before);
        free(before);
}

static void test_global_logging(void **state) {
        Audience *f = *state;

        assert_int_equal(map_log_global_start(f->map, 1, NULL), 0);
        told(f, "lo log-global-start\nhi log-global-start\n");
        assert_int_equal(map_log_global_start(f->map, 2, NULL), 0);
        told(f, "");
        map_log_sync(f->map);
        told(f, "lo log-sync memory 0-fff ram@0\nlo log-sync memory 2000-20ff device@0\n"
                "hi log-sync memory 0-fff ram@0\nhi log-sync memory 2000-20ff device@0\n");
        map_log_global_stop(f->map, 1);
        told(f, "");
        map_log_global_stop(f->map, 2);
        told(f, "hi log-global-stop\nlo log-global-stop\n");
        map_log_global_stop(f->map, 2);
        told(f, "");
}

static void test_global_logging_fails(void **state) {
        Audience *f = *state;
        Trace top = audience_trace(f, "top", 20);
        Detail detail = {};

        audience_join(f, &top);
        trace_take(&f->out);
        top.fail_log = true;
        assert_int_equal(map_log_global_start(f->map, 1, &detail), MAP_E_KVM);
        assert_string_equal(detail.text, "top cannot log");
        told(f, "lo log-global-start\nhi log-global-start\ntop log-global-start\n"
                "hi log-global-stop\nlo log-global-stop\n");
        assert_int_equal(f->map->log_global, 0);
        listener_unregister(&top.listener, f->map);
}

/* It has begun, so it is told that this was all; what it applied is taken back. */
static void test_registration_without_logging(void **state) {
        Audience *f = *state;
        Trace late = audience_trace(f, "late", 5);
        Detail detail = {};

        assert_int_equal(map_log_global_start(f->map, 1, NULL), 0);
        trace_take(&f->out);
        late.fail_log = true;
        assert_int_equal(listener_register(&late.listener, f->map, &detail), MAP_E_KVM);
        told(f, "late prepare\nlate apply\nlate settle\n"
                "late begin\nlate log-global-start\nlate commit\n"
                "late prepare\nlate apply\nlate settle\n");
        must_edit_commit(f->map, disable("device"));
        map_log_global_stop(f->map, 1);
}

static void test_sync_of_everything_at_once(void **state) {
        Audience *f = *state;
        Trace fast = audience_trace(f, "fast", 20);

        fast.listener.ops = &trace_ops_with_sync_global;
        audience_join(f, &fast);
        trace_take(&f->out);
        map_log_sync(f->map);
        told(f, "fast log-sync-global\n");
        listener_unregister(&fast.listener, f->map);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, audience_setup, audience_teardown)

UNIT_TESTS(TEST(test_replay), TEST(test_unregistered_hears_nothing),
           TEST(test_registration_refused), TEST(test_prepare_refuses), TEST(test_apply_fails),
           TEST(test_tried_again_after_a_failure), TEST(test_dry_run), TEST(test_global_logging),
           TEST(test_global_logging_fails), TEST(test_registration_without_logging),
           TEST(test_sync_of_everything_at_once));
