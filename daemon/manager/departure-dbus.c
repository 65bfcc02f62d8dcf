/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "api/private.h"
#include "daemon/common/log.h"
#include "daemon/manager/audit.h"
#include "daemon/manager/departure-dbus.h"
#include "daemon/manager/durable.h"
#include "daemon/manager/error-dbus.h"
#include "daemon/manager/link-dbus.h"
#include "daemon/manager/manager.h"
#include "daemon/manager/options-dbus.h"
#include "daemon/manager/spawn.h"
#include "daemon/manager/unit-dbus.h"
#include "daemon/manager/vm-dbus.h"

#define QUIT_USEC 5000000

static void close_link(VM *vm) {
        vm->link = link_free(vm->link);
        callers_forget_vm(vm);
}

static void clear_away(VM *vm) {
        bool forever = vm->durable && vm->destroyed;

        if (vm->manager->settings.units)
                unit_forget(vm);
        else
                spawn_remove(vm);
        if (forever && vm->manager->settings.units)
                unit_clean(vm);
        if (forever)
                durable_remove(vm->manager->settings.state_dir, vm->instance);
}

static void finish(VM *vm) {
        if (vm->instance)
                clear_away(vm);
        if (vm->answer)
                (void)sd_bus_message_send(vm->answer);
        if (vm->announced)
                vm_announce_removal(vm);
        vm_free(vm);
}

static void on_unit_stopped(VM *vm, const char *result) {
        if (strcmp(result, "done") != 0)
                log_vm(LOG_WARNING, vm->name, "a unit of its was not stopped: %s", result);
        vm->jobs--;
        departure_continue(vm);
}

static void stop_unit(VM *vm, const char *type) {
        int r;

        r = unit_stop(vm, type, on_unit_stopped);
        if (r >= 0)
                vm->jobs++;
        else
                log_vm(LOG_WARNING, vm->name, "can't stop its %s: %s", type, strerror(-r));
}

void departure_continue(VM *vm) {
        if (vm->link || vm->process || vm->jobs > 0)
                return;
        if (vm->manager->settings.units && !vm->stopped) {
                vm->stopped = true;
                stop_unit(vm, "service");
                stop_unit(vm, "socket");
                if (vm->jobs > 0)
                        return;
        }
        finish(vm);
}

/* It does not end by itself. */
static void force(VM *vm) {
        if (vm->process)
                process_kill(vm->process);
        close_link(vm);
        departure_continue(vm);
}

static int on_overdue(sd_event_source *source, uint64_t usec, void *userdata) {
        VM *vm = userdata;

        log_vm(LOG_WARNING, vm->name, "its process does not quit, ending it");
        force(vm);
        return 0;
}

static void on_quit(VM *vm, sd_bus_message *reply, void *userdata) {
        /* What counts is that the process ends. */
}

static int tell_to_quit(VM *vm) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = link_new_call(vm->link, &m, GUESTMAP_PATH_PRIVATE, GUESTMAP_INTERFACE_PRIVATE, "Quit");
        if (r < 0)
                return r;
        return link_call(vm->link, NULL, m, LINK_NEVER, on_quit, NULL);
}

void departure_begin(VM *vm, sd_bus_message *answer) {
        int r = 0;

        vm->answer = answer;
        vm->retry = sd_event_source_disable_unref(vm->retry);
        vm->timer = sd_event_source_disable_unref(vm->timer);
        unit_cancel(vm);
        vm_set_phase(vm, VM_LEAVING);
        held_refuse(vm, "it is being destroyed");
        if (vm->link)
                r = tell_to_quit(vm);
        if (r >= 0 && (vm->link || vm->process))
                r = sd_event_add_time_relative(vm->manager->event, &vm->timer, CLOCK_MONOTONIC,
                                               QUIT_USEC, 0, on_overdue, vm);
        if (r < 0)
                force(vm);
        else
                departure_continue(vm);
}

int departure_method(VM *vm, sd_bus_message *m, sd_bus_error *error) {
        sd_bus_message *answer = NULL;
        int r;

        r = options_read_none(m, error);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_return(m, &answer);
        if (r < 0)
                return r;
        audit_answered(vm->manager, vm->name, m, NULL, NULL, NULL);
        vm->destroyed = true;
        departure_begin(vm, answer);
        return 1;
}
