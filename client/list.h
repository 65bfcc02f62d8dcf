/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Lists: what a method of a VM answers with, as a table and as JSON
 */

#include "client/client.h"
#include "client/json-print.h"

typedef struct List List;

struct List {
        const char *method; /* of the VM interface */
        const char *key;    /* of the list in the JSON object */
        const Column *columns;
        size_t n_columns;
        /* Makes a row and an element of each; says itself what it cannot read. */
        int (*read)(sd_bus_message *reply, Table *table, json_object *list);
};

/* Asks the VM at `path`; `argument` is the method's only one, NULL if it has none. */
int list_read(Client *client, const List *list, const char *path, const char *argument,
              Table *table, json_object *object);
/* Prints it. */
int list_show(Client *client, const List *list, const char *vm, const char *argument);
