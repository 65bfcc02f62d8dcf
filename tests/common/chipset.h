/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Chipset: what a PC's chipset does to its map
 *
 * The map is that of a PC with 1 GiB: RAM below 4 GiB, behind it a PCI space with VGA window,
 * option ROMs and BIOS, shown or covered by the 13 PAM segments and the SMRAM window. A row is a
 * change that real firmware makes, and its reverse; what they cost in slot operations is added up.
 */

#include "lib/kvm/slots.h"
#include "lib/memory/map.h"

typedef struct Chipset Chipset;
typedef struct ChipsetChange ChipsetChange;
typedef struct ChipsetRow ChipsetRow;

enum { PAM_SEGMENTS = 13, PAM_REGISTERS = 7, PAM_LAST = PAM_SEGMENTS - 1 };

typedef enum PAMMode { PAM_PCI, PAM_RAM, PAM_ROM } PAMMode;

struct Chipset {
        Map *map;
        Accelerator *accelerator; /* owned */
        Slots *slots;
        PAMMode pam[PAM_SEGMENTS];

        /* Of the commits since chipset_forget(). */
        size_t n_commits;
        size_t n_ops;
        size_t n_sections; /* that bear slots, removed and added */
        uint64_t bytes_remapped;
        uint64_t bytes_unchanged; /* of memory that came back as it was */
};

/* A change, and what it takes where slots have been cut. */
struct ChipsetChange {
        const char *name;
        void (*make)(Chipset *chipset);
        unsigned n_ops;
        uint64_t bytes_unchanged;
};

/* A change and its reverse. */
struct ChipsetRow {
        const char *qemu;                /* slot operations that QEMU 10.2 was seen to take */
        void (*begin)(Chipset *chipset); /* what must be so before; NULL: nothing */
        ChipsetChange there, back;
};

extern const ChipsetRow chipset_rows[];
extern const size_t n_chipset_rows;

/* A PC after reset. Takes over the accelerator. Ends the program if something does not work. */
Chipset *chipset_new(Accelerator *accelerator);
Chipset *chipset_free(Chipset *chipset);

/* Commits what was edited, and adds up what that cost. */
void chipset_commit(Chipset *chipset);
void chipset_forget(Chipset *chipset);

/* Edits only. */
void chipset_set_pam(Chipset *chipset, int segment, PAMMode mode);
void chipset_set_pam_all(Chipset *chipset, PAMMode mode);
