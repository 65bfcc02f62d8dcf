/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/manager/audit.h"
#include "daemon/manager/caller-dbus.h"

void audit_answered(const char *vm, uint32_t uid, sd_bus_message *call, const AuditSubject *subject,
                    sd_bus_message *reply, const sd_bus_error *error) {
        const LogFields who = {
                .vm = vm,
                .caller = sd_bus_message_get_sender(call),
                .has_uid = uid != AUDIT_NOBODY,
                .uid = uid,
        };

        audit_log(&who, call, subject, reply, error);
}

void audit_call(const char *vm, uint32_t uid, sd_bus_message *call, const sd_bus_error *error) {
        _cleanup_(audit_subject_freep) AuditSubject *subject = audit_subject_new(call);

        audit_answered(vm, uid, call, subject, NULL, error);
}

void audit_request(const VM *vm, const sd_bus_error *error) {
        audit_call(vm->name, vm->requester, vm->request, error);
}

/* What has no name in the contract gets one here already, since it is logged. */
int audit_failure(int r, Manager *manager, const char *vm, sd_bus_message *call,
                  sd_bus_error *error) {
        const Caller *caller = callers_of(manager, call);

        if (r >= 0)
                return r;
        if (!sd_bus_error_is_set(error))
                r = sd_bus_error_set_errno(error, r);
        audit_call(vm, caller ? caller->uid : AUDIT_NOBODY, call, error);
        return r;
}
