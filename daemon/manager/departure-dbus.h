/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How a VM ends
 *
 * Destroyed: its process is told to quit, and ended when it does not in time; its units are
 * stopped; then its socket is removed, the one who asked is answered, and its going is signalled.
 * Crashed: it stays, without a process, until somebody destroys it.
 *
 * A connection may end although the process is well, such as when guestmapd has no room for a
 * descriptor that comes over it. So a process is connected to again before it is taken for dead.
 */

#include <systemd/sd-bus.h>

#include "daemon/manager/vm.h"

/* DestroyVM and VM.Destroy, the rest of the message being its options. Answers later. */
int departure_method(VM *vm, sd_bus_message *m, sd_bus_error *error);

/* `answer` is sent at the end; taken in any case, may be NULL. */
void departure_begin(VM *vm, sd_bus_message *answer);

/* A process that served the VM hung up; a process has ended. */
void departure_link_closed(VM *vm);
void departure_process_ended(void *vm, const char *how);
