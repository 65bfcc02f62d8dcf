/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <string.h>

#include "client/json-print.h"
#include "client/number.h"

json_object *json_new_object(void) {
        return must(json_object_new_object());
}

json_object *json_new_array(void) {
        return must(json_object_new_array());
}

void json_add(json_object *object, const char *key, json_object *value) {
        if (json_object_object_add(object, key, must(value)) < 0)
                must(NULL);
}

void json_append(json_object *array, json_object *value) {
        if (json_object_array_add(array, must(value)) < 0)
                must(NULL);
}

void json_add_text(json_object *object, const char *key, const char *text) {
        json_add(object, key, json_object_new_string(text));
}

void json_add_count(json_object *object, const char *key, uint64_t count) {
        json_add(object, key, json_object_new_uint64(count));
}

void json_add_int(json_object *object, const char *key, int64_t value) {
        json_add(object, key, json_object_new_int64(value));
}

void json_add_bool(json_object *object, const char *key, bool value) {
        json_add(object, key, json_object_new_boolean(value));
}

void json_add_hex(json_object *object, const char *key, uint64_t address) {
        json_add_text(object, key, number_hex(address).text);
}

void json_add_size(json_object *object, const char *key, uint64_t size) {
        json_add_text(object, key, number_hex_size(size).text);
}

void json_add_amount(json_object *object, const char *name, uint64_t amount) {
        if (strncmp(name, "bytes-", strlen("bytes-")) == 0)
                json_add_hex(object, name, amount);
        else
                json_add_count(object, name, amount);
}

void json_add_flags(json_object *object, const char *key, uint32_t flags, const char *const *names,
                    size_t n_names) {
        json_object *words = json_new_array();

        json_add(object, key, words);
        for (size_t i = 0; i < n_names; i++)
                if (flags & UINT32_C(1) << i)
                        json_append(words, json_object_new_string(names[i]));
}

void json_print(const Output *output, json_object *object) {
        int flags = JSON_C_TO_STRING_NOSLASHESCAPE;

        if (output->json == JSON_PRETTY)
                flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
        puts(must((void *)json_object_to_json_string_ext(object, flags)));
}

int json_print_done(const Output *output, int r) {
        if (r >= 0 && output->json != JSON_OFF)
                puts("{}");
        return r;
}

void output_print(const Output *output, Table *table, json_object *object) {
        if (output->json == JSON_OFF)
                table_print(table, output);
        else
                json_print(output, object);
}
