/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Regions: the index of children, their order, aliases, kinds. */

#include <string.h>

#include "lib/memory/region.h"
#include "tests/common/unit.h"

enum { N_MANY = 100000 };

static Region *make_region(const char *name, RegionKind kind, Region *target) {
        Region *region = NULL;

        assert_int_equal(region_new(&region, name, kind, NULL, target), 0);
        return region;
}

static void place(Region *region, Region *parent, uint64_t offset, uint64_t size) {
        static uint64_t last_place;
        RegionState state = {.parent = parent,
                             .offset = offset,
                             .size = size,
                             .place = ++last_place,
                             .flags = REGION_PRESENT | REGION_ENABLED};

        region_set_state(region, &state);
}

static void take_out(Region *region) {
        region_set_state(region, &(RegionState){});
}

/* xorshift64: the same numbers every time. */
static uint64_t next_random(void) {
        static uint64_t x = 88172645463325252;

        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        return x;
}

static bool meets(const Region *child, Range window) {
        Range extent;

        return child->state.parent &&
               range_place(child->state.offset, child->state.size, &extent) &&
               range_overlaps(extent, window);
}

static void check_window(Region *parent, Region *const *all, size_t n, Range window) {
        uint64_t offset = 0;
        size_t expected = 0, found = 0;

        for (size_t i = 0; i < n; i++)
                expected += meets(all[i], window);
        for (Region *c = region_child_first(parent, window); c; c = region_child_next(c, window)) {
                assert_true(meets(c, window));
                assert_true(offset <= c->state.offset);
                offset = c->state.offset;
                found++;
        }
        assert_int_equal(found, expected);
}

static Range random_window(void) {
        uint64_t first = next_random() % (N_MANY * 16);

        return (Range){first, first + next_random() % 256};
}

static void place_anywhere(Region *child, Region *parent) {
        uint64_t size = next_random() % 64;

        if (next_random() % 1000 == 0)
                size = next_random() % (N_MANY * 4);
        place(child, parent, next_random() % (N_MANY * 16), size);
}

static void test_many_children(void **state) {
        Region *parent = make_region("parent", REGION_CONTAINER, NULL);
        Region **all = calloc(N_MANY, sizeof(*all));

        for (size_t i = 0; i < N_MANY; i++) {
                all[i] = make_region("child", REGION_RAM, NULL);
                place_anywhere(all[i], parent);
        }
        assert_int_equal(parent->n_children, N_MANY);
        check_window(parent, all, N_MANY, (Range){0, 0});
        check_window(parent, all, N_MANY, (Range){UINT64_MAX, UINT64_MAX});
        for (int i = 0; i < 100; i++)
                check_window(parent, all, N_MANY, random_window());

        /* Every third goes, every fifth moves; the index must have followed. */
        for (size_t i = 0; i < N_MANY; i += 3)
                take_out(all[i]);
        for (size_t i = 0; i < N_MANY; i += 5)
                place_anywhere(all[i], parent);
        for (int i = 0; i < 100; i++)
                check_window(parent, all, N_MANY, random_window());

        for (size_t i = 0; i < N_MANY; i++) {
                take_out(all[i]);
                region_unref(all[i]);
        }
        assert_int_equal(parent->n_children, 0);
        assert_null(region_child_first(parent, RANGE_WHOLE));
        free(all);
        region_unref(parent);
}

/* A search that looked at every child would not end within the test's time limit. */
static void test_search_is_not_linear(void **state) {
        Region *parent = make_region("parent", REGION_CONTAINER, NULL);
        Region **all = calloc(N_MANY, sizeof(*all));

        for (uint64_t i = 0; i < N_MANY; i++) {
                all[i] = make_region("child", REGION_RAM, NULL);
                place(all[i], parent, i * 16, 8);
        }
        for (uint64_t i = 0; i < N_MANY; i++) {
                Range hit = {i * 16 + 7, i * 16 + 7}, miss = {i * 16 + 8, i * 16 + 15};

                assert_ptr_equal(region_child_first(parent, hit), all[i]);
                assert_null(region_child_next(all[i], hit));
                assert_null(region_child_first(parent, miss));
        }
        for (size_t i = 0; i < N_MANY; i++) {
                take_out(all[i]);
                region_unref(all[i]);
        }
        free(all);
        region_unref(parent);
}

