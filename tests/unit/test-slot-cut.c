/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Remaps, cutting and joining: pure functions, so each case is in and out
 *
 * Extents are written first+pages@host, in hex.
 */

#include <inttypes.h>

#include "lib/kvm/slot-cut.h"
#include "lib/kvm/slot-join.h"
#include "tests/common/unit.h"
#include "tests/unit/pages.h"

#define EXTENTS(...)                                                                               \
        ((Extents){.items = (Extent[]){__VA_ARGS__},                                               \
                   .n = sizeof((Extent[]){__VA_ARGS__}) / sizeof(Extent)})
#define SLOTS(...)                                                                                 \
        ((SlotList){.items = (Slot[]){__VA_ARGS__},                                                \
                    .n = sizeof((Slot[]){__VA_ARGS__}) / sizeof(Slot)})

static const Extents nothing;

/* Remaps: "range → extent", "range ⇢ extent" in place, "range → " for nothing. */
static char *remaps_text(const Extents *had, const Extents *now) {
        _cleanup_(remaps_deinit) Remaps remaps = {};
        size_t length;
        char *text;
        FILE *stream = open_memstream(&text, &length);

        assert_non_null(stream);
        assert_int_equal(remaps_compare(&remaps, had, now), 0);
        for (size_t i = 0; i < remaps.n; i++) {
                const Remap *remap = &remaps.items[i];

                fprintf(stream, "%" PRIx64 "+%" PRIx64 "%s", remap->range.first / PAGE,
                        range_size(remap->range) / PAGE,
                        !remap->to        ? " gone"
                        : remap->in_place ? " flags"
                                          : " to");
                if (remap->to)
                        pages_write(stream, remap->to);
                fputc('\n', stream);
        }
        fclose(stream);
        return text;
}

static char *extents_text(const Extents *extents) {
        size_t length;
        char *text;
        FILE *stream = open_memstream(&text, &length);

        assert_non_null(stream);
        for (size_t i = 0; i < extents->n; i++)
                pages_write(stream, &extents->items[i]);
        fclose(stream);
        return text;
}

#define assert_remaps(had, now, expected) assert_text(remaps_text(&(had), &(now)), expected)

static void test_remaps(void **state) {
        Extents had = EXTENTS(pages(0, 16, 100, 0)), two;

        assert_remaps(nothing, nothing, "");
        assert_remaps(had, had, "");
        assert_remaps(nothing, had, "0+10 to 0+10@64\n");
        assert_remaps(had, nothing, "0+10 gone\n");

        /* A window opens: nothing happens beside it. */
        two = EXTENTS(pages(0, 4, 100, 0), pages(6, 10, 106, 0));
        assert_remaps(had, two, "4+2 gone\n");
        assert_remaps(two, had, "4+2 to 0+10@64\n");

        /* One section becomes two with the same translation. */
        two = EXTENTS(pages(0, 4, 100, 0), pages(4, 12, 104, 0));
        assert_remaps(had, two, "");
        assert_remaps(two, had, "");
}

static void test_remaps_flags(void **state) {
        Extents had = EXTENTS(pages(0, 4, 100, 0), pages(4, 4, 200, RO));
        Extents now = EXTENTS(pages(0, 4, 100, LOG), pages(4, 4, 200, RO | LOG));

        assert_remaps(had, now, "0+4 flags 0+4@64 log\n4+4 flags 4+4@c8 ro log\n");
        now = EXTENTS(pages(0, 4, 100, RO), pages(4, 4, 200, LOG));
        assert_remaps(had, now, "0+4 to 0+4@64 ro\n4+4 to 4+4@c8 log\n");
}

/* A stretch of new translation is one remap, whatever was there before. */
static void test_remaps_stretch(void **state) {
        Extents had = EXTENTS(pages(1, 2, 300, 0), pages(3, 2, 203, 0), pages(6, 1, 7, 0),
                              pages(8, 4, 8, 0));
        Extents now = EXTENTS(pages(0, 8, 200, 0), pages(8, 2, 400, 0), pages(10, 1, 500, 0));

        assert_remaps(had, now,
                      "0+3 to 0+8@c8\n"
                      "5+3 to 0+8@c8\n"
                      "8+2 to 8+2@190\n"
                      "a+1 to a+1@1f4\n"
                      "b+1 gone\n");
}

