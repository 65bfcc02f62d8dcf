/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who is visible at one address; see oracle.h. */

#include "tests/property/oracle.h"

typedef __int128 Wide;

enum { STEPS_MAX = 20000 };

typedef struct Walk {
        const Oracle *oracle;
        unsigned n_steps;
} Walk;

static Wide wide_size(const Region *region) {
        return region->state.size == UINT64_MAX ? (Wide)1 << 64 : (Wide)region->state.size;
}

static int compare(const void *a, const void *b) {
        const RegionState *left = &(*(const Region *const *)a)->state;
        const RegionState *right = &(*(const Region *const *)b)->state;

        if (left->parent != right->parent)
                return (uintptr_t)left->parent < (uintptr_t)right->parent ? -1 : 1;
        if (left->priority != right->priority)
                return left->priority > right->priority ? -1 : 1;
        return (left->place < right->place) - (left->place > right->place);
}

void oracle_init(Oracle *oracle, Map *map) {
        *oracle = (Oracle){.regions = calloc(map->n_regions + 1, sizeof(*oracle->regions))};
        if (!oracle->regions)
                abort();
        for (Region *r = map_next_region(map, ""); r; r = map_next_region(map, r->name))
                oracle->regions[oracle->n++] = r;
        qsort(oracle->regions, oracle->n, sizeof(*oracle->regions), compare);
}

void oracle_deinit(Oracle *oracle) {
        free(oracle->regions);
}

/* Where the children of a parent begin. */
static size_t first_child(const Oracle *oracle, const Region *parent) {
        size_t low = 0, high = oracle->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if ((uintptr_t)oracle->regions[middle]->state.parent < (uintptr_t)parent)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static bool see(Walk *walk, const Region *region, Wide at, Seen path, Seen *ret);

static bool see_children(Walk *walk, const Region *region, Wide at, Seen path, Seen *ret) {
        const Oracle *oracle = walk->oracle;

        for (size_t i = first_child(oracle, region); i < oracle->n && !ret->region; i++) {
                const Region *child = oracle->regions[i];

                if (child->state.parent != region)
                        break;
                if (!see(walk, child, at - (Wide)child->state.offset, path, ret))
                        return false;
        }
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

bool oracle_see(const Oracle *oracle, const Region *root, uint64_t address, Seen *ret) {
        Walk walk = {.oracle = oracle};

        *ret = (Seen){};
        return see(&walk, root, (Wide)address, (Seen){}, ret);
}

bool oracle_joins(const Seen *a, const Seen *next) {
        if (!a->region || a->region != next->region || a->offset + 1 != next->offset ||
            a->flags != next->flags || a->kind != next->kind)
                return false;
        return !(a->flags & REGION_UNMERGEABLE) || a->path == next->path;
}
