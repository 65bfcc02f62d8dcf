/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "daemon/common/log.h"
#include "daemon/vm/audit-dbus.h"
#include "daemon/vm/compaction-dbus.h"
#include "daemon/vm/dispatch-dbus.h"
#include "daemon/vm/dump-dbus.h"
#include "daemon/vm/open-transaction.h"
#include "daemon/vm/private-dbus.h"
#include "daemon/vm/service-dbus.h"
#include "daemon/vm/vcpu-dbus.h"
#include "daemon/vm/vcpus.h"
#include "daemon/vm/watch-dbus.h"

static const char *plural(uint64_t n) {
        return n == 1 ? "" : "s";
}

static void print_salvage(char *text, size_t size, const Salvage *salvage) {
        const char *name = salvage->vm ? salvage->vm->name : "";

        snprintf(text, size, "%s%scannot recover: %s", name, name[0] ? ": " : "",
                 salvage->why.text);
}

static void print_map(char *text, size_t size, const VM *vm) {
        const Snapshot *snapshot = map_snapshot(vm->map);
        uint32_t slots = slots_used(vm->slots);

        snprintf(text, size, "%s: %" PRIu64 " region%s, %" PRIu32 " slot%s, generation %" PRIu64,
                 vm->name, snapshot->n_regions, plural(snapshot->n_regions), slots, plural(slots),
                 snapshot->generation);
}

/* The name first: the unit may be called by a part of the ID. */
static void print_status(char *text, size_t size, void *userdata) {
        const Service *service = userdata;

        if (service->salvage)
                print_salvage(text, size, service->salvage);
        else if (service->vm)
                print_map(text, size, service->vm);
        else
                snprintf(text, size, "no VM yet");
}

int service_new(Service **ret, sd_event *event) {
        Service *service;
        int r;

        service = calloc(1, sizeof(*service));
        if (!service)
                return -ENOMEM;
        service->event = sd_event_ref(event);
        service->map_target.service = service;
        jobs_init(&service->jobs, event);
        jobs_init(&service->preparing, event);
        CDS_INIT_LIST_HEAD(&service->preparations);
        CDS_INIT_LIST_HEAD(&service->connections);
        RB_INIT(&service->callers);
        gate_init(&service->gate, service);
        CDS_INIT_LIST_HEAD(&service->transactions);
        RB_INIT(&service->watches);
        CDS_INIT_LIST_HEAD(&service->watches_due);
        CDS_INIT_LIST_HEAD(&service->dumps);
        CDS_INIT_LIST_HEAD(&service->vcpu_calls);
        history_init(&service->history, 0, HISTORY_BYTES_MAX);
        r = audit_init(service);
        if (r >= 0)
                r = ration_asker_init(&service->ration, service);
        if (r >= 0)
                r = status_init(&service->status, event, print_status, service);
        if (r < 0) {
                service_free(service);
                return r;
        }
        *ret = service;
        return 0;
}

static void forget_destroyed(const Service *service) {
        int r;

        r = recovery_destroy(&service->places);
        if (r < 0)
                log_warning("the VM may come back, which is destroyed: %s", strerror(-r));
}

Service *service_free(Service *service) {
        Preparation *preparation, *next_preparation;
        Connection *connection, *next_connection;
        OpenTransaction *open, *next;

        if (!service)
                return NULL;
        if (service->ration.service)
                ration_close(&service->ration.ration);
        jobs_deinit(&service->jobs);
        jobs_deinit(&service->preparing);
        cds_list_for_each_entry_safe(preparation, next_preparation, &service->preparations, link)
                preparation_free(preparation);
        sd_event_source_disable_unref(service->preparations_tick);
        sd_event_source_disable_unref(service->compaction);
        if (service->is_destroyed)
                forget_destroyed(service);
        cds_list_for_each_entry_safe(connection, next_connection, &service->connections, link)
                connection_free(connection);
        cds_list_for_each_entry_safe(open, next, &service->transactions, link)
                open_transaction_free(open);
        announcer_deinit(&service->announcer);
        status_deinit(&service->status);
        history_deinit(&service->history);
        sd_event_source_disable_unref(service->vcpu_ended);
        access_teller_deinit(&service->access_teller);
        audit_deinit(service);
        log_set_vm(NULL);
        vm_free(service->vm);
        salvage_free(service->salvage);
        ration_asker_deinit(&service->ration);
        dispatch_forget(service);
        free(service->vcpu_prefix);
        free(service->region_prefix);
        free(service->space_prefix);
        free(service->transaction_prefix);
        free(service->path);
        sd_event_unref(service->event);
        free(service);
        return NULL;
}

void service_caller_gone(Service *service, const char *name) {
        open_transactions_abandon(service, name);
        open_transactions_drop(service);
        preparations_drop(service, name);
        watches_drop(service, name);
        dumps_drop(service, name);
        vcpu_calls_drop(service, name);
        callers_remove(&service->callers, name);
}

