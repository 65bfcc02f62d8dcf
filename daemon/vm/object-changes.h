/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Object changes: which objects a commit makes, takes away, or changes
 *
 * What edits are about is noted before they are made, and compared with what is there afterwards.
 * So a region that was removed and added again in one commit has gone and come, and one that was
 * disabled and enabled has not changed.
 *
 * Beyond GUESTMAP_SIGNAL_OBJECTS_MAX objects only the fact that there are many is kept.
 */

#include <stdbool.h>
#include <stddef.h>

#include "api/names.h"
#include "lib/memory/map.h"

typedef struct ObjectChange ObjectChange;
typedef struct ObjectChanges ObjectChanges;

/* Properties of a region object that a commit may change. */
enum {
        OBJECT_SIZE = 1 << 0,
        OBJECT_PARENT = 1 << 1,
        OBJECT_OFFSET = 1 << 2,
        OBJECT_PRIORITY = 1 << 3,
        OBJECT_TARGET_OFFSET = 1 << 4,
        OBJECT_KIND = 1 << 5,
        OBJECT_ENABLED = 1 << 6,
        OBJECT_READONLY = 1 << 7,
        OBJECT_NONVOLATILE = 1 << 8,
        OBJECT_UNMERGEABLE = 1 << 9,
        OBJECT_HANDLER = 1 << 10,
        OBJECT_DIRTY_LOG = 1 << 11,
};

struct ObjectChange {
        char *name;
        bool is_space;
        bool gone;
        bool come;
        uint32_t properties; /* OBJECT_*, of a region that stays */
        Region *region;      /* counted; as it was, until object_changes_settle() */
        AddressSpace *space; /* the same */
        RegionState before;
        RegionKind kind_before;
        const char *handler_before; /* of its kinds */
};

struct ObjectChanges {
        ObjectChange *items;
        size_t n;
        bool many;
};

/* Notes what the edit, which has not been made yet, is about. -ENOMEM. */
int object_changes_note(ObjectChanges *changes, const Map *map, const Edit *edit);
/* After the commit: works out what became of what was noted. */
void object_changes_settle(ObjectChanges *changes, const Map *map);
void object_changes_deinit(ObjectChanges *changes);
