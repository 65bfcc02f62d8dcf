/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Siblings: a map with N regions side by side, each of them one section
 */

#include "tests/common/scene.h"

enum { SIBLING_SPACING = 0x2000, SIBLING_SIZE = 0x1000 };

typedef enum Placement {
        PLACE_ASCENDING,
        PLACE_DESCENDING,
        PLACE_RANDOM,
        N_PLACEMENTS,
} Placement;

const char *placement_to_string(Placement placement);
int placement_from_string(const char *word);

/*
 * Adds n regions to container "system", without a commit. With a background, one region of lowest
 * priority lies below all of them and shows in every gap.
 */
void siblings_add(Map *map, size_t n, Placement placement, bool background);
