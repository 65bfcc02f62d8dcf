/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Generator: random edits for a small world, or for a large one
 *
 * Positions and sizes are multiples of a unit, near 0 or near 2^64, so that everything that can
 * happen happens within a few hundred units, overlaps are the rule and every unit can be looked
 * at. About a third of the edits are refused: names that are not there, loops, bad ranges.
 *
 * A large world has hundreds of regions over thousands of units, most of them side by side.
 */

#include "lib/memory/map.h"
#include "tests/property/random.h"

enum {
        WORLD_BACKINGS = 3, /* that ram regions share */
        BACKING_UNITS = 96,
};

typedef struct Generator Generator;
typedef struct Row Row;

struct Generator {
        Random random;
        const Map *map; /* which the edits are for; borrowed */
        bool large;
        uint64_t unit;    /* bytes */
        uint64_t n_units; /* that a check looks at, at either end of the address space */
        Backing *backings[WORLD_BACKINGS];
};

/* Windows side by side onto one target: neighbours are one section where their flags are equal. */
struct Row {
        const char *target;
        uint64_t offset;
        uint64_t target_offset;
};

int generator_init(Generator *generator, uint64_t seed, const Map *map, bool large);
void generator_deinit(Generator *generator);
/* A new edit, to be given to edit_deinit(). */
Edit generator_next(Generator *generator);
/* A row onto that target, and the alias that is its next window. */
Row generator_row(Generator *generator, const char *target);
Edit generator_window(Generator *generator, Row *row);
/* The one that makes address space "memory" of region "root", and the one that makes that. */
Edit generator_root(Generator *generator);
Edit generator_memory(Generator *generator);
