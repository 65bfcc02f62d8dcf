/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Audit: who did what
 *
 * One entry in the journal for each call by a client that asks for more than to look (rights.h),
 * when it is answered: who, what, on which VM and region, with which result. Calls that were
 * refused have one as well, with a message id of their own. Without a journal there is no audit.
 */

#include <systemd/sd-bus.h>

#include "daemon/manager/caller-dbus.h"
#include "daemon/manager/vm.h"

/*
 * The region that a call is about, if its entry is to name one; the caller frees it. NULL: none.
 * What has been read of the call is forgotten.
 */
char *audit_region(sd_bus_message *call);

/*
 * `call` was answered, by `reply` if that is not NULL, else with the error, which is NULL when it
 * was done. Of the call only header fields are looked at. `vm` is a name; `region` may be NULL.
 */
void audit_answered(Manager *manager, const char *vm, sd_bus_message *call, const char *region,
                    sd_bus_message *reply, const sd_bus_error *error);
/* `vm` is NULL where the call is about the service. What has been read of the call is forgotten. */
void audit_denied(const Caller *caller, const VM *vm, sd_bus_message *call);
