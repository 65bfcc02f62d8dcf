/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Layout: the document that says what a VM's map is, guestmap-layout(5)
 *
 * The one call that tells the whole tree at one moment; `tree`, `export` and the names of address
 * spaces come from it.
 */

#include "client/client.h"
#include "client/json-print.h"

int layout_fetch(Client *client, const char *vm_path, json_object **ret);
/* Reads a document from a file, or from stdin for "-"; at most what one message carries. */
int layout_read_file(const char *path, char **ret);

/* The list under a key of the document; NULL if there is none. */
json_object *layout_list(json_object *layout, const char *key);
/* Members of a region or address space; `preset` where it has none. */
const char *layout_text(json_object *item, const char *key, const char *preset);
uint64_t layout_number(json_object *item, const char *key);
int64_t layout_int(json_object *item, const char *key);
bool layout_bool(json_object *item, const char *key, bool preset);

/* As documents are written by hand: one region to a line. */
void layout_print(json_object *layout);
