/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include <json-c/json_util.h>
#include <json-c/linkhash.h>

#include "daemon/vm/document-field.h"
#include "daemon/vm/document-number.h"
#include "daemon/vm/vm-error.h"
#include "lib/util/utf8.h"

static const struct {
        const char *expected;
        json_type json;    /* null: the reader of the field decides */
        const char *range; /* of numbers */
} field_types[] = {
        [FIELD_NAME] = {"a string", json_type_string},
        [FIELD_PARENT] = {"a string", json_type_string},
        [FIELD_KIND] = {"a string", json_type_string},
        [FIELD_WORD] = {"a string", json_type_string},
        [FIELD_SIZE] = {"a size: an integer, or a string such as \"4GiB\", \"0x1000\", \"2^64\"",
                        .range = "0 to 2^64"},
        [FIELD_NUMBER] = {"an integer, or a string such as \"4GiB\" or \"0x1000\"",
                          .range = "0 to 2^64 - 1"},
        [FIELD_U32] = {"an integer", .range = "0 to 2^32 - 1"},
        [FIELD_PRIORITY] = {"an integer", .range = "-2^31 to 2^31 - 1"},
        [FIELD_BOOL] = {"true or false", json_type_boolean},
        [FIELD_FLAG] = {"true or false", json_type_boolean},
        [FIELD_OBJECT] = {"an object", json_type_object},
        [FIELD_ARRAY] = {"an array", json_type_array},
};

/* A value, as JSON, as far as a message shows it. */
typedef struct Shown {
        char text[72];
} Shown;

static const char *show(json_object *value, Shown *shown) {
        const char *text = json_object_to_json_string_ext(value, JSON_C_TO_STRING_NOSLASHESCAPE);

        utf8_show(shown->text, sizeof(shown->text), text ?: "");
        return shown->text;
}

static int read_name(json_object *value, const JSONPath *path, char **ret, Detail *detail) {
        const char *name = json_object_get_string(value);
        Shown shown;

        if (!map_name_is_valid(name))
                return json_path_error(path, MAP_E_INVALID_NAME, detail,
                                       "%s is not a name: 1 to %d bytes of UTF-8 without control "
                                       "characters",
                                       show(value, &shown), MAP_NAME_MAX);
        *ret = strdup(name);
        return *ret ? 0 : -ENOMEM;
}

static int read_kind(json_object *value, const JSONPath *path, RegionKind *ret, Detail *detail) {
        const char *word = json_object_get_string(value);
        int kind = region_kind_from_string(word);
        Shown shown;

        if (kind < 0)
                return json_path_error(path, MAP_E_INVALID_KIND, detail, "unknown kind %s",
                                       show(value, &shown));
        *ret = (RegionKind)kind;
        return 0;
}

static int read_u32(json_object *value, uint32_t *ret) {
        uint64_t number;
        int r;

        r = document_number(value, &number);
        if (r < 0)
                return r;
        if (number > UINT32_MAX)
                return -ERANGE;
        *ret = (uint32_t)number;
        return 0;
}

static int read_flag(json_object *value, Edit *edit, uint32_t bit) {
        edit->flags_mask |= bit;
        edit->flags = json_object_get_boolean(value) ? edit->flags | bit : edit->flags & ~bit;
        edit->mask |= PROPERTY_FLAGS;
        return 0;
}

static int read_value(Entry *entry, const Field *field, json_object *value, const JSONPath *path,
                      Detail *detail) {
        void *to = (char *)entry + field->offset;

        switch (field->type) {
        case FIELD_PARENT:
                if (json_object_get_string_len(value) == 0)
                        return 0;
                __attribute__((fallthrough));
        case FIELD_NAME:
                return read_name(value, path, to, detail);
        case FIELD_KIND:
                return read_kind(value, path, to, detail);
        case FIELD_WORD:
                *(const char **)to = json_object_get_string(value);
                return 0;
        case FIELD_SIZE:
                return document_size(value, to);
        case FIELD_NUMBER:
                return document_number(value, to);
        case FIELD_U32:
                return read_u32(value, to);
        case FIELD_PRIORITY:
                return document_priority(value, to);
        case FIELD_BOOL:
                *(bool *)to = json_object_get_boolean(value);
                return 0;
        case FIELD_FLAG:
                return read_flag(value, &entry->edit, field->bit);
        case FIELD_OBJECT:
        case FIELD_ARRAY:
                *(json_object **)to = value;
                return 0;
        }
        return -EINVAL;
}

static bool was_given(const Entry *entry, const Field *field) {
        if (field->type == FIELD_FLAG)
                return entry->edit.flags_mask & field->bit;
        return entry->edit.mask & field->bit;
}

static int wrong_type(const Field *field, json_object *value, const JSONPath *path,
                      Detail *detail) {
        Shown shown;

        return json_path_error(path, VM_E_INVALID_DOCUMENT, detail, "must be %s, not %s (%s)",
                               field_types[field->type].expected, show(value, &shown),
                               json_type_to_name(json_object_get_type(value)));
}

static int out_of_range(const Field *field, json_object *value, const JSONPath *path,
                        Detail *detail) {
        Shown shown;

        return json_path_error(path, VM_E_INVALID_DOCUMENT, detail, "%s is out of range: %s",
                               show(value, &shown), field_types[field->type].range);
}

static int read_field(Entry *entry, const Field *field, json_object *value, const JSONPath *path,
                      Detail *detail) {
        json_type type = field_types[field->type].json;
        int r;

        if (was_given(entry, field))
                return json_path_error(path, VM_E_INVALID_DOCUMENT, detail, "given twice");
        if (type != json_type_null && !json_object_is_type(value, type))
                return wrong_type(field, value, path, detail);
        r = read_value(entry, field, value, path, detail);
        if (r == -EINVAL)
                return wrong_type(field, value, path, detail);
        if (r == -ERANGE)
                return out_of_range(field, value, path, detail);
        if (r == 0 && field->type != FIELD_FLAG)
                entry->edit.mask |= field->bit;
        return r;
}

static const Field *find_field(const Field *fields, const char *key) {
        for (; fields->key; fields++)
                if (strcmp(fields->key, key) == 0)
                        return fields;
        return NULL;
}

static int check_required(const Field *fields, json_object *object, const JSONPath *path,
                          Detail *detail) {
        for (; fields->key; fields++)
                if (fields->required && !json_object_object_get_ex(object, fields->key, NULL))
                        return json_path_error(path, VM_E_INVALID_DOCUMENT, detail,
                                               "\"%s\" is missing", fields->key);
        return 0;
}

int entry_read(Entry *entry, const Field *fields, json_object *object, const JSONPath *path,
               Detail *detail) {
        int r;

        if (!json_object_is_type(object, json_type_object))
                return json_path_error(path, VM_E_INVALID_DOCUMENT, detail, "must be an object");
        json_object_object_foreach(object, key, value) {
                JSONPath member = json_path_member(path, key);
                const Field *field = find_field(fields, key);

                if (!field)
                        return json_path_error(&member, VM_E_INVALID_DOCUMENT, detail,
                                               "unknown key");
                r = read_field(entry, field, value, &member, detail);
                if (r)
                        return r;
        }
        return check_required(fields, object, path, detail);
}

void entry_deinit(Entry *entry) {
        edit_deinit(&entry->edit);
}
