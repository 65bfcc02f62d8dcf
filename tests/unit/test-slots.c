/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Slots: commits made by hand, and what reaches the kernel
 */

#include "lib/memory/map-error.h"
#include "tests/common/unit.h"
#include "tests/unit/mock-kvm.h"
#include "tests/unit/slots-scene.h"

static void test_follow(void **state) {
        SlotsScene *scene = *state;

        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0, 0x9ffff, 0, 0),
                                ram(scene, 'a', 0xc0000, 0xfffff, 0xc0000, REGION_READONLY),
                                ram(scene, 'b', 0x100000, 0x1fffff, 0, REGION_DIRTY_LOG)),
                         0);
        assert_text(mock_kvm_take(), "0 0-9ffff a0000000\n"
                                     "1 c0000-fffff a00c0000 ro\n"
                                     "2 100000-1fffff b0000000 log\n");
        assert_int_equal(slots_used(scene->slots), 3);

        /* One goes, one becomes writable, one is no longer logged, one is new. */
        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0xc0000, 0xfffff, 0xc0000, 0),
                                ram(scene, 'b', 0x100000, 0x1fffff, 0, 0),
                                ram(scene, 'c', 0x300000, 0x3fffff, 0, 0)),
                         0);
        assert_text(mock_kvm_take(), "0 delete\n"
                                     "1 delete\n"
                                     "2 100000-1fffff b0000000\n"
                                     "0 c0000-fffff a00c0000\n"
                                     "1 300000-3fffff c0000000\n");
        assert_text(slots_text(scene), "0 c0000-fffff a00c0000\n"
                                       "2 100000-1fffff b0000000\n"
                                       "1 300000-3fffff c0000000\n");

        assert_int_equal(commit(scene, NULL, 0), 0);
        assert_text(mock_kvm_take(), "0 delete\n2 delete\n1 delete\n");
        assert_text(slots_text(scene), "");
}

/* What a section is called, or whether it may be merged, does not concern KVM. */
static void test_same_translation(void **state) {
        SlotsScene *scene = *state;
        Section section = ram(scene, 'a', 0, 0xfffff, 0, 0);

        assert_int_equal(COMMIT(scene, section), 0);
        free(mock_kvm_take());
        section.flags = REGION_NONVOLATILE | REGION_UNMERGEABLE;
        assert_int_equal(COMMIT(scene, section), 0);
        section.flags |= REGION_READONLY;
        section.kind = REGION_ROM;
        assert_int_equal(COMMIT(scene, section), 0);
        assert_text(mock_kvm_take(), "0 delete\n0 0-fffff a0000000 ro\n");
}

static void test_move(void **state) {
        SlotsScene *scene = *state;

        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0, 0xfffff, 0, 0),
                                ram(scene, 'b', 0xe0000000, 0xe0ffffff, 0, REGION_DIRTY_LOG)),
                         0);
        free(mock_kvm_take());
        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0, 0xfffff, 0, 0),
                                ram(scene, 'b', 0xfd000000, 0xfdffffff, 0, REGION_DIRTY_LOG)),
                         0);
        assert_text(mock_kvm_take(), "1 fd000000-fdffffff b0000000 log\n");
        assert_text(slots_text(scene), "0 0-fffff a0000000\n1 fd000000-fdffffff b0000000 log\n");
}

static void test_kinds(void **state) {
        SlotsScene *scene = *state;
        Section sections[6];

        for (size_t i = 0; i < ELEMENTS_OF(sections); i++)
                sections[i] =
                        ram(scene, (char)('a' + i), i * 0x100000, i * 0x100000 + 0xfffff, 0, 0);
        sections[1].kind = REGION_ROM;
        sections[1].flags = REGION_READONLY;
        sections[2].kind = REGION_ROMD;
        sections[2].flags = REGION_DIRECT_READ;
        sections[3].kind = REGION_ROMD; /* trapped, reads too */
        sections[4].kind = REGION_MMIO;
        sections[5].kind = REGION_RESERVED;
        assert_int_equal(commit(scene, sections, ELEMENTS_OF(sections)), 0);
        assert_text(mock_kvm_take(), "0 0-fffff a0000000\n"
                                     "1 100000-1fffff b0000000 ro\n"
                                     "2 200000-2fffff c0000000 ro\n");
        assert_int_equal(slots_trapped(scene->slots), 0);

        sections[2].flags = 0; /* out of direct-read mode: the slot goes */
        sections[3].flags = REGION_DIRECT_READ;
        assert_int_equal(commit(scene, sections, ELEMENTS_OF(sections)), 0);
        assert_text(mock_kvm_take(), "2 delete\n2 300000-3fffff d0000000 ro\n");
}

