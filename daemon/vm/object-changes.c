/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <string.h>

#include "daemon/vm/object-changes.h"

static void object_change_release(ObjectChange *change) {
        change->region = region_unref(change->region);
        change->space = address_space_unref(change->space);
}

void object_changes_deinit(ObjectChanges *changes) {
        for (size_t i = 0; i < changes->n; i++) {
                object_change_release(&changes->items[i]);
                free(changes->items[i].name);
        }
        free(changes->items);
        *changes = (ObjectChanges){};
}

static bool edit_is_about_space(const Edit *edit) {
        return edit->verb == EDIT_ADD_ADDRESS_SPACE || edit->verb == EDIT_REMOVE_ADDRESS_SPACE;
}

static bool is_noted(const ObjectChanges *changes, const Edit *edit) {
        for (size_t i = 0; i < changes->n; i++)
                if (changes->items[i].is_space == edit_is_about_space(edit) &&
                    strcmp(changes->items[i].name, edit->name) == 0)
                        return true;
        return false;
}

static void object_change_begin(ObjectChange *change, const Map *map) {
        if (change->is_space) {
                change->space = map_find_space(map, change->name);
                if (change->space)
                        address_space_ref(change->space);
                return;
        }
        change->region = map_find_region(map, change->name);
        if (!change->region)
                return;
        region_ref(change->region);
        change->before = change->region->state;
        change->kind_before = region_reported_kind(change->region);
        change->handler_before = region_handler_kind(change->region);
}

int object_changes_note(ObjectChanges *changes, const Map *map, const Edit *edit) {
        ObjectChange *items;
        char *name;

        if (changes->many || is_noted(changes, edit))
                return 0;
        if (changes->n == GUESTMAP_SIGNAL_OBJECTS_MAX) {
                object_changes_deinit(changes);
                changes->many = true;
                return 0;
        }
        items = reallocarray(changes->items, changes->n + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        changes->items = items;
        name = strdup(edit->name);
        if (!name)
                return -ENOMEM;
        items[changes->n] = (ObjectChange){.name = name, .is_space = edit_is_about_space(edit)};
        object_change_begin(&items[changes->n++], map);
        return 0;
}

static uint32_t flags_to_properties(uint32_t flags) {
        return (flags & REGION_ENABLED ? OBJECT_ENABLED : 0) |
               (flags & REGION_READONLY ? OBJECT_READONLY : 0) |
               (flags & REGION_NONVOLATILE ? OBJECT_NONVOLATILE : 0) |
               (flags & REGION_UNMERGEABLE ? OBJECT_UNMERGEABLE : 0) |
               (flags & REGION_DIRTY_LOG ? OBJECT_DIRTY_LOG : 0);
}

static uint32_t changed_properties(const ObjectChange *change, const Region *region) {
        const RegionState *old = &change->before, *new = &region->state;

        return (old->size != new->size ? OBJECT_SIZE : 0) |
               (old->parent != new->parent ? OBJECT_PARENT : 0) |
               (old->offset != new->offset ? OBJECT_OFFSET : 0) |
               (old->priority != new->priority ? OBJECT_PRIORITY : 0) |
               (old->target_offset != new->target_offset ? OBJECT_TARGET_OFFSET : 0) |
               (change->kind_before != region_reported_kind(region) ? OBJECT_KIND : 0) |
               (strcmp(change->handler_before, region_handler_kind(region)) != 0 ? OBJECT_HANDLER
                                                                                 : 0) |
               flags_to_properties(old->flags ^ new->flags);
}

static void object_change_settle(ObjectChange *change, const Map *map) {
        if (change->is_space) {
                const AddressSpace *now = map_find_space(map, change->name);

                change->gone = change->space && change->space != now;
                change->come = now && change->space != now;
        } else {
                const Region *now = map_find_region(map, change->name);

                change->gone = change->region && change->region != now;
                change->come = now && change->region != now;
                if (now && change->region == now)
                        change->properties = changed_properties(change, now);
        }
        object_change_release(change);
}

void object_changes_settle(ObjectChanges *changes, const Map *map) {
        for (size_t i = 0; i < changes->n; i++)
                object_change_settle(&changes->items[i], map);
}
