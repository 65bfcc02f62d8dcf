/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "api/names.h"
#include "daemon/vm/json-region.h"
#include "daemon/vm/report-part.h"
#include "lib/memory/undo.h"

typedef struct Counts Counts;
typedef struct Edited Edited;
typedef struct EditedList EditedList;

/* As many as are listed, and how many there are. */
struct EditedList {
        const Undo *items[GUESTMAP_SIGNAL_SECTIONS_MAX];
        uint64_t count;
};

struct Edited {
        EditedList added, removed, changed;
};

struct Counts {
        uint64_t added, removed;
};

static void edited_list_add(EditedList *list, const Undo *undo) {
        if (list->count < ELEMENTS_OF(list->items))
                list->items[list->count] = undo;
        list->count++;
}

static void find_edited(Edited *edited, Map *map) {
        const Undo *undo;
        size_t i = 0;

        while ((undo = map_next_changed(map, &i))) {
                bool was = undo->before.flags & REGION_PRESENT;
                bool is = region_is(undo->region, REGION_PRESENT);

                if (is && !was)
                        edited_list_add(&edited->added, undo);
                else if (was && !is)
                        edited_list_add(&edited->removed, undo);
                else if (was && !region_state_equal(&undo->before, &undo->region->state))
                        edited_list_add(&edited->changed, undo);
        }
}

static void report_added(JSONWriter *writer, const Undo *undo) {
        report_region_in(writer, undo->region, &undo->region->state, false);
}

static void report_removed(JSONWriter *writer, const Undo *undo) {
        report_region_in(writer, undo->region, &undo->before, false);
}

/* Of a state the properties in which another one differs. */
static void report_differing(JSONWriter *writer, const char *key, const RegionState *state,
                             const RegionState *other) {
        json_key(writer, key);
        json_open(writer, '{');
        if (state->size != other->size) {
                json_key(writer, "size");
                json_size(writer, state->size);
        }
        if (state->parent != other->parent) {
                json_key(writer, "parent");
                json_string(writer, state->parent ? state->parent->name : "");
        }
        if (state->offset != other->offset) {
                json_key(writer, "offset");
                json_hex(writer, state->offset);
        }
        if (state->priority != other->priority) {
                json_key(writer, "priority");
                json_signed(writer, state->priority);
        }
        if (state->target_offset != other->target_offset) {
                json_key(writer, "target-offset");
                json_hex(writer, state->target_offset);
        }
        json_region_flags(writer, state->flags ^ other->flags, state->flags);
        json_close(writer, '}');
}

static void report_changed(JSONWriter *writer, const Undo *undo) {
        json_key(writer, "name");
        json_string(writer, undo->region->name);
        report_differing(writer, "before", &undo->before, &undo->region->state);
        report_differing(writer, "after", &undo->region->state, &undo->before);
}

static void report_list(JSONWriter *writer, const char *key, const EditedList *list,
                        void (*report)(JSONWriter *writer, const Undo *undo)) {
        json_key(writer, key);
        json_open(writer, '{');
        json_key(writer, "count");
        json_number(writer, list->count);
        json_key(writer, "regions");
        json_open(writer, '[');
        for (size_t i = 0; i < MIN_OF(list->count, ELEMENTS_OF(list->items)); i++) {
                json_line(writer, 4);
                json_open(writer, '{');
                report(writer, list->items[i]);
                json_close(writer, '}');
        }
        json_close(writer, ']');
        json_close(writer, '}');
}

/* Whether a space that one side has is the same on the other. */
static bool same_root(const AddressSpace *space, const AddressSpace *other) {
        return other && other->view->root == space->view->root;
}

static void report_root(JSONWriter *writer, const AddressSpace *space) {
        json_key_string(writer, space->name);
        json_string(writer, space->view->root->name);
}

static void report_roots(JSONWriter *writer, Map *map) {
        const Snapshot *snapshot = map->snapshot;
        bool edited = map_spaces_were_edited(map);
        AddressSpace *space;

        json_open(writer, '{');
        json_key(writer, "removed");
        json_open(writer, '{');
        for (size_t i = 0; edited && i < snapshot->n_spaces; i++) {
                space = snapshot->spaces[i].space;
                if (!same_root(space, map_find_space(map, space->name)))
                        report_root(writer, space);
        }
        json_close(writer, '}');
        json_key(writer, "added");
        json_open(writer, '{');
        for (space = edited ? RB_MIN(AddressSpaces, &map->spaces) : NULL; space;
             space = RB_NEXT(AddressSpaces, &map->spaces, space))
                if (!same_root(space, snapshot_find_space(snapshot, space->name)))
                        report_root(writer, space);
        json_close(writer, '}');
        json_close(writer, '}');
}

static void count(Counts *counts, bool is_linked, bool is_fresh) {
        counts->added += is_linked && is_fresh;
        counts->removed += !is_linked && !is_fresh;
}

static void report_counts(JSONWriter *writer, const char *key, const Counts *counts) {
        json_key(writer, key);
        json_open(writer, '{');
        json_key(writer, "removed");
        json_number(writer, counts->removed);
        json_key(writer, "added");
        json_number(writer, counts->added);
        json_close(writer, '}');
}

static void report_devices(JSONWriter *writer, const Map *map) {
        Counts ioeventfds = {}, zones = {};

        for (size_t i = 0; i < map->n_undo; i++) {
                const Undo *undo = &map->undo[i];

                if (undo->ioeventfd)
                        count(&ioeventfds, undo->ioeventfd->linked, undo->ioeventfd->fresh);
                if (undo->coalesced)
                        count(&zones, undo->coalesced->linked, undo->coalesced->fresh);
        }
        report_counts(writer, "ioeventfds", &ioeventfds);
        report_counts(writer, "coalesced", &zones);
}

void report_edited(JSONWriter *writer, Map *map) {
        Edited edited = {};

        find_edited(&edited, map);
        json_key(writer, "regions");
        json_open(writer, '{');
        report_list(writer, "removed", &edited.removed, report_removed);
        report_list(writer, "added", &edited.added, report_added);
        report_list(writer, "changed", &edited.changed, report_changed);
        json_close(writer, '}');
        json_line(writer, 1);
        json_key(writer, "roots");
        report_roots(writer, map);
        json_line(writer, 1);
        report_devices(writer, map);
}
