/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Prealloc: memory of regions that are to be added, which is to be populated first
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/memory/edit.h"
#include "lib/memory/map.h"
#include "lib/util/cancel.h"
#include "lib/util/detail.h"

typedef struct Prealloc Prealloc;
typedef struct PreallocItem PreallocItem;

struct PreallocItem {
        char *name; /* of the region */
        Backing *backing;
        uint64_t before; /* bytes of those in front of it, once settled */
        bool is_given;   /* to an edit */
};

struct Prealloc {
        PreallocItem *items;
        size_t n;
        size_t allocated;
        uint64_t bytes;   /* of all items, once settled */
        uint64_t n_ready; /* a counter: items that are populated */
};

void prealloc_deinit(Prealloc *list);

/* Notes an edit if it adds memory that is to be populated, and is not yet. -ENOMEM. */
int prealloc_note(Prealloc *list, const Edit *edit);
/*
 * Once all edits are made: forgets memory that has gone again with its region, which leaves one of
 * a name at most, and sorts by name. Until then none is found.
 */
void prealloc_settle(Prealloc *list, const Map *map);
/*
 * Gives an edit that adds a region of that name and size the memory that was made for it. Of
 * several such edits the last one is to be asked for first: it is the one whose region stays.
 */
void prealloc_give(Prealloc *list, Edit *edit);

/* NULL: there is no such region. */
PreallocItem *prealloc_find(const Prealloc *list, const char *name);
/* How far one has come; at any time, as is the next. */
uint64_t prealloc_item_ready(const PreallocItem *item);
/* Adds how far those behind the first `n` have come together, and their sizes: there are some. */
void prealloc_add_rest(const Prealloc *list, size_t n, uint64_t *ready, uint64_t *bytes);
/* Any outcome of backing_populate(). If one fails nothing is left of the others, either. */
int prealloc_populate(Prealloc *list, const Cancel *cancel, Detail *detail);