static void test_window_edges(void **state) {
        Region *parent = make_region("parent", REGION_CONTAINER, NULL);
        Region *top = make_region("top", REGION_RAM, NULL);
        Region *whole = make_region("whole", REGION_RAM, NULL);
        Region *empty = make_region("empty", REGION_CONTAINER, NULL);
        Region *all[] = {top, whole, empty};

        place(top, parent, UINT64_MAX, 1);
        place(whole, parent, 0, SIZE_WHOLE);
        place(empty, parent, 0x1000, 0);
        assert_int_equal(parent->n_children, 3);
        check_window(parent, all, 3, RANGE_WHOLE);
        check_window(parent, all, 3, (Range){UINT64_MAX, UINT64_MAX});
        check_window(parent, all, 3, (Range){0x1000, 0x1000});
        for (size_t i = 0; i < ELEMENTS_OF(all); i++) {
                take_out(all[i]);
                region_unref(all[i]);
        }
        region_unref(parent);
}

static void test_resize_in_place(void **state) {
        Region *parent = make_region("parent", REGION_CONTAINER, NULL);
        Region *low = make_region("low", REGION_RAM, NULL);
        Region *high = make_region("high", REGION_RAM, NULL);
        Region *all[] = {low, high};

        place(low, parent, 0, 0x10);
        place(high, parent, 0x100, 0x10);
        check_window(parent, all, 2, (Range){0x50, 0x5f});
        place(low, parent, 0, 0x1000);
        check_window(parent, all, 2, (Range){0x50, 0x5f});
        check_window(parent, all, 2, (Range){0x800, 0x800});
        place(low, parent, 0, 0x20);
        check_window(parent, all, 2, (Range){0x800, 0x800});
        check_window(parent, all, 2, (Range){0x10, 0x1f});
        for (size_t i = 0; i < ELEMENTS_OF(all); i++) {
                take_out(all[i]);
                region_unref(all[i]);
        }
        region_unref(parent);
}

static void test_order(void **state) {
        Region *first = make_region("first", REGION_RAM, NULL);
        Region *last = make_region("last", REGION_RAM, NULL);
        RegionState a = {.priority = 0, .place = 1}, b = {.priority = 0, .place = 2};

        region_set_state(first, &a);
        region_set_state(last, &b);
        assert_false(region_precedes(first, last));
        assert_true(region_precedes(last, first));

        a.priority = 1;
        region_set_state(first, &a);
        assert_true(region_precedes(first, last));
        assert_false(region_precedes(last, first));

        a.priority = INT32_MIN;
        b.priority = INT32_MAX;
        region_set_state(first, &a);
        region_set_state(last, &b);
        assert_true(region_precedes(last, first));
        region_unref(first);
        region_unref(last);
}

/* Places are chosen one by one; should two be the same, both regions are there all the same. */
static void test_same_place(void **state) {
        Region *parent = make_region("parent", REGION_CONTAINER, NULL);
        Region *a = make_region("a", REGION_RAM, NULL), *b = make_region("b", REGION_RAM, NULL);
        const RegionState state_of_both = {.parent = parent, .size = 8, .flags = REGION_PRESENT};
        Region *all[] = {a, b};

        region_set_state(a, &state_of_both);
        region_set_state(b, &state_of_both);
        check_window(parent, all, 2, (Range){0, 0});
        assert_true(region_precedes(a, b) != region_precedes(b, a));
        take_out(a);
        check_window(parent, all, 2, (Range){0, 0});
        take_out(b);
        check_window(parent, all, 2, (Range){0, 0});
        region_unref(a);
        region_unref(b);
        region_unref(parent);
}

static void test_aliases(void **state) {
        Region *target = make_region("target", REGION_RAM, NULL);
        Region *one = make_region("one", REGION_ALIAS, target);
        Region *two = make_region("two", REGION_ALIAS, target);

        assert_int_equal(target->n_aliases, 0);
        place(one, NULL, 0, 8);
        place(two, NULL, 0, 8);
        assert_int_equal(target->n_aliases, 2);
        take_out(one);
        assert_int_equal(target->n_aliases, 1);
        assert_ptr_equal(cds_list_first_entry(&target->aliases, Region, link), two);
        take_out(two);
        assert_true(cds_list_empty(&target->aliases));

        /* The alias keeps its target. */
        region_unref(target);
        assert_string_equal(one->target->name, "target");
        region_unref(one);
        region_unref(two);
}

