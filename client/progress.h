/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Progress: calls that wait for memory, for as long as that takes
 *
 * While such a call is not answered, the VM says in Preparing how far it has come. On a terminal
 * that is a bar on stderr, which goes when the answer is there; elsewhere nothing is printed.
 */

#include "client/client.h"

/*
 * As client_try(), for a call of a VM or of a transaction of its. -EINTR, with nothing said, if
 * SIGINT or SIGTERM is blocked and has come: the call goes on then.
 */
int progress_try(Client *client, sd_bus_message *request, sd_bus_error *error,
                 sd_bus_message **ret_reply);
/* As client_call(). */
int progress_call(Client *client, sd_bus_message *request, sd_bus_message **ret_reply);