static void test_remaps_end(void **state) {
        uint64_t last = UINT64_MAX / PAGE;
        Extents had = EXTENTS(pages(last - 1, 2, 100, 0)), now = EXTENTS(pages(last, 1, 101, 0));

        assert_true(had.items[0].range.last == UINT64_MAX);
        assert_remaps(had, now, "ffffffffffffe+1 gone\n");
        assert_remaps(now, had, "ffffffffffffe+1 to ffffffffffffe+2@64\n");
}

/* What slots there should be after a change, when each slot may have `size_max` pages. */
static char *cut_text(const SlotList *slots, const Extents *had, const Extents *now,
                      uint64_t size_max) {
        _cleanup_(remaps_deinit) Remaps remaps = {};
        _cleanup_(extents_deinit) Extents wanted = {};

        assert_int_equal(remaps_compare(&remaps, had, now), 0);
        assert_int_equal(extents_cut(&wanted, slots, &remaps, size_max * PAGE), 0);
        return extents_text(&wanted);
}

#define assert_cut(slots, had, now, expected)                                                      \
        assert_text(cut_text(&(slots), &(had), &(now), 1024), expected)

/* Only the slots that a change meets are asked for: others are nobody's business. */
static void test_cut(void **state) {
        Extents had = EXTENTS(pages(0, 16, 100, 0)),
                now = EXTENTS(pages(0, 4, 100, 0), pages(6, 10, 106, 0));
        SlotList whole = SLOTS({0, pages(0, 16, 100, 0)}), middle = SLOTS({1, pages(4, 2, 104, 0)});
        SlotList none = {}, halves = SLOTS({0, pages(0, 5, 100, 0)}, {1, pages(5, 11, 105, 0)});

        assert_cut(none, nothing, had, " 0+10@64");
        assert_cut(whole, had, nothing, "");
        assert_cut(whole, had, now, " 0+4@64 6+a@6a");
        assert_cut(none, now, had, " 4+2@68");
        assert_cut(middle, had, now, "");
        assert_cut(halves, had, now, " 0+4@64 6+a@6a");
}

/* A slot may span what has become two sections; the other one keeps its part. */
static void test_cut_spanning(void **state) {
        Extents had = EXTENTS(pages(4, 4, 104, 0)), now = EXTENTS(pages(4, 4, 200, 0));
        SlotList slots = SLOTS({0, pages(0, 16, 100, 0)});

        assert_cut(slots, had, now, " 0+4@64 4+4@c8 8+8@6c");
}

/* In pieces, memory that goes comes back whole as something else. */
static void test_cut_whole_again(void **state) {
        Extents had = EXTENTS(pages(0, 16, 100, 0)), now = EXTENTS(pages(0, 16, 100, RO));
        SlotList slots = SLOTS({0, pages(0, 4, 100, 0)}, {1, pages(4, 2, 104, 0)},
                               {2, pages(6, 10, 106, 0)});

        assert_cut(slots, had, now, " 0+10@64 ro");
}

static void test_cut_logging(void **state) {
        Extents had = EXTENTS(pages(0, 16, 100, 0)), now = EXTENTS(pages(0, 16, 100, LOG));
        Extents part = EXTENTS(pages(0, 4, 100, 0)), logged = EXTENTS(pages(0, 4, 100, LOG));
        SlotList whole = SLOTS({0, pages(0, 16, 100, 0)});
        SlotList pieces = SLOTS({0, pages(0, 4, 100, 0)}, {1, pages(4, 12, 104, 0)});

        assert_cut(whole, had, now, " 0+10@64 log");
        assert_cut(pieces, had, now, " 0+4@64 log 4+c@68 log");
        assert_cut(whole, part, logged, " 0+4@64 log 4+c@68");
}

/* Longer than a slot may be: in parts from where it begins. */
static void test_cut_long(void **state) {
        Extents had = EXTENTS(pages(1, 25, 100, 0)), now = EXTENTS(pages(1, 22, 100, 0));
        SlotList none = {}, last = SLOTS({2, pages(21, 5, 120, 0)});

        assert_text(cut_text(&none, &nothing, &had, 10), " 1+a@64 b+a@6e 15+5@78");
        assert_text(cut_text(&none, &nothing, &had, 25), " 1+19@64");
        assert_text(cut_text(&last, &had, &now, 10), " 15+2@78");
        assert_text(cut_text(&none, &now, &had, 10), " 17+3@7a");
}

