/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "daemon/vm/journal-record.h"
#include "daemon/vm/json-region.h"
#include "lib/memory/handler-socket.h"
#include "lib/util/array.h"

static int write_piece(void *userdata, const char *text, size_t n) {
        return journal_write(userdata, text, n);
}

int record_new(Record **ret, Journal *journal) {
        Record *record = calloc(1, sizeof(*record));

        if (!record)
                return -ENOMEM;
        record->journal = journal;
        json_writer_init_sink(&record->writer, write_piece, journal);
        *ret = record;
        return 0;
}

Record *record_free(Record *record) {
        if (!record)
                return NULL;
        json_writer_deinit(&record->writer);
        journal_free(record->journal);
        free(record);
        return NULL;
}

static int begin(Record *record) {
        json_writer_restart(&record->writer);
        json_open(&record->writer, '{');
        return journal_begin(record->journal);
}

static int end(Record *record) {
        JSONWriter *writer = &record->writer;

        json_close(writer, '}');
        if (writer->error == 0)
                return journal_end(record->journal, writer->text, writer->length);
        (void)journal_cut(record->journal);
        return writer->error;
}

static void open_edits(JSONWriter *writer) {
        json_key(writer, "edits");
        json_open(writer, '[');
}

int record_begin(Record *record) {
        int r;

        r = begin(record);
        if (r == 0)
                open_edits(&record->writer);
        return r;
}

int record_end(Record *record, uint64_t generation) {
        json_close(&record->writer, ']');
        json_key(&record->writer, "generation");
        json_number(&record->writer, generation);
        return end(record);
}

int record_cut(Record *record) {
        return journal_cut(record->journal);
}

static bool is_full(int r) {
        return r == -ENOSPC || r == -EDQUOT || r == -EFBIG;
}

int file_failed(int r, const VM *vm, const char *file, Detail *detail) {
        if (r >= 0 || r == -ENOMEM)
                return r;
        return detail_set(detail, is_full(r) ? VM_E_NO_SPACE : r,
                          "VM \"%s\": its file \"%s\" cannot be written: %s", vm->name, file,
                          strerror(-r));
}

int record_failed(int r, const VM *vm, Detail *detail) {
        if (r < 0 && vm->record && vm->record->journal->broken < 0)
                return detail_set(detail, VM_E_NO_SPACE,
                                  "VM \"%s\": no change can be written to its journal until that "
                                  "has been written anew, because one that failed could not be "
                                  "taken out of it: %s",
                                  vm->name, strerror(-vm->record->journal->broken));
        return is_full(r) ? file_failed(r, vm, JOURNAL_NAME, detail) : r;
}

/* Edits */

static void write_place(JSONWriter *writer, const Edit *edit) {
        if (!edit->parent || !edit->parent[0])
                return;
        json_key(writer, "parent");
        json_string(writer, edit->parent);
        json_key(writer, "offset");
        json_hex(writer, edit->offset);
        if (edit->priority == 0)
                return;
        json_key(writer, "priority");
        json_signed(writer, edit->priority);
}

static void write_new(JSONWriter *writer, const Edit *edit) {
        uint32_t readonly = edit->kind == REGION_ROM ? REGION_READONLY : 0;
        uint32_t flags = edit->flags | readonly;

        json_key(writer, "size");
        json_size(writer, edit->size);
        write_place(writer, edit);
        json_region_flags(writer, flags ^ region_default_flags(edit->kind), flags);
}

static void write_add_region(JSONWriter *writer, const Edit *edit) {
        json_key(writer, "kind");
        json_string(writer, region_kind_to_string(edit->kind));
        write_new(writer, edit);
        if (!edit->backing)
                return;
        json_region_memory(writer, &edit->backing->spec);
        if (!edit->backing->passed)
                return;
        json_key(writer, "backing");
        json_string(writer, "fd");
        json_key(writer, "fd-offset");
        json_hex(writer, edit->backing->offset);
}

static void write_add_alias(JSONWriter *writer, const Edit *edit) {
        json_key(writer, "target");
        json_string(writer, edit->target);
        json_key(writer, "target-offset");
        json_hex(writer, edit->target_offset);
        write_new(writer, edit);
}

