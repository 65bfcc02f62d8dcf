/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Audit of the calls that guestmapd sees: daemon/common/audit-dbus.h
 */

#include <systemd/sd-bus.h>

#include "daemon/manager/manager.h"

/*
 * `call` was answered, by `reply` if that is not NULL, else with the error, which is NULL when it
 * was done. Of the call only header fields are looked at. `vm` is a name, NULL where the call is
 * about the service; `region` may be NULL.
 */
void audit_answered(Manager *manager, const char *vm, sd_bus_message *call, const char *region,
                    sd_bus_message *reply, const sd_bus_error *error);
/* The same for a call that may have failed at once: `r` is what its handler returned, and so is
 * what is returned. */
int audit_failure(int r, Manager *manager, const char *vm, sd_bus_message *call,
                  sd_bus_error *error);
/* Its caller left before it was answered. */
void audit_left(Manager *manager, const char *vm, sd_bus_message *call, const char *region);
