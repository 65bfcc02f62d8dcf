/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdarg.h>
#include <stdlib.h>

#include "daemon/common/audit-dbus.h"
#include "daemon/vm/audit-dbus.h"
#include "daemon/vm/driver-dbus.h"
#include "daemon/vm/error-dbus.h"
#include "daemon/vm/service-dbus.h"

struct AuditedCall {
        struct cds_list_head link; /* in Connection.audited */
        sd_bus_message *m;
        bool waits; /* for answer() */
};

/* Of a call that sd-bus has answered by itself. */
static const sd_bus_error not_dispatched = SD_BUS_ERROR_MAKE_CONST(
        SD_BUS_ERROR_FAILED, "refused, without any effect: no such object, member or arguments");

static void audited_call_free(Service *service, AuditedCall *call) {
        if (service->audit.dispatched == call)
                service->audit.dispatched = NULL;
        cds_list_del(&call->link);
        sd_bus_message_unref(call->m);
        free(call);
}

static AuditedCall *find(const Service *service, sd_bus_message *m) {
        const Connection *connection = connection_find(service, sd_bus_message_get_bus(m));
        AuditedCall *call;

        if (!connection)
                return NULL;
        cds_list_for_each_entry(call, &connection->audited, link)
                if (call->m == m)
                        return call;
        return NULL;
}

static bool is_audited(const Service *service, sd_bus_message *m) {
        return connection_of(service, m) && audit_wants(m) && !driver_is_called(m);
}

/* A call was answered: what is not remembered was not its turn yet. */
static void note(Service *service, sd_bus_message *m, sd_bus_message *reply,
                 const sd_bus_error *error) {
        _cleanup_(audit_subject_freep) AuditSubject *subject = NULL;
        AuditedCall *call = find(service, m);
        LogFields who = {.has_uid = true};

        if (!call && !is_audited(service, m))
                return;
        who.caller = sender_of(service, m);
        who.uid = connection_find(service, sd_bus_message_get_bus(m))->uid;
        subject = audit_subject_new(m);
        audit_log(&service->audit.limit, &who, m, subject, reply, error);
        if (call)
                audited_call_free(service, call);
}

int audit_begin(Service *service, sd_bus_message *m) {
        AuditedCall *call;

        if (!is_audited(service, m))
                return 0;
        call = find(service, m);
        if (!call) {
                call = malloc(sizeof(*call));
                if (!call)
                        return -ENOMEM;
                call->m = sd_bus_message_ref(m);
                cds_list_add_tail(&call->link, &connection_of(service, m)->audited);
        }
        call->waits = false;
        return 0;
}

static void end_dispatched(Service *service) {
        if (service->audit.dispatched)
                note(service, service->audit.dispatched->m, NULL, &not_dispatched);
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
                note(service, m, NULL, error);
}

void audit_handled(Service *service, sd_bus_message *m) {
        if (is_dispatched(service, m))
                service->audit.dispatched = NULL;
}

int audit_init(Service *service) {
        Audit *audit = &service->audit;
        int r;

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
        const AuditedCall *call = find(service, m);

        if (sd_bus_error_is_set(error))
                note(service, m, NULL, error);
        else if (call && !call->waits)
                note(service, m, NULL, NULL);
}

void audit_disconnect(Connection *connection) {
        AuditedCall *call, *next;

        cds_list_for_each_entry_safe(call, next, &connection->audited, link)
                note(connection->service, call->m, NULL, &audit_caller_left);
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

void answer_caller_left(Service *service, sd_bus_message *call) {
        (void)sd_bus_reply_method_error(call, &audit_caller_left);
        note(service, call, NULL, &audit_caller_left);
}
