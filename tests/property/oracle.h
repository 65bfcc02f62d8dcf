/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Oracle: who is visible at one address, worked out the plain way
 *
 * For a single address the rules of rendering need no ranges, no index and no merging: walk down
 * from the root, ask each child in order, and the first that answers wins. Offsets are 128 bits
 * wide, so nothing wraps. This shares no code with lib/memory but the struct Region: whose children
 * are whose is found out by sorting all regions of the map.
 */

#include "lib/memory/map.h"

typedef struct Oracle Oracle;
typedef struct Seen Seen;

/* Of a map as it is: after an edit it takes another. */
struct Oracle {
        const Region **regions; /* by parent, then those that win first */
        size_t n;
};

struct Seen {
        const Region *region; /* NULL: nothing answers */
        uint64_t offset;
        RegionKind kind;
        uint32_t flags;
        uint64_t path; /* differs between two visits of one leaf */
};

void oracle_init(Oracle *oracle, Map *map);
void oracle_deinit(Oracle *oracle);
/* False: the tree is too tangled to be walked in reasonable time. */
bool oracle_see(const Oracle *oracle, const Region *root, uint64_t address, Seen *ret);
/* Whether an address and the one right behind it are parts of one section. */
bool oracle_joins(const Seen *a, const Seen *next);
