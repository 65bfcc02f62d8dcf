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
 */

#include "lib/memory/region.h"
#include "lib/util/range.h"

typedef enum ClimbError {
        CLIMB_E_LOOP = 1,
        CLIMB_E_TOO_FAR, /* more ways up, or more aliases on one way, than anybody should need */
} ClimbError;

/* Called for each region on the way, the first one too, with the range of it that is meant. */
typedef void (*ClimbFunction)(Region *region, Range range, void *userdata);

/* Through enabled regions only, as a guest sees them, or through disabled ones too. */
int climb(Region *region, Range range, bool enabled_only, ClimbFunction function, void *userdata);
