/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a PC's chipset does to its map, and what that costs in slot operations
 *
 * The map is that of a PC with 1 GiB: RAM below 4 GiB, behind it a PCI space with VGA window,
 * option ROMs and BIOS, shown or covered by the 13 PAM segments and the SMRAM window. Each case
 * names what QEMU 10.2 was seen to do for the same change; it is never to be more.
 */

#include <inttypes.h>

#include "lib/kvm/slots.h"
#include "lib/memory/commit.h"
#include "tests/common/memory.h"
#include "tests/common/unit.h"

#define KIB UINT64_C(0x400)
#define MIB UINT64_C(0x100000)
#define GIB UINT64_C(0x40000000)

typedef struct PC PC;

enum { PAM_SEGMENTS = 13, PAM_REGISTERS = 7, PAM_LAST = PAM_SEGMENTS - 1 };

typedef enum PAMMode { PAM_PCI, PAM_RAM, PAM_ROM, N_PAM_MODES } PAMMode;

struct PC {
        Map *map;
        Accelerator *none;
        Slots *slots;
        PAMMode pam[PAM_SEGMENTS];
};

static const char *const pam_words[] = {"pci", "ram", "rom"};

/* 12 segments of 16 KiB from 0xc0000, then one of 64 KiB. */
static uint64_t pam_address(int segment) {
        return 0xc0000 + (uint64_t)segment * 16 * KIB;
}

static char *pam_name(int segment, PAMMode mode) {
        static char name[32];

        snprintf(name, sizeof(name), "pam-%s-%d", pam_words[mode], segment);
        return name;
}

static void add_pam_segment(Map *map, int segment) {
        uint64_t address = pam_address(segment), size = segment == PAM_LAST ? 64 * KIB : 16 * KIB;

        must_edit(map, add_alias(pam_name(segment, PAM_PCI), "pci", address, size, "system",
                                 address, 1));
        must_edit(map, disabled(add_alias(pam_name(segment, PAM_RAM), "pc.ram", address, size,
                                          "system", address, 1)));
        must_edit(map, with_flags(disabled(add_alias(pam_name(segment, PAM_ROM), "pc.ram", address,
                                                     size, "system", address, 1)),
                                  REGION_READONLY));
}

static void add_pc(Map *map) {
        must_add_memory(map, add_region(REGION_RAM, "pc.ram", GIB, NULL, 0, 0));
        must_edit(map, add_alias("ram-below-4g", "pc.ram", 0, GIB, "system", 0, 0));
        must_edit(map, add_region(REGION_CONTAINER, "pci", SIZE_WHOLE, "system", 0, -1));
        must_edit(map, add_region(REGION_MMIO, "vga-low", 128 * KIB, "pci", 0xa0000, 1));
        must_add_memory(map, add_region(REGION_ROM, "pc.rom", 128 * KIB, "pci", 0xc0000, 1));
        must_add_memory(map, add_region(REGION_ROM, "pc.bios", 256 * KIB, "pci", 0xfffc0000, 0));
        must_edit(map, add_alias("isa-bios", "pc.bios", 128 * KIB, 128 * KIB, "pci", 0xe0000, 1));
        must_edit(map, add_alias("smram", "pci", 0xa0000, 128 * KIB, "system", 0xa0000, 1));
        for (int segment = 0; segment < PAM_SEGMENTS; segment++)
                add_pam_segment(map, segment);
        must_edit(map,
                  disabled(add_region(REGION_MMIO, "tseg", 8 * MIB, "system", GIB - 8 * MIB, 1)));
        must_add_memory(map,
                        disabled(add_region(REGION_RAM, "vram", 16 * MIB, "pci", 0xe0000000, 0)));
        must_add_memory(
                map, disabled(add_region(REGION_ROM, "vga.rom", 64 * KIB, "pci", 0xfebf0000, 0)));
        must_edit(map,
                  add_region(REGION_CONTAINER, "device-memory", 8 * GIB, "system", 4 * GIB, 0));
        must_commit(map);
}

static int setup(void **state) {
        PC *pc = calloc(1, sizeof(*pc));

        assert_non_null(pc);
        pc->map = scene_new();
        assert_int_equal(accelerator_new_none(&pc->none, 0), 0);
        assert_int_equal(slots_new(&pc->slots, pc->none, "memory"), 0);
        assert_int_equal(listener_register(slots_listener(pc->slots), pc->map, NULL), 0);
        add_pc(pc->map);
        assert_int_equal(slots_used(pc->slots), 5);
        *state = pc;
        return 0;
}

