/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/common/log.h"
#include "daemon/vm/open-transaction.h"
#include "daemon/vm/service-dbus.h"

enum {
        IDS_RESERVED = 1000,
        IN_PLACE_EDITS_MAX = 4096,
};

OpenTransaction *open_transaction_free(OpenTransaction *open) {
        if (!open)
                return NULL;
        if (open->link.next) {
                cds_list_del(&open->link);
                preparations_cancel_at(open->service, open->path);
        }
        sd_event_source_disable_unref(open->timer);
        transaction_free(open->staged);
        free(open->path);
        free(open->caller);
        free(open);
        return NULL;
}

void open_transaction_abort(OpenTransaction *open, int reason) {
        counters_note_abort(&open->service->vm->counters, reason);
        open_transaction_free(open);
}

static int on_idle(sd_event_source *source, uint64_t usec, void *userdata) {
        OpenTransaction *open = userdata;
        int r;

        /* Nobody could have used it, or its use waits: its time begins anew. */
        if (gate_is_busy(&open->service->gate) || preparations_are_at(open->service, open->path)) {
                r = open_transaction_touch(open);
                return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        }
        if (audit_limit_pass(&open->service->audit.limit, open->uid))
                log_entry(LOG_INFO, &(const LogFields){.message_id = MESSAGE_TRANSACTION_EXPIRED},
                          "transaction %" PRIu64 " was idle too long, rolled back", open->id);
        open_transaction_abort(open, ABORT_IDLE);
        return 0;
}

int open_transaction_touch(OpenTransaction *open) {
        int r;

        if (!open->timer)
                return 0;
        r = sd_event_now(open->service->event, CLOCK_MONOTONIC, &open->deadline_usec);
        if (r < 0)
                return r;
        open->deadline_usec += open->timeout_usec;
        return sd_event_source_set_time(open->timer, open->deadline_usec);
}

static int start_timer(OpenTransaction *open) {
        int r;

        r = sd_event_add_time_relative(open->service->event, &open->timer, CLOCK_MONOTONIC,
                                       open->timeout_usec, 0, on_idle, open);
        if (r < 0)
                return r;
        return open_transaction_touch(open);
}

static int check_new(Service *service, uint32_t uid, uint64_t timeout_usec, Detail *detail) {
        OpenTransaction *other;
        size_t n = 0;

        if (timeout_usec > OPEN_TRANSACTION_TIMEOUT_MAX)
                return detail_set(detail, VM_E_INVALID_ARGUMENTS,
                                  "timeout of %" PRIu64 " us is beyond the limit of %" PRIu64,
                                  timeout_usec, OPEN_TRANSACTION_TIMEOUT_MAX);
        cds_list_for_each_entry(other, &service->transactions, link)
                n += other->uid == uid;
        if (n >= service->vm->limits.transactions)
                return detail_set(detail, MAP_E_QUOTA_EXCEEDED,
                                  "VM \"%s\": uid %" PRIu32 " has %zu open transactions, the limit "
                                  "Transactions is %" PRIu64,
                                  service->vm->name, uid, n, service->vm->limits.transactions);
        return 0;
}

/* Ids are reserved by the thousand: those that the next process gives out are others. */
static int reserve_id(Service *service, Detail *detail) {
        Facts facts = service->vm->facts;

        if (service->last_transaction < facts.transactions)
                return 0;
        facts.transactions = service->last_transaction + IDS_RESERVED;
        return facts_set(service->vm, &facts, detail);
}

int open_transaction_new(OpenTransaction **ret, Service *service, uint32_t uid, const char *caller,
                         uint64_t timeout_usec, Detail *detail) {
        _cleanup_(open_transaction_freep) OpenTransaction *open = NULL;
        int r;

        r = check_new(service, uid, timeout_usec, detail);
        if (r == 0)
                r = reserve_id(service, detail);
        if (r != 0)
                return r;
        open = calloc(1, sizeof(*open));
        if (!open)
                return -ENOMEM;
        open->map_target = (MapTarget){.service = service, .transaction = open};
        open->service = service;
        open->uid = uid;
        open->timeout_usec = timeout_usec;
        open->id = service->last_transaction + 1;
        if (asprintf(&open->path, "%s/%" PRIu64, service->transaction_prefix, open->id) < 0) {
                open->path = NULL;
                return -ENOMEM;
        }
        if (timeout_usec > 0) {
                r = start_timer(open);
                if (r < 0)
                        return r;
        } else {
                open->caller = strdup(caller ?: "");
                if (!open->caller)
                        return -ENOMEM;
        }
        r = transaction_new(&open->staged, service->vm->map);
        if (r != 0)
                return r;
        cds_list_add_tail(&open->link, &service->transactions);
        service->last_transaction++;
        *ret = TAKE_PTR(open);
        return 0;
}

OpenTransaction *open_transaction_find(Service *service, uint64_t id) {
        OpenTransaction *open;

        cds_list_for_each_entry(open, &service->transactions, link)
                if (open->id == id)
                        return open;
        return NULL;
}

static bool lives_with(const OpenTransaction *open, const char *caller) {
        if (!open->caller)
                return false;
        return caller ? strcmp(open->caller, caller) == 0 : !sender_is_connection(open->caller);
}

void open_transactions_abandon(Service *service, const char *caller) {
        OpenTransaction *open;

        cds_list_for_each_entry(open, &service->transactions, link)
                open->is_abandoned = open->is_abandoned || lives_with(open, caller);
}

void open_transactions_drop(Service *service) {
        OpenTransaction *open, *next;

        cds_list_for_each_entry_safe(open, next, &service->transactions, link)
                if (open->is_abandoned)
                        open_transaction_abort(open, ABORT_CALLER_LEFT);
}

bool open_transaction_is_large(const OpenTransaction *open) {
        return open->staged->n_edits > IN_PLACE_EDITS_MAX;
}

int open_transaction_prepare(OpenTransaction *open, Change *change, Detail *detail) {
        int r;

        change_begin(change, open->service->vm);
        r = change_take_staged(change, open->staged);
        if (r != 0)
                return r;
        return change_prepare(change, detail);
}
