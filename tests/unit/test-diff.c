/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Diff: what left, what came, what only began or ceased to be logged; all ascending. */

#include "lib/memory/diff.h"
#include "tests/common/scene.h"
#include "tests/common/unit.h"

static Region *ram, *mmio;

static int setup(void **state) {
        region_new(&ram, "ram", REGION_RAM, NULL, NULL);
        region_new(&mmio, "mmio", REGION_MMIO, NULL, NULL);
        return ram && mmio ? 0 : -1;
}

static int teardown(void **state) {
        region_unref(ram);
        region_unref(mmio);
        return 0;
}

static Section section(uint64_t first, uint64_t last, uint64_t offset) {
        return (Section){
                .range = {first, last}, .region = ram, .offset = offset, .kind = REGION_RAM};
}

static void check(const Section *old, size_t n_old, const Section *new, size_t n_new,
                  const char *removed, const char *added, size_t n_relogged) {
        Diff diff = {};

        assert_int_equal(diff_sections(&diff, old, n_old, new, n_new), 0);
        assert_text(scene_sections_text(diff.removed.items, diff.removed.n), removed);
        assert_text(scene_sections_text(diff.added.items, diff.added.n), added);
        assert_int_equal(diff.n_relogged, n_relogged);
        assert_int_equal(diff_is_empty(&diff), !removed[0] && !added[0] && n_relogged == 0);
        diff_deinit(&diff);
        assert_true(diff_is_empty(&diff));
}

static void test_nothing(void **state) {
        const Section one[] = {section(0, 0xf, 0), section(0x20, UINT64_MAX, 0x20)};

        check(NULL, 0, NULL, 0, "", "", 0);
        check(one, 2, one, 2, "", "", 0);
}

static void test_from_and_to_nothing(void **state) {
        const Section one[] = {section(0, 0xf, 0), section(0x20, 0x2f, 0x20)};

        check(NULL, 0, one, 2, "", "0-f ram@0 ram\n20-2f ram@20 ram\n", 0);
        check(one, 2, NULL, 0, "0-f ram@0 ram\n20-2f ram@20 ram\n", "", 0);
}

static void test_in_the_middle(void **state) {
        const Section old[] = {section(0, 0xf, 0), section(0x10, 0x1f, 0), section(0x20, 0x2f, 0)};
        const Section new[] = {section(0, 0xf, 0), section(0x18, 0x1b, 0), section(0x1c, 0x1c, 9),
                               section(0x20, 0x2f, 0)};

        check(old, 3, new, 4, "10-1f ram@0 ram\n", "18-1b ram@0 ram\n1c-1c ram@9 ram\n", 0);
        check(new, 4, old, 3, "18-1b ram@0 ram\n1c-1c ram@9 ram\n", "10-1f ram@0 ram\n", 0);
}

static void test_each_part_of_the_identity(void **state) {
        const Section old = section(0x10, 0x1f, 0x40);
        Section new;

        for (int i = 0; i < 7; i++) {
                new = old;
                switch (i) {
                case 0:
                        new.range.first--;
                        break;
                case 1:
                        new.range.last++;
                        break;
                case 2:
                        new.offset++;
                        break;
                case 3:
                        new.region = mmio;
                        break;
                case 4:
                        new.flags = REGION_READONLY;
                        break;
                case 5:
                        new.flags = REGION_NONVOLATILE;
                        break;
                case 6:
                        new.flags = REGION_UNMERGEABLE;
                        break;
                }
                Diff diff = {};

                assert_int_equal(diff_sections(&diff, &old, 1, &new, 1), 0);
                assert_int_equal(diff.removed.n, 1);
                assert_int_equal(diff.added.n, 1);
                assert_int_equal(diff.n_relogged, 0);
                diff_deinit(&diff);
        }
}

static void test_relogged(void **state) {
        const Section old[] = {section(0, 0xf, 0), section(0x20, 0x2f, 0)};
        Section new[] = {old[0], old[1]};
        Diff diff = {};

        new[1].flags |= REGION_DIRTY_LOG;
        check(old, 2, new, 2, "", "", 1);
        assert_int_equal(diff_sections(&diff, old, 2, new, 2), 0);
        assert_int_equal(diff.relogged[0].old.flags, 0);
        assert_int_equal(diff.relogged[0].new.flags, REGION_DIRTY_LOG);
        assert_int_equal(diff.relogged[0].new.range.first, 0x20);
        diff_deinit(&diff);

        /* Whatever else differs makes it another section, logged or not. */
        new[1].flags |= REGION_READONLY;
        check(old, 2, new, 2, "20-2f ram@0 ram\n", "20-2f ram@0 ram readonly dirty-log\n", 0);
}

static void test_appends(void **state) {
        const Section low = section(0, 0xf, 0), high = section(0x100, 0x1ff, 0);
        Diff diff = {};

        assert_int_equal(diff_sections(&diff, &low, 1, NULL, 0), 0);
        assert_int_equal(diff_sections(&diff, NULL, 0, &high, 1), 0);
        assert_text(scene_sections_text(diff.removed.items, diff.removed.n), "0-f ram@0 ram\n");
        assert_text(scene_sections_text(diff.added.items, diff.added.n), "100-1ff ram@0 ram\n");
        diff_deinit(&diff);
}

static char *announced_text(const AnnouncedList *list) {
        return scene_announced_text(list->items, list->n);
}

static void test_announced(void **state) {
        _cleanup_(ioeventfd_unrefp) IOEventFD *one = must_ioeventfd(0, 4, true, 1);
        _cleanup_(ioeventfd_unrefp) IOEventFD *two = must_ioeventfd(0, 4, true, 2);
        _cleanup_(ioeventfd_unrefp) IOEventFD *again = must_ioeventfd(0, 4, true, 1);
        _cleanup_(coalesced_unrefp) Coalesced *zone = NULL;
        Diff diff = {};

        assert_int_equal(coalesced_new(&zone, (Range){0, 7}), 0);
        const Announced old[] = {{{0x10, 0x13}, mmio, one, NULL}, {{0x10, 0x17}, mmio, NULL, zone}};
        const Announced new[] = {{{0x10, 0x13}, mmio, one, NULL},
                                 {{0x10, 0x13}, mmio, two, NULL},
                                 {{0x18, 0x1f}, mmio, NULL, zone}};
        const Announced other[] = {{{0x10, 0x13}, mmio, again, NULL},
                                   {{0x10, 0x17}, mmio, NULL, zone}};

        assert_int_equal(diff_announced(&diff, old, 2, new, 3), 0);
        assert_text(announced_text(&diff.announced_removed), "coalesced 10-17 mmio\n");
        assert_text(announced_text(&diff.announced_added),
                    "eventfd 10-13 mmio length 4 data 2\ncoalesced 18-1f mmio\n");
        assert_false(diff_is_empty(&diff));
        diff_deinit(&diff);

        assert_int_equal(diff_announced(&diff, old, 2, old, 2), 0);
        assert_true(diff_is_empty(&diff));
        /* The same key with another descriptor is another one to whoever listens. */
        assert_int_equal(diff_announced(&diff, old, 2, other, 2), 0);
        assert_int_equal(diff.announced_removed.n, 1);
        assert_int_equal(diff.announced_added.n, 1);
        diff_deinit(&diff);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nothing),
                cmocka_unit_test(test_from_and_to_nothing),
                cmocka_unit_test(test_in_the_middle),
                cmocka_unit_test(test_each_part_of_the_identity),
                cmocka_unit_test(test_relogged),
                cmocka_unit_test(test_appends),
                cmocka_unit_test(test_announced),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
