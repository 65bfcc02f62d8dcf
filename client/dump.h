/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Dump: all of something at one generation, for what is more than messages carry
 *
 * It comes as a descriptor: client_need_fds() first.
 */

#include "client/client.h"
#include "client/json-read.h"

/* `what` is VM.Dump's. */
int dump_fetch(Client *client, const char *vm_path, const char *what, json_object **ret);
