/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Extent: guest memory that a slot maps, or should
 *
 * What remains of a section once KVM's rules are applied to it: whole host pages, guest and host
 * address alike within a page, inside the guest's reach. What is cut off has no slot, and accesses
 * there trap.
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
        uint64_t backing; /* id */
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
 * section's accesses trap. Longer than slot_size_max is not cut here: see extent_part().
 */
bool extent_from_section(const Section *section, const Accelerator *accelerator, Extent *ret);
/* Bytes of a memory section that no slot covers. */
uint64_t section_trapped(const Section *section, const Accelerator *accelerator);
uint64_t sections_trapped(const Sections *sections, const Accelerator *accelerator);

/* How many slots of at most `size_max` bytes an extent needs, and the n-th of them, from 0. */
size_t extent_n_parts(const Extent *extent, uint64_t size_max);
Extent extent_part(const Extent *extent, uint64_t size_max, size_t n);

/*
 * Appends the extents, a slot each, of one side of a diff (what is removed or added, and what stays
 * but is logged otherwise), or of all of a view. -ENOMEM.
 */
int extents_from_diff(Extents *extents, const Diff *diff, bool new, const Accelerator *accelerator);
int extents_from_view(Extents *extents, const FlatView *view, const Accelerator *accelerator);
void extents_deinit(Extents *extents);

/* Whether KVM can make a slot for b of one for a without a delete: all but place and logging. */
bool extent_same_memory(const Extent *a, const Extent *b);
