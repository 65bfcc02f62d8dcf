/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "lib/memory/undo.h"
#include "lib/memory/map.h"
#include "lib/util/array.h"

int map_reserve_undo(Map *map, size_t n) {
        return array_reserve(&map->undo, &map->n_undo_allocated, map->n_undo, n);
}

static void push(Map *map, Undo undo) {
        region_ref(undo.region);
        address_space_ref(undo.space);
        ioeventfd_ref(undo.ioeventfd);
        coalesced_ref(undo.coalesced);
        handler_ref(undo.handler);
        map->undo[map->n_undo++] = undo;
}

static void drop(Undo *undo) {
        region_unref(undo->region);
        address_space_unref(undo->space);
        ioeventfd_unref(undo->ioeventfd);
        coalesced_unref(undo->coalesced);
        handler_unref(undo->handler);
}

static uint64_t count_ioeventfds(const Region *region) {
        uint64_t n = 0;

        for (IOEventFD *i = ioeventfds_first(&region->ioeventfds, 0); i; i = ioeventfd_next(i))
                n++;
        return n;
}

static uint64_t count_zones(const Region *region) {
        uint64_t n = 0;

        for (Coalesced *z = zones_first(&region->coalesced, 0); z; z = coalesced_next(z))
                n++;
        return n;
}

static void enter(Map *map, Region *region) {
        RB_INSERT(RegionsByName, &map->regions, region_ref(region));
        map->n_regions++;
        map->n_ioeventfds += count_ioeventfds(region);
        map->n_coalesced += count_zones(region);
        if (!region->backing)
                return;
        map->ram_bytes += region->backing->size;
        cds_list_add_tail(&region->link, &map->backed);
}

static void leave(Map *map, Region *region) {
        RB_REMOVE(RegionsByName, &map->regions, region);
        map->n_regions--;
        map->n_ioeventfds -= count_ioeventfds(region);
        map->n_coalesced -= count_zones(region);
        if (!region->backing)
                return;
        map->ram_bytes -= region->backing->size;
        cds_list_del(&region->link);
}

static void put_state(Map *map, Region *region, const RegionState *state) {
        bool was_present = region_is(region, REGION_PRESENT);
        bool is_present = state->flags & REGION_PRESENT;

        region_set_state(region, state);
        if (is_present && !was_present)
                enter(map, region);
        if (was_present && !is_present) {
                leave(map, region);
                region_unref(region);
        }
}

static void put_space(Map *map, AddressSpace *space) {
        RB_INSERT(AddressSpaces, &map->spaces, address_space_ref(space));
        view_link(space->view, &map->views);
        map->n_spaces++;
}

static void take_space(Map *map, AddressSpace *space) {
        RB_REMOVE(AddressSpaces, &map->spaces, space);
        view_unlink(space->view);
        map->n_spaces--;
        address_space_unref(space);
}

static void put_ioeventfd(Map *map, Region *region, IOEventFD *ioeventfd) {
        ioeventfd_link(ioeventfd_ref(ioeventfd), &region->ioeventfds);
        map->n_ioeventfds++;
}

static void take_ioeventfd(Map *map, Region *region, IOEventFD *ioeventfd) {
        ioeventfd_unlink(ioeventfd, &region->ioeventfds);
        map->n_ioeventfds--;
        ioeventfd_unref(ioeventfd);
}

static void put_coalesced(Map *map, Region *region, Coalesced *coalesced) {
        coalesced_link(coalesced_ref(coalesced), &region->coalesced);
        map->n_coalesced++;
}

static void take_coalesced(Map *map, Region *region, Coalesced *coalesced) {
        coalesced_unlink(coalesced, &region->coalesced);
        map->n_coalesced--;
        coalesced_unref(coalesced);
}

static void put_handler(Region *region, Handler *handler) {
        Handler *before = region->handler;

        region->handler = handler_ref(handler);
        handler_unref(before);
}

static void dirty_region(Map *map, Region *region) {
        Range extent;

        if (region_is(region, REGION_PRESENT) && region_extent(region, &extent))
                dirty_climb(map, region, extent);
}

void map_change_region(Map *map, Region *region, const RegionState *state) {
        push(map, (Undo){.kind = UNDO_REGION,
                         .region = region,
                         .before = region->state,
                         .last_place = map->last_place});
        map->last_place = MAX_OF(map->last_place, state->place);
        dirty_region(map, region);
        put_state(map, region, state);
        dirty_region(map, region);
}

void map_add_space(Map *map, AddressSpace *space) {
        push(map, (Undo){.kind = UNDO_SPACE_ADDED, .space = space});
        put_space(map, space);
}

void map_remove_space(Map *map, AddressSpace *space) {
        push(map, (Undo){.kind = UNDO_SPACE_REMOVED, .space = space});
        take_space(map, space);
}

static void dirty_ioeventfd(Map *map, Region *region, const IOEventFD *ioeventfd) {
        Range range;

        if (range_place(ioeventfd->offset, MAX_OF(ioeventfd->length, 1u), &range))
                dirty_climb(map, region, range);
}

void map_add_ioeventfd(Map *map, Region *region, IOEventFD *ioeventfd) {
        push(map, (Undo){.kind = UNDO_IOEVENTFD_ADDED, .region = region, .ioeventfd = ioeventfd});
        ioeventfd->fresh = true;
        put_ioeventfd(map, region, ioeventfd);
        dirty_ioeventfd(map, region, ioeventfd);
}

