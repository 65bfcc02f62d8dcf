/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Extent: guest memory that a slot maps, or should
 *
 * What remains of a section once KVM's rules are applied to it: whole host pages, guest and host
 * address alike within a page, inside the guest's reach. What is cut off has no slot, and accesses
 * there trap.
 *
 * Source: KVM_SET_USER_MEMORY_REGION.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/kvm/accelerator.h"
#include "lib/memory/diff.h"
#include "lib/memory/flat-view.h"

typedef struct Extent Extent;
typedef struct Extents Extents;

struct Extent {
        Range range;      /* guest-physical, page-aligned */
        uint64_t host;    /* of range.first */
        Backing *backing; /* borrowed: whoever keeps an extent sees to it that it lives */
        uint64_t offset;  /* of range.first in the backing's file */
        uint32_t flags;   /* KVM_MEM_READONLY, KVM_MEM_LOG_DIRTY_PAGES */
};

struct Extents {
        Extent *items; /* ascending by address, disjoint */
        size_t n;
        size_t allocated;
};

/*
 * The part of a section that can be a slot: ram, rom, romd in direct-read mode; start rounded up,
 * end rounded down to host pages; guest address and host address alike modulo the page size; below
 * the guest's width; read-only only where the accelerator knows how. False if nothing is left: the
 * section's accesses trap. May be longer than a slot: see slot-cut.h.
 */
bool extent_from_section(const Section *section, const Accelerator *accelerator, Extent *ret);
/* Bytes of a memory section that no slot covers. */
uint64_t section_trapped(const Section *section, const Accelerator *accelerator);
uint64_t sections_trapped(const Sections *sections, const Accelerator *accelerator);

/*
 * Appends the extents of one side of a diff (what is removed or added, and what stays but is logged
 * otherwise), or of all of a view. -ENOMEM.
 */
int extents_from_diff(Extents *extents, const Diff *diff, bool new, const Accelerator *accelerator);
int extents_from_view(Extents *extents, const FlatView *view, const Accelerator *accelerator);
int extents_append(Extents *extents, const Extent *extent);
/* By address. */
void extents_sort(Extents *extents);
void extents_deinit(Extents *extents);

/* The part of an extent that lies in `part`, which must be inside it. */
Extent extent_cut(const Extent *extent, Range part);
bool extent_equal(const Extent *a, const Extent *b);
/* Whether an address that both have leads to the same memory, with the same rights. */
bool extent_same_translation(const Extent *a, const Extent *b);
/* Whether one slot of at most `size_max` bytes could map both: b goes on where a ends. */
bool extent_can_join(const Extent *a, const Extent *b, uint64_t size_max);
/* Whether KVM can make a slot for b of one for a without a delete: all but place and logging. */
bool extent_same_memory(const Extent *a, const Extent *b);