static void write_move(JSONWriter *writer, const Edit *edit) {
        if (!edit->parent || !edit->parent[0]) {
                json_key(writer, "parent");
                json_string(writer, "");
        }
        write_place(writer, edit);
}

static void write_set(JSONWriter *writer, const Edit *edit) {
        if (edit->mask & PROPERTY_SIZE) {
                json_key(writer, "size");
                json_size(writer, edit->size);
        }
        if (edit->mask & PROPERTY_OFFSET) {
                json_key(writer, "offset");
                json_hex(writer, edit->offset);
        }
        if (edit->mask & PROPERTY_PRIORITY) {
                json_key(writer, "priority");
                json_signed(writer, edit->priority);
        }
        if (edit->mask & PROPERTY_TARGET_OFFSET) {
                json_key(writer, "target-offset");
                json_hex(writer, edit->target_offset);
        }
        if (edit->mask & PROPERTY_FLAGS)
                json_region_flags(writer, edit->flags_mask, edit->flags);
}

static void write_root(JSONWriter *writer, const Edit *edit) {
        json_key(writer, "root");
        json_string(writer, edit->parent);
}

static void write_ioeventfd(JSONWriter *writer, const Edit *edit) {
        json_region_ioeventfd(writer, edit->ioeventfd);
}

static void write_zone(JSONWriter *writer, const Edit *edit) {
        json_key(writer, "offset");
        json_hex(writer, edit->offset);
        json_key(writer, "size");
        json_size(writer, edit->size);
}

static void write_handler(JSONWriter *writer, const Edit *edit) {
        const Handler *handler = edit->handler;

        json_key(writer, "handler");
        json_string(writer, handler_is_socket(handler) ? "none" : handler->ops->kind);
        json_region_handler(writer, handler);
}

static void write_nothing(JSONWriter *writer, const Edit *edit) {}

static const struct {
        const char *key;
        const char *subject; /* what the edit's name is called */
        void (*write)(JSONWriter *writer, const Edit *edit);
} verbs[] = {
        [EDIT_ADD_REGION] = {"add-region", "name", write_add_region},
        [EDIT_ADD_ALIAS] = {"add-alias", "name", write_add_alias},
        [EDIT_REMOVE_REGION] = {"remove-region", "name", write_nothing},
        [EDIT_MOVE_REGION] = {"move-region", "name", write_move},
        [EDIT_SET_REGION] = {"set-region", "name", write_set},
        [EDIT_ADD_ADDRESS_SPACE] = {"add-address-space", "name", write_root},
        [EDIT_REMOVE_ADDRESS_SPACE] = {"remove-address-space", "name", write_nothing},
        [EDIT_ADD_IOEVENTFD] = {"add-ioeventfd", "region", write_ioeventfd},
        [EDIT_REMOVE_IOEVENTFD] = {"remove-ioeventfd", "region", write_ioeventfd},
        [EDIT_ADD_COALESCED] = {"add-coalesced", "region", write_zone},
        [EDIT_CLEAR_COALESCED] = {"clear-coalesced", "region", write_nothing},
        [EDIT_SET_HANDLER] = {"set-handler", "region", write_handler},
};

static void write_number(JSONWriter *writer, const char *key, uint64_t number) {
        json_key(writer, key);
        json_number(writer, number);
}

static void write_backing(JSONWriter *writer, const Backing *backing) {
        write_number(writer, "backing", backing->id);
        json_key(writer, "backing-size");
        json_hex(writer, backing->size);
        if (backing->stored != backing->id)
                write_number(writer, "stored", backing->stored);
}

static void write_socket(JSONWriter *writer, const Handler *handler) {
        SocketSetup setup = handler_socket_setup(handler);

        json_key(writer, "socket");
        json_boolean(writer, true);
        write_number(writer, "stored", handler->stored);
        write_number(writer, "timeout-usec", setup.timeout_usec);
        write_number(writer, "user-data", setup.user_data);
        json_key(writer, "posted-writes");
        json_boolean(writer, setup.posted_writes);
}

