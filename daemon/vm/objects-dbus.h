/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Objects on the connection: what is where, and the signals about it
 */

#include <stdint.h>
#include <systemd/sd-bus.h>

typedef struct Announcement Announcement;
typedef struct Service Service;

/* Puts the VM object and all below it on a connection. */
int objects_add(Service *service, sd_bus *bus);

/* Sends the signals of a commit; `previous` is the generation told before. */
int objects_tell(Service *service, const Announcement *announcement, uint64_t previous);