static char *join_text(const Extents *pieces, const SlotList *slots, size_t excess,
                       uint64_t size_max) {
        _cleanup_(extents_deinit) Extents wanted = {};

        for (size_t i = 0; i < pieces->n; i++)
                assert_int_equal(extents_append(&wanted, &pieces->items[i]), 0);
        assert_int_equal(extents_join(&wanted, slots, excess, size_max * PAGE), 0);
        return extents_text(&wanted);
}

/* Cheapest first, and what has been joined once costs no more to join again. */
static void test_join(void **state) {
        Extents pieces = EXTENTS(pages(0, 9, 100, 0), pages(9, 2, 109, 0), pages(11, 3, 111, 0),
                                 pages(20, 3, 200, 0), pages(23, 3, 203, 0));
        SlotList slots = SLOTS({0, pieces.items[0]}, {1, pieces.items[1]}, {2, pieces.items[2]},
                               {3, pieces.items[3]}, {4, pieces.items[4]});

        assert_text(join_text(&pieces, &slots, 0, 64), " 0+9@64 9+2@6d b+3@6f 14+3@c8 17+3@cb");
        assert_text(join_text(&pieces, &slots, 1, 64), " 0+9@64 9+5@6d 14+3@c8 17+3@cb");
        assert_text(join_text(&pieces, &slots, 2, 64), " 0+9@64 9+5@6d 14+6@c8");
        assert_text(join_text(&pieces, &slots, 3, 64), " 0+e@64 14+6@c8");
        assert_text(join_text(&pieces, &slots, 9, 64), " 0+e@64 14+6@c8");
        assert_text(join_text(&nothing, &slots, 9, 64), "");
}

/* What comes in this commit anyway costs nothing: it is joined before what would have stayed. */
static void test_join_new(void **state) {
        Extents pieces = EXTENTS(pages(0, 1, 100, 0), pages(1, 1, 101, 0), pages(10, 60, 110, 0),
                                 pages(70, 60, 170, 0));
        SlotList slots =
                SLOTS({0, pieces.items[0]}, {1, pieces.items[1]}, {2, pages(10, 50, 110, 0)});

        assert_text(join_text(&pieces, &slots, 1, 1024), " 0+1@64 1+1@65 a+78@6e");
}

/* Not across gaps, other memory, other rights, other logging, nor beyond what a slot can map. */
static void test_join_refused(void **state) {
        Extents pieces =
                EXTENTS(pages(0, 2, 100, 0), pages(2, 2, 102, RO), pages(4, 2, 104, RO | LOG),
                        pages(7, 2, 107, RO | LOG), pages(9, 2, 200, RO | LOG));
        Extents long_ones = EXTENTS(pages(0, 4, 100, 0), pages(4, 4, 104, 0), pages(8, 4, 108, 0));
        SlotList none = {};

        assert_text(join_text(&pieces, &none, 9, 64),
                    " 0+2@64 2+2@66 ro 4+2@68 ro log 7+2@6b ro log 9+2@c8 ro log");
        assert_text(join_text(&long_ones, &none, 9, 8), " 0+8@64 8+4@6c");
        assert_text(join_text(&long_ones, &none, 9, 7), " 0+4@64 4+4@68 8+4@6c");
}

/* Two backings that lie side by side are not one. */
static void test_join_backings(void **state) {
        Backing other = {.id = 2};
        Extents pieces = EXTENTS(pages(0, 2, 100, 0), pages(2, 2, 102, 0));
        SlotList none = {};

        pieces.items[1].backing = &other;
        assert_text(join_text(&pieces, &none, 9, 64), " 0+2@64 2+2@66");
}

UNIT_TESTS(cmocka_unit_test(test_remaps), cmocka_unit_test(test_remaps_flags),
           cmocka_unit_test(test_remaps_stretch), cmocka_unit_test(test_remaps_end),
           cmocka_unit_test(test_cut), cmocka_unit_test(test_cut_spanning),
           cmocka_unit_test(test_cut_whole_again), cmocka_unit_test(test_cut_logging),
           cmocka_unit_test(test_cut_long), cmocka_unit_test(test_join),
           cmocka_unit_test(test_join_new), cmocka_unit_test(test_join_refused),
           cmocka_unit_test(test_join_backings));
