/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <string.h>

#include "client/picture-paths.h"
#include "client/picture.h"

/* Views while they are gone through from below. */
typedef struct Cursor {
        const Section *at;
        const Section *end;
} Cursor;

/* Claims that reach into a range, the highest first. */
typedef struct Sweep {
        const Claim *next;
        const Claim *end;
        const Claim **active;
        size_t n_active;
} Sweep;

static Cursor cursor(const Sections *sections) {
        return (Cursor){sections->items, sections->items + sections->n};
}

/* The section at an address, or NULL, and in *last where the next change may be. */
static const Section *cursor_look(Cursor *cursor, uint64_t address, uint64_t *last) {
        while (cursor->at < cursor->end && cursor->at->last < address)
                cursor->at++;
        if (cursor->at == cursor->end)
                return NULL;
        if (cursor->at->first > address) {
                *last = MIN_OF(*last, cursor->at->first - 1);
                return NULL;
        }
        *last = MIN_OF(*last, cursor->at->last);
        return cursor->at;
}

/* Whether they show the same bytes at the same addresses. */
static bool same(const Section *a, const Section *b) {
        return a == b || (strcmp(a->region, b->region) == 0 && strcmp(a->kind, b->kind) == 0 &&
                          a->flags == b->flags && a->offset - a->first == b->offset - b->first);
}

static BandChange change_of(const Section *now, const Section *was) {
        if (!now && !was)
                return CHANGE_NONE;
        if (!was)
                return CHANGE_ADDED;
        if (!now)
                return CHANGE_REMOVED;
        return same(now, was) ? CHANGE_NONE : CHANGE_REPLACED;
}

static int compare_orders(const void *a, const void *b) {
        const Claim *x = *(const Claim *const *)a, *y = *(const Claim *const *)b;

        return x->order < y->order ? -1 : x->order > y->order;
}

static Sweep sweep_new(const Claim *claims, size_t n) {
        return (Sweep){
                .next = claims,
                .end = claims + n,
                .active = must(calloc(n + 1, sizeof(const Claim *))),
        };
}

/* Moves on to a range: those that end before it go, those that begin before its end come. */
static void sweep_to(Sweep *sweep, Range range) {
        size_t n = 0;

        for (size_t i = 0; i < sweep->n_active; i++)
                if (sweep->active[i]->layer.range.last >= range.first)
                        sweep->active[n++] = sweep->active[i];
        sweep->n_active = n;
        while (sweep->next < sweep->end && sweep->next->layer.range.first <= range.last)
                sweep->active[sweep->n_active++] = sweep->next++;
        if (sweep->n_active > n)
                qsort(sweep->active, sweep->n_active, sizeof(*sweep->active), compare_orders);
}

/* The highest claim at an address, or NULL, and in *last where the next change may be. */
static const Claim *sweep_look(Sweep *sweep, uint64_t address, uint64_t *last) {
        sweep_to(sweep, (Range){address, address});
        if (sweep->next < sweep->end)
                *last = MIN_OF(*last, sweep->next->layer.range.first - 1);
        for (size_t i = 0; i < sweep->n_active; i++)
                *last = MIN_OF(*last, sweep->active[i]->layer.range.last);
        return sweep->n_active > 0 ? sweep->active[0] : NULL;
}

/* The part of a claim that is in a band. */
static bool cut_layer(const Claim *claim, Range range, Layer *ret) {
        const Layer *whole = &claim->layer;
        Layer layer = *whole;

        if (!range_intersect(whole->range, range, &layer.range))
                return false;
        layer.offset += layer.range.first - whole->range.first;
        *ret = layer;
        return true;
}

/* Goes on with the part before it, if that is of the same claim. */
static void add_seen(Picture *picture, Band *band, const Claim *claim, Range range) {
        Layer *before = band->n_seen > 0 ? &picture->seen[picture->n_seen - 1] : NULL, layer;

        if (before && before->path == claim->layer.path && range_touches(before->range, range)) {
                before->range.last = range.last;
                return;
        }
        if (!cut_layer(claim, range, &layer))
                return;
        must_reserve(&picture->seen, &picture->n_seen_allocated, picture->n_seen, 1);
        picture->seen[picture->n_seen++] = layer;
        band->n_seen++;
}

static void add_all_seen(Picture *picture, Band *band, Sweep *sweep) {
        Range range = band->range;

        band->first_seen = picture->n_seen;
        for (;;) {
                const Claim *claim = sweep_look(sweep, range.first, &range.last);

                if (claim)
                        add_seen(picture, band, claim, range);
                if (range.last == band->range.last)
                        return;
                range = (Range){range.last + 1, band->range.last};
        }
}

/* Whether they are parts of one region in one place. */
static bool fits(const Picture *picture, const Layer *a, const Layer *b) {
        return layer_region(picture, a) == layer_region(picture, b) &&
               a->offset - a->range.first == b->offset - b->range.first;
}

