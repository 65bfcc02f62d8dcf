/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "api/names.h"
#include "daemon/manager/audit.h"
#include "daemon/manager/caller-dbus.h"
#include "daemon/manager/vm-dbus.h"

const sd_bus_error audit_never_sent = SD_BUS_ERROR_MAKE_CONST(
        SD_BUS_ERROR_DISCONNECTED, "the caller left before it was sent; it had no effect");

void audit_answered(Manager *manager, const char *vm, uint32_t uid, sd_bus_message *call,
                    const AuditSubject *subject, sd_bus_message *reply, const sd_bus_error *error) {
        const LogFields who = {
                .vm = vm,
                .caller = sd_bus_message_get_sender(call),
                .has_uid = uid != AUDIT_NOBODY,
                .uid = uid,
        };

        audit_log(&manager->audit_limit, &who, call, subject, reply, error);
}

/* Also of one that there is not, or not yet. */
static const char *name_of_vm(Manager *manager, sd_bus_message *call) {
        const VM *vm = vm_from_path(manager, sd_bus_message_get_path(call));
        const char *name = NULL;

        if (vm)
                return vm->name;
        if (sd_bus_message_is_method_call(call, NULL, "CreateVM") ||
            sd_bus_message_is_method_call(call, NULL, "DestroyVM")) {
                (void)sd_bus_message_rewind(call, 1);
                (void)sd_bus_message_read(call, "s", &name);
        }
        return name;
}

void audit_call(Manager *manager, uint32_t uid, sd_bus_message *call, const sd_bus_error *error) {
        const char *vm = name_of_vm(manager, call);
        _cleanup_(audit_subject_freep) AuditSubject *subject = audit_subject_new(call);

        audit_answered(manager, vm, uid, call, subject, NULL, error);
}

/* What has no name in the contract gets one here already, since it is logged. */
int audit_failure(int r, Manager *manager, sd_bus_message *call, sd_bus_error *error) {
        const Caller *caller = callers_of(manager, call);

        if (r >= 0)
                return r;
        if (!sd_bus_error_is_set(error))
                r = sd_bus_error_set_errno(error, r);
        audit_call(manager, caller ? caller->uid : AUDIT_NOBODY, call, error);
        return r;
}
