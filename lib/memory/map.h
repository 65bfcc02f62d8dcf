/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Map: one VM's tree of regions, its address spaces, its listeners, its generation
 *
 * Everything hangs off a Map; there is no state beside it, neither global nor a thread's. The tree,
 * the names, the undo log and a commit that is being made belong to one thread at a time, the map's
 * thread: it may be another one later, by whatever hands the map over in order, and is registered
 * with rcu_register(). Other threads see published views only (map_snapshot()).
 *
 * The thread that publishes, by commit_apply(), may hand the map over for anything up to that and
 * stays the publisher: nobody else replaces Map.snapshot, Map.generation, the current view of a
 * root or the generation of an address space. So meanwhile it reads these without rcu_enter() and
 * takes references to the snapshot.
 *
 * Edits change the tree at once and leave their inverse in the undo log; views, listeners and the
 * generation change with a commit. Between the two the tree is ahead of the views. Whoever edits
 * ends with commit_apply() or map_rollback() before anybody else looks at the tree.
 *
 * Source: this project.
 */

#include <stdint.h>

#include "lib/memory/address-space.h"
#include "lib/memory/edit.h"
#include "lib/memory/region.h"
#include "lib/memory/snapshot.h"
#include "lib/util/detail.h"
#include "lib/util/rcu.h"
#include "lib/util/tree.h"

typedef struct Map Map;
typedef struct MapLimits MapLimits;
typedef struct Transaction Transaction;
typedef struct Undo Undo;

/* What one map may hold; exceeding one is MAP_E_QUOTA_EXCEEDED. */
struct MapLimits {
        uint64_t regions;
        uint64_t address_spaces;
        uint64_t ioeventfds;
        uint64_t coalesced_zones;
        uint64_t ram_bytes; /* sum over all backings */
        uint64_t edits;     /* staged in one transaction */
};

#define MAP_LIMITS_DEFAULT                                                                         \
        {                                                                                          \
                .regions = 2 * 1024 * 1024, .address_spaces = 4096, .ioeventfds = 64 * 1024,       \
                .coalesced_zones = 64 * 1024, .ram_bytes = UINT64_C(64) << 40,                     \
                .edits = 1024 * 1024,                                                              \
        }

extern const MapLimits map_limits_default;

struct Map {
        struct RegionsByName regions;
        struct AddressSpaces spaces;
        struct cds_list_head views;     /* of View.link: one per root in use */
        struct cds_list_head backed;    /* of Region.link: present ones that have a backing */
        struct cds_list_head listeners; /* of Listener.link, ascending priority */
        FlatView *empty_view;
        MapLimits limits;
        uint64_t generation;
        uint64_t n_regions;
        uint64_t n_spaces;
        uint64_t n_ioeventfds;
        uint64_t n_coalesced;
        uint64_t ram_bytes;
        uint64_t last_place; /* highest that was given out: the same edits give the same ones */
        uint32_t last_visit; /* number of the walk that is on */
        unsigned log_global; /* reasons for dirty tracking of everything */

        Undo *undo; /* inverses of the edits since the last commit, oldest first */
        size_t n_undo;
        size_t n_undo_allocated;
        Transaction *checked_out;          /* whose edits these are; NULL: nobody's */
        struct cds_list_head transactions; /* of Transaction.link: the open ones */

        Snapshot *snapshot; /* rcu_publish()ed; written by the map's thread */
};

/* No regions, no spaces, generation 0. Copies the limits; NULL: the default. -ENOMEM. */
int map_new(Map **ret, const MapLimits *limits);
/* Waits for readers to leave. There must be no listener and no transaction left. */
Map *map_free(Map *map);
DEFINE_CLEANUP(Map *, map_free);

/* NULL if there is none of that name. */
Region *map_find_region(const Map *map, const char *name);
/* The first region whose name is bytewise greater than `after`; "" for the first of all. */
Region *map_next_region(const Map *map, const char *after);
AddressSpace *map_find_space(const Map *map, const char *name);

/*
 * Makes one edit, all of it or nothing, and logs its inverse. A positive MapError says why not; the
 * detail names object, value and limit.
 */
int map_edit(Map *map, const Edit *edit, Detail *detail);
/* How many edits are in the undo log: a point to roll back to. */
size_t map_mark(const Map *map);
/* Undoes the edits behind the mark, latest first. Cannot fail. */
void map_rollback(Map *map, size_t mark);
/* Whether the edits in the log, taken together, left the tree as it was. */
bool map_is_unchanged(Map *map);

/* A map that nobody reads yet goes on where one ended that had this generation. */
void map_set_generation(Map *map, uint64_t generation);

/*
 * A walk over the tree that meets each region once: map_walk_visits() is true the first time that
 * a region is met since map_begin_walk(). One walk at a time.
 */
void map_begin_walk(Map *map);
bool map_walk_visits(Map *map, Region *region);

/* For readers, between rcu_enter() and rcu_leave(). */
static inline const Snapshot *map_snapshot(const Map *map) {
        return rcu_fetch(&map->snapshot);
}
