/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * JSON of the service: layouts and reports
 *
 * What the service writes is taken as it is: a member that is missing, or of another type, reads as
 * the default. Everything returned is borrowed from the object.
 */

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "" if there is none. */
const char *json_get_text(json_object *object, const char *key);
/* A number in any form that documents know; 2^64 reads as GUESTMAP_SIZE_WHOLE, none as 0. */
uint64_t json_get_number(json_object *object, const char *key);
int64_t json_get_int(json_object *object, const char *key);
bool json_get_bool(json_object *object, const char *key, bool preset);
/* NULL if there is none; that has length 0. */
json_object *json_get_object(json_object *object, const char *key);
json_object *json_get_list(json_object *object, const char *key);
size_t json_length(json_object *list);
