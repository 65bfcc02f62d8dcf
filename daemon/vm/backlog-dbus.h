/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Backlog: calls of a connection that wait until what was answered has been read
 *
 * Of the messages that lie in a connection sd-bus tells how many there are, not how large they are.
 * So a call is handled when none lies there, and all others wait: what a peer that does not read
 * keeps here is one answer, whatever its size, those of calls that were being worked on already,
 * and calls, whose size is known. One that reads notices nothing: the socket's buffer takes what it
 * has not read yet.
 *
 * Calls come again through the connection's queue of messages read, as those that waited at the
 * gate do (gate-dbus.h), and in the order in which the peer sent them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <urcu/list.h>

#include "daemon/common/load-dbus.h"

typedef struct Backlog Backlog;
typedef struct Service Service;

enum { BACKLOG_E_FULL = 1 };

enum {
        /* Beyond these there is no more patience: one call can go past them. */
        BACKLOG_CALLS_MAX = 4096,
        BACKLOG_BYTES_MAX = 4 << 20, /* about */
        BACKLOG_DESCRIPTORS_MAX = 32,
};

struct Backlog {
        Service *service;           /* borrowed */
        sd_bus *bus;                /* borrowed */
        sd_event_source *awakening; /* on while calls wait */
        struct cds_list_head line;  /* of those, in order */
        size_t n_line;
        Load load; /* of all in line */
};

int backlog_init(Backlog *backlog, Service *service, sd_bus *bus);
/* The connection ends, and those who have called there are gone. */
void backlog_deinit(Backlog *backlog);

/* A call has come in, or has come again: *ret_held if it has to wait. BACKLOG_E_FULL. */
int backlog_hold(Backlog *backlog, sd_bus_message *m, bool *ret_held);
