/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include <json-c/linkhash.h>

#include "api/names.h"
#include "daemon/vm/document-field.h"
#include "daemon/vm/document-internal.h"
#include "daemon/vm/document-settle.h"
#include "daemon/vm/json-piece.h"
#include "daemon/vm/vm-error.h"

typedef struct Parser Parser;
typedef struct Verb Verb;

#define REQUIRED true

#define FIELD(key, type, member, ...)                                                              \
        { key, FIELD_##type, offsetof(Entry, member), __VA_ARGS__ }
#define FLAG(key, bit)                                                                             \
        { key, FIELD_FLAG, 0, bit }

#define PLACE_FIELDS                                                                               \
        FIELD("parent", PARENT, edit.parent, 0),                                                   \
                FIELD("offset", NUMBER, edit.offset, PROPERTY_OFFSET),                             \
                FIELD("priority", PRIORITY, edit.priority, PROPERTY_PRIORITY)

#define FLAG_FIELDS                                                                                \
        FLAG("enabled", REGION_ENABLED), FLAG("readonly", REGION_READONLY),                        \
                FLAG("nonvolatile", REGION_NONVOLATILE), FLAG("unmergeable", REGION_UNMERGEABLE),  \
                FLAG("romd", REGION_DIRECT_READ), FLAG("dirty-log", REGION_DIRTY_LOG)

#define MEMORY_FIELDS                                                                              \
        FIELD("backing", WORD, backing, 0), FIELD("fd-offset", NUMBER, edit.fd_offset, 0),         \
                FIELD("hugepage-size", NUMBER, edit.memory.huge_page, 0),                          \
                FIELD("prealloc", BOOL, edit.memory.prealloc, 0),                                  \
                FIELD("numa-node", U32, numa.node, PROPERTY_NODE),                                 \
                FIELD("numa-nodes", WORD, numa.nodes, 0),                                          \
                FIELD("numa-policy", WORD, numa.policy, 0),                                        \
                FIELD("dump", BOOL, edit.memory.dump, 0)

#define PROPERTY_FIELDS                                                                            \
        FIELD("size", SIZE, edit.size, PROPERTY_SIZE),                                             \
                FIELD("offset", NUMBER, edit.offset, PROPERTY_OFFSET),                             \
                FIELD("priority", PRIORITY, edit.priority, PROPERTY_PRIORITY),                     \
                FIELD("target-offset", NUMBER, edit.target_offset, PROPERTY_TARGET_OFFSET),        \
                FLAG_FIELDS

#define IOEVENTFD_FIELDS                                                                           \
        FIELD("offset", NUMBER, edit.offset, 0, REQUIRED),                                         \
                FIELD("length", U32, length, 0, REQUIRED), FIELD("match", BOOL, match, 0),         \
                FIELD("data", NUMBER, data, 0)

#define COALESCED_FIELDS                                                                           \
        FIELD("offset", NUMBER, edit.offset, 0, REQUIRED),                                         \
                FIELD("size", SIZE, edit.size, 0, REQUIRED)

static const Field layout_region_fields[] = {
        FIELD("name", NAME, edit.name, 0, REQUIRED),
        FIELD("kind", KIND, edit.kind, 0, REQUIRED),
        FIELD("size", SIZE, edit.size, 0, REQUIRED),
        FIELD("target", NAME, edit.target, 0),
        FIELD("target-offset", NUMBER, edit.target_offset, PROPERTY_TARGET_OFFSET),
        PLACE_FIELDS,
        FLAG_FIELDS,
        MEMORY_FIELDS,
        FIELD("ioeventfds", ARRAY, ioeventfds, 0),
        FIELD("coalesced", ARRAY, coalesced, 0),
        FIELD("handler", OBJECT, handler_object, 0),
        {},
};

static const Field add_region_fields[] = {
        FIELD("name", NAME, edit.name, 0, REQUIRED),
        FIELD("kind", KIND, edit.kind, 0, REQUIRED),
        FIELD("size", SIZE, edit.size, 0, REQUIRED),
        PLACE_FIELDS,
        FLAG_FIELDS,
        MEMORY_FIELDS,
        {},
};

static const Field add_alias_fields[] = {
        FIELD("name", NAME, edit.name, 0, REQUIRED),
        FIELD("target", NAME, edit.target, 0, REQUIRED),
        FIELD("target-offset", NUMBER, edit.target_offset, PROPERTY_TARGET_OFFSET),
        FIELD("size", SIZE, edit.size, 0, REQUIRED),
        PLACE_FIELDS,
        FLAG_FIELDS,
        {},
};

static const Field name_fields[] = {FIELD("name", NAME, edit.name, 0, REQUIRED), {}};

static const Field enable_fields[] = {
        FIELD("name", NAME, edit.name, 0, REQUIRED),
        {"enabled", FIELD_FLAG, 0, REGION_ENABLED, REQUIRED},
        {},
};

static const Field move_fields[] = {
        FIELD("name", NAME, edit.name, 0, REQUIRED),
        FIELD("parent", PARENT, edit.parent, 0, REQUIRED),
        FIELD("offset", NUMBER, edit.offset, PROPERTY_OFFSET),
        FIELD("priority", PRIORITY, edit.priority, PROPERTY_PRIORITY),
        {},
};

static const Field set_fields[] = {
        FIELD("name", NAME, edit.name, 0, REQUIRED),
        FIELD("properties", OBJECT, properties, 0),
        PROPERTY_FIELDS,
        {},
};

static const Field property_fields[] = {PROPERTY_FIELDS, {}};

static const Field space_fields[] = {
        FIELD("name", NAME, edit.name, 0, REQUIRED),
        FIELD("root", NAME, edit.parent, 0, REQUIRED),
        {},
};

/* Whether the value was given is told by the bit. */
#define HANDLER_FIELDS                                                                             \
        FIELD("value", NUMBER, handler.value, PROPERTY_HANDLER),                                   \
                FIELD("min-width", U32, handler.min_width, 0),                                     \
                FIELD("max-width", U32, handler.max_width, 0),                                     \
                FIELD("unaligned", BOOL, handler.unaligned, 0)

static const Field handler_fields[] = {
        FIELD("kind", WORD, handler.kind, 0, REQUIRED),
        HANDLER_FIELDS,
        {},
};

static const Field handler_edit_fields[] = {
        FIELD("region", NAME, edit.name, 0, REQUIRED),
        FIELD("handler", WORD, handler.kind, 0, REQUIRED),
        HANDLER_FIELDS,
        {},
};

static const Field region_fields[] = {FIELD("region", NAME, edit.name, 0, REQUIRED), {}};
static const Field ioeventfd_fields[] = {IOEVENTFD_FIELDS, {}};
static const Field coalesced_fields[] = {COALESCED_FIELDS, {}};

static const Field ioeventfd_edit_fields[] = {
        FIELD("region", NAME, edit.name, 0, REQUIRED),
        IOEVENTFD_FIELDS,
        {},
};

static const Field coalesced_edit_fields[] = {
        FIELD("region", NAME, edit.name, 0, REQUIRED),
        COALESCED_FIELDS,
        {},
};

struct Verb {
        const char *key;
        EditVerb verb;
        const Field *fields;
};

static const Verb verbs[] = {
        {"add-region", EDIT_ADD_REGION, add_region_fields},
        {"add-alias", EDIT_ADD_ALIAS, add_alias_fields},
        {"remove-region", EDIT_REMOVE_REGION, name_fields},
        {"enable-region", EDIT_SET_REGION, enable_fields},
        {"move-region", EDIT_MOVE_REGION, move_fields},
        {"set-region", EDIT_SET_REGION, set_fields},
        {"add-address-space", EDIT_ADD_ADDRESS_SPACE, space_fields},
        {"remove-address-space", EDIT_REMOVE_ADDRESS_SPACE, name_fields},
        {"add-ioeventfd", EDIT_ADD_IOEVENTFD, ioeventfd_edit_fields},
        {"remove-ioeventfd", EDIT_REMOVE_IOEVENTFD, ioeventfd_edit_fields},
        {"add-coalesced", EDIT_ADD_COALESCED, coalesced_edit_fields},
        {"clear-coalesced", EDIT_CLEAR_COALESCED, region_fields},
        {"set-handler", EDIT_SET_HANDLER, handler_edit_fields},
};

struct Parser {
        Document *document;
        json_tokener *tokener;
        DocumentPassed passed;
        void *userdata;
        bool has_version;
        bool has_regions;
        bool has_edits;
};

static int settle_entry(Entry *entry, const JSONPath *path, Detail *detail) {
        Edit *edit = &entry->edit;
        JSONPath properties = json_path_member(path, "properties");

        switch (edit->verb) {
        case EDIT_ADD_ALIAS:
                edit->kind = REGION_ALIAS;
                return settle_new(edit, path, detail);
        case EDIT_ADD_REGION:
                if (edit->kind == REGION_ALIAS)
                        return json_path_error(path, MAP_E_INVALID_KIND, detail,
                                               "an alias is added by \"add-alias\"");
                return settle_new_region(entry, path, detail);
        case EDIT_MOVE_REGION:
                return settle_move(edit, path, detail);
        case EDIT_SET_REGION:
                if (!entry->properties)
                        return 0;
                return entry_read(entry, property_fields, entry->properties, &properties, detail);
        case EDIT_ADD_IOEVENTFD:
        case EDIT_REMOVE_IOEVENTFD:
                return settle_ioeventfd(entry, path, detail);
        case EDIT_SET_HANDLER:
                return settle_handler(entry, path, detail);
        default:
                return 0;
        }
}

static int read_verb(Entry *entry, const Verb *verb, json_object *object, const JSONPath *path,
                     Detail *detail) {
        int r;

        entry->edit.verb = verb->verb;
        entry->handler = HANDLER_SPEC_USUAL;
        r = entry_read(entry, verb->fields, object, path, detail);
        return r ? r : settle_entry(entry, path, detail);
}

/* Reads an object into an edit at the end of the list. */
static int parse_edit(EditList *list, const Verb *verb, json_object *object, const JSONPath *path,
                      Detail *detail) {
        _cleanup_(entry_deinit) Entry entry = {};
        int r;

        r = read_verb(&entry, verb, object, path, detail);
        return r ? r : edit_list_add_taken(list, &entry.edit);
}

/* What a layout's entry says beside the region itself, as an edit about it. */
static int parse_device(EditList *devices, const Verb *verb, json_object *object,
                        const char *region, const JSONPath *path, Detail *detail) {
        Edit *edit;
        int r;

        r = parse_edit(devices, verb, object, path, detail);
        if (r)
                return r;
        edit = &devices->items[devices->n - 1];
        edit->name = strdup(region);
        return edit->name ? 0 : -ENOMEM;
}

/* The list in "ioeventfds" or "coalesced". */
static int parse_devices(EditList *devices, const Verb *verb, json_object *array,
                         const char *region, const JSONPath *path, Detail *detail) {
        size_t n = array ? json_object_array_length(array) : 0;
        int r = 0;

        for (size_t i = 0; r == 0 && i < n; i++) {
                JSONPath element = json_path_element(path, i);

                r = parse_device(devices, verb, json_object_array_get_idx(array, i), region,
                                 &element, detail);
        }
        return r;
}

static int check_target(const Edit *edit, const JSONPath *path, Detail *detail) {
        bool is_alias = edit->kind == REGION_ALIAS;

        if (is_alias && !edit->target)
                return json_path_error(path, VM_E_INVALID_DOCUMENT, detail,
                                       "\"target\" is missing: this is an alias");
        if (!is_alias && (edit->target || (edit->mask & PROPERTY_TARGET_OFFSET)))
                return json_path_error(path, VM_E_INVALID_DOCUMENT, detail,
                                       "only an alias has a target, this is %s",
                                       region_kind_to_string(edit->kind));
        return 0;
}

static int settle_devices(const Entry *entry, EditList *devices, const JSONPath *path,
                          Detail *detail) {
        static const Verb add_ioeventfd = {"", EDIT_ADD_IOEVENTFD, ioeventfd_fields};
        static const Verb add_coalesced = {"", EDIT_ADD_COALESCED, coalesced_fields};
        static const Verb set_handler = {"", EDIT_SET_HANDLER, handler_fields};
        JSONPath ioeventfds = json_path_member(path, "ioeventfds");
        JSONPath coalesced = json_path_member(path, "coalesced");
        JSONPath handler = json_path_member(path, "handler");
        const char *name = entry->edit.name;
        int r;

        r = parse_devices(devices, &add_ioeventfd, entry->ioeventfds, name, &ioeventfds, detail);
        if (r == 0)
                r = parse_devices(devices, &add_coalesced, entry->coalesced, name, &coalesced,
                                  detail);
        if (r == 0 && entry->handler_object)
                r = parse_device(devices, &set_handler, entry->handler_object, name, &handler,
                                 detail);
        return r;
}

static int settle_region(Entry *entry, EditList *devices, const JSONPath *path, Detail *detail) {
        Edit *edit = &entry->edit;
        int r;

        edit->verb = edit->kind == REGION_ALIAS ? EDIT_ADD_ALIAS : EDIT_ADD_REGION;
        r = check_target(edit, path, detail);
        if (r == 0)
                r = settle_new_region(entry, path, detail);
        return r ? r : settle_devices(entry, devices, path, detail);
}

static int parse_region(Layout *layout, json_object *object, const JSONPath *path, Detail *detail) {
        _cleanup_(edit_list_deinit) EditList devices = {};
        _cleanup_(entry_deinit) Entry entry = {};
        int r;

        r = entry_read(&entry, layout_region_fields, object, path, detail);
        if (r)
                return r;
        r = settle_region(&entry, &devices, path, detail);
        if (r)
                return r;
        return layout_add_region(layout, &entry.edit, &devices);
}

int document_read_edit(Entry *entry, json_object *object, const JSONPath *path, Detail *detail) {
        JSONPath member;

        if (!json_object_is_type(object, json_type_object) ||
            json_object_object_length(object) != 1)
                return json_path_error(path, VM_E_INVALID_DOCUMENT, detail,
                                       "must be an object with one member, its verb");
        json_object_object_foreach(object, key, value) {
                member = json_path_member(path, key);
                for (size_t i = 0; i < ELEMENTS_OF(verbs); i++)
                        if (strcmp(verbs[i].key, key) == 0)
                                return read_verb(entry, &verbs[i], value, &member, detail);
        }
        return json_path_error(&member, VM_E_INVALID_DOCUMENT, detail, "unknown verb");
}

static int parse_patch_edit(EditList *edits, json_object *object, const JSONPath *path,
                            Detail *detail) {
        _cleanup_(entry_deinit) Entry entry = {};
        int r;

        r = document_read_edit(&entry, object, path, detail);
        return r ? r : edit_list_add_taken(edits, &entry.edit);
}

static int parse_version(Parser *parser, json_object *value, const JSONPath *path, Detail *detail) {
        if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) != 1)
                return json_path_error(path, VM_E_INVALID_DOCUMENT, detail,
                                       "must be 1, the only version there is");
        parser->has_version = true;
        return 0;
}

