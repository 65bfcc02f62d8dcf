/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Listeners: who is called when, as expected traces. "lo" has priority 0, "hi" has 10. */

#include "lib/memory/map-error.h"
#include "tests/common/scene.h"
#include "tests/common/trace.h"
#include "tests/common/unit.h"

typedef struct Fixture {
        Map *map;
        TraceText out;
        Trace lo, hi;
} Fixture;

static Trace make_trace(Fixture *f, const char *name, int priority) {
        return (Trace){.listener = {.ops = &trace_ops, .priority = priority},
                       .name = name, .out = &f->out};
}

static void join(Fixture *f, Trace *trace) {
        Detail detail = {};

        assert_int_equal(listener_register(&trace->listener, f->map, &detail), 0);
}

/* Both listeners, the later one in order registered first; their replay is dropped. */
static int setup(void **state) {
        Fixture *f = calloc(1, sizeof(*f));

        trace_text_init(&f->out);
        f->map = scene_new();
        must_edit(f->map, add_region(REGION_RAM, "ram", 0x1000, "system", 0, 0));
        must_edit(f->map, add_region(REGION_MMIO, "device", 0x100, "system", 0x2000, 0));
        must_commit(f->map);
        f->lo = make_trace(f, "lo", LISTENER_PRIORITY_OBSERVER);
        f->hi = make_trace(f, "hi", LISTENER_PRIORITY_ACCELERATOR);
        join(f, &f->hi);
        join(f, &f->lo);
        trace_take(&f->out);
        *state = f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;

        listener_unregister(&f->lo.listener, f->map);
        listener_unregister(&f->hi.listener, f->map);
        map_free(f->map);
        trace_text_deinit(&f->out);
        free(f);
        return 0;
}

static void told(Fixture *f, const char *expected) {
        assert_string_equal(trace_take(&f->out), expected);
}

#define PREPARED "lo prepare\nhi prepare\nlo apply\nhi apply\n"
#define BEGUN    PREPARED "lo begin\nhi begin\n"
#define ENDED    "lo commit\nhi commit\nlo settle\nhi settle\n"

static void test_addition(void **state) {
        Fixture *f = *state;

        must_edit_commit(f->map, add_region(REGION_RAM, "dimm", 0x1000, "system", 0x8000, 0));
        told(f, BEGUN "lo add memory 8000-8fff dimm@0\n"
                      "hi add memory 8000-8fff dimm@0\n" ENDED);
}

static void test_deletion(void **state) {
        Fixture *f = *state;

        must_edit_commit(f->map, remove_region("device"));
        told(f, BEGUN "hi del memory 2000-20ff device@0\n"
                      "lo del memory 2000-20ff device@0\n" ENDED);
}

/* All deletions come before all additions, each ascending. */
static void test_a_window_opens(void **state) {
        Fixture *f = *state;

        must_edit(f->map, add_region(REGION_MMIO, "window", 0x100, "system", 0x400, 1));
        must_edit(f->map, disable("device"));
        must_commit(f->map);
        told(f, BEGUN "hi del memory 0-fff ram@0\n"
                      "lo del memory 0-fff ram@0\n"
                      "hi del memory 2000-20ff device@0\n"
                      "lo del memory 2000-20ff device@0\n"
                      "lo add memory 0-3ff ram@0\n"
                      "hi add memory 0-3ff ram@0\n"
                      "lo add memory 400-4ff window@0\n"
                      "hi add memory 400-4ff window@0\n"
                      "lo add memory 500-fff ram@500\n"
                      "hi add memory 500-fff ram@500\n" ENDED);
}

/* The same section with other flags is another section. */
static void test_read_only(void **state) {
        Fixture *f = *state;

        must_edit_commit(f->map, set_flags("ram", REGION_READONLY, REGION_READONLY));
        told(f, BEGUN "hi del memory 0-fff ram@0\n"
                      "lo del memory 0-fff ram@0\n"
                      "lo add memory 0-fff ram@0\n"
                      "hi add memory 0-fff ram@0\n" ENDED);
}

static void test_address_spaces_by_name(void **state) {
        Fixture *f = *state;

        must_edit(f->map, add_space("zzz", "system"));
        must_edit_commit(f->map, add_space("dma", "system"));
        told(f, BEGUN "lo add dma 0-fff ram@0\n"
                      "hi add dma 0-fff ram@0\n"
                      "lo add dma 2000-20ff device@0\n"
                      "hi add dma 2000-20ff device@0\n"
                      "lo add zzz 0-fff ram@0\n"
                      "hi add zzz 0-fff ram@0\n"
                      "lo add zzz 2000-20ff device@0\n"
                      "hi add zzz 2000-20ff device@0\n" ENDED);
        must_edit_commit(f->map, disable("device"));
        told(f, BEGUN "hi del dma 2000-20ff device@0\n"
                      "lo del dma 2000-20ff device@0\n"
                      "hi del memory 2000-20ff device@0\n"
                      "lo del memory 2000-20ff device@0\n"
                      "hi del zzz 2000-20ff device@0\n"
                      "lo del zzz 2000-20ff device@0\n" ENDED);
        must_edit_commit(f->map, remove_space("dma"));
        told(f, BEGUN "hi del dma 0-fff ram@0\n"
                      "lo del dma 0-fff ram@0\n" ENDED);
}

