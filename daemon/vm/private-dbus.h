/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * org.guestmap1.Private: what guestmapd alone may call, see api/private.h
 */

#include <systemd/sd-bus.h>

typedef struct Service Service;

/* Puts the private object on a connection. */
int private_add(Service *service, sd_bus *bus);
/* Says on the connection, if there is one, that somebody else has destroyed the VM. */
void private_tell_destroyed(Service *service);
