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

/* A durable VM that was not destroyed is to come back. */
static bool goes_for_good(const VM *vm) {
        return vm->destroyed || !vm->durable;
}

static void clear_away(VM *vm) {
        if (!vm->manager->settings.units)
                spawn_remove(vm);
        if (vm->durable && goes_for_good(vm))
                durable_remove(vm->manager->settings.state_dir, vm->instance);
}

static void finish(VM *vm) {
        Manager *manager = vm->manager;

        if (vm->instance)
                clear_away(vm);
        if (vm->answer)
                (void)sd_bus_message_send(vm->answer);
        if (vm->announced)
                vm_announce_removal(vm);
        if (goes_for_good(vm))
                vm_free(vm);
        else
                vm_rest(vm);
        ration_reconsider(manager);
}

static void on_job(VM *vm, const char *result) {
        vm->jobs--;
        departure_continue(vm);
}

/* `r` is what came of asking for it. */
static void await_job(VM *vm, int r, const char *what) {
        if (r >= 0)
                vm->jobs++;
        else
                log_vm(LOG_WARNING, vm->name, "%s: %s", what, strerror(-r));
}

static void on_unit_stopped(VM *vm, const char *result) {
        if (strcmp(result, "done") != 0)
                log_vm(LOG_WARNING, vm->name, "a unit of its was not stopped: %s", result);
        on_job(vm, result);
}

static void stop_units(VM *vm) {
        await_job(vm, unit_stop(vm, "service", on_unit_stopped), "can't stop its service");
        await_job(vm, unit_stop(vm, "socket", on_unit_stopped), "can't stop its socket");
}

static void forget_failure(VM *vm) {
        await_job(vm, unit_forget(vm, on_job), "can't have systemd forget it");
}

static void clean(VM *vm) {
        if (goes_for_good(vm))
                await_job(vm, unit_clean(vm, on_job), "can't remove what is stored of it");
}

/* What is done with its units, one after the other. */
static void (*const steps[])(VM *vm) = {stop_units, forget_failure, clean};

void departure_continue(VM *vm) {
        while (!vm->link && !vm->process && vm->jobs == 0) {
                if (!vm->manager->settings.units || vm->step == ELEMENTS_OF(steps)) {
                        finish(vm);
                        return;
                }
                steps[vm->step++](vm);
        }
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

/* If guestmapd ends before it has gone, the next one is not to bring it back, or to miss it. */
static void unmake(VM *vm) {
        int r;

        if (!vm->durable)
                return;
        vm->unmade = true;
        r = durable_add(vm->manager->settings.state_dir, vm);
        if (r < 0)
                log_vm(LOG_WARNING, vm->name, "can't remember that it is destroyed: %s",
                       strerror(-r));
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
        vm_take_request(vm, m);
        audit_call(vm->manager, vm->requester, vm->request, NULL);
        vm->destroyed = true;
        unmake(vm);
        departure_begin(vm, answer);
        return 1;
}
