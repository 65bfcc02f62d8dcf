/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Slots that are cut where changes happen, stay cut, and are joined when they run short
 */

#include <string.h>

#include "lib/memory/map-error.h"
#include "tests/common/slot-check.h"
#include "tests/common/unit.h"
#include "tests/unit/mock-kvm.h"
#include "tests/unit/slots-scene.h"

static uint64_t collateral(const SlotsScene *scene) {
        return slots_stats(scene->slots)->bytes_unchanged;
}

/* RAM with a window in its middle, open or not. */
static int commit_window(SlotsScene *scene, bool open) {
        if (open)
                return COMMIT(scene, ram(scene, 'a', 0, 0x3fff, 0, 0),
                              ram(scene, 'a', 0x6000, 0xffff, 0x6000, 0));
        return COMMIT(scene, ram(scene, 'a', 0, 0xffff, 0, 0));
}

static void test_window(void **state) {
        SlotsScene *scene = *state;

        assert_int_equal(commit_window(scene, false), 0);
        free(mock_kvm_take());

        /* The first time the ends are remapped, and never again. */
        assert_int_equal(commit_window(scene, true), 0);
        assert_text(mock_kvm_take(), "0 delete\n"
                                     "0 0-3fff a0000000\n"
                                     "1 6000-ffff a0006000\n");
        assert_int_equal(collateral(scene), 0xe000);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(commit_window(scene, false), 0);
                assert_text(mock_kvm_take(), "2 4000-5fff a0004000\n");
                assert_int_equal(commit_window(scene, true), 0);
                assert_text(mock_kvm_take(), "2 delete\n");
        }
        assert_int_equal(collateral(scene), 0xe000);

        /* All of it goes, with a delete for each piece, and what comes back is whole. */
        assert_int_equal(commit_window(scene, false), 0);
        free(mock_kvm_take());
        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0, 0xffff, 0, REGION_READONLY)), 0);
        assert_text(mock_kvm_take(), "0 delete\n"
                                     "2 delete\n"
                                     "1 delete\n"
                                     "0 0-ffff a0000000 ro\n");
        assert_int_equal(collateral(scene), 0xe000);
}

static void test_logging(void **state) {
        SlotsScene *scene = *state;

        assert_int_equal(commit_window(scene, true), 0);
        assert_int_equal(commit_window(scene, false), 0);
        free(mock_kvm_take());
        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0, 0xffff, 0, REGION_DIRTY_LOG)), 0);
        assert_text(mock_kvm_take(), "0 0-3fff a0000000 log\n"
                                     "2 4000-5fff a0004000 log\n"
                                     "1 6000-ffff a0006000 log\n");
        assert_int_equal(commit_window(scene, false), 0);
        assert_text(mock_kvm_take(), "0 0-3fff a0000000\n"
                                     "2 4000-5fff a0004000\n"
                                     "1 6000-ffff a0006000\n");
        assert_int_equal(collateral(scene), 0);
}

/* What of a section is told about it otherwise, the slots do not care. */
static void test_section_parted(void **state) {
        SlotsScene *scene = *state;

        assert_int_equal(commit_window(scene, false), 0);
        free(mock_kvm_take());
        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0, 0x7fff, 0, 0),
                                ram(scene, 'a', 0x8000, 0xffff, 0x8000, REGION_NONVOLATILE)),
                         0);
        assert_text(mock_kvm_take(), "");
        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0, 0x7fff, 0, 0)), 0);
        assert_text(mock_kvm_take(), "0 delete\n0 0-7fff a0000000\n");
        assert_int_equal(collateral(scene), 0x8000);
}

/* In pieces, relocated memory is whole again where it comes; whole, it moves. */
static void test_relocated(void **state) {
        SlotsScene *scene = *state;

        assert_int_equal(commit_window(scene, true), 0);
        assert_int_equal(commit_window(scene, false), 0);
        free(mock_kvm_take());
        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0x20000, 0x2ffff, 0, 0)), 0);
        assert_text(mock_kvm_take(), "0 delete\n"
                                     "2 delete\n"
                                     "1 delete\n"
                                     "0 20000-2ffff a0000000\n");
        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0x40000, 0x4ffff, 0, 0)), 0);
        assert_text(mock_kvm_take(), "0 40000-4ffff a0000000\n");
        assert_int_equal(collateral(scene), 0);
}

