/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What listeners are told, and in which order, as expected traces. */

#include "tests/unit/audience.h"

static void test_addition(void **state) {
        Audience *f = *state;

        must_edit_commit(f->map, add_region(REGION_RAM, "dimm", 0x1000, "system", 0x8000, 0));
        told(f, BEGUN "lo add memory 8000-8fff dimm@0\n"
                      "hi add memory 8000-8fff dimm@0\n" ENDED);
}

static void test_deletion(void **state) {
        Audience *f = *state;

        must_edit_commit(f->map, remove_region("device"));
        told(f, BEGUN "hi del memory 2000-20ff device@0\n"
                      "lo del memory 2000-20ff device@0\n" ENDED);
}

/* All deletions come before all additions, each ascending. */
static void test_a_window_opens(void **state) {
        Audience *f = *state;

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
        Audience *f = *state;

        must_edit_commit(f->map, set_flags("ram", REGION_READONLY, REGION_READONLY));
        told(f, BEGUN "hi del memory 0-fff ram@0\n"
                      "lo del memory 0-fff ram@0\n"
                      "lo add memory 0-fff ram@0\n"
                      "hi add memory 0-fff ram@0\n" ENDED);
}

static void test_address_spaces_by_name(void **state) {
        Audience *f = *state;

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
        Audience *f = *state;

        must_edit_commit(f->map, add_region(REGION_RAM, "spare", 0x1000, NULL, 0, 0));
        told(f, "lo begin\nhi begin\nlo commit\nhi commit\n");
}

static void test_nothing_at_all(void **state) {
        Audience *f = *state;

        must_edit(f->map, disable("device"));
        must_edit(f->map, enable("device"));
        must_commit(f->map);
        told(f, "");
        must_commit(f->map);
        told(f, "");
}

static void test_equal_priorities(void **state) {
        Audience *f = *state;
        Trace later = audience_trace(f, "later", LISTENER_PRIORITY_OBSERVER);

        audience_join(f, &later);
        trace_take(&f->out);
        must_edit_commit(f->map, disable("device"));
        told(f, "lo prepare\nlater prepare\nhi prepare\nlo apply\nlater apply\nhi apply\n"
                "lo published\nlater published\nhi published\n"
                "lo begin\nlater begin\nhi begin\n"
                "hi del memory 2000-20ff device@0\n"
                "later del memory 2000-20ff device@0\n"
                "lo del memory 2000-20ff device@0\n"
                "lo commit\nlater commit\nhi commit\nlo settle\nlater settle\nhi settle\n");
        listener_unregister(&later.listener, f->map);
}

static uint64_t published;

/* Readers have the new views, and of the edits nothing has been tidied away. */
static void on_published(Listener *listener, const Commit *commit) {
        assert_int_equal(map_snapshot(commit->map)->generation, commit->generation);
        assert_true(map_mark(commit->map) > 0);
        published = commit->generation;
}

static void test_published(void **state) {
        static const ListenerOps ops = {.published = on_published};
        Listener waiting = {.ops = &ops};
        Audience *f = *state;

        assert_int_equal(listener_register(&waiting, f->map, NULL), 0);
        assert_int_equal(published, 0);
        must_edit_commit(f->map, disable("device"));
        assert_int_equal(published, f->map->generation);
        must_edit_commit(f->map, add_region(REGION_RAM, "spare", 0x1000, NULL, 0, 0));
        assert_int_equal(published, f->map->generation - 1);
        listener_unregister(&waiting, f->map);
}

static void test_one_address_space(void **state) {
        Audience *f = *state;
        Trace picky = audience_trace(f, "picky", 20);

        picky.listener.space = "dma";
        audience_join(f, &picky);
        listener_unregister(&f->lo.listener, f->map);
        listener_unregister(&f->hi.listener, f->map);
        trace_take(&f->out);
        must_edit(f->map, add_space("dma", "device"));
        must_edit_commit(f->map, add_region(REGION_RAM, "x", 0x10, "device", 0, 0));
        told(f, "picky prepare\npicky apply\npicky published\npicky begin\n"
                "picky add dma 0-f x@0\n"
                "picky add dma 10-ff device@10\n"
                "picky commit\npicky settle\n");
        listener_unregister(&picky.listener, f->map);
        audience_join(f, &f->lo);
        audience_join(f, &f->hi);
}

static void test_nop_is_for_those_who_want_it(void **state) {
        Audience *f = *state;
        Trace curious = audience_trace(f, "curious", 5);

        curious.listener.ops = &trace_ops_with_nop;
        audience_join(f, &curious);
        listener_unregister(&f->lo.listener, f->map);
        listener_unregister(&f->hi.listener, f->map);
        trace_take(&f->out);
        must_edit_commit(f->map, add_region(REGION_RAM, "x", 0x10, "system", 0x1800, 0));
        told(f, "curious prepare\ncurious apply\ncurious published\ncurious begin\n"
                "curious nop memory 0-fff ram@0\n"
                "curious add memory 1800-180f x@0\n"
                "curious nop memory 2000-20ff device@0\n"
                "curious commit\ncurious settle\n");
        listener_unregister(&curious.listener, f->map);
        audience_join(f, &f->lo);
        audience_join(f, &f->hi);
}

static void test_logging_of_a_region(void **state) {
        Audience *f = *state;

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

static void test_ioeventfds(void **state) {
        _cleanup_(ioeventfd_unrefp) IOEventFD *key = must_ioeventfd(0x20, 2, true, 1);
        Audience *f = *state;

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

/* Of all spaces: who has one table for them never has one key twice. */
static void test_ioeventfds_of_two_spaces(void **state) {
        Audience *f = *state;

        must_edit(f->map, add_space("dma", "system"));
        must_add_ioeventfd(f->map, "device", 0x10, 4, false, 0);
        must_commit(f->map);
        listener_unregister(&f->hi.listener, f->map);
        trace_take(&f->out);
        must_edit_commit(f->map, move_region("device", "system", 0x3000, 0));
        told(f, "lo prepare\nlo apply\nlo published\nlo begin\n"
                "lo del dma 2000-20ff device@0\n"
                "lo add dma 3000-30ff device@0\n"
                "lo del memory 2000-20ff device@0\n"
                "lo add memory 3000-30ff device@0\n"
                "lo eventfd-del dma 2000-20ff device@0 10/4\n"
                "lo eventfd-del memory 2000-20ff device@0 10/4\n"
                "lo eventfd-add dma 3000-30ff device@0 10/4\n"
                "lo eventfd-add memory 3000-30ff device@0 10/4\n"
                "lo commit\nlo settle\n");
        audience_join(f, &f->hi);
}

static void test_ioeventfds_follow_their_section(void **state) {
        Audience *f = *state;

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
        Audience *f = *state;

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
        Audience *f = *state;

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, audience_setup, audience_teardown)

UNIT_TESTS(TEST(test_addition), TEST(test_deletion), TEST(test_a_window_opens),
           TEST(test_read_only), TEST(test_address_spaces_by_name), TEST(test_tree_only),
           TEST(test_nothing_at_all), TEST(test_equal_priorities), TEST(test_published),
           TEST(test_one_address_space), TEST(test_nop_is_for_those_who_want_it),
           TEST(test_logging_of_a_region), TEST(test_ioeventfds),
           TEST(test_ioeventfds_of_two_spaces), TEST(test_ioeventfds_follow_their_section),
           TEST(test_coalesced_zones), TEST(test_cut_ioeventfd));
