/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How a VM begins
 *
 * A process is started, set up, and asked for its properties; then who asked for it is answered,
 * and the VM is signalled. If anything goes wrong on the way, what was begun is ended first, and
 * the answer comes when the name is free again. What goes wrong is also a unit that does not start,
 * however often systemd would try again, and a process that does not answer in time.
 */

#include <systemd/sd-bus.h>

#include "daemon/manager/vm.h"

/* CreateVM. Answers later. */
int creation_method(Manager *manager, sd_bus_message *m, sd_bus_error *error);

/* A STARTING VM will not be; NULL: since its process has ended. */
void creation_failed(VM *vm, const sd_bus_error *error);

/* It has left the bus: a VM that it waits for will not be. */
void creation_client_left(Manager *manager, const char *client);
