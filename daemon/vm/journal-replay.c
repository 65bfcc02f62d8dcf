/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <json-c/linkhash.h>

#include "api/names.h"
#include "daemon/vm/document-internal.h"
#include "daemon/vm/document-number.h"
#include "daemon/vm/fd-store.h"
#include "daemon/vm/journal-replay.h"
#include "daemon/vm/json-piece.h"
#include "lib/memory/handler-log.h"
#include "lib/memory/handler-socket.h"

typedef struct Reader Reader;

/* One record on its way. */
struct Reader {
        Replay *replay;
        json_tokener *tokener;
        bool has_generation;
        uint64_t last_place; /* once all edits are made */
};

static int damaged(const JSONPath *path, Detail *detail, const char *what) {
        return json_path_error(path, VM_E_DAMAGED, detail, "%s", what);
}

/* Members */

static int read_string(json_object *object, const char *key, const char **ret) {
        json_object *value;

        if (!json_object_object_get_ex(object, key, &value) ||
            !json_object_is_type(value, json_type_string))
                return -EINVAL;
        *ret = json_object_get_string(value);
        return 0;
}

static int read_number(json_object *object, const char *key, uint64_t *ret) {
        json_object *value;

        if (!json_object_object_get_ex(object, key, &value))
                return -EINVAL;
        return document_number(value, ret);
}

static int read_boolean(json_object *object, const char *key, bool *ret) {
        json_object *value;

        if (!json_object_object_get_ex(object, key, &value) ||
            !json_object_is_type(value, json_type_boolean))
                return -EINVAL;
        *ret = json_object_get_boolean(value);
        return 0;
}

/* One that is not there is as it is by default; one that there is no more does not matter. */
static int read_limits(VMLimits *limits, json_object *setup, const JSONPath *path, Detail *detail) {
        json_object *object;
        uint64_t value;

        if (!json_object_object_get_ex(setup, "limits", &object) ||
            !json_object_is_type(object, json_type_object))
                return damaged(path, detail, "it has no limits");
        json_object_object_foreach(object, name, number) {
                if (document_number(number, &value) < 0)
                        return damaged(path, detail, "a limit is no number");
                (void)vm_limits_set(limits, name, value);
        }
        return 0;
}

static int read_setup(Replay *replay, json_object *object, const JSONPath *path, Detail *detail) {
        const char *name, *id, *accelerator, *space;
        VMLimits limits = vm_limits_default;
        uint64_t owner;
        int r;

        if (replay->vm)
                return damaged(path, detail, "there was a setup before");
        if (read_string(object, "name", &name) < 0 || read_string(object, "id", &id) < 0 ||
            read_string(object, "accelerator", &accelerator) < 0 ||
            read_string(object, "memory-space", &space) < 0 ||
            read_number(object, "owner", &owner) < 0 || owner > UINT32_MAX ||
            read_boolean(object, "durable", &replay->durable) < 0)
                return damaged(path, detail, "a member is missing or has a wrong type");
        snprintf(replay->name, sizeof(replay->name), "%s", name);
        r = read_limits(&limits, object, path, detail);
        if (r == 0)
                r = vm_new(&replay->vm, name, id, (uint32_t)owner,
                           replay->accelerator ?: accelerator, space, detail);
        if (r != 0)
                return r;
        replay->vm->store = replay->store;
        vm_set_limits(replay->vm, &limits);
        return 0;
}

static int read_last(Reader *reader, json_object *object, const JSONPath *path, Detail *detail) {
        VM *vm = reader->replay->vm;

        if (read_number(object, "backing", &vm->last_backing) < 0 ||
            read_number(object, "place", &reader->last_place) < 0)
                return damaged(path, detail, "a number is missing");
        return 0;
}

/* Edits */

