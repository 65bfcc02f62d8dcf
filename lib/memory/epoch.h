/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Epoch: how long the regions of old views live
 *
 * Sections point at regions without counting them: copying a section must cost nothing. Each view
 * of a root holds the epoch in which it was made. When a commit replaces the view, the regions that
 * lost a section to it are handed to the old view's epoch, which also takes a reference to the
 * epoch of its successor. An epoch ends when its view and all views before it have gone, and drops
 * its regions then; a region dies when the tree and every such epoch have let go of it.
 *
 * So a commit pays for the regions it hides, not for those it keeps, and whoever holds an old view
 * may use every region that the view shows.
 *
 * Epochs are linked and filled by the map's thread and unreferenced by any.
 */

#include <stddef.h>
#include <urcu/ref.h>

#include "lib/memory/region.h"

typedef struct Epoch Epoch;

struct Epoch {
        struct urcu_ref ref;
        Epoch *next; /* counted reference, once the view was replaced */
        size_t n_regions;
        Region **regions; /* counted references */
};

int epoch_new(Epoch **ret);
Epoch *epoch_ref(Epoch *epoch);
Epoch *epoch_unref(Epoch *epoch);
DEFINE_CLEANUP(Epoch *, epoch_unref);

/*
 * Ends the time of `epoch`: `next` follows. Takes over `regions`, an array from malloc() of counted
 * references. Called once per epoch; cannot fail.
 */
void epoch_close(Epoch *epoch, Epoch *next, Region **regions, size_t n_regions);
