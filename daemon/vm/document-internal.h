/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What document-parse.c fills and document.c uses, and what document-file.c is told on the way
 */

#include "daemon/vm/document-field.h"
#include "daemon/vm/document.h"
#include "daemon/vm/layout.h"

struct Document {
        bool is_patch;
        EditList edits; /* of a patch */
        Layout layout;  /* of a layout */
};

/* After a piece of the text: nothing before `end` is looked at again. 0 to go on. */
typedef int (*DocumentPassed)(const Document *document, const char *end, void *userdata,
                              Detail *detail);

/* An edit of a patch, {VERB: {…}}, into an empty entry, to be given to entry_deinit() anyway. */
int document_read_edit(Entry *entry, json_object *object, const JSONPath *path, Detail *detail);
/* document_parse() of a text of any length. `passed` may be NULL. */
int document_parse_text(Document **ret, const char *text, size_t length, const VMLimits *limits,
                        DocumentPassed passed, void *userdata, Detail *detail);
/* MAP_E_QUOTA_EXCEEDED when a map with these limits can hold no such layout, no such edits. */
int document_check_size(const Document *document, const MapLimits *limits, Detail *detail);
