/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <string.h>

#include "lib/memory/climb.h"
#include "lib/memory/edit-verbs.h"
#include "lib/memory/map-error.h"
#include "lib/memory/render.h"
#include "lib/memory/undo.h"
#include "lib/util/array.h"
#include "lib/util/size-words.h"

/* Whether the region may hang below that parent: not below itself, and not too deep. */
static int check_ancestors(const Region *region, const Region *parent, Detail *detail) {
        unsigned depth = 1;

        for (const Region *above = parent; above; above = above->state.parent) {
                if (above == region)
                        return detail_set(
                                detail, MAP_E_WOULD_LOOP,
                                "region \"%s\" cannot be placed in \"%s\", which is part of it",
                                region->name, parent->name);
                if (++depth > RENDER_DEPTH_MAX)
                        return detail_set(detail, MAP_E_TOO_LARGE,
                                          "region \"%s\" would be nested deeper than %d regions",
                                          region->name, RENDER_DEPTH_MAX);
        }
        return 0;
}

/* The aliases that show something, each once. */
typedef struct Aliases {
        Map *map;
        Region **items;
        size_t n;
        size_t allocated;
        int r;
} Aliases;

static void collect_alias(Region *region, Range range, void *userdata) {
        Aliases *aliases = userdata;

        if (region->kind != REGION_ALIAS || !map_walk_visits(aliases->map, region))
                return;
        if (aliases->r == 0)
                aliases->r = array_reserve(&aliases->items, &aliases->allocated, aliases->n, 1);
        if (aliases->r == 0)
                aliases->items[aliases->n++] = region;
}

static int climb_whole(Region *region, unsigned *budget, ClimbFunction function, void *userdata) {
        Range extent;

        if (!region_extent(region, &extent))
                return 0;
        return climb(region, extent, false, budget, function, userdata);
}

/* -ENOMEM, or a ClimbError: a loop that leads through the region leads through such an alias. */
static int find_loop(Map *map, Region *region) {
        Aliases aliases = {.map = map};
        unsigned budget = CLIMB_BUDGET;
        int r;

        map_begin_walk(map);
        r = climb_whole(region, &budget, collect_alias, &aliases);
        if (r == 0)
                r = aliases.r;
        for (size_t i = 0; r == 0 && i < aliases.n; i++)
                r = climb_whole(aliases.items[i], &budget, NULL, NULL);
        free(aliases.items);
        return r;
}

/*
 * Whether the state would let an alias show itself. What has nothing below it cannot be part of a
 * loop. The search is made with the state in place, which is then taken back.
 */
static int check_loop(Map *map, Region *region, const RegionState *state, Detail *detail) {
        const char *name = region->name;
        RegionState before = region->state;
        int r;

        r = check_ancestors(region, state->parent, detail);
        if (r != 0 || (region->kind != REGION_ALIAS && region->n_children == 0))
                return r;
        region_set_state(region, state);
        r = find_loop(map, region);
        region_set_state(region, &before);
        if (r == CLIMB_E_LOOP)
                return detail_set(detail, MAP_E_WOULD_LOOP,
                                  "region \"%s\" would let an alias show itself", name);
        if (r == CLIMB_E_TOO_FAR)
                return detail_set(detail, MAP_E_TOO_LARGE,
                                  "region \"%s\" would be shown through too many aliases", name);
        return r;
}

/* Whether a state's numbers make sense for that region. */
static int check_state(const char *name, RegionKind kind, const Backing *backing,
                       const RegionState *state, Detail *detail) {
        Range range;

        if (region_kind_has_backing(kind) && (state->size == 0 || state->size == SIZE_WHOLE))
                return detail_set(detail, MAP_E_INVALID_RANGE,
                                  "region \"%s\": %s cannot have size %s", name,
                                  region_kind_to_string(kind), state->size ? "2^64" : "0");
        if (backing && state->size > backing->size)
                return detail_set(detail, MAP_E_INVALID_RANGE,
                                  "region \"%s\": size 0x%" PRIx64
                                  " lies beyond its backing (size 0x%" PRIx64 ")",
                                  name, state->size, backing->size);
        if (state->parent && state->size > 0 && !range_place(state->offset, state->size, &range))
                return detail_set(detail, MAP_E_INVALID_RANGE,
                                  "region \"%s\": size 0x%" PRIx64 " at offset 0x%" PRIx64
                                  " reaches beyond 2^64",
                                  name, state->size, state->offset);
        if (kind == REGION_ALIAS && state->size > 0 &&
            !range_place(state->target_offset, state->size, &range))
                return detail_set(detail, MAP_E_INVALID_RANGE,
                                  "alias \"%s\": size 0x%" PRIx64 " at target offset 0x%" PRIx64
                                  " reaches beyond 2^64",
                                  name, state->size, state->target_offset);
        return 0;
}