/* A member of the outermost object that is an array begins. */
static int parse_array(Parser *parser, const JSONPath *path, Detail *detail) {
        if (json_path_is(path, "regions"))
                parser->has_regions = true;
        else if (json_path_is(path, "edits"))
                parser->has_edits = true;
        else if (json_path_is(path, "guestmap"))
                return parse_version(parser, NULL, path, detail);
        else if (!json_path_is(path, "address-spaces"))
                return json_path_error(path, VM_E_INVALID_DOCUMENT, detail, "unknown key");
        return 0;
}

static int parse_element(Parser *parser, json_object *value, const JSONPath *path, Detail *detail) {
        static const Verb add_space = {.verb = EDIT_ADD_ADDRESS_SPACE, .fields = space_fields};
        Document *document = parser->document;

        if (json_path_is(path->up, "regions"))
                return parse_region(&document->layout, value, path, detail);
        if (json_path_is(path->up, "edits"))
                return parse_patch_edit(&document->edits, value, path, detail);
        return parse_edit(&document->layout.spaces, &add_space, value, path, detail);
}

static int parse_member(Parser *parser, json_object *value, const JSONPath *path, Detail *detail) {
        if (json_path_is(path, "guestmap"))
                return parse_version(parser, value, path, detail);
        if (json_path_is(path, "regions") || json_path_is(path, "edits") ||
            json_path_is(path, "address-spaces"))
                return json_path_error(path, VM_E_INVALID_DOCUMENT, detail, "must be an array");
        return json_path_error(path, VM_E_INVALID_DOCUMENT, detail, "unknown key");
}

