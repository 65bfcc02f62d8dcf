/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * View plans: how little is looked at again, and that what is rendered in windows fits what is
 * around them.
 */

#include "lib/memory/commit.h"
#include "tests/common/scene.h"
#include "tests/common/unit.h"

static int setup(void **state) {
        *state = scene_new();
        return 0;
}

static int teardown(void **state) {
        map_free(*state);
        return 0;
}

/* Commits; how many windows were rendered, and the first of them, as many as there is room for. */
static size_t commit_windows(Map *map, Range *ret_windows, size_t most) {
        _cleanup_(commit_freep) Commit *commit = NULL;
        const DirtyRanges *dirty = &map_find_space(map, "memory")->view->dirty;
        size_t n;

        assert_int_equal(commit_new(&commit, map, NULL), 0);
        n = dirty->n;
        for (size_t i = 0; i < n && i < most; i++)
                ret_windows[i] = dirty->items[i];
        assert_int_equal(commit_apply(commit, NULL), 0);
        return n;
}

static void check_window(Map *map, uint64_t first, uint64_t last) {
        Range window = {};

        assert_int_equal(commit_windows(map, &window, 1), 1);
        assert_int_equal(window.first, first);
        assert_int_equal(window.last, last);
}

static void check(Map *map, const char *expected) {
        assert_text(scene_view(map, "memory"), expected);
}

static void add_siblings(Map *map, size_t n) {
        char name[24];

        for (size_t i = 0; i < n; i++) {
                snprintf(name, sizeof(name), "s%zu", i);
                must_edit(map, add_region(REGION_RAM, name, 0x10, "system", 0x20 * i, 0));
        }
}

/* However large the section around it is, and however much lies hidden there. */
static void test_a_window_is_what_changed(void **state) {
        Map *map = *state;

        must_edit(map, add_region(REGION_MMIO, "below", 0x100000, "system", 0, -1));
        must_edit(map, disabled(add_region(REGION_RAM, "one", 0x10, "system", 0x100, 0)));
        must_commit(map);
        must_edit(map, enable("one"));
        check_window(map, 0xff, 0x110);
        check(map, "0-ff below@0 mmio\n100-10f one@0 ram\n110-fffff below@110 mmio\n");
        must_edit(map, disable("one"));
        check_window(map, 0xff, 0x110);
        check(map, "0-fffff below@0 mmio\n");
}

static void test_ends_of_the_address_space(void **state) {
        Map *map = *state;

        must_edit(map, add_region(REGION_MMIO, "below", SIZE_WHOLE, "system", 0, -1));
        must_commit(map);
        must_edit(map, add_region(REGION_RAM, "a", 0x10, "system", 0, 0));
        check_window(map, 0, 0x10);
        must_edit(map, add_region(REGION_RAM, "z", 0x10, "system", -0x10ULL, 0));
        check_window(map, -0x11ULL, -1ULL);
        check(map, "0-f a@0 ram\n10-ffffffffffffffef below@10 mmio\n"
                   "fffffffffffffff0-ffffffffffffffff z@0 ram\n");
        must_edit(map, remove_region("a"));
        must_edit(map, remove_region("z"));
        must_commit(map);
        check(map, "0-ffffffffffffffff below@0 mmio\n");
}

/* What is between two windows is neither looked at nor lost. */
static void test_windows_in_one_section(void **state) {
        Range windows[2];
        Map *map = *state;

        add_siblings(map, 64);
        must_edit(map, add_region(REGION_MMIO, "below", 0x10000, "system", 0x1000, -1));
        must_commit(map);
        must_edit(map, add_region(REGION_RAM, "a", 0x10, "system", 0x2000, 0));
        must_edit(map, add_region(REGION_RAM, "b", 0x10, "system", 0x3000, 0));
        must_edit(map, add_region(REGION_RAM, "c", 0x10, "system", 0x4000, 0));
        assert_int_equal(commit_windows(map, windows, 2), 3);
        assert_int_equal(windows[0].last, 0x2010);
        assert_int_equal(windows[1].first, 0x2fff);
        must_edit(map, remove_region("a"));
        must_edit(map, remove_region("c"));
        assert_int_equal(commit_windows(map, windows, 2), 2);
        for (int i = 0; i < 64; i++) {
                char name[16];

                snprintf(name, sizeof(name), "s%d", i);
                must_edit(map, remove_region(name));
        }
        must_commit(map);
        check(map, "1000-2fff below@0 mmio\n3000-300f b@0 ram\n3010-10fff below@2010 mmio\n");
}

