/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Free ranges: where there is room, and what is said where there is none. */

#include "lib/memory/free-range.h"
#include "lib/memory/map-error.h"
#include "tests/common/made-view.h"
#include "tests/common/scene.h"
#include "tests/common/unit.h"

#define TOP UINT64_MAX

/* Free: 0x0-0xfff, 0x3000-0x47ff, 0x5000 up to the last page. */
static const Section some[] = {
        {.range = {0x1000, 0x1fff}, .kind = REGION_RAM},
        {.range = {0x2000, 0x2fff}, .kind = REGION_MMIO},
        {.range = {0x4800, 0x4fff}, .kind = REGION_RESERVED},
        {.range = {TOP - 0xfff, TOP}, .kind = REGION_ROM},
};

static void test_found(void **state) {
        static const struct {
                FreeRequest request;
                uint64_t address;
        } cases[] = {
                {{0x1000, 0x1000, 0, TOP}, 0},
                {{1, 0, 0, TOP}, 0},
                {{1, 1, 0xfff, TOP}, 0xfff},
                {{2, 1, 0xfff, TOP}, 0x3000},
                {{1, 0, 0x1000, TOP}, 0x3000},
                {{1, 0, 0x1800, TOP}, 0x3000},
                {{1, 0, 0x3001, TOP}, 0x3001},
                {{1, 0x1000, 0x3001, TOP}, 0x4000},
                {{0x800, 0x1000, 0x3001, TOP}, 0x4000},
                {{0x801, 0x1000, 0x3001, TOP}, 0x5000},
                {{0x1800, 0, 0, TOP}, 0x3000},
                {{0x1801, 0, 0, TOP}, 0x5000},
                {{0x1000, 0x1000, 0x3000, 0x3fff}, 0x3000},
                {{0x1000, UINT64_C(1) << 63, 0x1000, TOP}, UINT64_C(1) << 63},
                {{TOP - 0x5fff, 0, 0, TOP}, 0x5000},
        };
        FlatView *view = made_view(some, ELEMENTS_OF(some), NULL, 0);

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                uint64_t address = 42;

                assert_int_equal(free_range_find(view, &cases[i].request, &address, NULL), 0);
                assert_int_equal(address, cases[i].address);
        }
        flat_view_unref(view);
}

static void test_refused(void **state) {
        static const struct {
                FreeRequest request;
                int outcome;
                const char *text;
        } cases[] = {
                {{0x2000, 0, 0, 0x4fff},
                 MAP_E_NO_FREE_RANGE,
                 "8KiB at a multiple of 1B are free nowhere in 0x0-0x4fff: "
                 "the largest place is 0x3000-0x47ff"},
                {{0x1000, 0x2000, 0x1000, 0x4fff},
                 MAP_E_NO_FREE_RANGE,
                 "4KiB at a multiple of 8KiB are free nowhere in 0x1000-0x4fff: "
                 "the largest place is 0x4000-0x47ff"},
                {{0x1000, 0x1000, 0x3000, 0x3ffe},
                 MAP_E_NO_FREE_RANGE,
                 "4KiB at a multiple of 4KiB are free nowhere in 0x3000-0x3ffe: "
                 "the largest place is 0x3000-0x3ffe"},
                {{1, 0, 0x1000, 0x2fff},
                 MAP_E_NO_FREE_RANGE,
                 "1B at a multiple of 1B are free nowhere in 0x1000-0x2fff: "
                 "there is no place at all"},
                {{1, 0x1000, TOP - 0x17ff, TOP},
                 MAP_E_NO_FREE_RANGE,
                 "1B at a multiple of 4KiB are free nowhere in "
                 "0xffffffffffffe800-0xffffffffffffffff: there is no place at all"},
                {{SIZE_WHOLE, 0, 0, TOP},
                 MAP_E_NO_FREE_RANGE,
                 "2^64 at a multiple of 1B are free nowhere in "
                 "0x0-0xffffffffffffffff: the largest place is 0x5000-0xffffffffffffefff"},
                {{0, 0, 0, TOP}, MAP_E_INVALID_RANGE, "size 0 has no place"},
                {{1, 0, 2, 1}, MAP_E_INVALID_RANGE, "window 0x2-0x1 ends before it begins"},
                {{1, 0x3000, 0, TOP},
                 MAP_E_INVALID_ARGUMENT,
                 "alignment 0x3000 is not a power of two"},
        };
        FlatView *view = made_view(some, ELEMENTS_OF(some), NULL, 0);

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                uint64_t address = 42;
                Detail detail;

                assert_int_equal(free_range_find(view, &cases[i].request, &address, &detail),
                                 cases[i].outcome);
                assert_string_equal(detail.text, cases[i].text);
                assert_int_equal(address, 42);
        }
        flat_view_unref(view);
}

/* All of 2^64 is free only where there is nothing. */
static void test_whole(void **state) {
        static const Section last = {.range = {TOP, TOP}};
        FlatView *view = made_view(NULL, 0, NULL, 0);
        uint64_t address = 42;

        assert_int_equal(
                free_range_find(view, &(FreeRequest){SIZE_WHOLE, 0, 0, TOP}, &address, NULL), 0);
        assert_int_equal(address, 0);
        flat_view_unref(view);

        view = made_view(&last, 1, NULL, 0);
        assert_int_equal(
                free_range_find(view, &(FreeRequest){SIZE_WHOLE, 0, 0, TOP}, &address, NULL),
                MAP_E_NO_FREE_RANGE);
        flat_view_unref(view);
}

UNIT_TESTS(cmocka_unit_test(test_found), cmocka_unit_test(test_refused),
           cmocka_unit_test(test_whole));
