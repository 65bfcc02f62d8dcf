/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Maps with N regions side by side; see siblings.h. */

#include "lib/util/string-table.h"
#include "tests/bench/siblings.h"

static const char *const placement_table[] = {[PLACE_ASCENDING] = "ascending",
                                              [PLACE_DESCENDING] = "descending",
                                              [PLACE_RANDOM] = "random"};

STRING_TABLE(placement, Placement, placement_table);

/* Which place the i-th region to be added gets: a permutation of 0 … n - 1. */
static size_t place_of(size_t i, size_t n, Placement placement) {
        switch (placement) {
        case PLACE_DESCENDING:
                return n - 1 - i;
        case PLACE_RANDOM:
                /* A step that shares no factor with n visits every place once. */
                return (size_t)((unsigned __int128)i * 2654435761U % n);
        default:
                return i;
        }
}

const char *siblings_add(Map *map, const Siblings *siblings, void (*edit)(Map *, Edit)) {
        const char *parent = siblings->alias ? "behind" : "system";
        char name[32];

        if (siblings->alias) {
                edit(map, add_region(REGION_CONTAINER, parent, SIZE_WHOLE, NULL, 0, 0));
                edit(map, add_alias("window", parent, 0, SIZE_WHOLE, "system", 0, 0));
        }
        if (siblings->background)
                edit(map, add_region(REGION_MMIO, "background", siblings->n * SIBLING_SPACING,
                                          parent, 0, -1));
        for (size_t i = 0; i < siblings->n; i++) {
                uint64_t place = place_of(i, siblings->n, siblings->placement);

                snprintf(name, sizeof(name), "region%zu", i);
                edit(map, add_region(siblings->kind, name, SIBLING_SIZE, parent,
                                          place * SIBLING_SPACING, 0));
        }
        return parent;
}