/* The parent that an edit names ("" and NULL: none), which must be able to have children. */
static int find_parent(Map *map, const Edit *edit, Region **ret, Detail *detail) {
        int r;

        *ret = NULL;
        if (!edit->parent || !edit->parent[0])
                return 0;
        r = edit_find_region(map, edit->parent, ret, detail);
        if (r != 0 || (*ret)->kind != REGION_ALIAS)
                return r;
        return detail_set(detail, MAP_E_INVALID_KIND,
                          "region \"%s\": parent \"%s\" is an alias, which has no children",
                          edit->name, (*ret)->name);
}

static int check_flags(const char *name, RegionKind kind, uint32_t flags, Detail *detail) {
        if ((flags & REGION_DIRECT_READ) && kind != REGION_ROMD)
                return detail_set(detail, MAP_E_INVALID_KIND,
                                  "region \"%s\": romd is for ROM devices, this is %s", name,
                                  region_kind_to_string(kind));
        if ((flags & REGION_DIRTY_LOG) && !region_kind_has_backing(kind))
                return detail_set(detail, MAP_E_INVALID_KIND,
                                  "region \"%s\": dirty-log is for memory, this is %s", name,
                                  region_kind_to_string(kind));
        return 0;
}

static int check_memory(const Edit *edit, Detail *detail) {
        if (region_kind_has_backing(edit->kind) || backing_spec_is_usual(&edit->memory))
                return 0;
        return detail_set(detail, MAP_E_INVALID_KIND,
                          "region \"%s\": how memory is made is for memory, this is %s", edit->name,
                          region_kind_to_string(edit->kind));
}

static int check_ram(const Map *map, uint64_t size, Detail *detail) {
        uint64_t used = map->ram_bytes, limit = map->limits.ram_bytes;

        if (used <= limit && size <= limit - used)
                return 0;
        return detail_set(detail, MAP_E_QUOTA_EXCEEDED,
                          "RAMBytes: %s in use, %s more asked for, the limit is %s",
                          size_words(used).text, size_words(size).text, size_words(limit).text);
}

/* What is true of a new region whatever else is: name, kind, flags, quotas. */
static int check_new_region(Map *map, const Edit *edit, Detail *detail) {
        bool is_alias = edit->verb == EDIT_ADD_ALIAS;
        int r;

        r = edit_check_name(edit->name, detail);
        if (r != 0)
                return r;
        if (map_find_region(map, edit->name))
                return detail_set(detail, MAP_E_REGION_EXISTS, "region \"%s\" exists", edit->name);
        if (is_alias != (edit->kind == REGION_ALIAS))
                return detail_set(detail, MAP_E_INVALID_KIND, "region \"%s\": kind %s %s",
                                  edit->name, region_kind_to_string(edit->kind),
                                  is_alias ? "is no alias" : "takes a target");
        r = check_flags(edit->name, edit->kind, edit->flags, detail);
        if (r == 0)
                r = check_memory(edit, detail);
        if (r == 0)
                r = edit_check_quota(map->n_regions, 1, map->limits.regions, "Regions", detail);
        if (r == 0 && edit->backing)
                r = check_ram(map, edit->backing->size, detail);
        return r;
}

/* Where among its equals a region is put that an edit places. */
static uint64_t choose_place(const Map *map, const Edit *edit) {
        return edit->place ? edit->place : map->last_place + PLACE_STEP;
}

/* Bits for those who log the region from now on. Taken back, the edit leaves them unused. */
static int begin_logs(const Map *map, Backing *backing, const RegionState *state) {
        int r = 0;

        if (backing && (state->flags & REGION_DIRTY_LOG))
                r = page_log_begin(&backing->log, PAGE_LOG_REGION);
        if (backing && map->log_global && r == 0)
                r = page_log_begin(&backing->log, PAGE_LOG_VM);
        return r;
}

static RegionState state_of_new(const Map *map, const Edit *edit, Region *parent) {
        uint32_t readonly = edit->kind == REGION_ROM ? REGION_READONLY : 0;

        return (RegionState){
                .parent = parent,
                .offset = parent ? edit->offset : 0,
                .size = edit->size,
                .target_offset = edit->kind == REGION_ALIAS ? edit->target_offset : 0,
                .place = parent ? choose_place(map, edit) : 0,
                .priority = parent ? edit->priority : 0,
                .flags = edit->flags | readonly | REGION_PRESENT,
        };
}

