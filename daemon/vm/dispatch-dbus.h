/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Dispatch: what sd-bus knows of our objects
 *
 * One table of what is where. sd-bus finds the handler of each call by it, and refuses what is
 * none, but tells nobody how a call ends. So it does not get our vtables themselves but copies, in
 * which one handler stands for all: it calls the one that was meant, and the audit hears what came
 * of it (audit-dbus.h).
 */

#include <systemd/sd-bus.h>

typedef struct Service Service;
typedef struct VtableCopy VtableCopy;

/* Puts the VM object and all below it, or what is left of a VM, on a connection. */
int dispatch_add(Service *service, sd_bus *bus);
/* No connection is left. */
void dispatch_forget(Service *service);
