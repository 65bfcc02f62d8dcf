/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How it is done
 *
 * A visit to a region appends its sections, ascending, to a list. Children that overlap nobody are
 * visited one after the other, straight into that list: the usual case costs a walk and nothing
 * else. Children that do overlap form a cluster; it is split by precedence into a winning and a
 * losing half until a part has no overlaps, and the halves are laid over each other. Overlaying is
 * associative, so the halving is only a matter of cost: O(n log n) for n sections, however many
 * regions lie over how many.
 */

#include <stdlib.h>

#include "lib/memory/map-error.h"
#include "lib/memory/render.h"
#include "lib/util/array.h"

typedef struct Child Child;
typedef struct Cluster Cluster;
typedef struct Precedence Precedence;
typedef struct Renderer Renderer;
typedef struct Visit Visit;

struct Renderer {
        size_t n_visits;
        unsigned depth;
        Detail *detail;
};

/* Where the walk stands: a region, and what of it is looked at. */
struct Visit {
        const Region *region;
        Range window;   /* offsets in the region */
        uint64_t delta; /* what to add, modulo 2^64, to get an address */
        uint32_t flags; /* path flags of the regions above */
};

struct Child {
        const Region *region;
        Range range; /* in the parent, cut to the window */
        size_t rank; /* 0 wins over all others of its cluster */
};

struct Cluster {
        Child *items; /* ascending by offset */
        size_t n;
        size_t allocated;
        uint64_t last; /* greatest last byte */
};

/* What is sorted to rank a cluster: to look at the regions each time would miss the cache. */
struct Precedence {
        int32_t priority;
        uint64_t place;
        Child *child;
};

static int visit_region(Renderer *renderer, Visit visit, Sections *out);

static int emit_leaf(const Visit *visit, Sections *out) {
        const Region *region = visit->region;
        uint32_t flags = visit->flags | (region->state.flags & REGION_DIRTY_LOG);

        if (region->kind == REGION_ROMD)
                flags |= region->state.flags & REGION_DIRECT_READ;
        return sections_append(out,
                               &(Section){
                                       .range = {visit->window.first + visit->delta,
                                                 visit->window.last + visit->delta},
                                       .region = (Region *)region,
                                       .offset = visit->window.first,
                                       .kind = region_reported_kind(region),
                                       .flags = flags,
                               },
                               1);
}

static int append_cut(Sections *out, const Section *section, uint64_t first, uint64_t last) {
        Section cut = section_cut(section, (Range){first, last});

        return sections_append(out, &cut, 1);
}

/* One losing section, and the winners from number *next on: what shows of both, up to its end. */
static int overlay_section(Sections *out, const Sections *winners, size_t *next,
                           const Section *loser) {
        uint64_t first = loser->range.first, last = loser->range.last;
        int r = 0;

        for (; r == 0 && *next < winners->n; (*next)++) {
                const Section *winner = &winners->items[*next];

                if (winner->range.first > last)
                        break;
                if (winner->range.last >= first && winner->range.first > first)
                        r = append_cut(out, loser, first, winner->range.first - 1);
                if (winner->range.last >= last && winner->range.first <= last)
                        return r; /* it may reach over the next loser too */
                if (r == 0)
                        r = sections_append(out, winner, 1);
                if (winner->range.last >= first)
                        first = winner->range.last + 1;
        }
        return r < 0 ? r : append_cut(out, loser, first, last);
}

static int overlay(Sections *out, const Sections *winners, const Sections *losers) {
        size_t next = 0;
        int r;

        for (size_t i = 0; i < losers->n; i++) {
                r = overlay_section(out, winners, &next, &losers->items[i]);
                if (r < 0)
                        return r;
        }
        return next == winners->n
                       ? 0
                       : sections_append(out, winners->items + next, winners->n - next);
}

static int visit_child(Renderer *renderer, const Visit *parent, const Child *child, Sections *out) {
        uint64_t offset = child->region->state.offset;

        return visit_region(
                renderer,
                (Visit){
                        .region = child->region,
                        .window = {child->range.first - offset, child->range.last - offset},
                        .delta = parent->delta + offset,
                        .flags = parent->flags,
                },
                out);
}

static bool is_disjoint(const Child *children, size_t n) {
        for (size_t i = 1; i < n; i++)
                if (children[i].range.first <= children[i - 1].range.last)
                        return false;
        return true;
}

/* Moves the children of a rank below `limit` to the front of `to`, the others behind them. */
static size_t split_by_rank(const Child *children, size_t n, size_t limit, Child *to) {
        size_t n_winners = 0, n_losers = 0;

        for (size_t i = 0; i < n; i++)
                n_winners += children[i].rank < limit;
        for (size_t i = 0, w = 0; i < n; i++)
                if (children[i].rank < limit)
                        to[w++] = children[i];
                else
                        to[n_winners + n_losers++] = children[i];
        return n_winners;
}

/*
 * Children of ranks [rank, rank + n), ascending by offset. Not bounded by RENDER_DEPTH_MAX: its own
 * depth is the logarithm of n.
 */
static int render_cluster(Renderer *renderer, const Visit *parent, const Child *children, size_t n,
                          size_t rank, Sections *out) {
        _cleanup_(sections_deinit) Sections winners = {}, losers = {};
        _cleanup_(freep) Child *halves = NULL;
        size_t n_winners;
        int r = 0;

        if (is_disjoint(children, n)) {
                for (size_t i = 0; r == 0 && i < n; i++)
                        r = visit_child(renderer, parent, &children[i], out);
                return r;
        }
        halves = reallocarray(NULL, n, sizeof(*halves));
        if (!halves)
                return -ENOMEM;
        n_winners = split_by_rank(children, n, rank + n / 2, halves);
        r = render_cluster(renderer, parent, halves, n_winners, rank, &winners);
        if (r == 0)
                r = render_cluster(renderer, parent, halves + n_winners, n - n_winners,
                                   rank + n_winners, &losers);
        return r == 0 ? overlay(out, &winners, &losers) : r;
}