/* Slots run short: just one pair is joined for one that comes, and it is the smallest. */
static void test_short(void **state) {
        SlotsScene *scene = *state;
        Section small = ram(scene, 'b', 0x20000, 0x23fff, 0, 0);
        Section whole = ram(scene, 'a', 0, 0xffff, 0, 0);

        scene->kvm->n_slots = 5;
        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0, 0x3fff, 0, 0),
                                ram(scene, 'a', 0x6000, 0xffff, 0x6000, 0),
                                ram(scene, 'b', 0x22000, 0x23fff, 0x2000, 0)),
                         0);
        assert_int_equal(COMMIT(scene, whole, small), 0);
        assert_text(slots_text(scene), "0 0-3fff a0000000\n"
                                       "3 4000-5fff a0004000\n"
                                       "1 6000-ffff a0006000\n"
                                       "4 20000-21fff b0000000\n"
                                       "2 22000-23fff b0002000\n");
        free(mock_kvm_take());
        assert_int_equal(collateral(scene), 0);

        assert_int_equal(COMMIT(scene, whole, small, ram(scene, 'c', 0x40000, 0x40fff, 0, 0)), 0);
        assert_text(mock_kvm_take(), "4 delete\n"
                                     "2 delete\n"
                                     "4 20000-23fff b0000000\n"
                                     "2 40000-40fff c0000000\n");
        assert_int_equal(collateral(scene), 0x4000);

        assert_int_equal(COMMIT(scene, whole, small, ram(scene, 'c', 0x40000, 0x40fff, 0, 0),
                                ram(scene, 'd', 0x50000, 0x50fff, 0, 0),
                                ram(scene, 'e', 0x60000, 0x60fff, 0, 0)),
                         0);
        assert_text(mock_kvm_slots(), "0 0-ffff a0000000\n"
                                      "4 20000-23fff b0000000\n"
                                      "2 40000-40fff c0000000\n"
                                      "3 50000-50fff d0000000\n"
                                      "1 60000-60fff e0000000\n");
        assert_int_equal(collateral(scene), 0x14000);

        free(mock_kvm_take());
        assert_int_equal(COMMIT(scene, whole, small, ram(scene, 'c', 0x40000, 0x40fff, 0, 0),
                                ram(scene, 'd', 0x50000, 0x50fff, 0, 0),
                                ram(scene, 'e', 0x60000, 0x60fff, 0, 0),
                                ram(scene, 'f', 0x70000, 0x70fff, 0, 0)),
                         MAP_E_NO_SLOTS);
        assert_string_equal(scene->detail.text,
                            "address space \"memory\": 6 slots are needed, the limit is 5");
        assert_text(mock_kvm_take(), "");
}

/* A cut that does not fit, with what is cut already joined instead. */
static void test_short_cut(void **state) {
        SlotsScene *scene = *state;

        scene->kvm->n_slots = 3;
        assert_int_equal(commit_window(scene, true), 0);
        assert_int_equal(commit_window(scene, false), 0);
        free(mock_kvm_take());
        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0, 0x9fff, 0, 0),
                                ram(scene, 'a', 0xb000, 0xffff, 0xb000, 0)),
                         0);
        assert_text(mock_kvm_take(), "2 delete\n"
                                     "1 delete\n"
                                     "2 4000-9fff a0004000\n"
                                     "1 b000-ffff a000b000\n");
}

static void test_stats(void **state) {
        SlotsScene *scene = *state;
        Listener *listener = slots_listener(scene->slots);
        const SlotStats *stats = slots_stats(scene->slots);
        _cleanup_(slots_change_deinit) SlotsChange change;
        SlotStats before;

        assert_int_equal(commit_window(scene, false), 0);
        assert_int_equal(commit_window(scene, true), 0);
        assert_int_equal(stats->operations[SLOT_CREATE], 3);
        assert_int_equal(stats->operations[SLOT_DELETE], 1);
        assert_int_equal(stats->bytes_remapped, 0x10000 + 0x10000 + 0xe000);
        assert_int_equal(stats->bytes_unchanged, 0xe000);

        /* What is taken back, or refused, or only planned, does not count. */
        before = *stats;
        slots_change_init(&change, scene, "memory",
                          (Section[]){ram(scene, 'a', 0x1000, 0x1fff, 0x1000, 0)}, 1);
        assert_int_equal(slots_change_carry_out(&change, scene), 0);
        assert_int_equal(stats->bytes_unchanged, 0xf000);
        listener->ops->undo(listener, &change.commit);
        assert_memory_equal(stats, &before, sizeof(before));
        free(mock_kvm_take());
        mock_kvm.fail_at = 2;
        mock_kvm.fail_errno = -ENOMEM;
        assert_int_equal(slots_change_carry_out(&change, scene), MAP_E_KVM);
        mock_kvm.fail_at = 0;
        slots_change_settle(&change, scene);
        assert_memory_equal(stats, &before, sizeof(before));

        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0, 0x3fff, 0, REGION_DIRTY_LOG),
                                ram(scene, 'a', 0x20000, 0x29fff, 0x6000, 0)),
                         0);
        assert_int_equal(stats->operations[SLOT_FLAGS], 1);
        assert_int_equal(stats->operations[SLOT_MOVE], 1);
        assert_int_equal(stats->bytes_remapped, before.bytes_remapped + 0xa000);
        assert_int_equal(stats->bytes_unchanged, before.bytes_unchanged);
}

