/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Audit of the calls that guestmapd does not see: daemon/common/audit-dbus.h
 *
 * A call on a connection of somebody's own that asks for more than to look is remembered from when
 * it is its turn until it is answered. So that no answer is missed there are two ways only:
 *
 *   at once   the handler's return value (dispatch-dbus.h), unless it has said audit_wait()
 *   later     answer() and answer_error(), which do for any call
 *
 * sd-bus answers what no handler is for, and tells nobody with which error: such a call had no
 * effect, and that is what its entry says.
 *
 * I1: a call has its entry when it is answered, or when its connection ends: one in all.
 * I2: what is remembered is bounded, and is looked for among calls of its connection only: one
 *     that is refused, or waits for its turn, is none of them, and there are bounds for all that a
 *     call may wait for afterwards.
 */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <urcu/list.h>

#include "daemon/common/audit-limit.h"
#include "lib/util/detail.h"

typedef struct Audit Audit;
typedef struct AuditedCall AuditedCall;
typedef struct Connection Connection;
typedef struct Service Service;

struct Audit {
        AuditLimit limit;
        AuditedCall *dispatched;    /* sd-bus looks for its handler; NULL: it has one */
        sd_event_source *processed; /* on while that is so: then sd-bus has found none */
};

int audit_init(Service *service);
void audit_deinit(Service *service);

/* It is a call's turn, perhaps again: it is to be answered at once. -ENOMEM. */
int audit_begin(Service *service, sd_bus_message *call);
/* sd-bus has it from here on: it finds no object, which is an error, or a handler, or neither. */
void audit_dispatch(Service *service, sd_bus_message *call);
void audit_not_found(Service *service, sd_bus_message *call, const sd_bus_error *error);
void audit_handled(Service *service, sd_bus_message *call);
/* It is going to be answered later. */
void audit_wait(Service *service, sd_bus_message *call);
/* It was refused before, or handled, with an error if that is set. */
void audit_returned(Service *service, sd_bus_message *call, const sd_bus_error *error);
/* A connection ends, with the calls on it. */
void audit_disconnect(Connection *connection);

/* Answers a call with these values. An answer that cannot be sent is lost with its connection. */
void answer(Service *service, sd_bus_message *call, const char *types, ...);
/* Answers a call with the error of an outcome other than 0. It may have left. */
void answer_error(Service *service, sd_bus_message *call, int outcome, const Detail *detail);
/* Answers a call whose caller has left: guestmapd waits for that all the same, for its audit. */
void answer_caller_left(Service *service, sd_bus_message *call);
