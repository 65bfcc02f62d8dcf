/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Documents: layouts and patches in JSON, guestmap-layout(5)
 *
 * A document is parsed strictly: unknown keys, wrong types, duplicate keys, duplicate names are
 * errors that name the key's path ("regions[3].size"). A patch is a list of edits. A layout says
 * what the map shall be; document_edits() works out the fewest edits that lead there from what the
 * map is.
 */

#include <stdbool.h>
#include <stddef.h>

#include "daemon/vm/vm.h"
#include "lib/memory/edit.h"
#include "lib/util/detail.h"

typedef struct Document Document;
typedef struct EditList EditList;

struct EditList {
        Edit *items;
        size_t n;
        size_t allocated;
};

void edit_list_deinit(EditList *list);

/* VM_E_INVALID_DOCUMENT, MAP_E_TOO_LARGE (bytes, depth, regions: says which limit). */
int document_parse(Document **ret, const char *text, size_t length, Detail *detail);
Document *document_free(Document *document);
DEFINE_CLEANUP(Document *, document_free);

/* Whether it is a patch ("edits") rather than a layout ("regions"). */
bool document_is_patch(const Document *document);

/*
 * The edits that the document asks for, in an order in which they can be made on the map as it is
 * now (the tree, with whatever is checked out). Edits that add memory are equipped with backings.
 * For a layout: identity is the name; RAM of the same name, kind, size and backing stays; what the
 * document lacks is removed; of each (parent, priority) group the fewest regions are re-placed.
 * Any MapError or VMError that can be told before an edit is made.
 */
int document_edits(const Document *document, VM *vm, EditList *edits, Detail *detail);