static int by_precedence(const void *a, const void *b) {
        const Precedence *left = a, *right = b;

        if (left->priority != right->priority)
                return left->priority > right->priority ? -1 : 1;
        if (left->place != right->place)
                return left->place > right->place ? -1 : 1;
        return region_precedes(left->child->region, right->child->region) ? -1 : 1;
}

static int rank_children(Cluster *cluster) {
        _cleanup_(freep) Precedence *order = NULL;

        order = reallocarray(NULL, cluster->n, sizeof(*order));
        if (!order)
                return -ENOMEM;
        for (size_t i = 0; i < cluster->n; i++) {
                const RegionState *state = &cluster->items[i].region->state;

                order[i] = (Precedence){state->priority, state->place, &cluster->items[i]};
        }
        qsort(order, cluster->n, sizeof(*order), by_precedence);
        for (size_t i = 0; i < cluster->n; i++)
                order[i].child->rank = i;
        return 0;
}

static int flush_cluster(Renderer *renderer, const Visit *parent, Cluster *cluster, Sections *out) {
        int r = 0;

        if (cluster->n > 1)
                r = rank_children(cluster);
        if (r == 0 && cluster->n > 0)
                r = render_cluster(renderer, parent, cluster->items, cluster->n, 0, out);
        cluster->n = 0;
        return r;
}

static int visit_children(Renderer *renderer, const Visit *visit, Sections *out) {
        const Region *region = visit->region, *child;
        _cleanup_(freep) Child *items = NULL;
        Cluster cluster = {};
        int r = 0;

        for (child = region_child_first(region, visit->window); r == 0 && child;
             child = region_child_next(child, visit->window)) {
                Range range;

                /* Those that show nothing are looked at, too, once for each alias above them. */
                renderer->n_visits++;
                if (!region_is(child, REGION_ENABLED) || !region_extent(child, &range) ||
                    !range_shift_up(range, child->state.offset, &range) ||
                    !range_intersect(range, visit->window, &range))
                        continue;
                if (cluster.n > 0 && range.first > cluster.last)
                        r = flush_cluster(renderer, visit, &cluster, out);
                if (r == 0)
                        r = array_reserve(&cluster.items, &cluster.allocated, cluster.n, 1);
                items = cluster.items;
                if (r != 0)
                        break;
                cluster.last = cluster.n ? MAX_OF(cluster.last, range.last) : range.last;
                cluster.items[cluster.n++] = (Child){child, range, 0};
        }
        return r == 0 ? flush_cluster(renderer, visit, &cluster, out) : r;
}

/* A leaf with children: they win, the rest of the window is its own. */
static int visit_leaf(Renderer *renderer, const Visit *visit, Sections *out) {
        _cleanup_(sections_deinit) Sections children = {}, self = {};
        int r;

        if (visit->region->n_children == 0)
                return emit_leaf(visit, out);
        r = visit_children(renderer, visit, &children);
        if (r == 0)
                r = emit_leaf(visit, &self);
        return r == 0 ? overlay(out, &children, &self) : r;
}

static int visit_alias(Renderer *renderer, Visit visit, Sections *out) {
        const Region *alias = visit.region;

        if (!range_shift_up(visit.window, alias->state.target_offset, &visit.window))
                return 0;
        visit.region = alias->target;
        visit.delta -= alias->state.target_offset;
        return visit_region(renderer, visit, out);
}

static int check_limits(Renderer *renderer, const Region *region) {
        if (renderer->n_visits > RENDER_VISITS_MAX)
                return detail_set(renderer->detail, MAP_E_TOO_LARGE,
                                  "region \"%s\": aliases multiply to more than %d regions in view",
                                  region->name, RENDER_VISITS_MAX);
        if (renderer->depth >= RENDER_DEPTH_MAX)
                return detail_set(renderer->detail, MAP_E_TOO_LARGE,
                                  "region \"%s\": nested deeper than %d regions", region->name,
                                  RENDER_DEPTH_MAX);
        return 0;
}

static int visit_region(Renderer *renderer, Visit visit, Sections *out) {
        const Region *region = visit.region;
        Range extent;
        int r;

        if (!region_is(region, REGION_ENABLED) || !region_extent(region, &extent) ||
            !range_intersect(visit.window, extent, &visit.window))
                return 0;
        r = check_limits(renderer, region);
        if (r != 0)
                return r;
        visit.flags |= region->state.flags & REGION_PATH_FLAGS;

        renderer->depth++;
        if (region->kind == REGION_ALIAS)
                r = visit_alias(renderer, visit, out);
        else if (region->kind == REGION_CONTAINER)
                r = visit_children(renderer, &visit, out);
        else
                r = visit_leaf(renderer, &visit, out);
        renderer->depth--;
        return r;
}

static void merge_neighbours(Sections *sections, size_t from) {
        size_t end = from;

        for (size_t i = from; i < sections->n; i++) {
                Section *last = end > from ? &sections->items[end - 1] : NULL;

                if (last && section_can_merge(last, &sections->items[i]))
                        last->range.last = sections->items[i].range.last;
                else
                        sections->items[end++] = sections->items[i];
        }
        sections->n = end;
}

int render(const Region *root, Range window, Sections *sections, Detail *detail) {
        Renderer renderer = {.detail = detail};
        size_t from = sections->n;
        int r;

        r = visit_region(&renderer, (Visit){.region = root, .window = window}, sections);
        if (r == 0)
                merge_neighbours(sections, from);
        return r;
}
