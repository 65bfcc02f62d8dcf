/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Edits: calls of the Map interface, on a VM or staged in a transaction
 *
 * edit_open() starts the message, sd_bus_message_append() adds the verb's own arguments,
 * edit_options() opens the options and puts those in that every edit has, edit_close() ends them,
 * calls, and prints what --json wants: the generation.
 */

#include "client/client.h"

int edit_open(Client *client, const char *vm, const char *member, sd_bus_message **ret);
int edit_options(Client *client, sd_bus_message *message);
int edit_close(Client *client, sd_bus_message *message);
/* Ends a call that answers with a generation: prints it as JSON, if that is wanted. */
int edit_print_generation(const Client *client, sd_bus_message *reply);
/* The three in one, for an edit without options of its own. */
int edit_make(Client *client, const char *vm, const char *member, const char *types, ...);
/* The generation that a VM is at. */
int edit_get_generation(Client *client, const char *vm, uint64_t *ret);
