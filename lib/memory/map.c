/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "lib/memory/map.h"
#include "lib/memory/undo.h"

const MapLimits map_limits_default = MAP_LIMITS_DEFAULT;

int map_new(Map **ret, const MapLimits *limits) {
        _cleanup_(map_freep) Map *map = NULL;
        _cleanup_(epoch_unrefp) Epoch *epoch = NULL;
        int r;

        map = calloc(1, sizeof(*map));
        if (!map)
                return -ENOMEM;
        map->limits = limits ? *limits : map_limits_default;
        RB_INIT(&map->regions);
        RB_INIT(&map->spaces);
        CDS_INIT_LIST_HEAD(&map->views);
        CDS_INIT_LIST_HEAD(&map->backed);
        CDS_INIT_LIST_HEAD(&map->listeners);
        CDS_INIT_LIST_HEAD(&map->transactions);

        r = epoch_new(&epoch);
        if (r < 0)
                return r;
        r = flat_view_new(&map->empty_view, epoch, &(ViewTree){}, &(ViewTree){});
        if (r < 0)
                return r;
        r = snapshot_new(&map->snapshot, 0, 0);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(map);
        return 0;
}

/* All regions from this one down in the tree of names. Nobody looks at what ties them any more. */
static void free_regions(Region *region) {
        if (!region)
                return;
        free_regions(RB_LEFT(region, by_name));
        free_regions(RB_RIGHT(region, by_name));
        region_unref(region);
}

Map *map_free(Map *map) {
        AddressSpace *space, *next;

        if (!map)
                return NULL;
        map_rollback(map, 0);
        RB_FOREACH_SAFE(space, AddressSpaces, &map->spaces, next) {
                RB_REMOVE(AddressSpaces, &map->spaces, space);
                view_unlink(space->view);
                address_space_unref(space);
        }
        free_regions(RB_ROOT(&map->regions));
        /* Whatever is still retired may hold what the last snapshot held. */
        rcu_barrier_all();
        snapshot_unref(map->snapshot);
        flat_view_unref(map->empty_view);
        free(map->undo);
        free(map);
        return NULL;
}

Region *map_find_region(const Map *map, const char *name) {
        Region *region = RB_ROOT(&map->regions);

        while (region) {
                int order = strcmp(name, region->name);

                if (order == 0)
                        return region;
                region = order < 0 ? RB_LEFT(region, by_name) : RB_RIGHT(region, by_name);
        }
        return NULL;
}

Region *map_next_region(const Map *map, const char *after) {
        Region *region = RB_ROOT(&map->regions), *found = NULL;

        while (region) {
                if (strcmp(after, region->name) < 0) {
                        found = region;
                        region = RB_LEFT(region, by_name);
                } else {
                        region = RB_RIGHT(region, by_name);
                }
        }
        return found;
}

AddressSpace *map_find_space(const Map *map, const char *name) {
        AddressSpace *space = RB_ROOT(&map->spaces);

        while (space) {
                int order = strcmp(name, space->name);

                if (order == 0)
                        return space;
                space = order < 0 ? RB_LEFT(space, by_name) : RB_RIGHT(space, by_name);
        }
        return NULL;
}

void map_set_generation(Map *map, uint64_t generation) {
        map->generation = map->snapshot->generation = generation;
}

void map_begin_walk(Map *map) {
        if (++map->last_visit == 0)
                map->last_visit++;
}

bool map_walk_visits(Map *map, Region *region) {
        if (region->visit == map->last_visit)
                return false;
        region->visit = map->last_visit;
        return true;
}
