/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who is visible at one address; see oracle.h. */

#include "tests/property/oracle.h"

typedef __int128 Wide;

enum { STEPS_MAX = 20000, CHILDREN_MAX = 64 };

typedef struct Walk {
        Map *map;
        unsigned n_steps;
} Walk;

static Wide wide_size(const Region *region) {
        return region->state.size == UINT64_MAX ? (Wide)1 << 64 : (Wide)region->state.size;
}

static bool wins(const Region *a, const Region *b) {
        if (a->state.priority != b->state.priority)
                return a->state.priority > b->state.priority;
        return a->state.place > b->state.place;
}

/* Children by precedence, found among all regions of the map. */
static size_t list_children(Map *map, const Region *parent, const Region **children) {
        size_t n = 0, at;

        for (Region *r = map_next_region(map, ""); r; r = map_next_region(map, r->name)) {
                if (r->state.parent != parent || n == CHILDREN_MAX)
                        continue;
                for (at = n++; at > 0 && wins(r, children[at - 1]); at--)
                        children[at] = children[at - 1];
                children[at] = r;
        }
        return n;
}

static bool see(Walk *walk, const Region *region, Wide at, Seen path, Seen *ret);

static bool see_children(Walk *walk, const Region *region, Wide at, Seen path, Seen *ret) {
        const Region *children[CHILDREN_MAX];
        size_t n = list_children(walk->map, region, children);

        for (size_t i = 0; i < n && !ret->region; i++)
                if (!see(walk, children[i], at - (Wide)children[i]->state.offset, path, ret))
                        return false;
        return true;
}

static bool see(Walk *walk, const Region *region, Wide at, Seen path, Seen *ret) {
        const uint32_t of_path = REGION_READONLY | REGION_NONVOLATILE | REGION_UNMERGEABLE;
        uint32_t flags = region->state.flags;

        if (++walk->n_steps > STEPS_MAX)
                return false;
        if (!(flags & REGION_ENABLED) || at < 0 || at >= wide_size(region))
                return true;
        path.flags |= flags & of_path;
        path.path = (path.path ^ (uintptr_t)region) * 0x100000001b3;
        if (region->kind == REGION_ALIAS)
                return see(walk, region->target, at + (Wide)region->state.target_offset, path, ret);

        if (!see_children(walk, region, at, path, ret))
                return false;
        if (ret->region || region->kind == REGION_CONTAINER)
                return true;
        *ret = path;
        ret->region = region;
        ret->offset = (uint64_t)at;
        ret->kind =
                region->kind == REGION_RAM && (flags & REGION_READONLY) ? REGION_ROM : region->kind;
        ret->flags |= flags & (REGION_DIRECT_READ | REGION_DIRTY_LOG);
        return true;
}

bool oracle_see(Map *map, const Region *root, uint64_t address, Seen *ret) {
        Walk walk = {.map = map};

        *ret = (Seen){};
        return see(&walk, root, (Wide)address, (Seen){}, ret);
}

bool oracle_joins(const Seen *a, const Seen *next) {
        if (!a->region || a->region != next->region || a->offset + 1 != next->offset ||
            a->flags != next->flags || a->kind != next->kind)
                return false;
        return !(a->flags & REGION_UNMERGEABLE) || a->path == next->path;
}
