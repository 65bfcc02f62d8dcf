/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <string.h>

#include "client/mtree-sight.h"
#include "client/print.h"

typedef struct Walk Walk;

/* Those that cover the address that the walk has come to, by rank. */
struct Walk {
        const MtreeSight **items;
        size_t n;
        size_t n_allocated;
        size_t n_looks;
};

static MtreeSight *add_sight(MtreeSights *sights, const MtreeSight *sight) {
        MtreeSight *added;

        sights->too_many |= sights->n == MTREE_SIGHTS_MAX || sight->depth > MTREE_PATH_MAX;
        if (sights->too_many)
                return NULL;
        must_reserve(&sights->items, &sights->n_allocated, sights->n, 1);
        added = &sights->items[sights->n++];
        *added = *sight;
        return added;
}

static void see(MtreeSights *sights, MtreeRegion *region, Range part, uint64_t at, size_t above);

/* `part` of the region, which begins at address `at`, as its children have it. */
static void see_children(MtreeSights *sights, MtreeRegion *region, Range part, uint64_t at,
                         size_t above) {
        for (size_t i = region->n_placed; i-- > 0;) {
                MtreeRegion *child = region->placed[i];
                uint64_t offset = mtree_line_offset(child->line);
                uint64_t before = offset > part.first ? offset - part.first : 0;
                Range below;

                if (range_shift_down(part, offset, &below))
                        see(sights, child, below, at + before, above);
        }
}

/* Calls itself; paths are at most MTREE_PATH_MAX long. */
static void see(MtreeSights *sights, MtreeRegion *region, Range part, uint64_t at, size_t above) {
        const MtreeLine *line = region->line;
        size_t index = sights->n;
        MtreeSight sight = {.region = region, .above = above};

        if (!line->enabled || line->orphan || line->unseen || region->empty ||
            !range_intersect(part, (Range){0, line->last - line->first}, &part))
                return;
        sight.range = (Range){at, at + (part.last - part.first)};
        sight.offset = part.first;
        sight.depth = index == above ? 0 : sights->items[above].depth + 1;
        if (!add_sight(sights, &sight))
                return;
        if (!line->target) {
                see_children(sights, region, part, at, index);
                sights->items[index].rank = sights->n_ranks++;
        } else if (range_shift_up(part, line->window, &part)) {
                see(sights, region->target, part, at, index);
        }
}

void mtree_sights_init(MtreeSights *sights, MtreeRegion *root) {
        *sights = (MtreeSights){};
        see(sights, root, RANGE_WHOLE, 0, 0);
}

void mtree_sights_deinit(MtreeSights *sights) {
        free(sights->items);
}

static int compare_addresses(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

/* Where stretches begin, each once. */
static uint64_t *find_cuts(const MtreeSights *sights, const uint64_t *cuts, size_t n_cuts,
                           size_t *ret_n) {
        uint64_t *all = must(calloc(2 * sights->n + n_cuts + 1, sizeof(*all)));
        size_t n = 1, kept = 0; /* all[0] is address 0 */

        for (size_t i = 0; i < n_cuts; i++)
                all[n++] = cuts[i];
        for (size_t i = 0; i < sights->n; i++) {
                all[n++] = sights->items[i].range.first;
                all[n++] = sights->items[i].range.last + 1; /* 0 behind the end: there already */
        }
        qsort(all, n, sizeof(*all), compare_addresses);
        for (size_t i = 0; i < n; i++)
                if (i == 0 || all[i] != all[kept - 1])
                        all[kept++] = all[i];
        *ret_n = kept;
        return all;
}

static int compare_firsts(const void *a, const void *b) {
        const MtreeSight *x = *(const MtreeSight *const *)a, *y = *(const MtreeSight *const *)b;

        if (x->range.first != y->range.first)
                return x->range.first < y->range.first ? -1 : 1;
        return (x->rank > y->rank) - (x->rank < y->rank);
}

/* Those that can answer, by where they begin. */
static const MtreeSight **sort_sights(const MtreeSights *sights, size_t *ret_n) {
        const MtreeSight **sorted = must(calloc(sights->n + 1, sizeof(MtreeSight *)));
        size_t n = 0;

        for (size_t i = 0; i < sights->n; i++)
                if (!sights->items[i].region->line->target)
                        sorted[n++] = &sights->items[i];
        qsort(sorted, n, sizeof(*sorted), compare_firsts);
        *ret_n = n;
        return sorted;
}

static void walk_leave(Walk *walk, uint64_t address) {
        size_t kept = 0;

        for (size_t i = 0; i < walk->n; i++)
                if (walk->items[i]->range.last >= address)
                        walk->items[kept++] = walk->items[i];
        walk->n_looks += walk->n;
        walk->n = kept;
}

static void walk_enter(Walk *walk, const MtreeSight *sight) {
        size_t at = walk->n;

        must_reserve(&walk->items, &walk->n_allocated, walk->n, 1);
        for (; at > 0 && walk->items[at - 1]->rank > sight->rank; at--)
                walk->items[at] = walk->items[at - 1];
        walk->items[at] = sight;
        walk->n_looks += walk->n - at;
        walk->n++;
}

bool mtree_sights_walk(const MtreeSights *sights, const uint64_t *cuts, size_t n_cuts,
                       MtreeSightVisit *visit, void *context) {
        size_t n_all, n_sorted, next = 0;
        _cleanup_(freep) uint64_t *all = find_cuts(sights, cuts, n_cuts, &n_all);
        _cleanup_(freep) const MtreeSight **sorted = sort_sights(sights, &n_sorted);
        Walk walk = {};

        for (size_t i = 0; i < n_all && walk.n_looks <= MTREE_LOOKS_MAX; i++) {
                Range range = {all[i], i + 1 < n_all ? all[i + 1] - 1 : UINT64_MAX};

                walk_leave(&walk, range.first);
                for (; next < n_sorted && sorted[next]->range.first == range.first; next++)
                        walk_enter(&walk, sorted[next]);
                visit(context, range, walk.items, walk.n);
        }
        free(walk.items);
        return walk.n_looks <= MTREE_LOOKS_MAX;
}
