/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a PC's chipset does to its map, and what that costs in slot operations
 *
 * Each row of chipset.h is done and undone once, which cuts slots where it must, and then again:
 * with no more operations than it needs, and without unmapping any memory that does not change.
 */

#include <inttypes.h>

#include "tests/common/chipset.h"
#include "tests/common/memory.h"
#include "tests/common/slot-check.h"
#include "tests/common/unit.h"

static int setup(void **state) {
        Accelerator *none;

        assert_int_equal(accelerator_new_none(&none, 0), 0);
        *state = chipset_new(none);
        return 0;
}

static int teardown(void **state) {
        chipset_free(*state);
        return 0;
}

static void check(const Chipset *chipset, const char *change) {
        const FlatView *view = snapshot_find(map_snapshot(chipset->map), "memory");
        const char *wrong = check_slots(chipset->slots, chipset->accelerator, view);

        if (wrong)
                fail_msg("%s: %s", change, wrong);
}

static void make(Chipset *chipset, const ChipsetChange *change) {
        chipset_forget(chipset);
        change->make(chipset);
        check(chipset, change->name);
}

/* The first time slots may have to be cut: no more operations than sections that went and came. */
static void check_first(Chipset *chipset, const ChipsetChange *change) {
        make(chipset, change);
        if (chipset->n_ops > chipset->n_sections)
                fail_msg("%s: %zu operations, %zu sections changed", change->name, chipset->n_ops,
                         chipset->n_sections);
}

static void check_again(Chipset *chipset, const ChipsetChange *change) {
        make(chipset, change);
        if (chipset->n_ops != change->n_ops || chipset->bytes_unchanged != change->bytes_unchanged)
                fail_msg("%s: %zu operations, %#" PRIx64 " bytes of unchanged memory remapped, "
                         "not %u and %#" PRIx64,
                         change->name, chipset->n_ops, chipset->bytes_unchanged, change->n_ops,
                         change->bytes_unchanged);
}

static void test_row(Chipset *chipset, const ChipsetRow *row) {
        if (row->begin)
                row->begin(chipset);
        check_first(chipset, &row->there);
        check_first(chipset, &row->back);
        for (int i = 0; i < 2; i++) {
                check_again(chipset, &row->there);
                check_again(chipset, &row->back);
        }
}

static void test_rows(void **state) {
        for (size_t i = 0; i < n_chipset_rows; i++) {
                teardown(state);
                setup(state);
                test_row(*state, &chipset_rows[i]);
        }
}

/* One after the other in one PC: where others have cut, they need no more. */
static void test_rows_together(void **state) {
        Chipset *chipset = *state;

        for (size_t i = 0; i < n_chipset_rows; i++) {
                test_row(chipset, &chipset_rows[i]);
                chipset_set_pam_all(chipset, PAM_PCI);
                must_edit_commit(chipset->map, disable("vram"));
        }
}

static void check_segment(Chipset *chipset, int segment, PAMMode mode, bool first) {
        chipset_forget(chipset);
        chipset_set_pam(chipset, segment, mode);
        chipset_commit(chipset);
        check(chipset, "PAM segment");
        assert_in_range(chipset->n_ops, 2, first ? 4 : 2);
        assert_true(first || chipset->bytes_unchanged == 0);
}

/* Each segment in turn cuts ROM where it is the first time, and never again. */
static void test_pam_segments(void **state) {
        for (int round = 0; round < 2; round++)
                for (int segment = 0; segment < PAM_SEGMENTS; segment++) {
                        check_segment(*state, segment, PAM_RAM, round == 0);
                        check_segment(*state, segment, PAM_ROM, false);
                        check_segment(*state, segment, PAM_PCI, false);
                }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

UNIT_TESTS(TEST(test_rows), TEST(test_rows_together), TEST(test_pam_segments));
