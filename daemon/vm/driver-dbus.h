/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Driver: what D-Bus libraries expect of a bus, on a connection that is none
 *
 * The few calls by which a library joins a bus and finds a service there. There are two names: the
 * driver's own, and org.guestmap1, the VM's process. Nothing is kept of what is asked for.
 */

#include <stdbool.h>
#include <systemd/sd-bus.h>

/* Adds the object to a connection. */
int driver_add(sd_bus *bus);

/* Whether a call is one of the driver's. */
bool driver_is_called(sd_bus_message *m);
