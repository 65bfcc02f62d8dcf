/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How a VM ends
 *
 * Destroyed, or its unit stopped: its process is told to quit, and ended when it does not in time;
 * its units are stopped, and what they have stored is removed; then its socket is removed, the one
 * who asked is answered, and its going is signalled. Of a durable VM that was not destroyed all
 * stays that it needs to come back; meanwhile it can be destroyed.
 */

#include <systemd/sd-bus.h>

#include "daemon/manager/vm.h"

/* DestroyVM and VM.Destroy, the rest of the message being its options. Answers later. */
int departure_method(VM *vm, sd_bus_message *m, sd_bus_error *error);

/* `answer` is sent at the end; taken in any case, may be NULL. */
void departure_begin(VM *vm, sd_bus_message *answer);

/* One of the things it waits for has happened: the process has hung up, or ended. */
void departure_continue(VM *vm);
