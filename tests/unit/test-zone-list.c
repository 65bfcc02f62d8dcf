/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "lib/kvm/zone-list.h"
#include "tests/common/unit.h"

#define GIB (UINT64_C(1) << 30)

#define RANGES(...)                                                                                \
        (ZoneList) {                                                                               \
                (Range[]){__VA_ARGS__}, sizeof((Range[]){__VA_ARGS__}) / sizeof(Range), 0          \
        }

static void assert_list(const ZoneList *list, ZoneList expected) {
        assert_int_equal(list->n, expected.n);
        for (size_t i = 0; i < expected.n; i++) {
                assert_int_equal(list->items[i].first, expected.items[i].first);
                assert_int_equal(list->items[i].last, expected.items[i].last);
        }
}

static void assert_joined(ZoneList announced, uint64_t last, size_t n_max, ZoneList expected) {
        _cleanup_(zone_list_deinit) ZoneList joined = {};

        assert_int_equal(zone_list_join(&joined, &announced, last, n_max), 0);
        assert_list(&joined, expected);
}

static void test_join(void **state) {
        assert_joined((ZoneList){}, UINT64_MAX, 9, (ZoneList){});
        /* Equal, inside, overlapping; touching; apart. */
        assert_joined(RANGES({0, 9}, {0, 9}, {0, 20}, {4, 8}, {18, 30}, {31, 40}, {50, 50}),
                      UINT64_MAX, 9, RANGES({0, 30}, {31, 40}, {50, 50}));
        /* What begins later may end earlier. */
        assert_joined(RANGES({0, 100}, {10, 20}, {90, 95}, {99, 120}), UINT64_MAX, 9,
                      RANGES({0, 120}));
}

static void test_join_reach(void **state) {
        assert_joined(RANGES({0, 9}, {0xfff0, 0x1000f}, {0x10000, 0x10001}, {0x20000, 0x20001}),
                      0xffff, 9, RANGES({0, 9}, {0xfff0, 0xffff}));
        assert_joined(RANGES({5, UINT64_MAX}), 5, 9, RANGES({5, 5}));
}

static void test_join_pieces(void **state) {
        assert_joined(RANGES({0, GIB - 1}), UINT64_MAX, 9, RANGES({0, GIB - 1}));
        assert_joined(RANGES({1, GIB + 1}), UINT64_MAX, 9, RANGES({1, GIB}, {GIB + 1, GIB + 1}));
        assert_joined(RANGES({UINT64_MAX - GIB, UINT64_MAX}), UINT64_MAX, 9,
                      RANGES({UINT64_MAX - GIB, UINT64_MAX - 1}, {UINT64_MAX, UINT64_MAX}));
        /* More than fit: one more than that, and the rest is not looked at. */
        assert_joined(RANGES({0, UINT64_MAX}), UINT64_MAX, 1,
                      RANGES({0, GIB - 1}, {GIB, 2 * GIB - 1}));
}

static const Coalesced *zone(void) {
        static const Coalesced any;

        return &any;
}

#define COME(first, last)                                                                          \
        { .range = {first, last}, .coalesced = (Coalesced *)zone() }
#define BELL(address)                                                                              \
        { .range = {address, address}, .ioeventfd = (IOEventFD *)zone() }

static void assert_changed(ZoneList before, AnnouncedList removed, AnnouncedList added,
                           ZoneList expected) {
        _cleanup_(zone_list_deinit) ZoneList after = {};
        Diff diff = {.announced_removed = removed, .announced_added = added};

        assert_int_equal(zone_list_change(&after, &before, &diff), 0);
        assert_list(&after, expected);
}

#define LIST(...)                                                                                  \
        (AnnouncedList) {                                                                          \
                (Announced[]){__VA_ARGS__},                                                        \
                        sizeof((Announced[]){__VA_ARGS__}) / sizeof(Announced), 0                  \
        }

static void test_change(void **state) {
        const AnnouncedList none = {};

        assert_changed((ZoneList){}, none, none, (ZoneList){});
        assert_changed((ZoneList){}, none, LIST(COME(4, 8), COME(4, 9)), RANGES({4, 8}, {4, 9}));
        assert_changed(RANGES({1, 2}, {4, 8}), none, LIST(COME(0, 9), COME(3, 3), COME(9, 9)),
                       RANGES({0, 9}, {1, 2}, {3, 3}, {4, 8}, {9, 9}));
        assert_changed(RANGES({1, 2}, {4, 8}, {6, 9}), LIST(COME(1, 2), COME(6, 9)), none,
                       RANGES({4, 8}));
        /* One of two equal ones; one that goes and comes. */
        assert_changed(RANGES({4, 8}, {4, 8}), LIST(COME(4, 8)), none, RANGES({4, 8}));
        assert_changed(RANGES({4, 8}), LIST(COME(4, 8)), LIST(COME(4, 8), COME(4, 9)),
                       RANGES({4, 8}, {4, 9}));
        /* Ioeventfds are none of its business. */
        assert_changed(RANGES({4, 8}), LIST(BELL(4), COME(4, 8)), LIST(BELL(2), BELL(7)),
                       (ZoneList){});
}

static void test_has_zones(void **state) {
        assert_false(diff_has_zones(&(Diff){}));
        assert_false(diff_has_zones(&(Diff){.announced_added = LIST(BELL(1))}));
        assert_true(diff_has_zones(&(Diff){.announced_added = LIST(BELL(1), COME(1, 2))}));
        assert_true(diff_has_zones(&(Diff){.announced_removed = LIST(COME(1, 2))}));
}

UNIT_TESTS(cmocka_unit_test(test_join), cmocka_unit_test(test_join_reach),
           cmocka_unit_test(test_join_pieces), cmocka_unit_test(test_change),
           cmocka_unit_test(test_has_zones));
