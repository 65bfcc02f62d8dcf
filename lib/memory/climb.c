/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "lib/memory/climb.h"

enum { CLIMB_ALIASES_MAX = 128 }; /* on one way; bounds the recursion */

typedef struct Climber {
        bool enabled_only;
        ClimbFunction function;
        void *userdata;
        unsigned *budget;
        unsigned n_aliases;
} Climber;

static int climb_from(Climber *climber, Region *region, Range range);

static bool take_step(Climber *climber) {
        if (*climber->budget == 0)
                return false;
        (*climber->budget)--;
        return true;
}

static int climb_through(Climber *climber, Region *alias, Range range) {
        Range window;
        int r;

        if (!take_step(climber))
                return CLIMB_E_TOO_FAR;
        if (!range_shift_down(range, alias->state.target_offset, &range) ||
            !region_extent(alias, &window) || !range_overlaps(range, window))
                return 0;
        if (alias->climbed)
                return CLIMB_E_LOOP;
        if (++climber->n_aliases > CLIMB_ALIASES_MAX)
                return CLIMB_E_TOO_FAR;
        alias->climbed = true;
        r = climb_from(climber, alias, range);
        alias->climbed = false;
        climber->n_aliases--;
        return r;
}

static int climb_from(Climber *climber, Region *region, Range range) {
        for (; region; region = region->state.parent) {
                Region *alias;
                Range extent;
                int r;

                if (!take_step(climber))
                        return CLIMB_E_TOO_FAR;
                if (climber->enabled_only && !region_is(region, REGION_ENABLED))
                        return 0;
                if (!region_extent(region, &extent) || !range_intersect(range, extent, &range))
                        return 0;
                if (climber->function)
                        climber->function(region, range, climber->userdata);

                cds_list_for_each_entry(alias, &region->aliases, link) {
                        r = climb_through(climber, alias, range);
                        if (r != 0)
                                return r;
                }
                if (!range_shift_up(range, region->state.offset, &range))
                        return 0;
        }
        return 0;
}

int climb(Region *region, Range range, bool enabled_only, unsigned *budget, ClimbFunction function,
          void *userdata) {
        Climber climber = {enabled_only, function, userdata, budget, 0};
        int r;

        /* An alias that is climbed from is on the way like those that are climbed through. */
        region->climbed = region->kind == REGION_ALIAS;
        r = climb_from(&climber, region, range);
        region->climbed = false;
        return r;
}