static int keep_backing(Reader *reader, Entry *entry, const JSONPath *path, Detail *detail) {
        VM *vm = reader->replay->vm;
        Edit *edit = &entry->edit;
        int r;

        if (entry->backing_id == 0)
                return damaged(path, detail, "its memory has no number");
        r = backing_new_absent(&edit->backing, entry->backing_id, edit->name, entry->backing_size,
                               &edit->memory, edit->passed, edit->fd_offset, detail);
        if (r != 0)
                return r;
        if (entry->stored != 0)
                edit->backing->stored = entry->stored;
        vm->last_backing = MAX_OF(vm->last_backing, entry->backing_id);
        return 0;
}

/* Where the socket is gone nobody answers: so the edit says. */
static int keep_socket(Reader *reader, Entry *entry, Detail *detail) {
        SocketSetup setup = {
                .fd = fd_store_find(reader->replay->store, "handler", entry->stored),
                .region = entry->edit.name,
                .timeout_usec = entry->handler.timeout_usec,
                .user_data = entry->handler.user_data,
                .posted_writes = entry->handler.posted_writes,
        };
        Edit *edit = &entry->edit;
        Handler *handler;
        int r;

        if (setup.fd < 0) {
                edit->handler->stored = HANDLER_SOCKET_LOST;
                return 0;
        }
        r = handler_new_socket(&handler, &setup, detail);
        if (r != 0)
                return r;
        handler->widths = edit->handler->widths;
        handler->stored = entry->stored;
        handler_unref(edit->handler);
        edit->handler = handler;
        return 0;
}

static int keep_handler(Reader *reader, Entry *entry, Detail *detail) {
        Edit *edit = &entry->edit;

        if (entry->is_socket)
                return keep_socket(reader, entry, detail);
        if (!handler_is_log(edit->handler))
                return 0;
        return handler_log_equip(edit->handler, reader->replay->vm->access_log, edit->name);
}

/* What the edit has beside its verb becomes part of it. */
static int keep(Reader *reader, Entry *entry, const JSONPath *path, Detail *detail) {
        Edit *edit = &entry->edit;

        switch (edit->verb) {
        case EDIT_ADD_REGION:
                return region_kind_has_backing(edit->kind)
                               ? keep_backing(reader, entry, path, detail)
                               : 0;
        case EDIT_ADD_IOEVENTFD:
                edit->ioeventfd->stored = entry->stored;
                return 0;
        case EDIT_SET_HANDLER:
                return keep_handler(reader, entry, detail);
        default:
                return 0;
        }
}

