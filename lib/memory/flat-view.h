/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Flat view: the sections of an address space
 *
 * What remains of a tree once overlaps, aliases and clipping are worked out: a sorted sequence of
 * disjoint sections, and beside it the ioeventfds and coalesced zones that are announced there.
 * Both are trees that share with the view before all that did not change (view-tree.h).
 *
 * I1: sections ascend and do not overlap; no two neighbours could be one (section_can_merge()).
 * I2: an ioeventfd lies wholly inside one section of its region; a zone is cut to its section.
 * I3: immutable once published, shared by reference; freed by whichever thread drops the last one.
 *
 * Source: QEMU's FlatView.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <urcu/ref.h>

#include "lib/memory/epoch.h"
#include "lib/memory/ioeventfd.h"
#include "lib/memory/region.h"
#include "lib/memory/view-tree.h"
#include "lib/util/rcu.h"

typedef struct Announced Announced;
typedef struct FlatView FlatView;
typedef struct Section Section;

struct Section {
        Range range;     /* in the address space */
        Region *region;  /* the leaf; kept alive by the view's epoch */
        uint64_t offset; /* of range.first in the region */
        uint8_t kind;    /* RegionKind as reported, a snapshot */
        uint8_t flags;   /* REGION_READONLY … REGION_DIRTY_LOG, a snapshot */
};

/* An ioeventfd, or a coalesced zone, at an address; exactly one of the two pointers is set. */
struct Announced {
        Range range; /* in the address space; one byte for an ioeventfd of length 0 */
        Region *region;
        IOEventFD *ioeventfd; /* kept alive like the region */
        Coalesced *coalesced;
};

struct FlatView {
        struct urcu_ref ref;
        RcuHead rcu;
        uint64_t generation; /* of the commit that made it; 0: none did, there is nothing in it */
        Epoch *epoch;        /* counted reference: what keeps all of the following alive */
        ViewTree sections;   /* of Section */
        ViewTree announced;  /* of Announced: by address, ioeventfds by key, then zones */
};

/* Takes a reference to the epoch; the trees' nodes stay their owners' (epoch.h, View). */
int flat_view_new(FlatView **ret, Epoch *epoch, const ViewTree *sections,
                  const ViewTree *announced);
FlatView *flat_view_ref(FlatView *view);
FlatView *flat_view_unref(FlatView *view);
DEFINE_CLEANUP(FlatView *, flat_view_unref);
/* Drops the writer's reference after a grace period. */
void flat_view_retire(FlatView *view);

/* The section at an address, NULL where nothing answers. Safe inside rcu_enter()/rcu_leave(). */
const Section *flat_view_find(const FlatView *view, uint64_t address);

/*
 * Sections in order, from the first that ends at or behind an address; NULL behind the last:
 * for (s = flat_view_first(v, &c, from); s; s = flat_view_next(&c))
 */
const Section *flat_view_first(const FlatView *view, ViewCursor *cursor, uint64_t from);
static inline const Section *flat_view_next(ViewCursor *cursor) {
        return view_cursor_next(cursor);
}

/* The same for what is announced, from the first that begins at or behind an address. */
const Announced *flat_view_first_announced(const FlatView *view, ViewCursor *cursor, uint64_t from);
static inline const Announced *flat_view_next_announced(ViewCursor *cursor) {
        return view_cursor_next(cursor);
}

static inline size_t flat_view_n_sections(const FlatView *view) {
        return view->sections.n_items;
}

static inline size_t flat_view_n_announced(const FlatView *view) {
        return view->announced.n_items;
}

/* Whether two neighbours are one section: they touch, same leaf, offsets go on, equal flags. */
bool section_can_merge(const Section *a, const Section *b);
/* Identity as listeners see it: all but the dirty-log flag. */
bool section_same(const Section *a, const Section *b);
/* The part of a section that lies in `part`, which must be inside it. */
Section section_cut(const Section *section, Range part);
/* Whether the guest reads host memory there: ram, rom, romd in direct-read mode. */
bool section_is_memory(const Section *section);
/* Where the section's bytes are in this process; NULL without a backing. */
void *section_host(const Section *section);
/* Where they are in the file of its backing, which there must be. */
uint64_t section_file_offset(const Section *section);
