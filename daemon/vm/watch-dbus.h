/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Watching an address space without signals: GetChanges and WaitChanges
 *
 * A Watch is a WaitChanges that has not been answered. It names its address space, which may go
 * meanwhile, and is answered exactly once: by a commit that changed the space, by its time limit,
 * or not at all when its caller has gone.
 *
 * Those who wait are sorted by space: a commit looks for the spaces that it changed, and costs
 * nothing for those who wait for others. Who has something to be told is due, until the commit's
 * caller was answered and the signals are out.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "lib/memory/address-space.h"
#include "lib/util/detail.h"
#include "lib/util/tree.h"

typedef struct Change Change;
typedef struct Service Service;
typedef struct Watch Watch;

RB_HEAD(Watches, Watch);

enum {
        WATCHES_MAX = 1024,     /* of one VM */
        WATCHES_RESERVED = 256, /* of these only for its owner and root */
        WATCHES_USER_MAX = 256, /* of any other uid */
        WATCHES_QUEUED_MAX = 8, /* messages in the connection, from which on answers wait */
};

/* Answers with what changed since a generation. */
int changes_reply(Service *service, sd_bus_message *m, const AddressSpace *space, uint64_t since);
/* Answers now if there is something newer, else later. MAP_E_QUOTA_EXCEEDED. */
int watch_new(Service *service, sd_bus_message *m, const AddressSpace *space, uint64_t since,
              uint64_t timeout_usec, Detail *detail);
/* A change is in force: who has something to be told of it is due. */
void watches_note(Service *service, const Change *change);
/*
 * Answers those who are due, as long as their connections take it: a thousand answers may be half a
 * megabyte each. Whether that was all.
 */
bool watches_wake(Service *service);
/* `caller` left; NULL: guestmapd did, with everybody it forwards for. */
void watches_drop(Service *service, const char *caller);
