/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Connections of somebody's own to a rig's service, beside guestmapd's
 */

#include "tests/bus/rig.h"

#define OWNER    1000
#define STRANGER 4711

/* Calls are made on `bus` until this is called again; what it was before is returned. */
sd_bus *rig_use(Rig *rig, sd_bus *bus);
/* A client on that socket; `is_bus`: it takes the service for a bus. */
sd_bus *rig_join(Rig *rig, int fd, bool is_bus);
/* The other end that the last reply has. */
int rig_take_fd(Rig *rig);
/* One that guestmapd opens for a client. */
sd_bus *rig_connect_as(Rig *rig, uint32_t uid, uint32_t rights);
void rig_leave(Rig *rig, sd_bus *bus);
/* guestmapd's is one of them. */
size_t rig_n_connections(const Rig *rig);
/* The tree is lent as if for a call of the sender's. */
void rig_lend(Rig *rig, const char *sender);
