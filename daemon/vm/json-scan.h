/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Strict JSON, piece by piece
 *
 * json-c keeps the last of two equal keys, cuts integers that are too large, knows no line numbers
 * and turns a whole document into a tree of objects. So every text is scanned once before json-c
 * sees any of it. The scanner takes nothing but JSON (RFC 8259) in UTF-8, and of that not
 *
 *   equal keys in one object, keys with escapes, keys of more than JSON_KEY_MAX bytes,
 *   numbers with a fraction or exponent, integers that fit neither int64_t nor uint64_t,
 *   NULs and half surrogate pairs in strings, nesting deeper than it is told.
 *
 * It hands out pieces, each small enough to be parsed alone: the members of the outermost object
 * and, where a member is an array, the elements of that one by one. Text that lies before the end
 * of a piece that was handed out is not looked at again: it may go.
 */

#include <stddef.h>
#include <stdint.h>

#include "lib/util/detail.h"

typedef struct JSONPath JSONPath;
typedef struct JSONPiece JSONPiece;

enum {
        JSON_KEY_MAX = 64,
        JSON_KEYS_MAX = 64, /* members of one object */
};

/* Where a value stands: "regions[3].size" is size, in number 3, in regions, in nothing. */
struct JSONPath {
        const JSONPath *up; /* NULL: the outermost object */
        const char *key;    /* NULL: an element of an array. Not terminated. */
        size_t key_length;
        size_t index;
};

struct JSONPiece {
        const JSONPath *path;
        const char *text; /* one JSON value; NULL announces an array whose elements follow */
        size_t length;
};

/* 0 to go on; anything else ends the scan and is its result. */
typedef int (*JSONPieceFunction)(const JSONPiece *piece, void *userdata, Detail *detail);

/*
 * Scans `length` bytes, nested at most `depth_max` deep, which is GUESTMAP_JSON_DEPTH_MAX at the
 * most. VM_E_INVALID_DOCUMENT, MAP_E_QUOTA_EXCEEDED (depth); then pieces may have been handed out
 * before the error was met.
 */
int json_scan(const char *text, size_t length, uint64_t depth_max, JSONPieceFunction function,
              void *userdata, Detail *detail);

/* The path of a member, for a terminated key that outlives it. */
JSONPath json_path_member(const JSONPath *up, const char *key);
JSONPath json_path_element(const JSONPath *up, size_t index);

/* detail_set() with the path in front: "regions[3].size: …". */
int json_path_error(const JSONPath *path, int outcome, Detail *detail, const char *format, ...)
        _printf_(4, 5);
