/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Dispatch: which handler a call is for
 *
 * One table of what is where. sd-bus gets it for each connection, and finds the handlers of calls
 * by it. Of those it tells nobody how they end: where that is to be known, for the audit, the same
 * table is looked at here.
 */

#include <systemd/sd-bus.h>

typedef struct Service Service;

/* Puts the VM object and all below it, or what is left of a VM, on a connection. */
int dispatch_add(Service *service, sd_bus *bus);

/*
 * Calls the handler of a method, from a filter whose userdata is the service. Returns what that
 * does, or an error, as sd-bus has it, where there is none.
 */
int dispatch(Service *service, sd_bus_message *m, sd_bus_error *error);
