/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <stdlib.h>

#include "lib/memory/commit.h"
#include "tests/common/chipset.h"
#include "tests/common/memory.h"

#define KIB UINT64_C(0x400)
#define MIB UINT64_C(0x100000)
#define GIB UINT64_C(0x40000000)

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
}

Chipset *chipset_new(Accelerator *accelerator) {
        Chipset *chipset = calloc(1, sizeof(*chipset));

        if (!chipset || slots_new(&chipset->slots, accelerator, "memory") != 0)
                abort();
        chipset->accelerator = accelerator;
        chipset->map = scene_new();
        if (listener_register(slots_listener(chipset->slots), chipset->map, NULL) != 0)
                abort();
        add_pc(chipset->map);
        must_commit(chipset->map);
        return chipset;
}

Chipset *chipset_free(Chipset *chipset) {
        listener_unregister(slots_listener(chipset->slots), chipset->map);
        slots_free(chipset->slots);
        accelerator_free(chipset->accelerator);
        map_free(chipset->map);
        free(chipset);
        return NULL;
}

static size_t n_with_slot(const Sections *sections, const Accelerator *accelerator) {
        Extent extent;
        size_t n = 0;

        for (size_t i = 0; i < sections->n; i++)
                n += extent_from_section(&sections->items[i], accelerator, &extent);
        return n;
}

void chipset_commit(Chipset *chipset) {
        _cleanup_(commit_freep) Commit *commit = NULL;
        const SlotPlan *plan;

        if (commit_new(&commit, chipset->map, NULL) != 0)
                abort();
        plan = slots_plan(chipset->slots);
        chipset->n_commits++;
        chipset->n_ops += plan->n_ops;
        chipset->bytes_remapped += plan->bytes_remapped;
        chipset->bytes_unchanged += plan->bytes_unchanged;
        for (size_t i = 0; i < commit->n_changes; i++) {
                const Diff *diff = commit->changes[i].diff;

                chipset->n_sections += n_with_slot(&diff->removed, chipset->accelerator) +
                                       n_with_slot(&diff->added, chipset->accelerator);
        }
        if (commit_apply(commit, NULL) != 0)
                abort();
}

void chipset_forget(Chipset *chipset) {
        chipset->n_commits = chipset->n_ops = chipset->n_sections = 0;
        chipset->bytes_remapped = chipset->bytes_unchanged = 0;
}

void chipset_set_pam(Chipset *chipset, int segment, PAMMode mode) {
        if (chipset->pam[segment] == mode)
                return;
        must_edit(chipset->map, disable(pam_name(segment, chipset->pam[segment])));
        must_edit(chipset->map, enable(pam_name(segment, mode)));
        chipset->pam[segment] = mode;
}

void chipset_set_pam_all(Chipset *chipset, PAMMode mode) {
        for (int segment = 0; segment < PAM_SEGMENTS; segment++)
                chipset_set_pam(chipset, segment, mode);
}

/* Register 0 is about the last segment, each other one about two of the rest. */
static void set_pam_register(Chipset *chipset, int number, PAMMode low, PAMMode high) {
        if (number == 0) {
                chipset_set_pam(chipset, PAM_LAST, high);
        } else {
                chipset_set_pam(chipset, 2 * number - 2, low);
                chipset_set_pam(chipset, 2 * number - 1, high);
        }
}

/* The rows */

static void commit_edit(Chipset *chipset, Edit edit) {
        must_edit(chipset->map, edit);
        chipset_commit(chipset);
}

static void add_dimm(Chipset *chipset) {
        must_add_memory(chipset->map,
                        add_region(REGION_RAM, "dimm", 128 * MIB, "device-memory", 0, 0));
        chipset_commit(chipset);
}

static void eject_dimm(Chipset *chipset) {
        commit_edit(chipset, remove_region("dimm"));
}

static void show_ram_low(Chipset *chipset) {
        chipset_set_pam(chipset, 4, PAM_RAM);
        chipset_commit(chipset);
}

static void hide_ram_low(Chipset *chipset) {
        chipset_set_pam(chipset, 4, PAM_PCI);
        chipset_commit(chipset);
}

/* Right below 1 MiB, where there is RAM that goes on. */
static void show_ram_last(Chipset *chipset) {
        chipset_set_pam(chipset, PAM_LAST, PAM_RAM);
        chipset_commit(chipset);
}

static void hide_ram_last(Chipset *chipset) {
        chipset_set_pam(chipset, PAM_LAST, PAM_PCI);
        chipset_commit(chipset);
}

static void show_ram_all(Chipset *chipset) {
        chipset_set_pam_all(chipset, PAM_RAM);
        chipset_commit(chipset);
}

static void hide_ram_all(Chipset *chipset) {
        chipset_set_pam_all(chipset, PAM_PCI);
        chipset_commit(chipset);
}

static void protect(Chipset *chipset) {
        chipset_set_pam(chipset, 5, PAM_ROM);
        chipset_commit(chipset);
}