/* With as many windows as there are regions one walk over all of them costs less. */
static void test_many_windows_are_one(void **state) {
        Map *map = *state;

        add_siblings(map, 64);
        check_window(map, 0, 0x7f0);
        assert_int_equal(flat_view_n_sections(scene_published(map, "memory")), 64);
}

/* One visit of an unmergeable leaf is one section; two visits are two, wherever one looks. */
static void test_unmergeable_at_the_seams(void **state) {
        Map *map = *state;
        Edit leaf = add_region(REGION_MMIO, "leaf", 0x1000, NULL, 0, 0);

        must_edit(map, with_flags(leaf, REGION_UNMERGEABLE));
        must_edit(map, add_alias("a", "leaf", 0, 0x800, "system", 0, 0));
        must_edit(map, add_alias("b", "leaf", 0x800, 0x800, "system", 0x800, 0));
        must_edit(map, disabled(add_region(REGION_RAM, "over", 0x10, "system", 0x7f0, 1)));
        must_commit(map);
        check(map, "0-7ff leaf@0 mmio unmergeable\n800-fff leaf@800 mmio unmergeable\n");
        must_edit_commit(map, enable("over"));
        check(map, "0-7ef leaf@0 mmio unmergeable\n7f0-7ff over@0 ram\n"
                   "800-fff leaf@800 mmio unmergeable\n");
        must_edit_commit(map, disable("over"));
        check(map, "0-7ff leaf@0 mmio unmergeable\n800-fff leaf@800 mmio unmergeable\n");
        must_edit(map, move_region("over", "system", 0x800, 1));
        must_edit_commit(map, enable("over"));
        must_edit_commit(map, set_size("over", 0x20));
        must_edit_commit(map, disable("over"));
        check(map, "0-7ff leaf@0 mmio unmergeable\n800-fff leaf@800 mmio unmergeable\n");
}

/* A doorbell more leaves the sections alone, and does not ask for the other doorbells. */
static void test_doorbells_alone(void **state) {
        const FlatView *before, *after;
        Map *map = *state;

        must_edit(map, add_region(REGION_MMIO, "device", 0x1000, "system", 0, 0));
        must_add_ioeventfd(map, "device", 0, 4, false, 0);
        must_edit(map, add_coalesced("device", 0, 0x1000));
        must_commit(map);
        before = flat_view_ref((FlatView *)scene_published(map, "memory"));
        must_add_ioeventfd(map, "device", 0x10, 4, false, 0);
        check_window(map, 0xf, 0x14);
        after = scene_published(map, "memory");
        assert_ptr_equal(before->sections.root, after->sections.root);
        check(map, "0-fff device@0 mmio\neventfd 0-3 device length 4\ncoalesced 0-fff device\n"
                   "eventfd 10-13 device length 4\n");
        flat_view_unref((FlatView *)before);
}

/* Where a section is cut its doorbells are announced anew, also those far from the cut. */
static void test_doorbells_of_a_section_that_is_cut(void **state) {
        Map *map = *state;

        must_edit(map, add_region(REGION_MMIO, "device", 0x1000, "system", 0, 0));
        must_add_ioeventfd(map, "device", 0x4fe, 4, false, 0);
        must_edit(map, add_coalesced("device", 0, 0x1000));
        must_commit(map);
        must_edit_commit(map, add_region(REGION_RAM, "over", 0x100, "system", 0x500, 1));
        check(map, "0-4ff device@0 mmio\n500-5ff over@0 ram\n600-fff device@600 mmio\n"
                   "coalesced 0-4ff device\ncoalesced 600-fff device\n");
        must_edit_commit(map, remove_region("over"));
        check(map, "0-fff device@0 mmio\ncoalesced 0-fff device\n"
                   "eventfd 4fe-501 device length 4\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

UNIT_TESTS(TEST(test_a_window_is_what_changed), TEST(test_ends_of_the_address_space),
           TEST(test_windows_in_one_section), TEST(test_many_windows_are_one),
           TEST(test_unmergeable_at_the_seams), TEST(test_doorbells_alone),
           TEST(test_doorbells_of_a_section_that_is_cut));