static void write_kept(JSONWriter *writer, const Edit *edit) {
        bool is_doorbell = edit->verb == EDIT_ADD_IOEVENTFD && edit->ioeventfd->stored != 0;
        bool is_socket = edit->verb == EDIT_SET_HANDLER && handler_is_socket(edit->handler);

        if (edit->place == 0 && !edit->backing && !is_doorbell && !is_socket)
                return;
        json_key(writer, "kept");
        json_open(writer, '{');
        if (edit->place != 0)
                write_number(writer, "place", edit->place);
        if (edit->backing)
                write_backing(writer, edit->backing);
        if (is_doorbell)
                write_number(writer, "stored", edit->ioeventfd->stored);
        if (is_socket)
                write_socket(writer, edit->handler);
        json_close(writer, '}');
}

void record_edit(Record *record, const Edit *edit) {
        JSONWriter *writer = &record->writer;

        json_open(writer, '{');
        json_key(writer, verbs[edit->verb].key);
        json_open(writer, '{');
        json_key(writer, verbs[edit->verb].subject);
        json_string(writer, edit->name);
        verbs[edit->verb].write(writer, edit);
        json_close(writer, '}');
        write_kept(writer, edit);
        json_close(writer, '}');
}

static void write_limits(JSONWriter *writer, const VM *vm) {
        const char *limit;
        uint64_t value;

        json_key(writer, "limits");
        json_open(writer, '{');
        for (size_t i = 0; (limit = vm_limits_get(&vm->limits, i, &value)); i++)
                write_number(writer, limit, value);
        json_close(writer, '}');
}

int record_setup(Record *record, const VM *vm) {
        JSONWriter *writer = &record->writer;
        int r;

        r = begin(record);
        if (r < 0)
                return r;
        json_key(writer, "setup");
        json_open(writer, '{');
        json_key(writer, "name");
        json_string(writer, vm->name);
        json_key(writer, "id");
        json_string(writer, vm->id);
        write_number(writer, "owner", vm->owner);
        json_key(writer, "accelerator");
        json_string(writer, vm->accelerator->ops->name);
        json_key(writer, "memory-space");
        json_string(writer, vm->memory_space);
        json_key(writer, "durable");
        json_boolean(writer, record->journal->durable);
        write_limits(writer, vm);
        json_close(writer, '}');
        return end(record);
}

/* The map from nothing: what a region is in or shows comes before it */

static char *name_of(const Region *region) {
        return region ? (char *)region->name : NULL;
}

static void record_devices(Record *record, Region *region) {
        Edit edit = {.name = region->name};

        for (IOEventFD *i = ioeventfds_first(&region->ioeventfds, 0); i; i = ioeventfd_next(i)) {
                edit.verb = EDIT_ADD_IOEVENTFD;
                edit.ioeventfd = i;
                record_edit(record, &edit);
        }
        for (Coalesced *z = zones_first(&region->coalesced, 0); z; z = coalesced_next(z)) {
                edit.verb = EDIT_ADD_COALESCED;
                edit.offset = z->range.first;
                edit.size = range_size(z->range);
                record_edit(record, &edit);
        }
        if (!region->handler)
                return;
        edit.verb = EDIT_SET_HANDLER;
        edit.handler = region->handler;
        record_edit(record, &edit);
}

/* The region as it is, but of that size. */
static void record_add(Record *record, Region *region, uint64_t size, Region *parent) {
        const RegionState *state = &region->state;
        const Edit edit = {
                .verb = region->kind == REGION_ALIAS ? EDIT_ADD_ALIAS : EDIT_ADD_REGION,
                .kind = region_reported_kind(region),
                .name = region->name,
                .size = size,
                .parent = name_of(parent),
                .offset = state->offset,
                .priority = state->priority,
                .place = parent ? state->place : 0,
                .target = name_of(region->target),
                .target_offset = state->target_offset,
                .flags = state->flags & ~(uint32_t)REGION_PRESENT,
                .backing = region->backing,
        };

        record_edit(record, &edit);
}

