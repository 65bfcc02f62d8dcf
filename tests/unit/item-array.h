/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Item array: what a view tree must hold, kept the plain way
 */

#include <stddef.h>
#include <stdint.h>

#include "lib/util/range.h"

typedef struct Item Item;
typedef struct Items Items;

struct Item {
        Range range;
        uint64_t tag; /* no two items have the same */
};

struct Items {
        Item *items; /* ascending; several may begin at one address */
        size_t n;
        size_t allocated;
};

uint64_t items_new_tag(void);
void items_append(Items *items, const Item *more, size_t n);
/* n items, `step` apart. */
Items items_every(uint64_t first, uint64_t step, size_t n);
Items items_copy(const Items *items);
void items_deinit(Items *items);

/* How many begin below an address, and how many at or below it. */
size_t items_below(const Items *items, uint64_t address);
size_t items_upto(const Items *items, uint64_t address);
/* What view_tree_splice() does. */
void items_splice(Items *items, Range window, const Item *new, size_t n);
