/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "client/json-read.h"
#include "client/number.h"

static json_object *get(json_object *object, const char *key, json_type type) {
        json_object *member;

        if (!json_object_object_get_ex(object, key, &member))
                return NULL;
        return json_object_is_type(member, type) ? member : NULL;
}

const char *json_get_text(json_object *object, const char *key) {
        json_object *member = get(object, key, json_type_string);

        return member ? json_object_get_string(member) : "";
}

uint64_t json_get_number(json_object *object, const char *key) {
        json_object *member = get(object, key, json_type_int);
        uint64_t value = 0;

        if (member)
                return json_object_get_uint64(member);
        (void)number_parse_size(json_get_text(object, key), &value);
        return value;
}

int64_t json_get_int(json_object *object, const char *key) {
        json_object *member = get(object, key, json_type_int);

        return member ? json_object_get_int64(member) : 0;
}

bool json_get_bool(json_object *object, const char *key, bool preset) {
        json_object *member = get(object, key, json_type_boolean);

        return member ? json_object_get_boolean(member) : preset;
}

json_object *json_get_object(json_object *object, const char *key) {
        return get(object, key, json_type_object);
}

json_object *json_get_list(json_object *object, const char *key) {
        return get(object, key, json_type_array);
}

size_t json_length(json_object *list) {
        return list ? json_object_array_length(list) : 0;
}