/* Of whoever has left. Transactions and calls that somebody works on go when he is done. */
static void drop_calls(Service *service, const char *sender) {
        gate_disconnect(&service->gate, sender);
        preparations_drop(service, sender);
        watches_drop(service, sender);
        dumps_drop(service, sender);
        vcpu_calls_drop(service, sender);
}

void service_connection_gone(Service *service, sd_bus *bus, const char *name) {
        drop_calls(service, name);
        if (service->bus != bus)
                return;
        drop_calls(service, NULL);
        callers_clear(&service->callers);
        ration_asker_disconnect(&service->ration);
        service->bus = NULL;
}

void service_detach(Service *service) {
        if (service->bus)
                connection_free(connection_find(service, service->bus));
}

void service_give_to_guestmapd(Service *service, Connection *connection) {
        if (service->bus == connection->bus)
                return;
        service_detach(service);
        service->bus = connection->bus;
        /* It hears what is left for it, and nothing of calls that end with the process. */
        (void)sd_bus_set_close_on_exit(service->bus, true);
}

int service_attach(Service *service, int fd) {
        Connection *connection;
        int r;

        service_detach(service);
        r = connection_accept(&connection, service, fd);
        if (r < 0)
                return r;
        service_give_to_guestmapd(service, connection);
        return 0;
}

static int make_paths(Service *service, const char *name) {
        int r;

        r = sd_bus_path_encode(GUESTMAP_PATH_VM, name, &service->path);
        if (r < 0)
                return r;
        if (asprintf(&service->transaction_prefix, "%s/transaction", service->path) < 0 ||
            asprintf(&service->space_prefix, "%s/space", service->path) < 0 ||
            asprintf(&service->region_prefix, "%s/region", service->path) < 0 ||
            asprintf(&service->vcpu_prefix, "%s/vcpu", service->path) < 0)
                return -ENOMEM;
        return 0;
}

static int take_vm(Service *service, VM *vm) {
        Connection *connection;
        int r;

        r = make_paths(service, vm->name);
        if (r < 0)
                return r;
        r = announcer_init(&service->announcer, service, vm->map->generation);
        if (r < 0)
                return r;
        r = sd_event_add_io(service->event, &service->vcpu_ended, vcpus_ended_fd(vm->vcpus),
                            EPOLLIN, on_vcpu_ended, service);
        if (r < 0)
                return r;
        r = access_teller_init(&service->access_teller, service, access_log_fd(vm->access_log));
        if (r < 0)
                return r;
        r = compaction_init(service);
        if (r < 0)
                return r;
        history_init(&service->history, vm->map->generation, HISTORY_BYTES_MAX);
        service->vm = vm;
        (void)sd_event_now(service->event, CLOCK_REALTIME, &service->start_usec);
        service->last_transaction = vm->facts.transactions;
        log_set_vm(vm->name);
        status_changed(&service->status);
        cds_list_for_each_entry(connection, &service->connections, link) {
                r = dispatch_add(service, connection->bus);
                if (r < 0)
                        return r;
        }
        return 0;
}

int service_take_vm(Service *service, VM *vm) {
        int r;

        r = take_vm(service, vm);
        if (r < 0 && !service->vm)
                vm_free(vm);
        return r;
}

int service_commit(Service *service, Change *change, const char *transaction,
                   uint64_t *ret_generation, Detail *detail) {
        _cleanup_(freep) char *path = NULL;
        Announcement announcement;
        int r;

        if (transaction) {
                path = strdup(transaction);
                if (!path)
                        return -ENOMEM;
        }
        r = change_apply(change, detail);
        if (r != 0)
                return r;
        *ret_generation = service->vm->map->generation;
        if (!change->commit->tree_changed)
                return 0;
        history_add(&service->history, change->commit);
        watches_note(service, change);
        announcement = (Announcement){
                .generation = change->commit->generation,
                .n_edits = (uint32_t)change->n_edits,
                .n_slot_operations = (uint32_t)slots_plan(service->vm->slots)->n_ops,
                .transaction = TAKE_PTR(path),
                .objects = change->objects,
        };
        change->objects = (ObjectChanges){};
        announcer_put(service, &announcement);
        return 0;
}

void service_refuse(Service *service, sd_bus_message *call, int outcome, const Detail *detail) {
        counters_note_abort(&service->vm->counters, outcome);
        answer_error(service, call, outcome, detail);
}

uint32_t service_caller_uid(Service *service, sd_bus_message *m) {
        const Connection *own = connection_of(service, m);
        const char *sender = sender_of(service, m);
        const Caller *caller;

        if (own)
                return own->uid;
        if (!sender)
                return service->vm->owner;
        caller = callers_find(&service->callers, sender);
        return caller ? caller->uid : UINT32_MAX; /* it has left */
}

bool service_caller_sees(Service *service, sd_bus_message *m, uint32_t uid) {
        uint32_t caller;

        if (!m || !sender_of(service, m))
                return true;
        caller = service_caller_uid(service, m);
        return caller == 0 || caller == uid;
}
