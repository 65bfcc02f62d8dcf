/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Edit: one change to the tree, as data
 *
 * Edits name regions and address spaces by their names, so that an edit staged in a transaction can
 * be made again on a map that has moved on. map_edit() checks an edit and makes it; what it needs
 * to be undone goes to the map's undo log.
 *
 * Source: this project.
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/memory/backing.h"
#include "lib/memory/handler.h"
#include "lib/memory/ioeventfd.h"
#include "lib/memory/region.h"

typedef struct Edit Edit;

typedef enum EditVerb {
        EDIT_ADD_REGION, /* kind, size, name; flags; parent, offset, priority if placed; backing */
        EDIT_ADD_ALIAS,  /* the same with target and target_offset */
        EDIT_REMOVE_REGION,
        EDIT_MOVE_REGION,       /* parent ("" or NULL: take out), offset, priority */
        EDIT_SET_REGION,        /* the properties in `mask` */
        EDIT_ADD_ADDRESS_SPACE, /* name, root in `parent` */
        EDIT_REMOVE_ADDRESS_SPACE,
        EDIT_ADD_IOEVENTFD,    /* name of the region, ioeventfd */
        EDIT_REMOVE_IOEVENTFD, /* name of the region, ioeventfd as key (its fd is not looked at) */
        EDIT_ADD_COALESCED,    /* name of the region, offset, size */
        EDIT_CLEAR_COALESCED,  /* name of the region */
        EDIT_SET_HANDLER,      /* name of the region, handler: one that was never a region's */
} EditVerb;

/* Bits of Edit.mask; also what another commit may have set under a transaction's feet. */
enum {
        PROPERTY_SIZE = 1 << 0,
        PROPERTY_OFFSET = 1 << 1,
        PROPERTY_PRIORITY = 1 << 2,
        PROPERTY_TARGET_OFFSET = 1 << 3,
        PROPERTY_FLAGS = 1 << 4,   /* of the Edit.flags_mask bits; only in Edit.mask */
        PROPERTY_PARENT = 1 << 5,  /* set by placing; never in Edit.mask */
        PROPERTY_HANDLER = 1 << 6, /* set by EDIT_SET_HANDLER; never in Edit.mask */
        PROPERTY_NODE = 1 << 7,    /* of new memory; never in Edit.mask */
};

/* How far apart places are that are given out one after the other: others can come between them. */
#define PLACE_STEP (UINT64_C(1) << 20)

struct Edit {
        EditVerb verb;
        RegionKind kind;     /* may be REGION_ROM: RAM with READONLY */
        uint32_t mask;       /* EDIT_SET_REGION: PROPERTY_* to set */
        uint32_t flags_mask; /* EDIT_SET_REGION: which REGION_* bits of flags count */
        uint32_t flags;      /* REGION_* bits; adding: all of them count */
        int32_t priority;
        uint64_t size;
        uint64_t offset;
        uint64_t target_offset;
        uint64_t place; /* adding, moving: among siblings of equal priority; 0: on top of them */
        char *name;
        char *parent;
        char *target;
        bool passed;          /* adding: the memory is a caller's, who passes a descriptor, */
        uint64_t fd_offset;   /* from here on in its file */
        BackingSpec memory;   /* adding: how it is made */
        Backing *backing;     /* counted reference */
        IOEventFD *ioeventfd; /* counted reference */
        Handler *handler;     /* counted reference */
};

/* An edit about `name`, all else zero. Frees nothing that was there. -ENOMEM. */
int edit_init(Edit *edit, EditVerb verb, const char *name);
/* Gives up the strings and references. */
void edit_deinit(Edit *edit);

/* Longest name of a region or an address space, in bytes. */
enum { MAP_NAME_MAX = 128 };

/* 1 to MAP_NAME_MAX bytes of UTF-8 without control characters and noncharacters. */
bool map_name_is_valid(const char *name);
