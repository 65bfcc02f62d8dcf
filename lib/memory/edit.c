/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Each verb checks first and changes then; between the first change and the last nothing can fail.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/memory/edit.h"
#include "lib/memory/map-error.h"
#include "lib/memory/map.h"
#include "lib/memory/undo.h"
#include "lib/util/utf8.h"

static int copy_string(char **ret, const char *string) {
        char *copy = NULL;

        if (string) {
                copy = strdup(string);
                if (!copy)
                        return -ENOMEM;
        }
        *ret = copy;
        return 0;
}

int edit_init(Edit *edit, EditVerb verb, const char *name) {
        *edit = (Edit){.verb = verb};
        return copy_string(&edit->name, name);
}

void edit_deinit(Edit *edit) {
        free(edit->name);
        free(edit->parent);
        free(edit->target);
        backing_unref(edit->backing);
        ioeventfd_unref(edit->ioeventfd);
        *edit = (Edit){};
}

/* C0, DEL, and C1 as UTF-8 has it. */
static bool is_control(const char *at, size_t n) {
        const unsigned char *bytes = (const unsigned char *)at;

        if (n == 1)
                return bytes[0] < 0x20 || bytes[0] == 0x7f;
        return bytes[0] == 0xc2 && bytes[1] < 0xa0;
}

bool map_name_is_valid(const char *name) {
        size_t length = strnlen(name, MAP_NAME_MAX + 1), n;

        if (length == 0 || length > MAP_NAME_MAX)
                return false;
        for (size_t i = 0; i < length; i += n) {
                n = utf8_length(name + i, length - i);
                if (n == 0 || is_control(name + i, n))
                        return false;
        }
        return true;
}

static int check_name(const char *name, Detail *detail) {
        if (map_name_is_valid(name))
                return 0;
        /* Messages are UTF-8: of a name that is not, only the length can be told. */
        return detail_set(detail, MAP_E_INVALID_NAME,
                          "a name of %zu bytes: it must be 1 to %d bytes of UTF-8"
                          " without control characters",
                          strlen(name), MAP_NAME_MAX);
}

static int find_region(Map *map, const char *name, Region **ret, Detail *detail) {
        *ret = map_find_region(map, name);
        if (*ret)
                return 0;
        return detail_set(detail, MAP_E_NO_SUCH_REGION, "there is no region \"%s\"", name);
}

static int check_quota(uint64_t used, uint64_t more, uint64_t limit, const char *quota,
                       Detail *detail) {
        if (used <= limit && more <= limit - used)
                return 0;
        return detail_set(detail, MAP_E_QUOTA_EXCEEDED,
                          "%s: %" PRIu64 " in use, %" PRIu64 " more asked for, the limit is %" PRIu64,
                          quota, used, more, limit);
}

/* Where the walk upwards from `region` goes on: pushes what it has not met yet. */
static Region *push_above(Map *map, Region *region, Region *stack) {
        Region *alias, *parent = region->state.parent;

        if (parent && map_walk_visits(map, parent)) {
                parent->walk_next = stack;
                stack = parent;
        }
        cds_list_for_each_entry(alias, &region->aliases, alias_link) {
                if (!map_walk_visits(map, alias))
                        continue;
                alias->walk_next = stack;
                stack = alias;
        }
        return stack;
}

/* Whether `below` is part of what `region` shows, through children and aliases of any depth. */
static bool is_below(Map *map, Region *below, const Region *region) {
        Region *stack = below;

        map_begin_walk(map);
        map_walk_visits(map, below);
        below->walk_next = NULL;
        while (stack) {
                Region *here = stack;

                if (here == region)
                        return true;
                stack = push_above(map, here, here->walk_next);
        }
        return false;
}

