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
#include "client/trapped.h"

/* The path that edits go to. */
int edit_path(Client *client, const char *vm, char **ret);
int edit_open(Client *client, const char *vm, const char *member, sd_bus_message **ret);
int edit_options(Client *client, sd_bus_message *message);
/* Behind it, the options of a new region. */
int edit_region_options(Client *client, sd_bus_message *message);
int edit_close(Client *client, sd_bus_message *message);
/*
 * In place of edit_options(), for an edit that follows from what was read of the map at
 * `generation`: unless another or a transaction is given, it holds for that only.
 */
int edit_options_at(Client *client, sd_bus_message *message, uint64_t generation);
/* Whether it failed because somebody has committed since: all is to be done again. */
bool edit_was_overtaken(const Client *client, const sd_bus_error *error);
/*
 * Ends a call that answers with a generation: prints it as JSON, if that is wanted, with what it
 * left without a slot; NULL: nothing.
 */
int edit_print_generation(const Client *client, sd_bus_message *reply, const Trapped *trapped);
/* The three in one, for an edit without options of its own. */
int edit_make(Client *client, const char *vm, const char *member, const char *types, ...);
/* The generation that a VM is at. */
int edit_get_generation(Client *client, const char *vm, uint64_t *ret);