/* No view changes: nobody is asked, and told only that there was a commit. */
static void test_tree_only(void **state) {
        Fixture *f = *state;

        must_edit_commit(f->map, add_region(REGION_RAM, "spare", 0x1000, NULL, 0, 0));
        told(f, "lo begin\nhi begin\nlo commit\nhi commit\n");
}

static void test_nothing_at_all(void **state) {
        Fixture *f = *state;

        must_edit(f->map, disable("device"));
        must_edit(f->map, enable("device"));
        must_commit(f->map);
        told(f, "");
        must_commit(f->map);
        told(f, "");
}

static void test_equal_priorities(void **state) {
        Fixture *f = *state;
        Trace later = make_trace(f, "later", LISTENER_PRIORITY_OBSERVER);

        join(f, &later);
        trace_take(&f->out);
        must_edit_commit(f->map, disable("device"));
        told(f, "lo prepare\nlater prepare\nhi prepare\nlo apply\nlater apply\nhi apply\n"
                "lo begin\nlater begin\nhi begin\n"
                "hi del memory 2000-20ff device@0\n"
                "later del memory 2000-20ff device@0\n"
                "lo del memory 2000-20ff device@0\n"
                "lo commit\nlater commit\nhi commit\nlo settle\nlater settle\nhi settle\n");
        listener_unregister(&later.listener, f->map);
}

static void test_one_address_space(void **state) {
        Fixture *f = *state;
        Trace picky = make_trace(f, "picky", 20);

        picky.listener.space = "dma";
        join(f, &picky);
        listener_unregister(&f->lo.listener, f->map);
        listener_unregister(&f->hi.listener, f->map);
        trace_take(&f->out);
        must_edit(f->map, add_space("dma", "device"));
        must_edit_commit(f->map, add_region(REGION_RAM, "x", 0x10, "device", 0, 0));
        told(f, "picky prepare\npicky apply\npicky begin\n"
                "picky add dma 0-f x@0\n"
                "picky add dma 10-ff device@10\n"
                "picky commit\npicky settle\n");
        listener_unregister(&picky.listener, f->map);
        join(f, &f->lo);
        join(f, &f->hi);
}

static void test_nop_is_for_those_who_want_it(void **state) {
        Fixture *f = *state;
        Trace curious = make_trace(f, "curious", 5);

        curious.listener.ops = &trace_ops_with_nop;
        join(f, &curious);
        listener_unregister(&f->lo.listener, f->map);
        listener_unregister(&f->hi.listener, f->map);
        trace_take(&f->out);
        must_edit_commit(f->map, add_region(REGION_RAM, "x", 0x10, "system", 0x1800, 0));
        told(f, "curious prepare\ncurious apply\ncurious begin\n"
                "curious nop memory 0-fff ram@0\n"
                "curious add memory 1800-180f x@0\n"
                "curious nop memory 2000-20ff device@0\n"
                "curious commit\ncurious settle\n");
        listener_unregister(&curious.listener, f->map);
        join(f, &f->lo);
        join(f, &f->hi);
}

/* Registration */

static void test_replay(void **state) {
        Fixture *f = *state;
        Trace late = make_trace(f, "late", 5);

        must_add_ioeventfd(f->map, "device", 0x10, 4, false, 0);
        must_edit(f->map, add_coalesced("device", 0x40, 0x10));
        must_edit(f->map, set_flags("ram", REGION_DIRTY_LOG, REGION_DIRTY_LOG));
        must_commit(f->map);
        assert_int_equal(map_log_global_start(f->map, 1, NULL), 0);
        trace_take(&f->out);
        join(f, &late);
        told(f, "late log-global-start\n"
                "late prepare\nlate apply\nlate settle\n"
                "late begin\n"
                "late add memory 0-fff ram@0\n"
                "late log-start memory 0-fff ram@0 0>1\n"
                "late add memory 2000-20ff device@0\n"
                "late coalesced-add memory 2000-20ff device@0 2040-204f\n"
                "late eventfd-add memory 2000-20ff device@0 10/4\n"
                "late commit\n");
        listener_unregister(&late.listener, f->map);
        told(f, "late begin\n"
                "late del memory 0-fff ram@0\n"
                "late coalesced-del memory 2000-20ff device@0 2040-204f\n"
                "late del memory 2000-20ff device@0\n"
                "late eventfd-del memory 2000-20ff device@0 10/4\n"
                "late log-global-stop\n"
                "late commit\n"
                "late prepare\nlate apply\nlate settle\n");
        map_log_global_stop(f->map, 1);
}

