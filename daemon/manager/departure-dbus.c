/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "api/private.h"
#include "daemon/common/log.h"
#include "daemon/manager/creation-dbus.h"
#include "daemon/manager/departure-dbus.h"
#include "daemon/manager/error-dbus.h"
#include "daemon/manager/link-dbus.h"
#include "daemon/manager/manager.h"
#include "daemon/manager/relay-dbus.h"
#include "daemon/manager/runtime-dir.h"
#include "daemon/manager/unit-dbus.h"
#include "daemon/manager/vm-dbus.h"

#define QUIT_USEC     5000000
#define DESCRIBE_USEC 5000000

static void departure_continue(VM *vm);

static void close_link(VM *vm) {
        vm->link = link_free(vm->link);
        callers_forget_vm(vm);
}

static void clear_away(VM *vm) {
        if (vm->manager->settings.units)
                unit_forget(vm);
        else
                runtime_dir_remove(vm->manager->settings.runtime_dir, vm->instance);
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

static void departure_continue(VM *vm) {
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
        vm_set_phase(vm, VM_LEAVING);
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
        const char *option;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return error_set(error, ERROR_INVALID_ARGS, "options are a{sv}");
        if (sd_bus_message_enter_container(m, 'e', "sv") > 0 &&
            sd_bus_message_read(m, "s", &option) > 0)
                return error_set(error, ERROR_INVALID_ARGS, "%s has no option \"%s\"",
                                 sd_bus_message_get_member(m), option);
        r = sd_bus_message_new_method_return(m, &answer);
        if (r < 0)
                return r;
        departure_begin(vm, answer);
        return 1;
}

static void crash(VM *vm) {
        log_entry(LOG_ERR,
                  &(const LogFields){.vm = vm->name, .message_id = MESSAGE_VM_CRASHED},
                  "its process has died");
        if (vm->process)
                process_kill(vm->process); /* if it lives, it talks to nobody any more */
        (void)vm_set_state(vm, "crashed");
        vm_set_phase(vm, VM_CRASHED);
        if (vm->manager->bus)
                (void)sd_bus_emit_properties_changed(vm->manager->bus, vm->path,
                                                     GUESTMAP_INTERFACE_VM, "State", NULL);
}

static bool is_recognized(VM *vm, sd_bus_message *description) {
        const char *name, *id;

        if (sd_bus_message_is_method_error(description, NULL) ||
            sd_bus_message_read(description, "ssusst", &name, &id, NULL, NULL, NULL,
                                &vm->generation) < 0)
                return false;
        /* systemd has started an empty one for us: no socket is to have that behind it. */
        if (name[0] == '\0')
                (void)tell_to_quit(vm);
        return strcmp(id, vm->id) == 0;
}

static void on_description(VM *vm, sd_bus_message *reply, void *userdata) {
        if (!reply || vm->phase != VM_LIVING)
                return;
        if (is_recognized(vm, reply)) {
                vm->doubted = false;
                relay_catch_up(vm);
                return;
        }
        close_link(vm);
        crash(vm);
}

static int connect_again(VM *vm) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = creation_connect(vm);
        if (r < 0)
                return r;
        r = link_new_call(vm->link, &m, GUESTMAP_PATH_PRIVATE, GUESTMAP_INTERFACE_PRIVATE,
                          "Describe");
        return r < 0 ? r : link_call(vm->link, NULL, m, DESCRIBE_USEC, on_description, NULL);
}

/* The connection has ended: try once whether the process has, too. */
static void doubt(VM *vm) {
        if (!vm->doubted && connect_again(vm) >= 0) {
                log_vm(LOG_WARNING, vm->name, "the connection to its process was lost");
                vm->doubted = true;
                return;
        }
        if (vm->link)
                close_link(vm);
        crash(vm);
}

void departure_link_closed(VM *vm) {
        close_link(vm);
        switch (vm->phase) {
        case VM_STARTING:
                creation_failed(vm, NULL);
                break;
        case VM_LIVING:
                if (vm->orderly)
                        departure_begin(vm, NULL);
                else
                        doubt(vm);
                break;
        default:
                departure_continue(vm);
        }
}

void departure_process_ended(void *userdata, const char *how) {
        VM *vm = userdata;

        vm->process = process_free(vm->process);
        if (vm->phase == VM_LEAVING)
                departure_continue(vm);
        else
                log_vm(LOG_NOTICE, vm->name, "its process ended: %s", how);
}
