/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The service's place on the bus
 *
 * I1: guestmapd ends for want of a bus or of its name only when it has never had them. Afterwards
 *     it tries again, and again; nothing happens to the VMs meanwhile. But when it finds that
 *     another guestmapd has them by then it ends, and leaves their processes alone.
 * I2: everything that hangs on a connection (callers, slots, names) ends with it and is made anew
 *     on the next one.
 * I3: there is one guestmapd on a bus that looks for VMs, or touches anything of theirs. It has a
 *     name for that, "org.guestmap1.Owner", before; clients know of it by the other name, which it
 *     has when it has found the VMs. Without a bus nobody knows: no process is looked for.
 */

#include "daemon/manager/manager.h"

/* Connects; as the only guestmapd it looks for VMs then, or serves if the manager has settled. */
int service_open(Manager *manager);

/* Asks for the name; systemd is told when it is had. */
int service_serve(Manager *manager);

void service_close(Manager *manager);

/* The connection is no good any more: closes it, and makes a new one. */
void service_reconnect(Manager *manager, const char *why);