/* Without KVM_MEM_READONLY what is read-only traps. */
static void test_no_readonly(void **state) {
        SlotsScene *scene = *state;

        scene->kvm->has_readonly = false;
        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0, 0xfffff, 0, 0),
                                ram(scene, 'b', 0x100000, 0x1fffff, 0, REGION_READONLY)),
                         0);
        assert_text(mock_kvm_take(), "0 0-fffff a0000000\n");
        assert_int_equal(slots_trapped(scene->slots), 0x100000);
}

static void test_rounding(void **state) {
        SlotsScene *scene = *state;
        uint64_t end = scene->kvm->address_last + 1;

        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0x800, 0x4fff, 0x800, 0),   /* a head */
                                ram(scene, 'b', 0x10000, 0x127ff, 0, 0),           /* a tail */
                                ram(scene, 'c', 0x20800, 0x21000, 0x800, 0),       /* no page */
                                ram(scene, 'd', 0x30000, 0x3ffff, 0x200, 0),       /* askew */
                                ram(scene, 'e', end - 0x1000, end + 0x1fff, 0, 0), /* half out */
                                ram(scene, 'f', end + 0x3000, end + 0x3fff, 0, 0)),
                         0);
        assert_text(mock_kvm_take(), "0 1000-4fff a0001000\n"
                                     "1 10000-11fff b0000000\n"
                                     "2 fffffffff000-ffffffffffff e0000000\n");
        assert_int_equal(slots_trapped(scene->slots),
                         0x800 + 0x800 + 0x801 + 0x10000 + 0x2000 + 0x1000);

        /* Removed with the sections, one by one. */
        assert_int_equal(COMMIT(scene, ram(scene, 'b', 0x10000, 0x127ff, 0, 0),
                                ram(scene, 'd', 0x30000, 0x3ffff, 0x200, 0)),
                         0);
        assert_int_equal(slots_trapped(scene->slots), 0x800 + 0x10000);
        assert_int_equal(commit(scene, NULL, 0), 0);
        assert_int_equal(slots_trapped(scene->slots), 0);
}

/* The very last bytes: nothing wraps. */
static void test_end_of_space(void **state) {
        SlotsScene *scene = *state;

        scene->kvm->address_last = UINT64_MAX;
        mock_kvm.limits.address_last = UINT64_MAX;
        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0x7ff, 0xffe, 0x7ff, 0),
                                ram(scene, 'b', UINT64_MAX - 0x17ff, UINT64_MAX, 0x800, 0)),
                         0);
        assert_text(mock_kvm_take(), "0 fffffffffffff000-ffffffffffffffff b0001000\n");
        assert_int_equal(slots_trapped(scene->slots), 0x800 + 0x800);
        assert_int_equal(COMMIT(scene, ram(scene, 'b', UINT64_MAX - 0x7ff, UINT64_MAX, 0x800, 0)),
                         0);
        assert_text(mock_kvm_take(), "0 delete\n");
        assert_int_equal(slots_trapped(scene->slots), 0x800);
}

/* Longer than a slot may be: cut, and cut at the same places when the end changes. */
static void test_split(void **state) {
        SlotsScene *scene = *state;

        scene->kvm->slot_size_max = 0x10000;
        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0x1000, 0x25fff, 0x1000, 0)), 0);
        assert_text(mock_kvm_take(), "0 1000-10fff a0001000\n"
                                     "1 11000-20fff a0011000\n"
                                     "2 21000-25fff a0021000\n");
        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0x1000, 0x1ffff, 0x1000, 0)), 0);
        assert_text(mock_kvm_take(), "1 delete\n2 delete\n1 11000-1ffff a0011000\n");
        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0x1000, 0x1ffff, 0x1000, REGION_DIRTY_LOG)),
                         0);
        assert_text(mock_kvm_take(), "0 1000-10fff a0001000 log\n1 11000-1ffff a0011000 log\n");
}

static void test_other_space(void **state) {
        SlotsScene *scene = *state;
        _cleanup_(slots_change_deinit) SlotsChange change;

        slots_change_init(&change, scene, "smm", &(Section){}, 0);
        slots_change_deinit(&change);
        slots_change_init(&change, scene, "smm", (Section[]){ram(scene, 'a', 0, 0xfff, 0, 0)}, 1);
        assert_int_equal(slots_change_carry_out(&change, scene), 0);
        assert_int_equal(slots_plan(scene->slots)->n_ops, 0);
        slots_listener(scene->slots)->ops->undo(slots_listener(scene->slots), &change.commit);
        slots_change_settle(&change, scene);
        assert_text(mock_kvm_take(), "");
}

