/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Audit of the calls that guestmapd sees: daemon/common/audit-dbus.h
 */

#include <systemd/sd-bus.h>

#include "daemon/common/audit-dbus.h"
#include "daemon/manager/manager.h"

/*
 * A call of `uid` was answered, by `reply` if that is not NULL, else with the error, which is NULL
 * when it was done. Of the call only header fields are looked at. `vm` is a name, NULL where the
 * call is about the service; `subject` may be NULL.
 */
void audit_answered(Manager *manager, const char *vm, uint32_t uid, sd_bus_message *call,
                    const AuditSubject *subject, sd_bus_message *reply, const sd_bus_error *error);
/* The same for a call as it came: one that goes no further. */
void audit_call(Manager *manager, uint32_t uid, sd_bus_message *call, const sd_bus_error *error);
/* The error of a call that goes no further since its caller has left. */
extern const sd_bus_error audit_never_sent;

/* The same for a call that may have failed at once: `r` is what its handler returned, and so is
 * what is returned. */
int audit_failure(int r, Manager *manager, sd_bus_message *call, sd_bus_error *error);
