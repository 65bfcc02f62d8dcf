/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Preparation: a call that waits for memory, without the tree
 *
 *   call ─▶ change ─▶ VM_E_UNPREPARED ─▶ Preparation …… populated ─▶ the call comes again
 *              └─ taken back                    └─ cancelled, failed ─▶ the call is answered
 *
 * A call that brings memory with "prealloc" is made twice. First all that can be refused is, on the
 * map as it is; then its edits are taken back, but for the memory, which a job populates. Meanwhile
 * others have the tree, and the call does not count as one that its caller waits for. When all of
 * the memory is there the message goes through the connection's queue of messages read once more;
 * whoever handles it finds its memory here, and makes the change on the map as it is by then.
 *
 * I1: a preparation's backings are nobody's but its job's until the call comes again.
 * I2: a region's name is in one preparation at most.
 * I3: what is prepared counts for the limit RAMBytes, and for its user's share (ration.h).
 * I4: with the caller goes the preparation, and with it all that it has taken.
 */

#include <stdbool.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/vm/prealloc.h"
#include "lib/util/cleanup.h"
#include "lib/util/detail.h"

typedef struct Preparation Preparation;
typedef struct Service Service;

enum {
        PREPARATIONS_MAX = 16,
        PREPARATIONS_TOLD_MAX = 64, /* regions that are told of by name */
        PREPARATIONS_TOLD_USEC = 200000, /* between two signals of how far they have come */
};

struct Preparation {
        Service *service;
        sd_bus_message *m; /* the call */
        Prealloc memory;
        uint64_t bytes;  /* of it, that count against limits */
        struct Job *job; /* NULL: it is done, the call is on its way */
        bool handed_out; /* the call has come again */
        bool cancelled;
        Detail detail;
        struct cds_list_head link; /* in Service.preparations, oldest first */
};

/*
 * The call, a change of which was checked, and is still in the map, needs that memory, which is
 * taken over: it is answered later, unless this fails. MAP_E_QUOTA_EXCEEDED; MAP_E_REGION_EXISTS:
 * another call prepares a region of that name.
 */
int preparation_start(Service *service, sd_bus_message *m, Prealloc *memory, Detail *detail);
Preparation *preparation_free(Preparation *preparation);
DEFINE_CLEANUP(Preparation *, preparation_free);

/* A call that has come, perhaps again: then it is to be handled now, or dropped. */
void preparation_hand_out(Service *service, sd_bus_message *m);
/* What was prepared for the call that is handled now; NULL: nothing. The caller frees it. */
Preparation *preparation_take(Service *service, sd_bus_message *m);
/* A call that may have waited for memory was refused before it was handled again. */
void preparation_forget(Service *service, sd_bus_message *m);

/* Ends the one that prepares that region. MAP_E_NO_SUCH_REGION. */
int preparation_cancel(Service *service, const char *region, Detail *detail);
/* Ends those of an object, which is about to go. */
void preparations_cancel_at(Service *service, const char *path);
/* Whether there are any of an object. */
bool preparations_are_at(const Service *service, const char *path);
/* Ends those of a caller who has left; NULL: guestmapd did, with everybody it forwards for. */
void preparations_drop(Service *service, const char *caller);

/* The property Preparing. */
int preparations_append(const Service *service, sd_bus_message *reply);