static int parse_text(Parser *parser, const JSONPiece *piece, Detail *detail) {
        _cleanup_(json_object_putp) json_object *value = NULL;
        int r;

        r = json_piece_parse(parser->tokener, piece, &value, detail);
        if (r)
                return r;
        if (piece->path->up)
                return parse_element(parser, value, piece->path, detail);
        return parse_member(parser, value, piece->path, detail);
}

static int parse_piece(const JSONPiece *piece, void *userdata, Detail *detail) {
        Parser *parser = userdata;
        int r;

        if (!piece->text)
                return parse_array(parser, piece->path, detail);
        r = parse_text(parser, piece, detail);
        if (r || !parser->passed)
                return r;
        return parser->passed(parser->document, piece->text + piece->length, parser->userdata,
                              detail);
}

static int check_members(const Parser *parser, Detail *detail) {
        if (!parser->has_version)
                return detail_set(detail, VM_E_INVALID_DOCUMENT,
                                  "the document has no \"guestmap\": 1");
        if (parser->has_regions == parser->has_edits)
                return detail_set(detail, VM_E_INVALID_DOCUMENT,
                                  "the document must have either \"regions\" or \"edits\"");
        if (parser->has_edits && parser->document->layout.spaces.n > 0)
                return detail_set(detail, VM_E_INVALID_DOCUMENT,
                                  "address-spaces: not beside \"edits\"");
        return 0;
}

