/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Connection: somebody who talks to this process without a bus between
 *
 * One of them is guestmapd's, Service.bus: calls on it are others', whom guestmapd names and has
 * checked. Every other is somebody's own, with a uid and rights that stay what they were when it
 * was opened: those that guestmapd opens for a client (Private.Connect), and those of whoever may
 * open the socket, who may do everything. A connection of the socket becomes guestmapd's by its
 * first call of the private interface, and takes the place of an older one.
 *
 * D-Bus libraries find a bus there, on which the VM is the only other one, as org.guestmap1.
 * Signals go to guestmapd only.
 *
 * I1: who sends a message is decided by the connection; what the message says of its sender counts
 *     on guestmapd's only.
 * I2: what lives with a connection of somebody's own (transactions, calls that wait) ends with it,
 *     as with a client of the bus that leaves.
 * I3: what lies here for a peer to be read is bounded: calls wait until it was (backlog-dbus.h),
 *     and who sends too many all the same is disconnected.
 * I4: what a call on a connection of somebody's own brings is bounded, before any object sees it,
 *     as guestmapd bounds what it forwards.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>
#include <urcu/list.h>

#include "daemon/vm/backlog-dbus.h"

typedef struct Connection Connection;
typedef struct Service Service;
typedef struct sd_event_source sd_event_source;

enum {
        CONNECTIONS_MAX = 64,      /* that guestmapd has opened */
        CONNECTIONS_RESERVED = 16, /* of these only for the VM's owner and root */
        CONNECTIONS_USER_MAX = 16, /* of any other uid */
};

struct Connection {
        Service *service;
        sd_bus *bus;
        sd_event_source *rest;        /* of what came with the greeting; NULL until that is over */
        Backlog backlog;              /* unused while it is guestmapd's */
        struct cds_list_head link;    /* in Service.connections */
        struct cds_list_head audited; /* of AuditedCall.link, oldest first */
        uint32_t uid;
        uint32_t rights;     /* GUESTMAP_RIGHT_* */
        bool is_from_socket; /* may become guestmapd's */
};

/* Serves on a stream socket, connected by somebody who may open it; takes fd, also on failure. */
int connection_accept(Connection **ret, Service *service, int fd);
Connection *connection_free(Connection *connection);

/* Private.Connect: one with the rights named. VM.OpenConnection: one more of the same kind. */
int method_connect(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_open_connection(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* NULL: it has ended. */
Connection *connection_find(const Service *service, const sd_bus *bus);
/* The one whose message is handled; NULL: guestmapd's. */
Connection *connection_of(const Service *service, sd_bus_message *m);

/*
 * Who sent a message: a client's unique name, or the name that a connection of somebody's own has
 * here; NULL for guestmapd itself.
 */
const char *sender_of(const Service *service, sd_bus_message *m);
/* Whether a name is that of a connection. */
bool sender_is_connection(const char *sender);
/* Whether a message is `sender`'s; NULL: guestmapd's, or of anybody whom it forwards for. */
bool sender_is(const Service *service, sd_bus_message *m, const char *sender);
