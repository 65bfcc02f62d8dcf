/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "daemon/vm/document-settle.h"
#include "daemon/vm/vm-error.h"

/* A rom is ram that is read-only, and says so; what was not given is the kind's default. */
static int settle_flags(Edit *edit, const JSONPath *path, Detail *detail) {
        uint32_t defaults = region_default_flags(edit->kind);

        edit->flags |= defaults & ~edit->flags_mask;
        if (edit->kind == REGION_ROM && !(edit->flags & REGION_READONLY))
                return json_path_error(path, VM_E_INVALID_DOCUMENT, detail,
                                       "kind rom with \"readonly\" false is kind ram");
        edit->flags_mask = 0;
        edit->mask = 0;
        return 0;
}

/* What is in no other region has no place there: whoever gave one forgot the parent. */
static int check_place(const Edit *edit, const JSONPath *path, Detail *detail) {
        const char *key = edit->mask & PROPERTY_OFFSET ? "offset" : "priority";
        JSONPath member = json_path_member(path, key);

        if (edit->parent || !(edit->mask & (PROPERTY_OFFSET | PROPERTY_PRIORITY)))
                return 0;
        return json_path_error(&member, VM_E_INVALID_DOCUMENT, detail, "only with a \"parent\"");
}

int settle_new(Edit *edit, const JSONPath *path, Detail *detail) {
        int r;

        r = check_place(edit, path, detail);
        return r ? r : settle_flags(edit, path, detail);
}

static int settle_backing(Entry *entry, const JSONPath *path, Detail *detail) {
        JSONPath backing = json_path_member(path, "backing");
        JSONPath offset = json_path_member(path, "fd-offset");
        Edit *edit = &entry->edit;

        if (entry->backing && strcmp(entry->backing, "fd") != 0)
                return json_path_error(&backing, VM_E_INVALID_DOCUMENT, detail,
                                       "must be \"fd\", or not be there");
        if (entry->backing && !region_kind_has_backing(edit->kind))
                return json_path_error(&backing, VM_E_INVALID_DOCUMENT, detail,
                                       "kind %s has no memory", region_kind_to_string(edit->kind));
        if (!entry->backing && edit->fd_offset != 0)
                return json_path_error(&offset, VM_E_INVALID_DOCUMENT, detail,
                                       "only with \"backing\": \"fd\"");
        edit->passed = entry->backing;
        return 0;
}

static int settle_memory(Entry *entry, const JSONPath *path, Detail *detail) {
        Edit *edit = &entry->edit;
        Detail why = {};
        int r;

        entry->numa.has_node = edit->mask & PROPERTY_NODE;
        r = numa_choose(&edit->memory.numa, &entry->numa, edit->name, &why);
        if (r > 0)
                return json_path_error(path, VM_E_INVALID_DOCUMENT, detail, "%s", why.text);
        if (!region_kind_has_backing(edit->kind) && !backing_spec_is_usual(&edit->memory))
                return json_path_error(path, MAP_E_INVALID_KIND, detail,
                                       "kind %s has no memory that could be made so",
                                       region_kind_to_string(edit->kind));
        return r;
}

int settle_new_region(Entry *entry, const JSONPath *path, Detail *detail) {
        int r;

        r = settle_backing(entry, path, detail);
        if (r == 0)
                r = settle_memory(entry, path, detail);
        return r ? r : settle_new(&entry->edit, path, detail);
}

int settle_move(Edit *edit, const JSONPath *path, Detail *detail) {
        int r;

        r = check_place(edit, path, detail);
        edit->mask = 0;
        return r;
}

int settle_ioeventfd(Entry *entry, const JSONPath *path, Detail *detail) {
        int r;

        r = ioeventfd_new(&entry->edit.ioeventfd, entry->edit.offset, entry->length, entry->match,
                          entry->data, -1);
        if (r == -EINVAL)
                return json_path_error(path, VM_E_INVALID_DOCUMENT, detail,
                                       "length %u with match %s: it must be 1, 2, 4 or 8, or 0 "
                                       "without match",
                                       entry->length, entry->match ? "true" : "false");
        return r;
}

int settle_handler(Entry *entry, const JSONPath *path, Detail *detail) {
        Detail why = {};
        int r;

        entry->handler.has_value = entry->edit.mask & PROPERTY_HANDLER;
        entry->edit.mask = 0;
        /* In a layout: the one that it has. */
        if (!entry->edit.name && strcmp(entry->handler.kind, "socket") == 0)
                return 0;
        r = handler_from_spec(&entry->edit.handler, &entry->handler, "", &why);
        return r > 0 ? json_path_error(path, VM_E_INVALID_DOCUMENT, detail, "%s", why.text) : r;
}