int document_parse_text(Document **ret, const char *text, size_t length, const VMLimits *limits,
                        DocumentPassed passed, void *userdata, Detail *detail) {
        _cleanup_(json_tokener_freep) json_tokener *tokener = json_piece_tokener();
        _cleanup_(document_freep) Document *document = calloc(1, sizeof(*document));
        Parser parser = {
                .document = document,
                .tokener = tokener,
                .passed = passed,
                .userdata = userdata,
        };
        int r;

        if (!tokener || !document)
                return -ENOMEM;
        r = json_scan(text, length, limits->json_depth, parse_piece, &parser, detail);
        if (r)
                return r;
        r = check_members(&parser, detail);
        if (r)
                return r;
        document->is_patch = parser.has_edits;
        r = layout_resolve(&document->layout, detail);
        if (r)
                return r;
        *ret = TAKE_PTR(document);
        return 0;
}

int document_parse(Document **ret, const char *text, size_t length, const VMLimits *limits,
                   Detail *detail) {
        if (length > GUESTMAP_DOCUMENT_MAX)
                return detail_set(detail, MAP_E_TOO_LARGE,
                                  "the document has %zu bytes, the limit is %u", length,
                                  GUESTMAP_DOCUMENT_MAX);
        return document_parse_text(ret, text, length, limits, NULL, NULL, detail);
}
