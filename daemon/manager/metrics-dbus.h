/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Manager.GetMetrics: what guestmapd knows itself, also of VMs that do not answer, as families
 * (metric-dbus.h)
 *
 * Waits for no VM. Those that have gone are not told of any more.
 */

#include <systemd/sd-bus.h>

/* userdata is the Manager. */
int method_get_metrics(sd_bus_message *m, void *userdata, sd_bus_error *error);
