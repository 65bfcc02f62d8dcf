/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Primitive changes of a map, each with its inverse
 *
 * Edits (edit.c) are made of these. Each logs what is needed to take it back, marks dirty what it
 * may have changed, checks nothing and cannot fail: room in the log is reserved first.
 *
 * I1: taking all records back, latest first, gives the map as of the last commit.
 *
 * Source: this project.
 */

#include <stddef.h>

#include "lib/memory/address-space.h"
#include "lib/memory/ioeventfd.h"
#include "lib/memory/region.h"

typedef struct Map Map;
typedef struct Undo Undo;

typedef enum UndoKind {
        UNDO_REGION,
        UNDO_SPACE_ADDED,
        UNDO_SPACE_REMOVED,
        UNDO_IOEVENTFD_ADDED,
        UNDO_IOEVENTFD_REMOVED,
        UNDO_COALESCED_ADDED,
        UNDO_COALESCED_REMOVED,
        UNDO_HANDLER,
} UndoKind;

struct Undo {
        UndoKind kind;
        Region *region;       /* counted reference; not for address spaces */
        AddressSpace *space;  /* counted reference */
        IOEventFD *ioeventfd; /* counted reference */
        Coalesced *coalesced; /* counted reference */
        Handler *handler;     /* UNDO_HANDLER: whom it had before; counted reference */
        RegionState before;   /* UNDO_REGION */
        uint64_t last_place;  /* UNDO_REGION: Map.last_place before */
};

/* Room for n more records. -ENOMEM. */
int map_reserve_undo(Map *map, size_t n);

/* From any state to any other: adding and removing set or clear REGION_PRESENT. */
void map_change_region(Map *map, Region *region, const RegionState *state);
void map_add_space(Map *map, AddressSpace *space);
void map_remove_space(Map *map, AddressSpace *space);
void map_add_ioeventfd(Map *map, Region *region, IOEventFD *ioeventfd);
void map_remove_ioeventfd(Map *map, Region *region, IOEventFD *ioeventfd);
void map_add_coalesced(Map *map, Region *region, Coalesced *coalesced);
void map_remove_coalesced(Map *map, Region *region, Coalesced *coalesced);
void map_set_handler(Map *map, Region *region, Handler *handler);

/* Whether an edit in the log is about address spaces. */
bool map_spaces_were_edited(const Map *map);

/* Forgets the log: what it could undo has become the map's state. */
void map_forget_undo(Map *map);

/*
 * The next record, from *i on, that is the first about its region in the log; its `before` is how
 * the region was at the last commit. NULL at the end. Begin with *i = 0 and a new walk.
 */
const Undo *map_next_changed(Map *map, size_t *i);
/* The next region, from *i on, whose handler is not the one in force; it may come twice. */
Region *map_next_rehandled(const Map *map, size_t *i);
