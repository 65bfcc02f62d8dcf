/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/common/log.h"
#include "daemon/vm/fd-store.h"
#include "daemon/vm/restore-dbus.h"
#include "daemon/vm/service-dbus.h"
#include "daemon/vm/vcpu-file.h"

#define RETRY_USEC    UINT64_C(1000000)
#define RETRY_MAX     UINT64_C(60000000)
#define RETRY_DOUBLED 6 /* times, beyond the maximum */

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata);

static void tell_recovered(const Recovered *recovered) {
        const VM *vm = recovered->vm;
        const char *name = vm->name;

        log_vm(LOG_NOTICE, name, "recovered at generation %" PRIu64 "%s", vm->map->generation,
               vm->lost ? ", not all of it" : "");
        if (recovered->torn > 0)
                log_vm(LOG_WARNING, name, "journal: %s; cut off", recovered->where.text);
        if (recovered->dropped.text[0])
                log_vm(LOG_WARNING, name, "the last commit is not repeated: %s",
                       recovered->dropped.text);
}

static int serve_recovered(Service *service, VM *vm) {
        Detail detail = {};
        int r;

        vm->ration = &service->ration.ration;
        ration_settle(vm->ration, vm->map->ram_bytes);
        r = service_take_vm(service, vm);
        if (r == 0)
                r = vcpu_file_load(vm, &detail);
        if (r == 0 && detail.text[0])
                log_vm(LOG_WARNING, vm->name, "vCPUs are lost: %s", detail.text);
        return r;
}

static void hang_up(Service *service) {
        Connection *connection, *next;

        cds_list_for_each_entry_safe(connection, next, &service->connections, link)
                connection_free(connection);
}

static int retry_later(Service *service) {
        Salvage *salvage = service->salvage;
        uint64_t usec = MIN_OF(RETRY_USEC << MIN_OF(salvage->attempts, RETRY_DOUBLED), RETRY_MAX);

        salvage->attempts++;
        salvage->retry = sd_event_source_disable_unref(salvage->retry);
        return sd_event_add_time_relative(service->event, &salvage->retry, CLOCK_MONOTONIC, usec, 0,
                                          on_retry, service);
}

/* The same reason as before is told once. */
static int tell_failed(Service *service, const Recovered *recovered, const Detail *why) {
        Salvage *salvage = service->salvage;

        if (salvage && strcmp(salvage->why.text, why->text) == 0)
                return 0;
        log_vm(LOG_ERR, recovered->name[0] ? recovered->name : NULL, "cannot recover: %s",
               why->text);
        hang_up(service);
        status_changed(&service->status);
        if (!salvage)
                return salvage_new(&service->salvage, service, why);
        salvage->why = *why;
        return 0;
}

/* Takes the VM of `recovered`. */
static int fail(Service *service, Recovered *recovered, int outcome, Detail *why) {
        int r;

        if (outcome < 0)
                (void)detail_set(why, 0, "%s", strerror(-outcome));
        r = tell_failed(service, recovered, why);
        if (r < 0) {
                vm_free(recovered->vm);
                return r;
        }
        vm_free(service->salvage->vm);
        service->salvage->vm = recovered->vm;
        return outcome == VM_E_DAMAGED ? 0 : retry_later(service);
}

int restore_vm(Service *service) {
        Recovered recovered;
        Detail why = {};
        int r;

        r = recover(&recovered, &service->places, service->store, &why);
        if (r != 0)
                return fail(service, &recovered, r, &why);
        hang_up(service);
        service->salvage = salvage_free(service->salvage);
        service->was_destroyed = recovered.destroyed;
        if (recovered.vm) {
                tell_recovered(&recovered);
                r = serve_recovered(service, recovered.vm);
        }
        if (r == 0)
                fd_store_end_recovery(service->store);
        return r;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        Service *service = userdata;

        if (restore_vm(service) != 0)
                return sd_event_exit(service->event, EXIT_FAILURE);
        return 0;
}
