/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Picture: an address space as bands from 0 to 2^64, each with what lies below it
 *
 * What is drawn in a terminal, as SVG and as a page comes from here. Nothing is asked and nothing
 * is printed.
 *
 * A path is a region as it is met on the way down from the root, through children and aliases. A
 * region that shows up twice has two paths.
 *
 * A band is a range that one section serves, or none does: a gap. Where two generations are
 * compared, it is a range in which neither view changes hands.
 *
 * A layer is what could be seen in a band if nothing hid it: part of a leaf, on some path. The
 * first of a band's layers is the one that is seen.
 *
 * What is seen comes in parts where several paths lead to it: aliases side by side that show bytes
 * side by side make one section.
 *
 * I1: bands cover 0 to 2^64 without a hole, in address order.
 * I2: layers of a band stand in the order in which they win, and overlap the band. No two of them
 *     have the same bytes at the same address: to hide what looks alike is to hide nothing.
 * I3: a path comes behind the one that it leads on from.
 * I4: the seen parts of a band cover it without a hole, in address order; of a gap there are none.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/region-tree.h"
#include "client/sections.h"
#include "lib/util/range.h"

typedef struct Band Band;
typedef struct Layer Layer;
typedef struct Path Path;
typedef struct Picture Picture;
typedef struct Rank Rank;

enum {
        PICTURE_LAYERS_MAX = 8,       /* of a band; what is below these is not told */
        PICTURE_PATHS_MAX = 1 << 18,  /* aliases of aliases can show a tree any number of times */
        PICTURE_NO_PATH = UINT32_MAX, /* behind the root */
};

typedef enum BandChange {
        CHANGE_NONE,
        CHANGE_ADDED,
        CHANGE_REMOVED,
        CHANGE_REPLACED,
} BandChange;

struct Path {
        const RegionNode *region;
        uint32_t before; /* index of the path that leads here, or PICTURE_NO_PATH */
};

struct Layer {
        Range range;
        uint64_t offset; /* of its first byte in the region */
        uint32_t path;
        bool more_paths; /* if it is hidden: other parts of it are there by other aliases */
};

struct Band {
        Range range;
        const Section *now; /* NULL: a gap */
        const Section *was; /* the same as now if nothing is compared */
        BandChange change;
        size_t first_layer;
        size_t n_layers;
        size_t first_seen;
        size_t n_seen;
};

struct Picture {
        Path *paths;
        size_t n_paths;
        size_t n_paths_allocated;
        Layer *layers;
        size_t n_layers;
        size_t n_layers_allocated;
        Layer *seen; /* parts of what is seen, each with its own path */
        size_t n_seen;
        size_t n_seen_allocated;
        Band *bands;
        size_t n_bands;
        size_t n_bands_allocated;
        bool partial; /* there were more than PICTURE_PATHS_MAX paths */
};

/* Why one layer is above another: two siblings, or one region around another. */
struct Rank {
        const RegionNode *upper;
        const RegionNode *lower; /* NULL: lies around the upper one */
        uint32_t path;           /* that leads to both */
};

/*
 * Of the view `now` of the region `root`; compared to `was`, which is NULL if nothing is. Borrows
 * the sections and regions.
 */
Picture *picture_new(const RegionNode *root, const Sections *now, const Sections *was);
Picture *picture_free(Picture *picture);
DEFINE_CLEANUP(Picture *, picture_free);

static inline const Layer *band_layer(const Picture *picture, const Band *band, size_t i) {
        return &picture->layers[band->first_layer + i];
}

static inline const Layer *band_seen(const Picture *picture, const Band *band, size_t i) {
        return &picture->seen[band->first_seen + i];
}

static inline const RegionNode *layer_region(const Picture *picture, const Layer *layer) {
        return picture->paths[layer->path].region;
}

/* What is in a band, or, where nothing is any more, what was in it; NULL where nothing ever was. */
static inline const Section *band_section(const Band *band) {
        return band->now ? band->now : band->was;
}

/* Of what is seen where a hidden layer begins, and that layer. */
Rank picture_rank(const Picture *picture, const Band *band, const Layer *hidden);
