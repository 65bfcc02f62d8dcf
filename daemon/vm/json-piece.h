/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Pieces of JSON, from the scanner, as json-c's objects
 */

#include <stdbool.h>

#include <json-c/json_object.h>
#include <json-c/json_tokener.h>

#include "daemon/vm/json-scan.h"
#include "lib/util/cleanup.h"

/* A strict one, to be used again and again. NULL: no memory. */
json_tokener *json_piece_tokener(void);
DEFINE_CLEANUP(json_tokener *, json_tokener_free);

/* The caller puts *ret, which is NULL for null. VM_E_INVALID_DOCUMENT. */
int json_piece_parse(json_tokener *tokener, const JSONPiece *piece, json_object **ret,
                     Detail *detail);
DEFINE_CLEANUP(json_object *, json_object_put);

/* Whether the last step of a path is that member. */
bool json_path_is(const JSONPath *path, const char *key);
