/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "lib/kvm/remap.h"
#include "lib/util/array.h"

typedef struct Sweep Sweep;

/* A walk over both sets at once, in steps in which neither has an edge. */
struct Sweep {
        const Extents *had, *now;
        size_t i, j; /* the first of each that ends at or behind `step` */
        Range step;
        const Extent *old, *new; /* what the two have there; NULL: nothing */
};

/* The extent that `step` begins in, or NULL; cuts the step where that changes. */
static const Extent *sweep_meet(Sweep *sweep, const Extent *extent) {
        if (!extent)
                return NULL;
        if (extent->range.first > sweep->step.first) {
                sweep->step.last = MIN_OF(sweep->step.last, extent->range.first - 1);
                return NULL;
        }
        sweep->step.last = MIN_OF(sweep->step.last, extent->range.last);
        return extent;
}

/* The step that begins at `first`. */
static void sweep_enter(Sweep *sweep, uint64_t first) {
        const Extents *had = sweep->had, *now = sweep->now;

        sweep->step = (Range){first, UINT64_MAX};
        sweep->old = sweep_meet(sweep, sweep->i < had->n ? &had->items[sweep->i] : NULL);
        sweep->new = sweep_meet(sweep, sweep->j < now->n ? &now->items[sweep->j] : NULL);
}

/* Goes on behind the step; false at the end. */
static bool sweep_next(Sweep *sweep) {
        uint64_t last = sweep->step.last;

        if (last == UINT64_MAX)
                return false;
        if (sweep->old && sweep->old->range.last == last)
                sweep->i++;
        if (sweep->new && sweep->new->range.last == last)
                sweep->j++;
        sweep_enter(sweep, last + 1);
        return true;
}

/* A remap goes on over steps that lead into the same extent, or to nothing. */
static int remaps_append(Remaps *remaps, const Remap *remap) {
        Remap *before = remaps->n ? &remaps->items[remaps->n - 1] : NULL;
        int r;

        if (before && range_touches(before->range, remap->range) && before->to == remap->to &&
            before->in_place == remap->in_place) {
                before->range.last = remap->range.last;
                return 0;
        }
        r = array_reserve(&remaps->items, &remaps->allocated, remaps->n, 1);
        if (r == 0)
                remaps->items[remaps->n++] = *remap;
        return r;
}

static int remaps_add_step(Remaps *remaps, const Sweep *sweep) {
        const Extent *old = sweep->old, *new = sweep->new;
        bool same = old && new &&extent_same_translation(old, new);

        if (!old && !new)
                return 0;
        if (same && old->flags == new->flags)
                return 0;
        return remaps_append(remaps, &(Remap){sweep->step, new, same});
}

int remaps_compare(Remaps *remaps, const Extents *had, const Extents *now) {
        Sweep sweep = {.had = had, .now = now};
        int r;

        sweep_enter(&sweep, 0);
        do
                r = remaps_add_step(remaps, &sweep);
        while (r == 0 && sweep_next(&sweep));
        return r;
}

void remaps_deinit(Remaps *remaps) {
        free(remaps->items);
}