static uint64_t size_up_to(uint64_t last) {
        return last == UINT64_MAX ? SIZE_WHOLE : last + 1;
}

/* The size that its devices need, which were there before the region became smaller; 0: none. */
static uint64_t size_for_devices(const Region *region) {
        uint64_t size = 0;

        for (IOEventFD *i = ioeventfds_first(&region->ioeventfds, 0); i; i = ioeventfd_next(i))
                size = MAX_OF(size, size_up_to(i->offset + MAX_OF(i->length, 1u) - 1));
        for (Coalesced *z = zones_first(&region->coalesced, 0); z; z = coalesced_next(z))
                size = MAX_OF(size, size_up_to(z->range.last));
        return size;
}

/* One that is smaller than its devices reach becomes so after them, and is placed then. */
static void record_shrunk(Record *record, Region *region, uint64_t size) {
        const RegionState *state = &region->state;
        const Edit shrink = {
                .verb = EDIT_SET_REGION,
                .name = region->name,
                .mask = PROPERTY_SIZE,
                .size = state->size,
        };
        const Edit place = {
                .verb = EDIT_MOVE_REGION,
                .name = region->name,
                .parent = name_of(state->parent),
                .offset = state->offset,
                .priority = state->priority,
                .place = state->place,
        };

        record_add(record, region, size, NULL);
        record_devices(record, region);
        record_edit(record, &shrink);
        if (state->parent)
                record_edit(record, &place);
}

static void record_region(Record *record, Region *region) {
        uint64_t size = size_for_devices(region);

        if (size > region->state.size) {
                record_shrunk(record, region, size);
                return;
        }
        record_add(record, region, region->state.size, region->state.parent);
        record_devices(record, region);
}

/* What has to be there before the region, and is not yet; NULL: nothing. */
static Region *find_missing(const Map *map, const Region *region) {
        Region *above[] = {region->state.parent, region->target};

        for (size_t i = 0; i < ELEMENTS_OF(above); i++)
                if (above[i] && above[i]->visit != map->last_visit)
                        return above[i];
        return NULL;
}

static void record_spaces(Record *record, Map *map) {
        AddressSpace *space;

        RB_FOREACH(space, AddressSpaces, &map->spaces) {
                const Edit edit = {
                        .verb = EDIT_ADD_ADDRESS_SPACE,
                        .name = space->name,
                        .parent = space->view->root->name,
                };

                record_edit(record, &edit);
        }
}

/* The region, and before it all that it needs: `waiting` are those that need the next one. */
static int record_with_needs(Record *record, Map *map, Region *region, Region ***waiting,
                             size_t *allocated) {
        Region *missing;
        size_t n = 0;
        int r;

        for (;;) {
                while ((missing = find_missing(map, region))) {
                        r = array_reserve(waiting, allocated, n, 1);
                        if (r < 0)
                                return r;
                        (*waiting)[n++] = region;
                        region = missing;
                }
                if (map_walk_visits(map, region))
                        record_region(record, region);
                if (n == 0)
                        return record->writer.error;
                region = (*waiting)[--n];
        }
}

static int record_regions(Record *record, Map *map) {
        _cleanup_(freep) Region **waiting = NULL;
        size_t allocated = 0;
        Region *region;
        int r = 0;

        map_begin_walk(map);
        RB_FOREACH(region, RegionsByName, &map->regions) {
                r = record_with_needs(record, map, region, &waiting, &allocated);
                if (r < 0)
                        break;
        }
        return r;
}

static void write_last(JSONWriter *writer, const VM *vm) {
        json_key(writer, "last");
        json_open(writer, '{');
        write_number(writer, "backing", vm->last_backing);
        write_number(writer, "place", vm->map->last_place);
        json_close(writer, '}');
}

int record_map(Record *record, const VM *vm) {
        int r;

        r = begin(record);
        if (r < 0)
                return r;
        write_last(&record->writer, vm);
        open_edits(&record->writer);
        r = record_regions(record, vm->map);
        if (r < 0)
                json_fail(&record->writer, r);
        record_spaces(record, vm->map);
        return record_end(record, vm->map->generation);
}
