/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Open transaction: a client's transaction, from Begin to its end
 *
 * It belongs to a uid, which may reach it from any connection. It ends with Commit or Abort; or
 * with the connection of whoever began it (timeout 0); or when nobody has called it for its
 * timeout. Numbers are given out in order and never again, so that one that has ended can be told
 * from one that never was.
 */

#include <stdint.h>
#include <systemd/sd-event.h>
#include <urcu/list.h>

#include "daemon/vm/change.h"
#include "daemon/vm/map-dbus.h"
#include "lib/memory/transaction.h"

typedef struct OpenTransaction OpenTransaction;
typedef struct Service Service;

/* A day, in microseconds: nobody needs the map as it was longer ago. */
#define OPEN_TRANSACTION_TIMEOUT_MAX UINT64_C(86400000000)

struct OpenTransaction {
        MapTarget map_target;
        Service *service;
        Transaction *staged;
        uint64_t id;
        uint32_t uid;
        char *caller; /* with whom it lives, "" guestmapd; NULL: with nobody */
        bool is_abandoned;
        char *path;
        uint64_t timeout_usec;
        uint64_t deadline_usec; /* CLOCK_MONOTONIC; 0 if it lives with a connection */
        sd_event_source *timer;
        struct cds_list_head link; /* in Service.transactions */
};

/*
 * `caller` is who begins it, NULL for guestmapd. MAP_E_QUOTA_EXCEEDED;
 * VM_E_INVALID_ARGUMENTS for a timeout beyond the maximum.
 */
int open_transaction_new(OpenTransaction **ret, Service *service, uint32_t uid, const char *caller,
                         uint64_t timeout_usec, Detail *detail);
OpenTransaction *open_transaction_free(OpenTransaction *open);
DEFINE_CLEANUP(OpenTransaction *, open_transaction_free);

/* It ends without a commit; the reason is an ABORT_*. */
void open_transaction_abort(OpenTransaction *open, int reason);

OpenTransaction *open_transaction_find(Service *service, uint64_t id);
/* Somebody uses it: the idle timeout starts anew. */
int open_transaction_touch(OpenTransaction *open);
/*
 * `caller` has left; NULL: guestmapd did, with everybody it forwards for. What lives with them is
 * to be dropped when the tree is there.
 */
void open_transactions_abandon(Service *service, const char *caller);
void open_transactions_drop(Service *service);

/* Whether preparing it takes longer than other calls do, and is a job. */
bool open_transaction_is_large(const OpenTransaction *open);
/* Begins and prepares a change of all staged edits. Any outcome of transaction_prepare(). */
int open_transaction_prepare(OpenTransaction *open, Change *change, Detail *detail);