static int teardown(void **state) {
        PC *pc = *state;

        listener_unregister(slots_listener(pc->slots), pc->map);
        slots_free(pc->slots);
        accelerator_free(pc->none);
        map_free(pc->map);
        free(pc);
        return 0;
}

static size_t n_with_slot(const Sections *sections, const Accelerator *accelerator) {
        Extent extent;
        size_t n = 0;

        for (size_t i = 0; i < sections->n; i++)
                n += extent_from_section(&sections->items[i], accelerator, &extent);
        return n;
}

/* The slots are what the view that is in force asks for, no more and no less. */
static void assert_slots_cover_view(const PC *pc) {
        const FlatView *view = snapshot_find(map_snapshot(pc->map), "memory");
        const Slot *slot = slots_first(pc->slots, 0);
        _cleanup_(extents_deinit) Extents wanted = {};

        assert_int_equal(extents_from_view(&wanted, view, pc->none), 0);
        for (size_t i = 0; i < wanted.n; i++, slot = slots_next(pc->slots, slot)) {
                assert_non_null(slot);
                assert_true(range_equal(slot->extent.range, wanted.items[i].range));
                assert_int_equal(slot->extent.host, wanted.items[i].host);
                assert_int_equal(slot->extent.flags, wanted.items[i].flags);
        }
        assert_null(slot);
}

/* Commits what was edited and returns how many slot operations that took. */
static size_t count(PC *pc) {
        _cleanup_(commit_freep) Commit *commit = NULL;
        size_t n_ops, n_sections = 0;

        assert_int_equal(commit_new(&commit, pc->map, NULL), 0);
        for (size_t i = 0; i < commit->n_changes; i++)
                n_sections += n_with_slot(&commit->changes[i].diff->removed, pc->none) +
                              n_with_slot(&commit->changes[i].diff->added, pc->none);
        n_ops = slots_plan(pc->slots)->n_ops;
        assert_true(n_ops <= n_sections);
        assert_int_equal(commit_apply(commit, NULL), 0);
        assert_slots_cover_view(pc);
        return n_ops;
}

static size_t count_edit(PC *pc, Edit edit) {
        must_edit(pc->map, edit);
        return count(pc);
}

/* Edits only. */
static void set_pam(PC *pc, int segment, PAMMode mode) {
        if (pc->pam[segment] == mode)
                return;
        must_edit(pc->map, disable(pam_name(segment, pc->pam[segment])));
        must_edit(pc->map, enable(pam_name(segment, mode)));
        pc->pam[segment] = mode;
}

/* Register 0 is about the last segment, each other one about two of the rest. */
static void set_pam_register(PC *pc, int number, PAMMode low, PAMMode high) {
        if (number == 0) {
                set_pam(pc, PAM_LAST, high);
        } else {
                set_pam(pc, 2 * number - 2, low);
                set_pam(pc, 2 * number - 1, high);
        }
}

static void set_pam_all(PC *pc, PAMMode mode) {
        for (int segment = 0; segment < PAM_SEGMENTS; segment++)
                set_pam(pc, segment, mode);
}

/* Registers 0 to 2 lie in one configuration word, 3 to 6 in another: two commits. */
static size_t count_shadow_writable(PC *pc) {
        size_t n;

        for (int number = 0; number < 3; number++)
                set_pam_register(pc, number, PAM_RAM, PAM_RAM);
        n = count(pc);
        for (int number = 3; number < PAM_REGISTERS; number++)
                set_pam_register(pc, number, PAM_RAM, PAM_RAM);
        return n + count(pc);
}

/* Write-protects what the BIOS and 48 KiB of option ROMs were copied to. */
static size_t count_shadow_protected(PC *pc) {
        set_pam_register(pc, 0, PAM_ROM, PAM_ROM);
        set_pam_register(pc, 1, PAM_ROM, PAM_ROM);
        set_pam_register(pc, 2, PAM_ROM, PAM_RAM);
        return count(pc);
}