static void test_state_equal(void **state) {
        Region *parent = make_region("parent", REGION_CONTAINER, NULL);
        const RegionState base = {.parent = parent,
                                  .offset = 1,
                                  .size = 2,
                                  .target_offset = 3,
                                  .place = 4,
                                  .priority = 5,
                                  .flags = 6};
        RegionState other[7] = {base, base, base, base, base, base, base};

        other[0].parent = NULL;
        other[1].offset++;
        other[2].size++;
        other[3].target_offset++;
        other[4].place++;
        other[5].priority++;
        other[6].flags++;
        assert_true(region_state_equal(&base, &(RegionState){parent, 1, 2, 3, 4, 5, 6}));
        for (size_t i = 0; i < ELEMENTS_OF(other); i++)
                assert_false(region_state_equal(&base, &other[i]));
        region_unref(parent);
}

static void test_kinds(void **state) {
        static const struct {
                RegionKind kind;
                const char *word;
                bool leaf, backed;
        } kinds[] = {
                {REGION_CONTAINER, "container", false, false},
                {REGION_RAM, "ram", true, true},
                {REGION_ROMD, "romd", true, true},
                {REGION_MMIO, "mmio", true, false},
                {REGION_RESERVED, "reserved", true, false},
        };

        for (size_t i = 0; i < ELEMENTS_OF(kinds); i++) {
                Region *region = make_region("x", kinds[i].kind, NULL);

                assert_int_equal(region_is_leaf(region), kinds[i].leaf);
                assert_int_equal(region_kind_has_backing(kinds[i].kind), kinds[i].backed);
                assert_int_equal(region_reported_kind(region), kinds[i].kind);
                assert_string_equal(region_kind_to_string(kinds[i].kind), kinds[i].word);
                assert_int_equal(region_kind_from_string(kinds[i].word), kinds[i].kind);
                region_unref(region);
        }
        assert_true(region_kind_has_backing(REGION_ROM));
        assert_int_equal(region_kind_from_string("rom"), REGION_ROM);
        assert_int_equal(region_kind_from_string("alias"), REGION_ALIAS);
        assert_int_equal(region_kind_from_string("RAM"), -EINVAL);
}

static void test_read_only_ram_is_rom(void **state) {
        Region *ram = make_region("ram", REGION_RAM, NULL);
        Region *mmio = make_region("mmio", REGION_MMIO, NULL);

        region_set_state(ram, &(RegionState){.size = 8, .flags = REGION_READONLY});
        region_set_state(mmio, &(RegionState){.size = 8, .flags = REGION_READONLY});
        assert_int_equal(region_reported_kind(ram), REGION_ROM);
        assert_int_equal(region_reported_kind(mmio), REGION_MMIO);
        region_unref(ram);
        region_unref(mmio);
}

static void test_extent(void **state) {
        Region *region = make_region("x", REGION_CONTAINER, NULL);
        Range extent = {1, 1};

        assert_false(region_extent(region, &extent));
        region_set_state(region, &(RegionState){.size = SIZE_WHOLE, .offset = 77});
        assert_true(region_extent(region, &extent));
        assert_true(range_equal(extent, RANGE_WHOLE));
        region_unref(region);
}

/* However many hang on one: letting go of the first must not need a stack as deep. */
static void test_chain_of_aliases(void **state) {
        Region *last = NULL, *next;

        assert_int_equal(region_new(&last, "ram", REGION_RAM, NULL, NULL), 0);
        for (int i = 0; i < 500 * 1000; i++) {
                assert_int_equal(region_new(&next, "alias", REGION_ALIAS, NULL, last), 0);
                region_unref(last);
                last = next;
        }
        region_unref(last);
}

UNIT_TESTS(cmocka_unit_test(test_chain_of_aliases), cmocka_unit_test(test_many_children),
           cmocka_unit_test(test_search_is_not_linear), cmocka_unit_test(test_window_edges),
           cmocka_unit_test(test_resize_in_place), cmocka_unit_test(test_order),
           cmocka_unit_test(test_same_place), cmocka_unit_test(test_aliases),
           cmocka_unit_test(test_state_equal), cmocka_unit_test(test_kinds),
           cmocka_unit_test(test_read_only_ram_is_rom), cmocka_unit_test(test_extent));