static void test_unregistered_hears_nothing(void **state) {
        Fixture *f = *state;

        listener_unregister(&f->lo.listener, f->map);
        trace_take(&f->out);
        must_edit_commit(f->map, disable("device"));
        told(f, "hi prepare\nhi apply\nhi begin\nhi del memory 2000-20ff device@0\n"
                "hi commit\nhi settle\n");
        join(f, &f->lo);
}

static void test_registration_refused(void **state) {
        Fixture *f = *state;
        Trace late = make_trace(f, "late", 5);
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

/* Two phases */

static void check_unchanged(Fixture *f, const char *before) {
        char *after;

        map_rollback(f->map, 0);
        after = scene_text(f->map);
        assert_string_equal(after, before);
        free(after);
}

static void test_prepare_refuses(void **state) {
        Fixture *f = *state;
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
        Fixture *f = *state;
        Trace top = make_trace(f, "top", 20);
        char *before = scene_text(f->map);
        Commit *commit = NULL;
        Detail detail = {};

        join(f, &top);
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
        Fixture *f = *state;
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
        Fixture *f = *state;
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

/* Dirty logging */

static void test_logging_of_a_region(void **state) {
        Fixture *f = *state;

        must_edit_commit(f->map, set_flags("ram", REGION_DIRTY_LOG, REGION_DIRTY_LOG));
        told(f, BEGUN "lo log-start memory 0-fff ram@0 0>1\n"
                      "hi log-start memory 0-fff ram@0 0>1\n" ENDED);
        map_log_sync(f->map);
        told(f, "lo log-sync memory 0-fff ram@0\nhi log-sync memory 0-fff ram@0\n");
        must_edit_commit(f->map, set_flags("ram", REGION_DIRTY_LOG, 0));
        told(f, BEGUN "hi log-stop memory 0-fff ram@0 1>0\n"
                      "lo log-stop memory 0-fff ram@0 1>0\n" ENDED);
        map_log_sync(f->map);
        told(f, "");
}

static void test_global_logging(void **state) {
        Fixture *f = *state;

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
        Fixture *f = *state;
        Trace top = make_trace(f, "top", 20);
        Detail detail = {};

        join(f, &top);
        trace_take(&f->out);
        top.fail_log = true;
        assert_int_equal(map_log_global_start(f->map, 1, &detail), MAP_E_KVM);
        assert_string_equal(detail.text, "top cannot log");
        told(f, "lo log-global-start\nhi log-global-start\ntop log-global-start\n"
                "hi log-global-stop\nlo log-global-stop\n");
        assert_int_equal(f->map->log_global, 0);
        listener_unregister(&top.listener, f->map);
}

static void test_sync_of_everything_at_once(void **state) {
        Fixture *f = *state;
        Trace fast = make_trace(f, "fast", 20);

        fast.listener.ops = &trace_ops_with_sync_global;
        join(f, &fast);
        trace_take(&f->out);
        map_log_sync(f->map);
        told(f, "fast log-sync-global\n");
        listener_unregister(&fast.listener, f->map);
}

/* Ioeventfds and coalesced zones */

static void test_ioeventfds(void **state) {
        _cleanup_(ioeventfd_unrefp) IOEventFD *key = must_ioeventfd(0x20, 2, true, 1);
        Fixture *f = *state;

        must_add_ioeventfd(f->map, "device", 0x20, 2, true, 1);
        must_commit(f->map);
        told(f, BEGUN "lo eventfd-add memory 2000-20ff device@0 20/2\n"
                      "hi eventfd-add memory 2000-20ff device@0 20/2\n" ENDED);
        /* Deletions first, although the one that comes lies below the one that goes. */
        must_edit(f->map, remove_ioeventfd("device", key));
        must_add_ioeventfd(f->map, "device", 0x10, 4, false, 0);
        must_add_ioeventfd(f->map, "device", 0x30, 4, false, 0);
        must_commit(f->map);
        told(f, BEGUN "hi eventfd-del memory 2000-20ff device@0 20/2\n"
                      "lo eventfd-del memory 2000-20ff device@0 20/2\n"
                      "lo eventfd-add memory 2000-20ff device@0 10/4\n"
                      "hi eventfd-add memory 2000-20ff device@0 10/4\n"
                      "lo eventfd-add memory 2000-20ff device@0 30/4\n"
                      "hi eventfd-add memory 2000-20ff device@0 30/4\n" ENDED);
}

static void test_ioeventfds_follow_their_section(void **state) {
        Fixture *f = *state;

        must_add_ioeventfd(f->map, "device", 0x10, 4, false, 0);
        must_commit(f->map);
        trace_take(&f->out);
        must_edit_commit(f->map, move_region("device", "system", 0x3000, 0));
        told(f, BEGUN "hi del memory 2000-20ff device@0\n"
                      "lo del memory 2000-20ff device@0\n"
                      "lo add memory 3000-30ff device@0\n"
                      "hi add memory 3000-30ff device@0\n"
                      "hi eventfd-del memory 2000-20ff device@0 10/4\n"
                      "lo eventfd-del memory 2000-20ff device@0 10/4\n"
                      "lo eventfd-add memory 3000-30ff device@0 10/4\n"
                      "hi eventfd-add memory 3000-30ff device@0 10/4\n" ENDED);
}

static void test_coalesced_zones(void **state) {
        Fixture *f = *state;

        must_edit(f->map, add_coalesced("device", 0x40, 0x20));
        must_edit_commit(f->map, add_coalesced("device", 0x80, 0x20));
        told(f, BEGUN "lo coalesced-add memory 2000-20ff device@0 2040-205f\n"
                      "hi coalesced-add memory 2000-20ff device@0 2040-205f\n"
                      "lo coalesced-add memory 2000-20ff device@0 2080-209f\n"
                      "hi coalesced-add memory 2000-20ff device@0 2080-209f\n" ENDED);
        must_edit_commit(f->map, add_region(REGION_RESERVED, "lid", 0x60, "system", 0x2050, 1));
        told(f, BEGUN "hi coalesced-del memory 2000-20ff device@0 2040-205f\n"
                      "lo coalesced-del memory 2000-20ff device@0 2040-205f\n"
                      "hi coalesced-del memory 2000-20ff device@0 2080-209f\n"
                      "lo coalesced-del memory 2000-20ff device@0 2080-209f\n"
                      "hi del memory 2000-20ff device@0\n"
                      "lo del memory 2000-20ff device@0\n"
                      "lo add memory 2000-204f device@0\n"
                      "hi add memory 2000-204f device@0\n"
                      "lo coalesced-add memory 2000-204f device@0 2040-204f\n"
                      "hi coalesced-add memory 2000-204f device@0 2040-204f\n"
                      "lo add memory 2050-20af lid@0\n"
                      "hi add memory 2050-20af lid@0\n"
                      "lo add memory 20b0-20ff device@b0\n"
                      "hi add memory 20b0-20ff device@b0\n" ENDED);
        must_edit_commit(f->map, clear_coalesced("device"));
        told(f, BEGUN "hi coalesced-del memory 2000-204f device@0 2040-204f\n"
                      "lo coalesced-del memory 2000-204f device@0 2040-204f\n" ENDED);
}

/* An ioeventfd that is cut is withdrawn, also where its section merely shrank. */
static void test_cut_ioeventfd(void **state) {
        Fixture *f = *state;

        must_add_ioeventfd(f->map, "device", 0xc, 8, false, 0);
        must_commit(f->map);
        trace_take(&f->out);
        must_edit_commit(f->map, add_region(REGION_RESERVED, "lid", 0x10, "system", 0x2010, 1));
        told(f, BEGUN "hi del memory 2000-20ff device@0\n"
                      "lo del memory 2000-20ff device@0\n"
                      "lo add memory 2000-200f device@0\n"
                      "hi add memory 2000-200f device@0\n"
                      "lo add memory 2010-201f lid@0\n"
                      "hi add memory 2010-201f lid@0\n"
                      "lo add memory 2020-20ff device@20\n"
                      "hi add memory 2020-20ff device@20\n"
                      "hi eventfd-del memory 2000-20ff device@0 c/8\n"
                      "lo eventfd-del memory 2000-20ff device@0 c/8\n" ENDED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

UNIT_TESTS(TEST(test_addition), TEST(test_deletion), TEST(test_a_window_opens),
           TEST(test_read_only), TEST(test_address_spaces_by_name), TEST(test_tree_only),
           TEST(test_nothing_at_all), TEST(test_equal_priorities), TEST(test_one_address_space),
           TEST(test_nop_is_for_those_who_want_it), TEST(test_replay),
           TEST(test_unregistered_hears_nothing), TEST(test_registration_refused),
           TEST(test_prepare_refuses), TEST(test_apply_fails),
           TEST(test_tried_again_after_a_failure), TEST(test_dry_run),
           TEST(test_logging_of_a_region), TEST(test_global_logging),
           TEST(test_global_logging_fails), TEST(test_sync_of_everything_at_once),
           TEST(test_ioeventfds), TEST(test_ioeventfds_follow_their_section),
           TEST(test_coalesced_zones), TEST(test_cut_ioeventfd));