/* QEMU: 1. */
static void test_dimm(void **state) {
        PC *pc = *state;

        must_add_memory(pc->map, add_region(REGION_RAM, "dimm1", 128 * MIB, "device-memory", 0, 0));
        assert_int_equal(count(pc), 1);
        must_add_memory(pc->map, add_region(REGION_RAM, "dimm2", GIB, "device-memory", GIB, 0));
        assert_int_equal(count(pc), 1);
        assert_int_equal(count_edit(pc, remove_region("dimm1")), 1);
}

/* QEMU: 3 or 4. */
static void test_pam_to_ram(void **state) {
        PC *pc = *state;

        for (int segment = 0; segment < PAM_SEGMENTS; segment++) {
                set_pam(pc, segment, PAM_RAM);
                assert_in_range(count(pc), 2, 4);
                set_pam(pc, segment, PAM_PCI);
                assert_in_range(count(pc), 2, 4);
        }
}

/* QEMU: 3 or 4, and the guest could still write. */
static void test_pam_to_readonly(void **state) {
        PC *pc = *state;

        set_pam_all(pc, PAM_RAM);
        must_commit(pc->map);
        for (int segment = 0; segment < PAM_SEGMENTS; segment++) {
                const Slot *slot;

                set_pam(pc, segment, PAM_ROM);
                assert_in_range(count(pc), 2, 4);
                slot = slots_first(pc->slots, pam_address(segment));
                assert_int_equal(slot->extent.range.first, pam_address(segment));
                assert_int_not_equal(slot->extent.flags, 0);
                set_pam(pc, segment, PAM_RAM);
                assert_in_range(count(pc), 2, 4);
        }
}

/* QEMU: 25 after a boot, one register after the other. */
static void test_pam_all_off(void **state) {
        PC *pc = *state;
        size_t n = 0;

        count_shadow_writable(pc);
        count_shadow_protected(pc);
        for (int number = 0; number < PAM_REGISTERS; number++) {
                set_pam_register(pc, number, PAM_PCI, PAM_PCI);
                n += count(pc);
        }
        assert_in_range(n, 7, 25);
        assert_int_equal(slots_used(pc->slots), 5);

        /* In one transaction: the two ROMs come, what covered them and nothing else goes. */
        count_shadow_writable(pc);
        count_shadow_protected(pc);
        set_pam_all(pc, PAM_PCI);
        assert_int_equal(count(pc), 5);
}

/* QEMU: 2. */
static void test_smram(void **state) {
        PC *pc = *state;

        assert_int_equal(count_edit(pc, disable("smram")), 2);
        assert_int_equal(count_edit(pc, enable("smram")), 2);
        assert_int_equal(count_edit(pc, enable("tseg")), 2);
        assert_int_equal(count_edit(pc, disable("tseg")), 2);
}

/* QEMU: 2. */
static void test_bar_moved(void **state) {
        PC *pc = *state;

        assert_int_equal(count_edit(pc, enable("vram")), 1);
        assert_int_equal(count_edit(pc, set_offset("vram", 0xfd000000)), 1);
        assert_int_equal(count_edit(pc, set_offset("vram", 0xfc800000)), 1); /* onto itself */
        assert_int_equal(count_edit(pc, move_region("vram", "device-memory", GIB, 0)), 1);
        assert_int_equal(count_edit(pc, disable("vram")), 1);
}

/*
 * QEMU: 30. What SeaBIOS does: shadow RAM made writable, BARs placed, SMRAM opened and closed, the
 * VGA BIOS read from its ROM BAR, shadow RAM write-protected.
 */
static void test_boot(void **state) {
        PC *pc = *state;
        size_t n;

        n = count_shadow_writable(pc);
        must_edit(pc->map, set_offset("vram", 0xfd000000));
        n += count_edit(pc, enable("vram"));
        n += count_edit(pc, disable("smram"));
        n += count_edit(pc, enable("smram"));
        n += count_edit(pc, enable("vga.rom"));
        n += count_edit(pc, disable("vga.rom"));
        n += count_shadow_protected(pc);
        assert_in_range(n, 1, 30);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

UNIT_TESTS(TEST(test_dimm), TEST(test_pam_to_ram), TEST(test_pam_to_readonly),
           TEST(test_pam_all_off), TEST(test_smram), TEST(test_bar_moved), TEST(test_boot));
