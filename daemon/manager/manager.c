/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "daemon/common/log.h"
#include "daemon/manager/config.h"
#include "daemon/manager/creation-dbus.h"
#include "daemon/manager/manager-dbus.h"
#include "daemon/manager/manager.h"
#include "daemon/manager/runtime-dir.h"
#include "daemon/manager/service-dbus.h"

static void print_status(char *text, size_t size, void *userdata) {
        const Manager *manager = userdata;
        uint64_t regions = 0;
        const VM *vm;

        cds_list_for_each_entry(vm, &manager->vms, siblings)
                regions += vm->regions;
        snprintf(text, size, "%zu VMs, %" PRIu64 " regions", manager->registry.n, regions);
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
        CDS_INIT_LIST_HEAD(&manager->jobs);
        CDS_INIT_LIST_HEAD(&manager->listings);
        r = config_load(&manager->quotas, settings->user, settings->config);
        if (r < 0)
                return r;
        r = sd_event_default(&manager->event);
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
        service_close(manager);
        cds_list_for_each_entry_safe(vm, next, &manager->vms, siblings)
                vm_free(vm);
        sd_event_source_disable_unref(manager->drain);
        sd_event_source_disable_unref(manager->reconnect);
        status_deinit(&manager->status);
        sd_event_unref(manager->event);
        free(manager);
        return NULL;
}

/* systemd tells one reload from the next by the time. */
static void notify_reloading(void) {
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                         (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void manager_reload(Manager *manager) {
        int r;

        notify_reloading();
        r = config_load(&manager->quotas, manager->settings.user, manager->settings.config);
        if (r < 0)
                log_error("can't read the configuration: %s", strerror(-r));
        else
                manager_tell_limits(manager);
        if (manager->named)
                (void)sd_notify(0, "READY=1");
}

void manager_settled(Manager *manager) {
        int r;

        if (manager->settled)
                return;
        manager->settled = true;
        r = service_open(manager);
        if (r < 0) {
                log_error("can't connect to the bus: %s", strerror(-r));
                (void)sd_event_exit(manager->event, r);
        }
}

int manager_start(Manager *manager) {
        int r;

        r = runtime_dir_prepare(manager->settings.runtime_dir);
        if (r < 0) {
                log_error("%s: %s", manager->settings.runtime_dir, strerror(-r));
                return r;
        }
        manager->n_starting++;
        r = creation_find(manager);
        if (r < 0) {
                log_error("can't search %s: %s", manager->settings.runtime_dir, strerror(-r));
                return r;
        }
        if (--manager->n_starting == 0)
                manager_settled(manager);
        return 0;
}
