/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Siblings: a map with N regions side by side, each of them one section
 *
 * They are children of "system" itself, or of a container that is nowhere placed and seen through
 * an alias as large as everything. With a background, one region of lowest priority lies below all
 * of them and shows in every gap. Between any two there is room for one more.
 */

#include "tests/common/scene.h"

enum { SIBLING_SPACING = 0x2000, SIBLING_SIZE = 0x1000 };

typedef enum Placement {
        PLACE_ASCENDING,
        PLACE_DESCENDING,
        PLACE_RANDOM,
        N_PLACEMENTS,
} Placement;

typedef struct Siblings Siblings;

struct Siblings {
        size_t n;
        Placement placement; /* in what order they are added */
        RegionKind kind;
        bool alias;
        bool background;
};

const char *placement_to_string(Placement placement);
int placement_from_string(const char *word);

/* Adds each by must_edit(), or by must_edit_commit(). The name of their parent. */
const char *siblings_add(Map *map, const Siblings *siblings, void (*edit)(Map *map, Edit edit));
/* Where the gap behind the i-th begins, for a region of half a sibling's size. */
static inline uint64_t siblings_gap(size_t i) {
        return i * SIBLING_SPACING + SIBLING_SIZE;
}
