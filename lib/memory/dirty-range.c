/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "lib/memory/climb.h"
#include "lib/memory/dirty-range.h"
#include "lib/memory/map.h"
#include "lib/util/array.h"

void dirty_ranges_add(DirtyRanges *ranges, Range range) {
        if (ranges->everything ||
            (ranges->n > 0 && range_covers(ranges->items[ranges->n - 1], range)))
                return;
        if (array_reserve(&ranges->items, &ranges->allocated, ranges->n, 1) < 0) {
                ranges->n = 0;
                ranges->everything = true;
                return;
        }
        ranges->items[ranges->n++] = range;
}

static int compare_first(const void *a, const void *b) {
        const Range *left = a, *right = b;

        return (left->first > right->first) - (left->first < right->first);
}

void dirty_ranges_sort(DirtyRanges *ranges) {
        size_t end = 0;

        if (ranges->n > 1)
                qsort(ranges->items, ranges->n, sizeof(*ranges->items), compare_first);
        for (size_t i = 0; i < ranges->n; i++) {
                Range *last = end > 0 ? &ranges->items[end - 1] : NULL, next = ranges->items[i];

                if (last && (next.first <= last->last || range_touches(*last, next)))
                        last->last = MAX_OF(last->last, next.last);
                else
                        ranges->items[end++] = next;
        }
        ranges->n = end;
}

void dirty_ranges_clear(DirtyRanges *ranges) {
        ranges->n = 0;
        ranges->everything = false;
        array_relax(&ranges->items, &ranges->allocated);
}

void dirty_ranges_deinit(DirtyRanges *ranges) {
        free(ranges->items);
        *ranges = (DirtyRanges){};
}

static void dirty_everything(Map *map) {
        View *view;

        cds_list_for_each_entry(view, &map->views, link)
                dirty_ranges_add(&view->dirty, RANGE_WHOLE);
}

static void dirty_view(Region *region, Range range, void *userdata) {
        if (region->view)
                dirty_ranges_add(&region->view->dirty, range);
}

void dirty_climb(Map *map, Region *region, Range range) {
        unsigned budget = CLIMB_BUDGET;

        if (climb(region, range, true, &budget, dirty_view, NULL) != 0)
                dirty_everything(map);
}
