/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Dirty ranges: where a view may have changed
 *
 * An edit dirties a range of a region. dirty_climb() carries it to the parent, clipped and shifted,
 * and through every alias whose window shows it, until it arrives at the roots that address spaces
 * show. What nobody sees dirties nothing.
 *
 * A DirtyRanges forgets nothing: when it cannot grow, it becomes "everything".
 *
 * Source: this project.
 */

#include <stdbool.h>
#include <stddef.h>

#include "lib/util/range.h"

typedef struct DirtyRanges DirtyRanges;
typedef struct Map Map;
typedef struct Region Region;

struct DirtyRanges {
        Range *items; /* in order of arrival until dirty_ranges_sort() */
        size_t n;
        size_t allocated;
        bool everything; /* the whole address space; items count for nothing */
};

/* Never fails: where there is no memory for it, everything is dirty. */
void dirty_ranges_add(DirtyRanges *ranges, Range range);
/* Sorts, joins what overlaps or touches. */
void dirty_ranges_sort(DirtyRanges *ranges);
static inline bool dirty_ranges_is_empty(const DirtyRanges *ranges) {
        return ranges->n == 0 && !ranges->everything;
}

/* Nothing is dirty any more. */
void dirty_ranges_clear(DirtyRanges *ranges);
void dirty_ranges_deinit(DirtyRanges *ranges);

/* Marks `range` of `region` in every view that shows it now. Cannot fail. */
void dirty_climb(Map *map, Region *region, Range range);
