/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "api/private.h"
#include "daemon/common/log.h"
#include "daemon/manager/copy-dbus.h"
#include "daemon/manager/manager.h"
#include "daemon/manager/relay-dbus.h"
#include "daemon/manager/vm-dbus.h"

uint64_t relay_backlog(const Manager *manager) {
        uint64_t n = 0;

        (void)sd_bus_get_n_queued_write(manager->bus, &n);
        return n;
}

static int send_folded(VM *vm) {
        return sd_bus_emit_signal(vm->manager->bus, vm->path, GUESTMAP_INTERFACE_VM, "Committed",
                                  "tta(sa(ttstsu)a(ttstsu))a{sv}", vm->generation, vm->told, 0, 2,
                                  "truncated", "b", 1, "objects-changed", "b", 1);
}

static void unfold(VM *vm) {
        if (!vm->folding)
                return;
        vm->folding = false;
        if (vm->phase != VM_LIVING || vm->told == vm->generation)
                return;
        if (send_folded(vm) < 0)
                vm->folding = true;
        else
                vm->told = vm->generation;
}

/* Runs whenever the loop has done something else, such as writing to the bus. */
static int on_progress(sd_event_source *source, void *userdata) {
        Manager *manager = userdata;

        if (!manager->bus)
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        if (relay_backlog(manager) > 0)
                return 0;
        (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
        for (VM *vm = registry_first(&manager->registry); vm; vm = registry_next(vm))
                unfold(vm);
        return 0;
}

static void fold(VM *vm) {
        Manager *manager = vm->manager;
        int r = 0;

        vm->folding = true;
        stall_watch(manager);
        if (!manager->drain)
                r = sd_event_add_post(manager->event, &manager->drain, on_progress, manager);
        if (r >= 0)
                r = sd_event_source_set_enabled(manager->drain, SD_EVENT_ON);
        if (r < 0)
                log_vm(LOG_ERR, vm->name, "can't wait for the bus: %s", strerror(-r));
}

void relay_catch_up(VM *vm) {
        fold(vm);
}

void relay_restart(Manager *manager) {
        for (VM *vm = registry_first(&manager->registry); vm; vm = registry_next(vm)) {
                vm->folding = false;
                vm->told = vm->generation;
        }
}

static int pass_on(VM *vm, sd_bus_message *m) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *copy = NULL;
        sd_bus *bus = vm->manager->bus;
        int r;

        r = sd_bus_message_new_signal(bus, &copy, sd_bus_message_get_path(m),
                                      sd_bus_message_get_interface(m),
                                      sd_bus_message_get_member(m));
        if (r < 0)
                return r;
        r = sd_bus_message_rewind(m, 1);
        if (r < 0)
                return r;
        r = message_copy(copy, m);
        if (r >= 0)
                r = sd_bus_send(bus, copy, NULL);
        stall_watch(vm->manager);
        return r;
}

/* What belongs to a commit: told as long as there is room, in the order in which it comes. */
static bool pass_on_or_fold(VM *vm, sd_bus_message *m) {
        uint64_t limit = vm->manager->quotas.limits[QUOTA_SIGNALS];

        if (!vm->folding && relay_backlog(vm->manager) < limit && pass_on(vm, m) >= 0)
                return true;
        vm->n_folded++;
        fold(vm);
        return false;
}

static void relay_committed(VM *vm, sd_bus_message *m) {
        if (sd_bus_message_read(m, "t", &vm->generation) < 0)
                return;
        vm_query_later(vm);
        if (vm->phase != VM_LIVING)
                return;
        if (!vm->manager->bus || pass_on_or_fold(vm, m))
                vm->told = vm->generation;
}

/* The VM's own properties change rarely, and their changes can't be had otherwise. */
static void relay_vm_properties(VM *vm, sd_bus_message *m) {
        const char *interface;

        if (sd_bus_message_read(m, "s", &interface) >= 0 &&
            strcmp(interface, GUESTMAP_INTERFACE_VM) == 0)
                (void)vm_read_properties(vm, m);
        if (vm->manager->bus && vm->phase == VM_LIVING && pass_on(vm, m) < 0)
                log_vm(LOG_WARNING, vm->name, "can't pass a signal on");
}

static bool is_of(VM *vm, const char *path) {
        size_t n = strlen(vm->path);

        return strncmp(path, vm->path, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

void relay_signal(VM *vm, sd_bus_message *m) {
        const char *path = sd_bus_message_get_path(m);
        bool own;

        if (sd_bus_message_is_signal(m, GUESTMAP_INTERFACE_PRIVATE, "Destroyed")) {
                vm->destroyed = true;
                return;
        }
        if (!vm->path || !is_of(vm, path))
                return;
        own = strcmp(path, vm->path) == 0;
        if (own && sd_bus_message_is_signal(m, GUESTMAP_INTERFACE_VM, "Committed"))
                relay_committed(vm, m);
        else if (own && sd_bus_message_is_signal(m, "org.freedesktop.DBus.Properties",
                                                 "PropertiesChanged"))
                relay_vm_properties(vm, m);
        else if (vm->manager->bus && vm->phase == VM_LIVING)
                (void)pass_on_or_fold(vm, m);
}
