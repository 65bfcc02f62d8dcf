/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Goes down from a root in the order in which regions win: children before the region around them,
 * among children the one with the highest priority first, and behind an alias its target. What is
 * visited is kept on a stack, as nothing bounds the depth of a tree.
 */

#include <stdlib.h>
#include <string.h>

#include "client/picture-paths.h"

/* A region, or what a region itself claims once its children have been visited. */
typedef struct Visit {
        const RegionNode *region;
        Range window;    /* in the address space */
        uint64_t offset; /* of window.first in the region */
        uint32_t path;   /* that leads to the region; of an `own` visit, the region's */
        bool own;
} Visit;

typedef struct Walk {
        Picture *picture;
        Visit *stack;
        size_t n;
        size_t n_allocated;
        Claim *claims;
        size_t n_claims;
        size_t n_claims_allocated;
} Walk;

static void push(Walk *walk, Visit visit) {
        must_reserve(&walk->stack, &walk->n_allocated, walk->n, 1);
        walk->stack[walk->n++] = visit;
}

static uint32_t add_path(Picture *picture, const RegionNode *region, uint32_t before) {
        must_reserve(&picture->paths, &picture->n_paths_allocated, picture->n_paths, 1);
        picture->paths[picture->n_paths] = (Path){region, before};
        return picture->n_paths++;
}

static void add_claim(Walk *walk, const Visit *visit) {
        must_reserve(&walk->claims, &walk->n_claims_allocated, walk->n_claims, 1);
        walk->claims[walk->n_claims] = (Claim){
                .layer = {visit->window, visit->offset, visit->path},
                .order = walk->n_claims,
        };
        walk->n_claims++;
}

/* The part of a region at `offset` of the visited one that its window shows. */
static bool look_at(const Visit *visit, const RegionNode *region, uint64_t offset, Visit *ret) {
        Range seen = {visit->offset, visit->offset + (visit->window.last - visit->window.first)};
        Range range;

        if (!range_from_size(region->size, &range) || !range_shift_up(range, offset, &range) ||
            !range_intersect(range, seen, &range))
                return false;
        *ret = (Visit){
                .region = region,
                .window = {visit->window.first + (range.first - seen.first),
                           visit->window.first + (range.last - seen.first)},
                .offset = range.first - offset,
                .path = visit->path,
        };
        return true;
}

/* An alias hands its window on, as if the target lay where the alias does. */
static void visit_target(Walk *walk, Visit visit) {
        uint64_t room;
        Visit next;

        if (!visit.region->target || visit.offset > UINT64_MAX - visit.region->target_offset)
                return;
        visit.offset += visit.region->target_offset;
        room = UINT64_MAX - visit.offset;
        if (visit.window.last - visit.window.first > room)
                visit.window.last = visit.window.first + room;
        if (look_at(&visit, visit.region->target, 0, &next))
                push(walk, next);
}

/* Pushes what comes first last. The links go from the winner down: they are turned round here. */
static void visit_children(Walk *walk, const Visit *visit) {
        size_t first = walk->n;
        Visit next;

        for (const RegionNode *child = visit->region->top; child; child = child->under)
                if (child->enabled && look_at(visit, child, child->offset, &next))
                        push(walk, next);
        for (size_t i = first, j = walk->n; i + 1 < j; i++, j--) {
                Visit swap = walk->stack[i];

                walk->stack[i] = walk->stack[j - 1];
                walk->stack[j - 1] = swap;
        }
}

static void visit_region(Walk *walk, Visit visit) {
        visit.path = add_path(walk->picture, visit.region, visit.path);
        if (strcmp(visit.region->kind, "alias") == 0) {
                visit_target(walk, visit);
                return;
        }
        if (strcmp(visit.region->kind, "container") != 0) {
                visit.own = true;
                push(walk, visit);
        }
        visit_children(walk, &visit);
}

static void walk_on(Walk *walk) {
        while (walk->n > 0 && walk->picture->n_paths < PICTURE_PATHS_MAX) {
                Visit visit = walk->stack[--walk->n];

                if (visit.own)
                        add_claim(walk, &visit);
                else if (visit.region->enabled)
                        visit_region(walk, visit);
        }
        walk->picture->partial = walk->n > 0;
}

static int compare_claims(const void *a, const void *b) {
        return range_compare(((const Claim *)a)->layer.range, ((const Claim *)b)->layer.range);
}

size_t picture_claims(Picture *picture, const RegionNode *root, Claim **ret) {
        Visit whole = {root, RANGE_WHOLE, .path = PICTURE_NO_PATH}, first;
        Walk walk = {.picture = picture};

        if (look_at(&whole, root, 0, &first))
                push(&walk, first);
        walk_on(&walk);
        free(walk.stack);
        if (walk.n_claims > 0)
                qsort(walk.claims, walk.n_claims, sizeof(*walk.claims), compare_claims);
        *ret = walk.claims;
        return walk.n_claims;
}