/* Becomes part of a layer above it that it overlaps or goes on from; false if there is none. */
static bool join_layer(Picture *picture, const Band *band, const Layer *layer) {
        for (size_t i = 0; i < band->n_layers; i++) {
                Layer *above = &picture->layers[band->first_layer + i];
                Range *range = &above->range;

                if (!fits(picture, above, layer) ||
                    !(range_overlaps(*range, layer->range) || range_touches(*range, layer->range) ||
                      range_touches(layer->range, *range)))
                        continue;
                if (range_covers(*range, layer->range))
                        return true;
                above->more_paths = true;
                if (layer->range.first < range->first) {
                        above->offset = layer->offset;
                        above->path = layer->path;
                }
                *range = (Range){MIN_OF(range->first, layer->range.first),
                                 MAX_OF(range->last, layer->range.last)};
                return true;
        }
        return false;
}

/* What is seen, as one layer: all of the band. */
static Layer seen_layer(const Picture *picture, const Band *band) {
        Layer layer = *band_seen(picture, band, 0);

        layer.offset -= layer.range.first - band->range.first;
        layer.range = band->range;
        return layer;
}

static void add_layers(Picture *picture, Band *band, const Sweep *sweep) {
        Layer layer;

        must_reserve(&picture->layers, &picture->n_layers_allocated, picture->n_layers,
                     PICTURE_LAYERS_MAX);
        band->first_layer = picture->n_layers;
        if (band->n_seen == 0)
                return;
        picture->layers[picture->n_layers++] = seen_layer(picture, band);
        band->n_layers = 1;
        for (size_t i = 0; i < sweep->n_active && band->n_layers < PICTURE_LAYERS_MAX; i++) {
                if (!cut_layer(sweep->active[i], band->range, &layer) ||
                    join_layer(picture, band, &layer))
                        continue;
                picture->layers[picture->n_layers++] = layer;
                band->n_layers++;
        }
}

static void add_band(Picture *picture, const Band *band) {
        must_reserve(&picture->bands, &picture->n_bands_allocated, picture->n_bands, 1);
        picture->bands[picture->n_bands++] = *band;
}

static void add_bands(Picture *picture, const Sections *now, const Sections *was, Sweep *seen,
                      Sweep *all) {
        Cursor a = cursor(now), b = cursor(was);
        uint64_t address = 0;

        for (;;) {
                Band band = {.range = {address, UINT64_MAX}};

                band.now = cursor_look(&a, address, &band.range.last);
                band.was = cursor_look(&b, address, &band.range.last);
                band.change = change_of(band.now, band.was);
                add_all_seen(picture, &band, seen);
                sweep_to(all, band.range);
                add_layers(picture, &band, all);
                add_band(picture, &band);
                if (band.range.last == UINT64_MAX)
                        return;
                address = band.range.last + 1;
        }
}

Picture *picture_new(const RegionNode *root, const Sections *now, const Sections *was) {
        Picture *picture = must(calloc(1, sizeof(*picture)));
        _cleanup_(freep) Claim *claims = NULL;
        size_t n_claims = picture_claims(picture, root, &claims);
        Sweep seen = sweep_new(claims, n_claims), all = sweep_new(claims, n_claims);

        add_bands(picture, now, was ? was : now, &seen, &all);
        free(seen.active);
        free(all.active);
        return picture;
}

Picture *picture_free(Picture *picture) {
        if (!picture)
                return NULL;
        free(picture->paths);
        free(picture->layers);
        free(picture->seen);
        free(picture->bands);
        free(picture);
        return NULL;
}

static size_t path_length(const Picture *picture, uint32_t path) {
        size_t length = 0;

        for (; path != PICTURE_NO_PATH; path = picture->paths[path].before)
                length++;
        return length;
}

/* The path of what is seen at an address. */
static uint32_t path_at(const Picture *picture, const Band *band, uint64_t address) {
        size_t i = 0;

        while (i + 1 < band->n_seen && band_seen(picture, band, i)->range.last < address)
                i++;
        return band_seen(picture, band, i)->path;
}

/* Up from both until the paths meet. */
Rank picture_rank(const Picture *picture, const Band *band, const Layer *hidden) {
        uint32_t a = path_at(picture, band, hidden->range.first), b = hidden->path;
        uint32_t last_a = a, last_b = PICTURE_NO_PATH;
        size_t length_a = path_length(picture, a), length_b = path_length(picture, b);

        while (a != b) {
                bool up_a = length_a >= length_b, up_b = length_b >= length_a;

                if (up_a) {
                        last_a = a;
                        a = picture->paths[a].before;
                        length_a--;
                }
                if (up_b) {
                        last_b = b;
                        b = picture->paths[b].before;
                        length_b--;
                }
        }
        return (Rank){
                .path = a,
                .upper = picture->paths[last_a].region,
                .lower = last_b == PICTURE_NO_PATH ? NULL : picture->paths[last_b].region,
        };
}
