/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Authorization: the gate that every call passes
 *
 * Owner and root may do everything with a VM, anybody may look; creating is root's. On the session
 * bus everybody is its user and may do everything.
 *
 * I1: no handler sees a call before its sender is known and has the right that rights.h asks for.
 *     What is not in that table asks for every right.
 */

#include <stdint.h>
#include <systemd/sd-bus.h>

#include "daemon/manager/caller-dbus.h"

/* Puts the gate in front of everything on the manager's bus. */
int auth_register(Manager *manager);

/* GUESTMAP_RIGHT_*: for `vm`, or for the service where that is NULL. */
uint32_t auth_rights(Caller *caller, VM *vm);
