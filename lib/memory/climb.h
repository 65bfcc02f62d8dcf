/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Climb: from a range of a region up to all that show it
 *
 * A range of a region is seen in its parent, shifted by the region's offset and cut to the parent's
 * extent, and in every alias whose window meets it, shifted back by the window's offset; and so on
 * upwards, until what is left of it is empty or nobody is above.
 *
 * A climb that comes through one alias a second time has found a loop: the alias' window shows the
 * alias itself.
 *
 * Source: this project.
 */

#include "lib/memory/region.h"
#include "lib/util/range.h"

typedef enum ClimbError {
        CLIMB_E_LOOP = 1,
        CLIMB_E_TOO_FAR, /* the budget is spent, or one way leads through too many aliases */
} ClimbError;

/* Called for each region on the way, the first one too, with the range of it that is meant. */
typedef void (*ClimbFunction)(Region *region, Range range, void *userdata);

/* Steps, regions and aliases looked at, that one edit may take altogether. */
enum { CLIMB_BUDGET = 100 * 1000 };

/*
 * Through enabled regions only, as a guest sees them, or through disabled ones too. Takes its steps
 * out of *budget; `function` may be NULL.
 */
int climb(Region *region, Range range, bool enabled_only, unsigned *budget, ClimbFunction function,
          void *userdata);