int edit_add_region(Map *map, const Edit *edit, Detail *detail) {
        RegionKind kind = edit->kind == REGION_ROM ? REGION_RAM : edit->kind;
        _cleanup_(region_unrefp) Region *region = NULL;
        Region *parent, *target = NULL;
        RegionState state;
        int r;

        r = check_new_region(map, edit, detail);
        if (r == 0)
                r = find_parent(map, edit, &parent, detail);
        if (r == 0 && kind == REGION_ALIAS)
                r = edit_find_region(map, edit->target, &target, detail);
        if (r != 0)
                return r;
        state = state_of_new(map, edit, parent);
        r = check_state(edit->name, kind, edit->backing, &state, detail);
        if (r == 0)
                r = region_new(&region, edit->name, kind, edit->backing, target);
        if (r == 0)
                r = check_loop(map, region, &state, detail);
        if (r == 0)
                r = begin_logs(map, region->backing, &state);
        if (r == 0)
                r = map_reserve_undo(map, 1);
        if (r == 0)
                map_change_region(map, region, &state);
        return r;
}

int edit_remove_region(Map *map, const Edit *edit, Detail *detail) {
        RegionState gone = {};
        Region *region;
        int r;

        r = edit_find_region(map, edit->name, &region, detail);
        if (r != 0)
                return r;
        if (region->n_children > 0 || region->n_aliases > 0 || region->view)
                return detail_set(detail, MAP_E_IN_USE,
                                  "region \"%s\" has %" PRIu32 " children and %" PRIu32
                                  " aliases, and is the root of %" PRIu32 " address spaces",
                                  region->name, region->n_children, region->n_aliases,
                                  region->view ? region->view->n_spaces : 0);
        r = map_reserve_undo(map, 1);
        if (r == 0)
                map_change_region(map, region, &gone);
        return r;
}

/* Whether no sibling of the same priority was placed later. Asked for moves to nowhere else. */
static bool is_placed_last(const Region *region) {
        const Region *sibling = NULL;

        while ((sibling = region_child_any(region->state.parent, sibling)))
                if (sibling->state.priority == region->state.priority &&
                    sibling->state.place > region->state.place)
                        return false;
        return true;
}

int edit_move_region(Map *map, const Edit *edit, Detail *detail) {
        RegionState state;
        Region *region, *parent;
        int r;

        r = edit_find_region(map, edit->name, &region, detail);
        if (r == 0)
                r = find_parent(map, edit, &parent, detail);
        if (r != 0)
                return r;
        state = region->state;
        state.parent = parent;
        state.offset = parent ? edit->offset : 0;
        state.priority = parent ? edit->priority : 0;
        if (!parent)
                state.place = 0;
        if (edit->place == 0 && region_state_equal(&state, &region->state) &&
            (!parent || is_placed_last(region)))
                return 0;
        if (parent)
                state.place = choose_place(map, edit);
        r = check_state(region->name, region->kind, region->backing, &state, detail);
        if (r == 0)
                r = check_loop(map, region, &state, detail);
        if (r == 0)
                r = map_reserve_undo(map, 1);
        if (r == 0)
                map_change_region(map, region, &state);
        return r;
}

static int check_properties(const Region *region, const Edit *edit, Detail *detail) {
        if ((edit->mask & (PROPERTY_OFFSET | PROPERTY_PRIORITY)) && !region->state.parent)
                return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                                  "region \"%s\" is not placed: it has no offset and no priority",
                                  region->name);
        if ((edit->mask & PROPERTY_TARGET_OFFSET) && region->kind != REGION_ALIAS)
                return detail_set(detail, MAP_E_INVALID_KIND,
                                  "region \"%s\": target-offset is for aliases, this is %s",
                                  region->name, region_kind_to_string(region->kind));
        if (edit->mask & PROPERTY_FLAGS)
                return check_flags(region->name, region->kind, edit->flags_mask, detail);
        return 0;
}

int edit_set_region(Map *map, const Edit *edit, Detail *detail) {
        RegionState state;
        Region *region;
        int r;

        r = edit_find_region(map, edit->name, &region, detail);
        if (r == 0)
                r = check_properties(region, edit, detail);
        if (r != 0)
                return r;
        state = region->state;
        if (edit->mask & PROPERTY_SIZE)
                state.size = edit->size;
        if (edit->mask & PROPERTY_OFFSET)
                state.offset = edit->offset;
        if (edit->mask & PROPERTY_PRIORITY)
                state.priority = edit->priority;
        if (edit->mask & PROPERTY_TARGET_OFFSET)
                state.target_offset = edit->target_offset;
        if (edit->mask & PROPERTY_FLAGS)
                state.flags = (state.flags & ~edit->flags_mask) | (edit->flags & edit->flags_mask);
        if (region_state_equal(&state, &region->state))
                return 0;
        r = check_state(region->name, region->kind, region->backing, &state, detail);
        if (r == 0 && (edit->mask & (PROPERTY_SIZE | PROPERTY_OFFSET | PROPERTY_TARGET_OFFSET)))
                r = check_loop(map, region, &state, detail);
        if (r == 0)
                r = begin_logs(map, region->backing, &state);
        if (r == 0)
                r = map_reserve_undo(map, 1);
        if (r == 0)
                map_change_region(map, region, &state);
        return r;
}
