/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Ration asker: asks guestmapd for the RAM that a change is to have (ration.h)
 *
 * One question at a time, since one change is under way at a time. It has an answer in any case: a
 * guestmapd that is not there, leaves, or takes too long, has refused.
 */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/vm/ration.h"

typedef struct RationAsker RationAsker;
typedef struct Service Service;

struct RationAsker {
        Service *service; /* NULL: there is nothing to deinit */
        Ration ration;
        sd_event_source *wish;
        sd_bus_slot *question; /* NULL: none is open */
};

int ration_asker_init(RationAsker *asker, Service *service);
void ration_asker_deinit(RationAsker *asker);
/* guestmapd's connection has ended. */
void ration_asker_disconnect(RationAsker *asker);

/* org.guestmap1.Private.LimitRAM; userdata is the Service. */
int method_limit_ram(sd_bus_message *m, void *userdata, sd_bus_error *error);