static int check_loop(Map *map, const char *name, const Region *shown, Region *parent,
                      Detail *detail) {
        if (!is_below(map, parent, shown))
                return 0;
        return detail_set(detail, MAP_E_WOULD_LOOP,
                          "region \"%s\" cannot be placed in \"%s\", which is part of what it shows",
                          name, parent->name);
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
        Region *parent = NULL;
        int r;

        if (edit->parent && edit->parent[0]) {
                r = find_region(map, edit->parent, &parent, detail);
                if (r != 0)
                        return r;
                if (parent->kind == REGION_ALIAS)
                        return detail_set(detail, MAP_E_INVALID_KIND,
                                          "region \"%s\": parent \"%s\" is an alias, which has no children",
                                          edit->name, parent->name);
        }
        *ret = parent;
        return 0;
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

/* What is true of a new region whatever else is: name, kind, flags, quotas. */
static int check_new_region(Map *map, const Edit *edit, Detail *detail) {
        bool is_alias = edit->verb == EDIT_ADD_ALIAS;
        int r;

        r = check_name(edit->name, detail);
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
                r = check_quota(map->n_regions, 1, map->limits.regions, "regions", detail);
        if (r == 0 && edit->backing)
                r = check_quota(map->ram_bytes, edit->backing->size, map->limits.ram_bytes,
                                "bytes of RAM", detail);
        return r;
}

static RegionState state_of_new(Map *map, const Edit *edit, Region *parent) {
        uint32_t readonly = edit->kind == REGION_ROM ? REGION_READONLY : 0;

        return (RegionState){
                .parent = parent,
                .offset = parent ? edit->offset : 0,
                .size = edit->size,
                .target_offset = edit->kind == REGION_ALIAS ? edit->target_offset : 0,
                .place = parent ? ++map->last_place : 0,
                .priority = parent ? edit->priority : 0,
                .flags = edit->flags | readonly | REGION_PRESENT,
        };
}

static int add_region(Map *map, const Edit *edit, Detail *detail) {
        RegionKind kind = edit->kind == REGION_ROM ? REGION_RAM : edit->kind;
        _cleanup_(region_unrefp) Region *region = NULL;
        Region *parent, *target = NULL;
        RegionState state;
        int r;

        r = check_new_region(map, edit, detail);
        if (r == 0)
                r = find_parent(map, edit, &parent, detail);
        if (r == 0 && kind == REGION_ALIAS)
                r = find_region(map, edit->target, &target, detail);
        if (r != 0)
                return r;
        state = state_of_new(map, edit, parent);
        r = check_state(edit->name, kind, edit->backing, &state, detail);
        if (r == 0 && target && parent)
                r = check_loop(map, edit->name, target, parent, detail);
        if (r == 0)
                r = region_new(&region, edit->name, kind, edit->backing, target);
        if (r == 0)
                r = map_reserve_undo(map, 1);
        if (r == 0)
                map_change_region(map, region, &state);
        return r;
}

static int remove_region(Map *map, const Edit *edit, Detail *detail) {
        RegionState gone = {};
        Region *region;
        int r;

        r = find_region(map, edit->name, &region, detail);
        if (r != 0)
                return r;
        if (region->n_children > 0 || region->n_aliases > 0)
                return detail_set(detail, MAP_E_IN_USE,
                                  "region \"%s\" has %" PRIu32 " children and %" PRIu32 " aliases",
                                  region->name, region->n_children, region->n_aliases);
        if (region->view)
                return detail_set(detail, MAP_E_IN_USE,
                                  "region \"%s\" is the root of %" PRIu32 " address spaces",
                                  region->name, region->view->n_spaces);
        r = map_reserve_undo(map, 1);
        if (r == 0)
                map_change_region(map, region, &gone);
        return r;
}

/* Whether no sibling of the same priority was placed later. Only asked for moves to nowhere else. */
static bool is_placed_last(const Region *region) {
        const Region *sibling = NULL;

        while ((sibling = region_child_any(region->state.parent, sibling)))
                if (sibling->state.priority == region->state.priority &&
                    sibling->state.place > region->state.place)
                        return false;
        return true;
}

static int move_region(Map *map, const Edit *edit, Detail *detail) {
        RegionState state;
        Region *region, *parent;
        int r;

        r = find_region(map, edit->name, &region, detail);
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
        if (region_state_equal(&state, &region->state) && (!parent || is_placed_last(region)))
                return 0;
        if (parent)
                state.place = ++map->last_place;
        r = check_state(region->name, region->kind, region->backing, &state, detail);
        if (r == 0 && parent)
                r = check_loop(map, region->name, region, parent, detail);
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

static int set_region(Map *map, const Edit *edit, Detail *detail) {
        RegionState state;
        Region *region;
        int r;

        r = find_region(map, edit->name, &region, detail);
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
        if (r == 0)
                r = map_reserve_undo(map, 1);
        if (r == 0)
                map_change_region(map, region, &state);
        return r;
}

static int add_space(Map *map, const Edit *edit, Detail *detail) {
        _cleanup_(address_space_unrefp) AddressSpace *space = NULL;
        _cleanup_(view_unrefp) View *view = NULL;
        Region *root;
        int r;

        r = check_name(edit->name, detail);
        if (r != 0)
                return r;
        if (map_find_space(map, edit->name))
                return detail_set(detail, MAP_E_ADDRESS_SPACE_EXISTS, "address space \"%s\" exists",
                                  edit->name);
        r = find_region(map, edit->parent, &root, detail);
        if (r == 0)
                r = check_quota(map->n_spaces, 1, map->limits.address_spaces, "address spaces",
                                detail);
        if (r != 0)
                return r;
        if (root->view)
                view = view_ref(root->view);
        else
                r = view_new(&view, root);
        if (r == 0)
                r = address_space_new(&space, edit->name, view);
        if (r == 0)
                r = map_reserve_undo(map, 1);
        if (r != 0)
                return r;
        map_add_space(map, space);
        if (view->n_spaces == 1)
                dirty_ranges_add(&view->dirty, RANGE_WHOLE);
        return 0;
}

static int remove_space(Map *map, const Edit *edit, Detail *detail) {
        AddressSpace *space;
        int r;

        space = map_find_space(map, edit->name);
        if (!space)
                return detail_set(detail, MAP_E_NO_SUCH_ADDRESS_SPACE,
                                  "there is no address space \"%s\"", edit->name);
        r = map_reserve_undo(map, 1);
        if (r == 0)
                map_remove_space(map, space);
        return r;
}

/* The region of an edit about doorbells, and that `size` bytes at `offset` are inside it. */
static int find_device(Map *map, const Edit *edit, uint64_t offset, uint64_t size, Region **ret,
                       Detail *detail) {
        Range extent, range;
        Region *region;
        int r;

        r = find_region(map, edit->name, &region, detail);
        if (r != 0)
                return r;
        if (region->kind != REGION_MMIO && region->kind != REGION_ROMD)
                return detail_set(detail, MAP_E_INVALID_KIND,
                                  "region \"%s\": this is for mmio and romd, not for %s",
                                  region->name,
                                  region_kind_to_string(region_reported_kind(region)));
        if (!region_extent(region, &extent) || !range_place(offset, size, &range) ||
            !range_covers(extent, range))
                return detail_set(detail, MAP_E_INVALID_RANGE,
                                  "region \"%s\": 0x%" PRIx64 " bytes at offset 0x%" PRIx64
                                  " lie beyond its size 0x%" PRIx64,
                                  region->name, size, offset, region->state.size);
        *ret = region;
        return 0;
}

static int add_ioeventfd(Map *map, const Edit *edit, Detail *detail) {
        IOEventFD *new = edit->ioeventfd, *other;
        Region *region;
        int r;

        r = find_device(map, edit, new->offset, MAX_OF(new->length, 1u), &region, detail);
        if (r != 0)
                return r;
        cds_list_for_each_entry(other, &region->ioeventfds, region_link)
                if (ioeventfd_collides(new, other))
                        return detail_set(detail, MAP_E_IOEVENTFD_EXISTS,
                                          "region \"%s\": an ioeventfd of length %" PRIu32
                                          " at offset 0x%" PRIx64 " takes the same writes",
                                          region->name, other->length, other->offset);
        r = check_quota(map->n_ioeventfds, 1, map->limits.ioeventfds, "ioeventfds", detail);
        if (r == 0)
                r = map_reserve_undo(map, 1);
        if (r == 0)
                map_add_ioeventfd(map, region, new);
        return r;
}

static int remove_ioeventfd(Map *map, const Edit *edit, Detail *detail) {
        const IOEventFD *key = edit->ioeventfd;
        IOEventFD *found;
        Region *region;
        int r;

        r = find_region(map, edit->name, &region, detail);
        if (r != 0)
                return r;
        found = region_find_ioeventfd(region, key);
        if (!found)
                return detail_set(detail, MAP_E_NO_SUCH_IOEVENTFD,
                                  "region \"%s\": no ioeventfd of length %" PRIu32
                                  " at offset 0x%" PRIx64 " with that match and data",
                                  region->name, key->length, key->offset);
        r = map_reserve_undo(map, 1);
        if (r == 0)
                map_remove_ioeventfd(map, region, found);
        return r;
}

static int add_coalesced(Map *map, const Edit *edit, Detail *detail) {
        _cleanup_(coalesced_unrefp) Coalesced *zone = NULL;
        Coalesced *other;
        Region *region;
        Range range;
        int r;

        r = find_device(map, edit, edit->offset, edit->size, &region, detail);
        if (r != 0)
                return r;
        range_place(edit->offset, edit->size, &range);
        cds_list_for_each_entry(other, &region->coalesced, region_link)
                if (range_equal(other->range, range))
                        return 0;
        r = check_quota(map->n_coalesced, 1, map->limits.ioeventfds, "coalesced zones", detail);
        if (r == 0)
                r = coalesced_new(&zone, range);
        if (r == 0)
                r = map_reserve_undo(map, 1);
        if (r == 0)
                map_add_coalesced(map, region, zone);
        return r;
}

static int clear_coalesced(Map *map, const Edit *edit, Detail *detail) {
        Coalesced *zone, *next;
        Region *region;
        size_t n = 0;
        int r;

        r = find_region(map, edit->name, &region, detail);
        if (r != 0)
                return r;
        cds_list_for_each_entry(zone, &region->coalesced, region_link)
                n++;
        r = map_reserve_undo(map, n);
        if (r < 0)
                return r;
        cds_list_for_each_entry_safe(zone, next, &region->coalesced, region_link)
                map_remove_coalesced(map, region, zone);
        return 0;
}

int map_edit(Map *map, const Edit *edit, Detail *detail) {
        static int (*const verbs[])(Map *, const Edit *, Detail *) = {
                [EDIT_ADD_REGION] = add_region,
                [EDIT_ADD_ALIAS] = add_region,
                [EDIT_REMOVE_REGION] = remove_region,
                [EDIT_MOVE_REGION] = move_region,
                [EDIT_SET_REGION] = set_region,
                [EDIT_ADD_ADDRESS_SPACE] = add_space,
                [EDIT_REMOVE_ADDRESS_SPACE] = remove_space,
                [EDIT_ADD_IOEVENTFD] = add_ioeventfd,
                [EDIT_REMOVE_IOEVENTFD] = remove_ioeventfd,
                [EDIT_ADD_COALESCED] = add_coalesced,
                [EDIT_CLEAR_COALESCED] = clear_coalesced,
        };

        return verbs[edit->verb](map, edit, detail);
}
