/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Snapshot: all address spaces' views at one generation
 *
 * One pointer, published at once. Immutable to readers. Who holds a reference may use it, and all
 * that its views show, for as long as the map is there.
 *
 * A commit changes the view of one space among many, and must not touch the counts of the others.
 * So a space with a view is counted once for however many snapshots in a row that show it: the
 * last of them has the reference. Each holds its successor, so that this last one outlives the
 * others; as with epochs (epoch.h), whoever holds an old snapshot holds all that came after it.
 *
 * Written by the publisher (map.h), given up by any thread.
 *
 * Source: this project.
 */

#include <stddef.h>
#include <stdint.h>
#include <urcu/ref.h>

#include "lib/memory/address-space.h"
#include "lib/memory/flat-view.h"
#include "lib/util/rcu.h"

typedef struct Snapshot Snapshot;
typedef struct SnapshotSpace SnapshotSpace;
typedef struct SnapshotSpaces SnapshotSpaces;

struct SnapshotSpace {
        AddressSpace *space; /* readers use its name only */
        FlatView *view;
};

/* A growing array; whether its references are counted depends on who has it. */
struct SnapshotSpaces {
        SnapshotSpace *items;
        size_t n;
        size_t allocated;
};

struct Snapshot {
        struct urcu_ref ref;
        RcuHead rcu;
        Snapshot *next;      /* counted reference, once there is a successor */
        SnapshotSpaces left; /* what the successor does not show */
        uint64_t generation;
        uint64_t n_regions;
        uint64_t ram_bytes;
        size_t n_spaces;
        SnapshotSpace spaces[]; /* by name */
};

/* Takes no reference. -ENOMEM. */
int snapshot_spaces_add(SnapshotSpaces *spaces, SnapshotSpace space);

/* A snapshot of n spaces, still to be filled in. Until it succeeds another it holds nothing. */
int snapshot_new(Snapshot **ret, uint64_t generation, size_t n_spaces);
/*
 * `next` comes after the snapshot: it does not show what is in `left`, which is taken over, but
 * what is in `come`; all else both show. Cannot fail.
 */
void snapshot_succeed(Snapshot *snapshot, Snapshot *next, SnapshotSpaces *left,
                      const SnapshotSpaces *come);
/* The end of one that succeeds none. */
void snapshot_abandon(Snapshot *snapshot);

/* The publisher may take a reference to the published one; any thread may give one up. */
Snapshot *snapshot_ref(Snapshot *snapshot);
Snapshot *snapshot_unref(Snapshot *snapshot);
DEFINE_CLEANUP(Snapshot *, snapshot_unref);
/* Gives up the writer's reference after a grace period. */
void snapshot_retire(Snapshot *snapshot);

/* NULL if there is no such address space. */
const FlatView *snapshot_find(const Snapshot *snapshot, const char *space);
/* The space itself, as of that generation; the publisher only. */
AddressSpace *snapshot_find_space(const Snapshot *snapshot, const char *space);
