/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Offering what is stored to a guestmapd that has started again
 *
 * It keeps descriptors for the processes that it runs itself (fd-store.h), and they end with it:
 * before it tells anybody of the VM it asks for them.
 */

#include <systemd/sd-bus.h>

/* org.guestmap1.Private.Offer; userdata is the Service. */
int method_offer(sd_bus_message *m, void *userdata, sd_bus_error *error);