static void unprotect(Chipset *chipset) {
        chipset_set_pam(chipset, 5, PAM_RAM);
        chipset_commit(chipset);
}

static void open_smram(Chipset *chipset) {
        commit_edit(chipset, disable("smram"));
}

static void close_smram(Chipset *chipset) {
        commit_edit(chipset, enable("smram"));
}

static void enable_tseg(Chipset *chipset) {
        commit_edit(chipset, enable("tseg"));
}

static void disable_tseg(Chipset *chipset) {
        commit_edit(chipset, disable("tseg"));
}

static void place_bar(Chipset *chipset) {
        commit_edit(chipset, enable("vram"));
}

static void move_bar(Chipset *chipset) {
        commit_edit(chipset, set_offset("vram", 0xfd000000));
}

static void move_bar_back(Chipset *chipset) {
        commit_edit(chipset, set_offset("vram", 0xe0000000));
}

/* Registers 0 to 2 lie in one configuration word, 3 to 6 in another: two commits. */
static void make_shadow_writable(Chipset *chipset) {
        for (int number = 0; number < 3; number++)
                set_pam_register(chipset, number, PAM_RAM, PAM_RAM);
        chipset_commit(chipset);
        for (int number = 3; number < PAM_REGISTERS; number++)
                set_pam_register(chipset, number, PAM_RAM, PAM_RAM);
        chipset_commit(chipset);
}

/* What the BIOS and 48 KiB of option ROMs were copied to. */
static void edit_shadow_protected(Chipset *chipset) {
        set_pam_register(chipset, 0, PAM_ROM, PAM_ROM);
        set_pam_register(chipset, 1, PAM_ROM, PAM_ROM);
        set_pam_register(chipset, 2, PAM_ROM, PAM_RAM);
}

/*
 * What SeaBIOS does: shadow RAM made writable, BARs placed, SMRAM opened and closed, the VGA BIOS
 * read from its ROM BAR, shadow RAM write-protected. Eight commits.
 */
static void boot(Chipset *chipset) {
        make_shadow_writable(chipset);
        must_edit(chipset->map, set_offset("vram", 0xfd000000));
        place_bar(chipset);
        open_smram(chipset);
        close_smram(chipset);
        commit_edit(chipset, enable("vga.rom"));
        commit_edit(chipset, disable("vga.rom"));
        edit_shadow_protected(chipset);
        chipset_commit(chipset);
}

/* One register after the other. */
static void reset(Chipset *chipset) {
        for (int number = 0; number < PAM_REGISTERS; number++) {
                set_pam_register(chipset, number, PAM_PCI, PAM_PCI);
                chipset_commit(chipset);
        }
        commit_edit(chipset, disable("vram"));
}

/* What a boot comes to, in one commit. */
static void boot_at_once(Chipset *chipset) {
        chipset_set_pam_all(chipset, PAM_RAM);
        edit_shadow_protected(chipset);
        must_edit(chipset->map, set_offset("vram", 0xfd000000));
        commit_edit(chipset, enable("vram"));
}

static void reset_at_once(Chipset *chipset) {
        chipset_set_pam_all(chipset, PAM_PCI);
        commit_edit(chipset, disable("vram"));
}

/*
 * A boot commit by commit shows RAM in stretches that later commits protect or hide in smaller
 * ones: each time the slots are new, and are cut once at the expense of their other parts.
 */
const ChipsetRow chipset_rows[] = {
        {"1", NULL, {"DIMM added", add_dimm, 1, 0}, {"DIMM ejected", eject_dimm, 1, 0}},
        {"3-4",
         NULL,
         {"PAM segment to RAM", show_ram_low, 2, 0},
         {"PAM segment to PCI", hide_ram_low, 2, 0}},
        {"3-4",
         NULL,
         {"last PAM segment to RAM", show_ram_last, 2, 0},
         {"last PAM segment to PCI", hide_ram_last, 2, 0}},
        {"3-4",
         show_ram_all,
         {"PAM RAM to read-only", protect, 2, 0},
         {"PAM RAM to writable", unprotect, 2, 0}},
        {"25",
         show_ram_all,
         {"all PAM registers off", hide_ram_all, 3, 0},
         {"all PAM registers on", show_ram_all, 3, 0}},
        {"2", NULL, {"SMRAM window off", open_smram, 1, 0}, {"SMRAM window on", close_smram, 1, 0}},
        {"2", NULL, {"TSEG window on", enable_tseg, 1, 0}, {"TSEG window off", disable_tseg, 1, 0}},
        {"2",
         place_bar,
         {"RAM BAR moved", move_bar, 1, 0},
         {"RAM BAR moved back", move_bar_back, 1, 0}},
        {"30",
         NULL,
         {"boot in one commit", boot_at_once, 6, 0},
         {"reset in one commit", reset_at_once, 6, 0}},
        {"30", NULL, {"boot", boot, 20, 16 * KIB}, {"reset", reset, 20, 208 * KIB}},
};

const size_t n_chipset_rows = ELEMENTS_OF(chipset_rows);
