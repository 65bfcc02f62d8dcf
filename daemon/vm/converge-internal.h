/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What converge.c works out and converge-reach.c carries on with
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/vm/edit-list.h"
#include "daemon/vm/layout.h"
#include "lib/memory/map.h"
#include "lib/util/detail.h"

typedef struct Converge Converge;
typedef struct Doomed Doomed;
typedef struct Goal Goal;

/* What becomes of one region of the layout; Converge.goals has them in the layout's order. */
struct Goal {
        const LayoutRegion *want;
        Region *have;    /* kept; NULL: is added */
        uint64_t place;  /* among its siblings, once it is placed */
        bool has_left;   /* step 2: it is in no parent now */
        bool has_closed; /* step 2: the alias' window is empty now */
        bool is_waiting; /* step 4: for what must be made before */
        bool is_reached; /* step 4: is made */
};

/* A region of the map that goes. */
struct Doomed {
        Region *region;
        size_t n_holders; /* doomed children and aliases that have to go first */
};

struct Converge {
        const Layout *layout;
        Map *map;
        bool is_careful; /* take out all that changes its place first */
        EditList *edits;
        Detail *detail;
        Goal *goals;
        Doomed *doomed;
        size_t n_doomed;
};

/* NULL for NULL. */
static inline Goal *goal_of(const Converge *converge, const LayoutRegion *want) {
        return want ? &converge->goals[want - converge->layout->regions] : NULL;
}

/* Whether the layout gives a kept region another parent than the map. */
bool goal_changes_parent(const Converge *converge, const Goal *goal);

/* Step 4: makes and changes all regions of the layout. */
int converge_reach(Converge *converge);
