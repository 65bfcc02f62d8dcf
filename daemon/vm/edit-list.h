/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A list of edits, in the order in which they are to be made
 */

#include <stdbool.h>
#include <stddef.h>

#include "lib/memory/edit.h"

typedef struct EditList EditList;

struct EditList {
        Edit *items;
        size_t n;
        size_t allocated;
        bool numbered; /* as somebody wrote them: an error names the number of its edit */
};

/* An edit about `name` at the end of the list, to be filled in; valid until the next one. */
int edit_list_add(EditList *list, EditVerb verb, const char *name, Edit **ret);
/* Appends an edit as it is, with all it owns; on success *edit is empty. */
int edit_list_add_taken(EditList *list, Edit *edit);
/* Appends a copy of another edit, which shares its references. */
int edit_list_add_copy(EditList *list, const Edit *edit, Edit **ret);
/* Drops all but the first n. */
void edit_list_truncate(EditList *list, size_t n);
void edit_list_deinit(EditList *list);
