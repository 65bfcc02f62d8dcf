/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Objects of a document, by tables
 *
 * What a JSON object may say is a table of fields; reading one fills an Entry. A key that is not in
 * the table, a value of another type, a required key that is missing are errors with the key's
 * path.
 */

#include <stdbool.h>
#include <stddef.h>

#include <json-c/json_object.h>

#include "daemon/vm/handler-spec.h"
#include "daemon/vm/json-scan.h"
#include "lib/memory/edit.h"

typedef struct Entry Entry;
typedef struct Field Field;

typedef enum FieldType {
        FIELD_NAME,   /* char *, of a region or address space */
        FIELD_PARENT, /* char *; "" is NULL: not placed */
        FIELD_KIND,
        FIELD_WORD, /* const char *, borrowed from the document */
        FIELD_SIZE,
        FIELD_NUMBER, /* uint64_t */
        FIELD_U32,
        FIELD_PRIORITY,
        FIELD_BOOL,
        FIELD_FLAG,   /* `bit` of edit.flags, and of edit.flags_mask: that it was given */
        FIELD_OBJECT, /* json_object *, borrowed */
        FIELD_ARRAY,
} FieldType;

/* What one object said. */
struct Entry {
        Edit edit;
        uint32_t length; /* these three of an ioeventfd */
        bool match;
        uint64_t data;
        HandlerSpec handler;
        const char *backing;
        NUMAChoice numa;
        json_object *properties;
        json_object *ioeventfds;
        json_object *coalesced;
        json_object *handler_object;
        bool is_socket; /* these four of a record of the journal */
        uint64_t backing_id;
        uint64_t backing_size;
        uint64_t stored;
};

/* A row; a row without a key ends the table. At most 32 rows. */
struct Field {
        const char *key;
        FieldType type;
        size_t offset; /* in Entry; not for flags */
        uint32_t bit;  /* of edit.flags, or PROPERTY_* for edit.mask */
        bool required;
};

/*
 * Fields may be filled from several objects (set-region and its properties), but each only once.
 * VM_E_INVALID_DOCUMENT, MAP_E_INVALID_NAME, MAP_E_INVALID_KIND; the entry is to be given to
 * entry_deinit() whatever comes out.
 */
int entry_read(Entry *entry, const Field *fields, json_object *object, const JSONPath *path,
               Detail *detail);
void entry_deinit(Entry *entry);