/* Random maps of a few pages */

enum { PAGES = 48, ROUNDS = 4000 };

/* What a page shows: memory of a region, from one of two places, or nothing. */
typedef struct Cell {
        char region; /* 'a' …; 0: nothing */
        uint8_t place;
        uint8_t flags;
} Cell;

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint64_t random_below(uint64_t n) {
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return random_state % n;
}

/* Changes one or a few ranges. */
static void change_cells(Cell *cells) {
        do {
                static const uint8_t flags[] = {0, 0, 0, REGION_READONLY, REGION_DIRTY_LOG};
                size_t first = random_below(PAGES), n = 1 + random_below(PAGES / 3);
                Cell cell = {(char)('a' + random_below(2)), random_below(8) == 0,
                             flags[random_below(ELEMENTS_OF(flags))]};

                if (random_below(4) == 0)
                        cell = (Cell){};
                for (size_t i = first; i < MIN_OF(first + n, PAGES); i++)
                        cells[i] = cell;
        } while (random_below(3) == 0);
}

/* The sections that show the cells; alike neighbours are one. */
static size_t cells_sections(const SlotsScene *scene, const Cell *cells, Section *sections) {
        size_t n = 0;

        for (uint64_t i = 0; i < PAGES; i++) {
                uint64_t offset = (i + 100 * (uint64_t)cells[i].place) * 0x1000;

                if (!cells[i].region)
                        continue;
                if (i > 0 && memcmp(&cells[i], &cells[i - 1], sizeof(Cell)) == 0)
                        sections[n - 1].range.last += 0x1000;
                else
                        sections[n++] = ram(scene, cells[i].region, i * 0x1000, i * 0x1000 + 0xfff,
                                            offset, cells[i].flags);
        }
        return n;
}

static int commit_cells(SlotsScene *scene, const Cell *cells, size_t *ret_n) {
        Section sections[PAGES];
        size_t n = cells_sections(scene, cells, sections);
        int r = commit(scene, sections, n);
        const char *wrong = check_slots(scene->slots, scene->kvm, scene->view);
        char *slots = slots_text(scene);

        if (wrong)
                fail_msg("%s", wrong);
        assert_text(mock_kvm_slots(), slots);
        free(slots);
        free(mock_kvm_take());
        *ret_n = n;
        return r;
}

/* With slots in plenty, the way back and the same way again unmap nothing that does not change. */
static void test_random(void **state) {
        SlotsScene *scene = *state;
        Cell cells[PAGES] = {}, before[PAGES];
        uint64_t unchanged;
        size_t n;

        for (int round = 0; round < ROUNDS; round++) {
                memcpy(before, cells, sizeof(cells));
                change_cells(cells);
                assert_int_equal(commit_cells(scene, cells, &n), 0);
                unchanged = collateral(scene);
                assert_int_equal(commit_cells(scene, before, &n), 0);
                assert_int_equal(commit_cells(scene, cells, &n), 0);
                assert_int_equal(collateral(scene), unchanged);
        }
        assert_true(collateral(scene) > 0);
}

/* With few, a commit is refused only if not even one slot for each section would do. */
static void test_random_short(void **state) {
        SlotsScene *scene = *state;
        Cell cells[PAGES] = {}, before[PAGES];
        size_t n_refused = 0, n;

        scene->kvm->n_slots = mock_kvm.limits.n_slots = 12;
        for (int round = 0; round < ROUNDS; round++) {
                int r;

                memcpy(before, cells, sizeof(cells));
                change_cells(cells);
                r = commit_cells(scene, cells, &n);
                assert_int_equal(r, n > 12 ? MAP_E_NO_SLOTS : 0);
                if (r != 0) {
                        memcpy(cells, before, sizeof(cells));
                        n_refused++;
                }
        }
        assert_in_range(n_refused, 1, ROUNDS / 2);
}

#define TEST(function)                                                                             \
        cmocka_unit_test_setup_teardown(function, slots_scene_setup, slots_scene_teardown)

UNIT_TESTS(TEST(test_window), TEST(test_logging), TEST(test_section_parted), TEST(test_relocated),
           TEST(test_short), TEST(test_short_cut), TEST(test_stats), TEST(test_random),
           TEST(test_random_short));