#define KEPT(key, type, member)                                                                    \
        { key, FIELD_##type, offsetof(Entry, member), 0, false }

static const Field kept_fields[] = {
        KEPT("place", NUMBER, edit.place),
        KEPT("backing", NUMBER, backing_id),
        KEPT("backing-size", NUMBER, backing_size),
        KEPT("stored", NUMBER, stored),
        KEPT("socket", BOOL, is_socket),
        KEPT("timeout-usec", NUMBER, handler.timeout_usec),
        KEPT("user-data", NUMBER, handler.user_data),
        KEPT("posted-writes", BOOL, handler.posted_writes),
        {},
};

static int read_edit(Entry *entry, json_object *object, const JSONPath *path, Detail *detail) {
        _cleanup_(json_object_putp) json_object *kept = NULL;
        JSONPath member = json_path_member(path, "kept");
        int r;

        if (json_object_is_type(object, json_type_object) &&
            json_object_object_get_ex(object, "kept", &kept)) {
                json_object_get(kept);
                json_object_object_del(object, "kept");
        }
        r = document_read_edit(entry, object, path, detail);
        return r || !kept ? r : entry_read(entry, kept_fields, kept, &member, detail);
}

static int make_edit(Reader *reader, json_object *object, const JSONPath *path, Detail *detail) {
        _cleanup_(entry_deinit) Entry entry = {};
        Detail why = {};
        int r;

        r = read_edit(&entry, object, path, detail);
        if (r == 0)
                r = keep(reader, &entry, path, detail);
        if (r != 0)
                return r;
        r = map_edit(reader->replay->vm->map, &entry.edit, &why);
        if (r == 0)
                reader->replay->n_edits++;
        return r > 0 ? damaged(path, detail, why.text) : r;
}

/* Records */

static int read_generation(Reader *reader, json_object *value, const JSONPath *path,
                           Detail *detail) {
        uint64_t *generation = &reader->replay->now.generation, before = *generation;

        if (document_number(value, generation) < 0 || *generation < before)
                return damaged(path, detail, "is no number that follows the one before");
        reader->has_generation = true;
        return 0;
}

static int read_member(Reader *reader, json_object *value, const JSONPath *path, Detail *detail) {
        Replay *replay = reader->replay;

        if (json_path_is(path, "setup"))
                return read_setup(replay, value, path, detail);
        if (!replay->vm)
                return damaged(path, detail, "there was no setup before");
        if (path->up)
                return make_edit(reader, value, path, detail);
        if (json_path_is(path, "last"))
                return read_last(reader, value, path, detail);
        if (json_path_is(path, "generation"))
                return read_generation(reader, value, path, detail);
        return damaged(path, detail, "unknown key");
}

static int read_piece(const JSONPiece *piece, void *userdata, Detail *detail) {
        _cleanup_(json_object_putp) json_object *value = NULL;
        Reader *reader = userdata;
        int r;

        if (!piece->text)
                return json_path_is(piece->path, "edits")
                               ? 0
                               : damaged(piece->path, detail, "must not be an array");
        r = json_piece_parse(reader->tokener, piece, &value, detail);
        return r ? r : read_member(reader, value, piece->path, detail);
}

/* The state that the record leads to. A setup alone leads to an empty map. */
static int note_point(Reader *reader, const JournalScan *scan, const ReplayPoint *before,
                      Detail *detail) {
        Replay *replay = reader->replay;
        VM *vm = replay->vm;

        if (!vm)
                return detail_set(detail, VM_E_DAMAGED, "it says nothing");
        vm->map->last_place = MAX_OF(vm->map->last_place, reader->last_place);
        replay->now.mark = map_mark(vm->map);
        replay->now.end = scan->at;
        replay->now.sequence = scan->sequence;
        if (reader->has_generation)
                replay->before = *before;
        if (replay->snapshot == 0 && reader->has_generation)
                replay->snapshot = scan->at;
        replay->n_records++;
        return 0;
}

static int read_record(Reader *reader, const JournalRecord *record, const JournalScan *scan,
                       Detail *detail) {
        ReplayPoint before = reader->replay->now;
        int r;

        reader->has_generation = false;
        reader->last_place = 0;
        r = json_scan(record->text, record->length, GUESTMAP_JSON_DEPTH_MAX, read_piece, reader,
                      detail);
        if (r == 0)
                r = note_point(reader, scan, &before, detail);
        reader->replay->now.confirmed = record->confirmed;
        if (r > 0)
                detail_prefix(detail, "record %" PRIu64 ": ", record->sequence);
        /* What no document may say no journal may, either. */
        return r == VM_E_INVALID_DOCUMENT ? VM_E_DAMAGED : r;
}

int journal_replay(Replay *replay, const char *bytes, size_t length, Detail *detail) {
        _cleanup_(json_tokener_freep) json_tokener *tokener = json_piece_tokener();
        Reader reader = {.replay = replay, .tokener = tokener};
        JournalScan scan = {.bytes = bytes, .length = length};
        JournalRecord record;
        int r, found;

        if (!tokener)
                return -ENOMEM;
        while ((found = journal_scan(&scan, &record, &replay->where)) == 0) {
                r = read_record(&reader, &record, &scan, detail);
                if (r != 0)
                        return r;
        }
        if (found == JOURNAL_E_DAMAGED || !replay->vm)
                return detail_set(detail, VM_E_DAMAGED, "%s",
                                  length == 0 ? "it is empty" : replay->where.text);
        replay->torn = length - scan.at;
        return 0;
}

void replay_deinit(Replay *replay) {
        replay->vm = vm_free(replay->vm);
}
