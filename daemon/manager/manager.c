/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <string.h>

#include "daemon/common/log.h"
#include "daemon/manager/config.h"
#include "daemon/manager/manager-dbus.h"
#include "daemon/manager/manager.h"
#include "daemon/manager/recovery-dbus.h"
#include "daemon/manager/runtime-dir.h"
#include "daemon/manager/service-dbus.h"
#include "daemon/manager/unit-dbus.h"
#include "daemon/manager/vm-dbus.h"

#define SEARCH_USEC 2000000

static void print_status(char *text, size_t size, void *userdata) {
        const Manager *manager = userdata;
        uint64_t regions = 0;
        const VM *vm;

        cds_list_for_each_entry(vm, &manager->vms, siblings)
                regions += vm->regions;
        snprintf(text, size, "%zu VM%s, %" PRIu64 " region%s", manager->registry.n,
                 manager->registry.n == 1 ? "" : "s", regions, regions == 1 ? "" : "s");
}

int manager_new(Manager **ret, const Settings *settings) {
        _cleanup_(manager_freep) Manager *manager = NULL;
        int r;

        manager = calloc(1, sizeof(*manager));
        if (!manager)
                return -ENOMEM;
        manager->settings = *settings;
        CDS_INIT_LIST_HEAD(&manager->vms);
        registry_init(&manager->registry);
        callers_init(&manager->callers);
        RB_INIT(&manager->users);
        questions_init(&manager->questions);
        CDS_INIT_LIST_HEAD(&manager->jobs);
        CDS_INIT_LIST_HEAD(&manager->listings);
        r = config_load(&manager->quotas, settings->user, settings->config);
        if (r < 0)
                return r;
        r = sd_event_default(&manager->event);
        if (r < 0)
                return r;
        audit_limit_init(&manager->audit_limit, manager->event);
        (void)sd_event_now(manager->event, CLOCK_REALTIME, &manager->start_usec);
        r = rota_init(manager);
        if (r < 0)
                return r;
        r = status_init(&manager->status, manager->event, print_status, manager);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(manager);
        return 0;
}

Manager *manager_free(Manager *manager) {
        VM *vm, *next;

        if (!manager)
                return NULL;
        manager->settled = true;
        status_say(&manager->status, "STOPPING=1");
        units_cancel(manager);
        /* While there is a bus: calls under way are answered. */
        cds_list_for_each_entry_safe(vm, next, &manager->vms, siblings) {
                vm_abandon_request(vm);
                vm_free(vm);
        }
        service_close(manager);
        audit_limit_deinit(&manager->audit_limit);
        sd_event_source_disable_unref(manager->search);
        sd_event_source_disable_unref(manager->sockets);
        sd_event_source_disable_unref(manager->drain);
        sd_event_source_disable_unref(manager->reconnect);
        status_deinit(&manager->status);
        rota_deinit(manager);
        sd_event_unref(manager->event);
        free(manager);
        return NULL;
}

/* systemd tells one reload from the next by the time. */
static void say_reloading(Status *status) {
        char message[64];

        snprintf(message, sizeof(message), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                 notify_deadline(0));
        status_say(status, message);
}

void manager_reload(Manager *manager) {
        int r;

        say_reloading(&manager->status);
        r = config_load(&manager->quotas, manager->settings.user, manager->settings.config);
        if (r < 0)
                log_error("can't read the configuration: %s", strerror(-r));
        else
                manager_tell_limits(manager);
        ration_reload(manager);
        if (manager->named)
                status_say(&manager->status, "READY=1");
}

void manager_settled(Manager *manager) {
        int r;

        if (manager->settled)
                return;
        manager->settled = true;
        manager->search = sd_event_source_disable_unref(manager->search);
        r = service_serve(manager);
        if (r < 0) {
                log_error("can't ask for a name on the bus: %s", strerror(-r));
                (void)sd_event_exit(manager->event, r);
        }
}

/* Whoever has not answered by now is found when it does. */
static int on_search_overdue(sd_event_source *source, uint64_t usec, void *userdata) {
        Manager *manager = userdata;

        log_warning("%zu VMs do not say yet who they are", manager->n_awaited);
        manager_settled(manager);
        return 0;
}

static int find(Manager *manager) {
        int r;

        r = sd_event_add_time_relative(manager->event, &manager->search, CLOCK_MONOTONIC,
                                       SEARCH_USEC, 0, on_search_overdue, manager);
        if (r < 0)
                return r;
        manager->n_awaited++;
        r = recovery_find(manager);
        if (r < 0)
                return r;
        if (--manager->n_awaited == 0)
                manager_settled(manager);
        return 0;
}

int manager_find(Manager *manager) {
        int r;

        r = runtime_dir_prepare(manager->settings.runtime_dir);
        if (r < 0) {
                log_error("%s: %s", manager->settings.runtime_dir, strerror(-r));
                return r;
        }
        r = find(manager);
        if (r < 0)
                log_error("can't search for VMs: %s", strerror(-r));
        return r;
}

int manager_start(Manager *manager) {
        int r;

        r = service_open(manager);
        if (r < 0)
                log_error("can't connect to the bus: %s", strerror(-r));
        return r;
}
