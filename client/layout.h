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

/* As documents are written by hand: one region to a line. */
void layout_print(json_object *layout);