/* A dry run: prepare and settle, and nothing else has happened. */
static void test_plan(void **state) {
        SlotsScene *scene = *state;
        Listener *listener = slots_listener(scene->slots);
        _cleanup_(slots_change_deinit) SlotsChange change;
        Section sections[] = {ram(scene, 'a', 0, 0x1fff, 0, 0),
                              ram(scene, 'b', 0x10800, 0x12fff, 0x800, 0)};

        slots_change_init(&change, scene, "memory", sections, 2);
        assert_int_equal(listener->ops->prepare(listener, &change.commit, NULL), 0);
        assert_int_equal(slots_plan(scene->slots)->n_ops, 2);
        assert_int_equal(slots_plan(scene->slots)->counts[SLOT_CREATE], 2);
        assert_int_equal(slots_plan(scene->slots)->bytes_remapped, 4 * 0x1000);
        assert_int_equal(slots_planned_trapped(scene->slots), 0x800);
        assert_int_equal(slots_trapped(scene->slots), 0);
        listener->ops->settle(listener, &change.commit);
        assert_int_equal(slots_plan(scene->slots)->n_ops, 0);
        assert_int_equal(slots_planned_trapped(scene->slots), 0);
        assert_text(mock_kvm_take(), "");

        /* Applied, it can still be looked at until it is settled. */
        assert_int_equal(slots_change_carry_out(&change, scene), 0);
        assert_int_equal(slots_plan(scene->slots)->n_ops, 2);
        assert_int_equal(slots_planned_trapped(scene->slots), 0x800);
        assert_int_equal(slots_trapped(scene->slots), 0x800);
        slots_change_settle(&change, scene);
}

static void test_no_slots(void **state) {
        SlotsScene *scene = *state;
        Section sections[4];

        for (size_t i = 0; i < 4; i++)
                sections[i] = ram(scene, 'a', i * 0x2000, i * 0x2000 + 0xfff, i * 0x2000, 0);
        scene->kvm->n_slots = 3;
        assert_int_equal(commit(scene, sections, 4), MAP_E_NO_SLOTS);
        assert_string_equal(scene->detail.text,
                            "address space \"memory\": 4 slots are needed, the limit is 3");
        assert_text(mock_kvm_take(), "");
        assert_int_equal(commit(scene, sections, 3), 0);
        /* As many as there are, all the time: what goes makes room for what comes. */
        assert_int_equal(commit(scene, sections + 1, 3), 0);
        assert_text(mock_kvm_slots(), "1 2000-2fff a0002000\n"
                                      "2 4000-4fff a0004000\n"
                                      "0 6000-6fff a0006000\n");
        assert_int_equal(commit(scene, sections, 4), MAP_E_NO_SLOTS);
        assert_int_equal(slots_used(scene->slots), 3);
}

/* Numbers that were given back are used again before new ones. */
static void test_numbers(void **state) {
        SlotsScene *scene = *state;
        Section sections[6];

        for (size_t i = 0; i < 6; i++)
                sections[i] = ram(scene, 'a', i * 0x2000, i * 0x2000 + 0xfff, i * 0x2000, 0);
        assert_int_equal(commit(scene, sections, 4), 0);
        assert_int_equal(COMMIT(scene, sections[1], sections[3]), 0);
        free(mock_kvm_take());
        assert_int_equal(
                COMMIT(scene, sections[1], sections[2], sections[3], sections[4], sections[5]), 0);
        assert_text(mock_kvm_take(), "2 4000-4fff a0004000\n"
                                     "0 8000-8fff a0008000\n"
                                     "4 a000-afff a000a000\n");
}

static void test_first(void **state) {
        SlotsScene *scene = *state;

        assert_null(slots_first(scene->slots, 0));
        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0x1000, 0x2fff, 0, 0),
                                ram(scene, 'b', 0x8000, 0x8fff, 0, 0)),
                         0);
        assert_int_equal(slots_first(scene->slots, 0)->extent.range.first, 0x1000);
        assert_int_equal(slots_first(scene->slots, 0x2fff)->extent.range.first, 0x1000);
        assert_int_equal(slots_first(scene->slots, 0x3000)->extent.range.first, 0x8000);
        assert_int_equal(slots_first(scene->slots, 0x8fff)->extent.range.first, 0x8000);
        assert_int_equal(slots_first(scene->slots, 0x8000)->extent.backing->id, 2);
        assert_null(slots_first(scene->slots, 0x9000));
        assert_null(slots_next(scene->slots, slots_first(scene->slots, 0x8000)));
}

/* Freed, it leaves no slot behind. */
static void test_freed(void **state) {
        SlotsScene *scene = *state;

        assert_int_equal(COMMIT(scene, ram(scene, 'a', 0, 0xfff, 0, 0),
                                ram(scene, 'b', 0x2000, 0x4fff, 0, 0)),
                         0);
        scene->slots = slots_free(scene->slots);
        assert_text(mock_kvm_slots(), "");
}

#define TEST(function)                                                                             \
        cmocka_unit_test_setup_teardown(function, slots_scene_setup, slots_scene_teardown)

UNIT_TESTS(TEST(test_follow), TEST(test_same_translation), TEST(test_move), TEST(test_kinds),
           TEST(test_no_readonly), TEST(test_rounding), TEST(test_end_of_space), TEST(test_split),
           TEST(test_other_space), TEST(test_plan), TEST(test_no_slots), TEST(test_numbers),
           TEST(test_first), TEST(test_freed));
