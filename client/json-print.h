/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What machines read: JSON on stdout
 *
 * Addresses, offsets and whatever else is so many bytes are hexadecimal strings (a size of 2^64 is
 * "2^64"), since common tools round integers above 2^53; generations, counts and priorities are
 * integers, and what is so many a second is a number. Keys are lower-case words with hyphens. A
 * verb with nothing to tell prints an empty object.
 */

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/print.h"

static inline void json_putp(json_object **object) {
        json_object_put(*object);
}

json_object *json_new_object(void);
json_object *json_new_array(void);

/* Add a member. Those that are objects become the parent's. */
void json_add(json_object *object, const char *key, json_object *value);
void json_add_text(json_object *object, const char *key, const char *text);
void json_add_count(json_object *object, const char *key, uint64_t count);
void json_add_int(json_object *object, const char *key, int64_t value);
void json_add_bool(json_object *object, const char *key, bool value);
void json_add_hex(json_object *object, const char *key, uint64_t address);
void json_add_size(json_object *object, const char *key, uint64_t size);
/* What the service has under that name: bytes, if the name begins with "bytes-", or a count. */
void json_add_amount(json_object *object, const char *name, uint64_t amount);
/* A list of the names of the bits that are set. */
void json_add_flags(json_object *object, const char *key, uint32_t flags, const char *const *names,
                    size_t n_names);
/* Add an element; `value` becomes the array's. */
void json_append(json_object *array, json_object *value);

/* One object, in the mode that is wanted, with a newline. */
void json_print(const Output *output, json_object *object);
/* Of a verb that has nothing to tell but that it is done, if r >= 0; returns that. */
int json_print_done(const Output *output, int r);
/* The table for people, the object for machines: whichever is wanted. */
void output_print(const Output *output, Table *table, json_object *object);
