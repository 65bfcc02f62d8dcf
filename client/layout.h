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

typedef struct ClientDocument ClientDocument;

int layout_fetch(Client *client, const char *vm_path, json_object **ret);

/* A document on its way out: what one message carries as a text, anything larger in a memfd. */
struct ClientDocument {
        char *text; /* NULL: it is in `fd` */
        int fd;
};

/* Reads one from a file, or from stdin for "-". */
int client_document_read(ClientDocument *ret, const char *path);
void client_document_deinit(ClientDocument *document);
/* Whether a word is anywhere in it: it may mean something there. */
bool client_document_mentions(const ClientDocument *document, const char *word);

/* As documents are written by hand: one region to a line. */
void layout_print(json_object *layout);