void map_remove_ioeventfd(Map *map, Region *region, IOEventFD *ioeventfd) {
        push(map, (Undo){.kind = UNDO_IOEVENTFD_REMOVED, .region = region, .ioeventfd = ioeventfd});
        dirty_ioeventfd(map, region, ioeventfd);
        take_ioeventfd(map, region, ioeventfd);
}

void map_add_coalesced(Map *map, Region *region, Coalesced *coalesced) {
        push(map, (Undo){.kind = UNDO_COALESCED_ADDED, .region = region, .coalesced = coalesced});
        coalesced->fresh = true;
        put_coalesced(map, region, coalesced);
        dirty_climb(map, region, coalesced->range);
}

void map_remove_coalesced(Map *map, Region *region, Coalesced *coalesced) {
        push(map, (Undo){.kind = UNDO_COALESCED_REMOVED, .region = region, .coalesced = coalesced});
        dirty_climb(map, region, coalesced->range);
        take_coalesced(map, region, coalesced);
}

/* Views stay as they are: who answers is found from the region. */
void map_set_handler(Map *map, Region *region, Handler *handler) {
        push(map, (Undo){.kind = UNDO_HANDLER, .region = region, .handler = region->handler});
        put_handler(region, handler);
}

static void take_back(Map *map, const Undo *undo) {
        switch (undo->kind) {
        case UNDO_REGION:
                put_state(map, undo->region, &undo->before);
                map->last_place = undo->last_place;
                break;
        case UNDO_SPACE_ADDED:
                take_space(map, undo->space);
                break;
        case UNDO_SPACE_REMOVED:
                put_space(map, undo->space);
                break;
        case UNDO_IOEVENTFD_ADDED:
                take_ioeventfd(map, undo->region, undo->ioeventfd);
                break;
        case UNDO_IOEVENTFD_REMOVED:
                put_ioeventfd(map, undo->region, undo->ioeventfd);
                break;
        case UNDO_COALESCED_ADDED:
                take_coalesced(map, undo->region, undo->coalesced);
                break;
        case UNDO_COALESCED_REMOVED:
                put_coalesced(map, undo->region, undo->coalesced);
                break;
        case UNDO_HANDLER:
                put_handler(undo->region, undo->handler);
                break;
        }
}

size_t map_mark(const Map *map) {
        return map->n_undo;
}

void map_rollback(Map *map, size_t mark) {
        View *view;

        while (map->n_undo > mark) {
                Undo undo = map->undo[--map->n_undo];

                take_back(map, &undo);
                drop(&undo);
        }
        if (mark > 0)
                return;
        array_relax(&map->undo, &map->n_undo_allocated);
        cds_list_for_each_entry(view, &map->views, link)
                dirty_ranges_clear(&view->dirty);
}

void map_forget_undo(Map *map) {
        for (size_t i = 0; i < map->n_undo; i++) {
                Undo *undo = &map->undo[i];

                if (undo->ioeventfd)
                        undo->ioeventfd->fresh = false;
                if (undo->coalesced)
                        undo->coalesced->fresh = false;
                drop(undo);
        }
        map->n_undo = 0;
        array_relax(&map->undo, &map->n_undo_allocated);
}

const Undo *map_next_changed(Map *map, size_t *i) {
        if (*i == 0)
                map_begin_walk(map);
        while (*i < map->n_undo) {
                const Undo *undo = &map->undo[(*i)++];

                if (undo->kind == UNDO_REGION && map_walk_visits(map, undo->region))
                        return undo;
        }
        return NULL;
}

Region *map_next_rehandled(const Map *map, size_t *i) {
        while (*i < map->n_undo) {
                const Undo *undo = &map->undo[(*i)++];

                if (undo->kind == UNDO_HANDLER && region_is(undo->region, REGION_PRESENT) &&
                    undo->region->handler != undo->region->serving)
                        return undo->region;
        }
        return NULL;
}

bool map_spaces_were_edited(const Map *map) {
        for (size_t i = 0; i < map->n_undo; i++)
                if (map->undo[i].space)
                        return true;
        return false;
}

/* The spaces by name with their roots, against those of the last commit. */
static bool spaces_are_unchanged(const Map *map) {
        const Snapshot *snapshot = map->snapshot;
        AddressSpace *space;
        size_t i = 0;

        if (!map_spaces_were_edited(map))
                return true;
        RB_FOREACH(space, AddressSpaces, (struct AddressSpaces *)&map->spaces) {
                if (i == snapshot->n_spaces)
                        return false;
                if (strcmp(snapshot->spaces[i].space->name, space->name) != 0 ||
                    snapshot->spaces[i].space->view->root != space->view->root)
                        return false;
                i++;
        }
        return i == snapshot->n_spaces;
}

/* Whether what the record says was added is still there, or what it says was removed is not. */
static bool doorbell_changed(const Undo *undo) {
        bool is_linked = undo->ioeventfd ? undo->ioeventfd->linked : undo->coalesced->linked;
        bool is_fresh = undo->ioeventfd ? undo->ioeventfd->fresh : undo->coalesced->fresh;

        return is_linked == is_fresh;
}

bool map_is_unchanged(Map *map) {
        const Undo *undo;
        size_t i = 0;

        while ((undo = map_next_changed(map, &i)))
                if (!region_state_equal(&undo->before, &undo->region->state))
                        return false;
        for (i = 0; i < map->n_undo; i++)
                if (map->undo[i].ioeventfd || map->undo[i].coalesced)
                        if (doorbell_changed(&map->undo[i]))
                                return false;
        i = 0;
        return !map_next_rehandled(map, &i) && spaces_are_unchanged(map);
}
