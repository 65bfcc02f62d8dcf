/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Sights: who could answer where in an address space
 *
 * A region is seen wherever it is reached from the root of a space, through parents and aliases
 * that are enabled, whether or not something else lies above it there. It has a sight each time.
 *
 * I1: `rank` is the order in which regions get their chance to answer: of two sights that overlap,
 *     the one of lower rank wins. Aliases, which never answer, have sights for the sake of the
 *     path.
 */

#include "client/mtree-import.h"
#include "lib/util/range.h"

typedef struct MtreeSight MtreeSight;
typedef struct MtreeSights MtreeSights;

enum {
        MTREE_SIGHTS_MAX = 1 << 20,
        MTREE_PATH_MAX = 2 * MTREE_DEPTH_MAX,
        /* How often a sight may be looked at: what exceeds it is no machine's map. */
        MTREE_LOOKS_MAX = 1 << 26,
};

struct MtreeSight {
        MtreeRegion *region;
        Range range;     /* in the space */
        uint64_t offset; /* of range.first in the region */
        size_t above;    /* the sight through which it was reached; of the root, itself */
        size_t rank;
        unsigned depth;
};

struct MtreeSights {
        MtreeSight *items;
        size_t n;
        size_t n_allocated;
        size_t n_ranks;
        bool too_many;
};

/* A stretch of a space in which the same sights overlap, those that can answer, by rank. */
typedef void MtreeSightVisit(void *context, Range range, const MtreeSight *const *sights, size_t n);

/* All below `root`; with too_many, not all. */
void mtree_sights_init(MtreeSights *sights, MtreeRegion *root);
void mtree_sights_deinit(MtreeSights *sights);
/*
 * Goes through the whole space, from address 0 up. A stretch also ends where `cuts` says that one
 * begins. False if there was too much to look at.
 */
bool mtree_sights_walk(const MtreeSights *sights, const uint64_t *cuts, size_t n_cuts,
                       MtreeSightVisit *visit, void *context);
