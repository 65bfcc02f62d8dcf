/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Scrape: the metrics of guestmapd and of all VMs, once
 *
 * VMs are asked at the same time, some at a time, and each is waited for so long and no longer: one
 * that hangs holds up nobody else, unless there are very many. Of a client that starts no guestmapd
 * that one is waited for so long, too; of others as long as a start takes.
 */

#include <stdint.h>
#include <systemd/sd-bus.h>

#include "client/client.h"
#include "client/vm-list.h"

/*
 * What a VM has answered, for NULL guestmapd; a NULL reply: it has not, and of guestmapd there are
 * no VMs then. Negative: it has been told what is wrong, and the scrape ends.
 */
typedef int (*ScrapeTake)(void *userdata, const VMRow *vm, sd_bus_message *reply);

int scrape(Client *client, uint64_t usec, ScrapeTake take, void *userdata);
