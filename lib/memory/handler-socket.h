/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Handler on a socket: another process answers a region's accesses
 *
 * Each access is a request of 32 bytes, and a reply of 32 bytes to it, as was proposed for KVM's
 * ioregionfd; guestmap-handler(5) has the records. One access at a time: replies come in the order
 * of requests, so nothing in them tells which is whose.
 *
 * I1: once a reply has not come in time, or was no reply, or came before it was asked for, the next
 *     one cannot be told from it: all accesses fail from then on. A new socket is another handler.
 * I2: an access that runs out of patience (patience.h) leaves its reply behind. It is owed still:
 *     the next access takes it first and drops it, within its own time limit.
 *
 * Source: this project.
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/memory/handler.h"
#include "lib/util/detail.h"

typedef struct SocketSetup SocketSetup;

struct SocketSetup {
        int fd;                /* one end of a pair; the caller keeps it */
        const char *region;    /* whose it is, for reasons */
        uint64_t timeout_usec; /* how long a reply may take; not 0 */
        uint64_t user_data;    /* goes with each request */
        bool posted_writes;    /* nobody waits for a reply to a write */
};

/* MAP_E_INVALID_ARGUMENT: not a connected unix socket of bytes or packets. -errno. */
int handler_new_socket(Handler **ret, const SocketSetup *setup, Detail *detail);
bool handler_is_socket(const Handler *handler);
/* What it was made with; the descriptor, borrowed, is its own. */
SocketSetup handler_socket_setup(const Handler *handler);
