/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdarg.h>
#include <stdlib.h>

#include "daemon/common/audit-dbus.h"
#include "daemon/vm/audit-dbus.h"
#include "daemon/vm/driver-dbus.h"
#include "daemon/vm/error-dbus.h"
#include "daemon/vm/service-dbus.h"

struct AuditedCall {
        struct cds_list_head link; /* in Audit.calls */
        sd_bus_message *m;
        AuditSubject *subject;
        uint32_t uid;
        bool waits; /* for answer() */
};

/* Of a call that sd-bus has answered by itself. */
static const sd_bus_error not_dispatched = SD_BUS_ERROR_MAKE_CONST(
        SD_BUS_ERROR_FAILED, "refused, without any effect: no such object, member or arguments");

static void audited_call_free(Audit *audit, AuditedCall *call) {
        if (audit->dispatched == call)
                audit->dispatched = NULL;
        cds_list_del(&call->link);
        sd_bus_message_unref(call->m);
        audit_subject_free(call->subject);
        free(call);
}

static AuditedCall *find(const Service *service, sd_bus_message *m) {
        AuditedCall *call;

        cds_list_for_each_entry(call, &service->audit.calls, link)
                if (call->m == m)
                        return call;
        return NULL;
}

static void end(Service *service, AuditedCall *call, sd_bus_message *reply,
                const sd_bus_error *error) {
        const LogFields who = {
                .caller = sender_of(service, call->m),
                .has_uid = true,
                .uid = call->uid,
        };

        audit_log(&service->audit.limit, &who, call->m, call->subject, reply, error);
        audited_call_free(&service->audit, call);
}

int audit_begin(Service *service, sd_bus_message *m) {
        AuditedCall *call = find(service, m);

        if (!audit_wants(m) || driver_is_called(m))
                return 0;
        if (!call) {
                call = calloc(1, sizeof(*call));
                if (!call)
                        return -ENOMEM;
                call->m = sd_bus_message_ref(m);
                call->subject = audit_subject_new(m);
                call->uid = service_caller_uid(service, m);
                cds_list_add_tail(&call->link, &service->audit.calls);
        }
        call->waits = false;
        return 0;
}

static void end_dispatched(Service *service) {
        if (service->audit.dispatched)
                end(service, service->audit.dispatched, NULL, &not_dispatched);
}

static int on_processed(sd_event_source *source, void *userdata) {
        end_dispatched(userdata);
        return 0;
}

/* One message is processed after another. */
void audit_dispatch(Service *service, sd_bus_message *m) {
        Audit *audit = &service->audit;

        end_dispatched(service);
        audit->dispatched = find(service, m);
        if (audit->dispatched)
                (void)sd_event_source_set_enabled(audit->processed, SD_EVENT_ONESHOT);
}

static bool is_dispatched(const Service *service, sd_bus_message *m) {
        return service->audit.dispatched && service->audit.dispatched->m == m;
}

void audit_not_found(Service *service, sd_bus_message *m, const sd_bus_error *error) {
        if (is_dispatched(service, m))
                end(service, service->audit.dispatched, NULL, error);
}

void audit_handled(Service *service, sd_bus_message *m) {
        if (is_dispatched(service, m))
                service->audit.dispatched = NULL;
}

int audit_init(Service *service) {
        Audit *audit = &service->audit;
        int r;

        CDS_INIT_LIST_HEAD(&audit->calls);
        audit_limit_init(&audit->limit, service->event);
        r = sd_event_add_defer(service->event, &audit->processed, on_processed, service);
        return r < 0 ? r : sd_event_source_set_enabled(audit->processed, SD_EVENT_OFF);
}

void audit_deinit(Service *service) {
        sd_event_source_disable_unref(service->audit.processed);
        audit_limit_deinit(&service->audit.limit);
}

void audit_wait(Service *service, sd_bus_message *m) {
        AuditedCall *call = find(service, m);

        if (call)
                call->waits = true;
}

void audit_returned(Service *service, sd_bus_message *m, const sd_bus_error *error) {
        AuditedCall *call = find(service, m);

        if (call && (sd_bus_error_is_set(error) || !call->waits))
                end(service, call, NULL, sd_bus_error_is_set(error) ? error : NULL);
}

void audit_disconnect(Service *service, sd_bus *bus) {
        AuditedCall *call, *next;

        cds_list_for_each_entry_safe(call, next, &service->audit.calls, link)
                if (sd_bus_message_get_bus(call->m) == bus)
                        end(service, call, NULL, &audit_caller_left);
}

static void note(Service *service, sd_bus_message *m, sd_bus_message *reply,
                 const sd_bus_error *error) {
        AuditedCall *call = find(service, m);

        if (call)
                end(service, call, reply, error);
}

static int send_reply(sd_bus_message *call, sd_bus_message **ret, const char *types,
                      va_list values) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = sd_bus_message_appendv(reply, types, values);
        if (r >= 0)
                r = sd_bus_message_send(reply);
        if (r >= 0)
                *ret = TAKE_PTR(reply);
        return r;
}

void answer(Service *service, sd_bus_message *call, const char *types, ...) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        va_list values;

        va_start(values, types);
        (void)send_reply(call, &reply, types, values);
        va_end(values);
        note(service, call, reply, NULL);
}

void answer_error(Service *service, sd_bus_message *call, int outcome, const Detail *detail) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = error_from_outcome(&error, outcome, detail);
        if (!sd_bus_error_is_set(&error))
                (void)sd_bus_error_set_errno(&error, r);
        (void)sd_bus_reply_method_error(call, &error);
        note(service, call, NULL, &error);
}
