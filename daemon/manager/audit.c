/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/common/audit-dbus.h"
#include "daemon/manager/audit.h"
#include "daemon/manager/caller-dbus.h"

/* Whoever has left since is known by its name on the bus alone. */
void audit_answered(Manager *manager, const char *vm, sd_bus_message *call, const char *region,
                    sd_bus_message *reply, const sd_bus_error *error) {
        const Caller *caller = callers_of(manager, call);
        const LogFields who = {
                .vm = vm,
                .caller = sd_bus_message_get_sender(call),
                .has_uid = caller,
                .uid = caller ? caller->uid : UINT32_MAX,
        };

        audit_log(&who, call, region, reply, error);
}

/* What has no name in the contract gets one here already, since it is logged. */
int audit_failure(int r, Manager *manager, const char *vm, sd_bus_message *call,
                  sd_bus_error *error) {
        _cleanup_(freep) char *region = NULL;

        if (r >= 0)
                return r;
        if (!sd_bus_error_is_set(error))
                r = sd_bus_error_set_errno(error, r);
        region = audit_region(call);
        audit_answered(manager, vm, call, region, NULL, error);
        return r;
}

void audit_left(Manager *manager, const char *vm, sd_bus_message *call, const char *region) {
        audit_answered(manager, vm, call, region, NULL, &audit_caller_left);
}
