/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Region: a node of the tree
 *
 * What a region is (name, kind, backing, target) never changes. What the map may change about it is
 * one plain value, its RegionState; an edit computes a new state, and its inverse is the old one.
 * region_set_state() is the only function that changes a tree.
 *
 * I1: a region that is not present has no parent, no children and no aliases.
 * I2: Region.children holds the present regions whose state names this one as parent.
 * I3: Region.aliases holds the present aliases whose target this is.
 * I4: following parent links and, from an alias' target, alias links upwards never comes back.
 *
 * Written by the map's thread. Readers of published views use `name`, `kind`, `backing` and
 * `serving` only, and hold the region through the view (epoch.h).
 *
 * Source: QEMU's docs/devel/memory.rst.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <urcu/list.h>
#include <urcu/ref.h>

#include "lib/memory/backing.h"
#include "lib/memory/handler.h"
#include "lib/memory/ioeventfd.h"
#include "lib/util/range.h"
#include "lib/util/tree.h"

typedef struct Region Region;
typedef struct RegionState RegionState;
typedef struct View View;

/* Kinds as the contract names them. No Region is of kind ROM: that is RAM with READONLY set. */
typedef enum RegionKind {
        REGION_CONTAINER,
        REGION_RAM,
        REGION_ROM,
        REGION_ROMD,
        REGION_MMIO,
        REGION_RESERVED,
        REGION_ALIAS,
} RegionKind;

/* The first five are also a section's flags, and the numbers of the D-Bus contract. */
enum {
        REGION_READONLY = 1 << 0,
        REGION_NONVOLATILE = 1 << 1,
        REGION_UNMERGEABLE = 1 << 2,
        REGION_DIRECT_READ = 1 << 3, /* a ROM device in direct-read mode */
        REGION_DIRTY_LOG = 1 << 4,
        REGION_ENABLED = 1 << 8,
        REGION_PRESENT = 1 << 9, /* found by name, placed where the state says */
};

/* Flags that a section collects from every region on the path, not from the leaf alone. */
#define REGION_PATH_FLAGS (REGION_READONLY | REGION_NONVOLATILE | REGION_UNMERGEABLE)

struct RegionState {
        Region *parent; /* NULL: not placed */
        uint64_t offset;
        uint64_t size;
        uint64_t target_offset;
        uint64_t place;   /* grows with each placing: among equal priorities the last one wins */
        int32_t priority; /* among siblings; the highest wins */
        uint32_t flags;
};

RB_HEAD(RegionsByName, Region);
RB_HEAD(RegionsByOffset, Region);

/* What rendering looks at stands together, and what a search for a name: in few cache lines. */
struct Region {
        struct urcu_ref ref;
        RegionKind kind;
        uint32_t visit; /* number of the last walk over the tree to come by: map_begin_walk() */
        RegionState state;
        RB_ENTRY(Region) by_offset; /* among the parent's children */
        uint64_t subtree_last;      /* greatest last byte below this node of by_offset */
        struct RegionsByOffset children;
        struct IOEventFDs ioeventfds;
        struct Zones coalesced;
        uint32_t n_children;
        uint32_t n_aliases;

        Backing *backing; /* ram, romd; owned; NULL where nobody needs the memory */
        Region *target;   /* alias; owned reference */
        View *view;       /* how address spaces rooted here see it; NULL if there are none */
        Handler *handler; /* as the edits have it; owned; NULL: nobody ever */
        Handler *serving; /* rcu_publish()ed: as readers have it, handler_in_force(); owned */
        struct cds_list_head aliases; /* of Region.link */
        struct cds_list_head link; /* of an alias: in these; of one with a backing: Map.backed */
        bool climbed; /* an alias on the way of the climb that is on, see climb.h */

        RB_ENTRY(Region) by_name;
        char name[];
};

RB_PROTOTYPE(RegionsByName, Region, by_name, compare_name)

/* A region that is not present. Takes a reference to backing and target (either may be NULL). */
int region_new(Region **ret, const char *name, RegionKind kind, Backing *backing, Region *target);
Region *region_ref(Region *region);
Region *region_unref(Region *region);
DEFINE_CLEANUP(Region *, region_unref);

/*
 * Puts the region into another state: out of its parent's children and its target's aliases, as the
 * old state had it, and into those of the new one. Checks nothing, cannot fail, tells nobody.
 */
void region_set_state(Region *region, const RegionState *state);
bool region_state_equal(const RegionState *a, const RegionState *b);

/* The kind as people see it, also in another state than now: RAM with READONLY set is ROM. */
RegionKind region_reported_kind(const Region *region);
RegionKind region_kind_in(const Region *region, const RegionState *state);
/* Whether the region itself answers accesses (not container, not alias). */
bool region_is_leaf(const Region *region);
/* Whether it is a kind with host memory, or one that traps accesses: for ioeventfds, a handler. */
bool region_kind_has_backing(RegionKind kind);
bool region_kind_has_registers(RegionKind kind);
/* The flags of a new region of that kind of which nothing else was said. */
uint32_t region_default_flags(RegionKind kind);
/* The region's own extent [0, size - 1]; false for size 0. */
bool region_extent(const Region *region, Range *ret);
static inline bool region_is(const Region *region, uint32_t flag) {
        return region->state.flags & flag;
}

/*
 * The children that meet `window` (offsets in the parent), ascending by offset:
 * for (c = region_child_first(r, w); c; c = region_child_next(c, w)). O(log n + hits).
 */
Region *region_child_first(const Region *region, Range window);
Region *region_child_next(const Region *child, Range window);
/* All children, those of size 0 too, ascending by offset; `after` NULL: the first one. */
Region *region_child_any(const Region *region, const Region *after);
/* Whether a comes before (wins over) b among the children of one parent. */
bool region_precedes(const Region *a, const Region *b);

/* The kind of its handler: "none" where there is nobody, "" where none could be. */
const char *region_handler_kind(const Region *region);

/* The word of the D-Bus contract, and back: -EINVAL for any other word. */
const char *region_kind_to_string(RegionKind kind);
int region_kind_from_string(const char *word);
