/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>
#include <systemd/sd-id128.h>

#include "api/private.h"
#include "daemon/manager/audit.h"
#include "daemon/manager/creation-dbus.h"
#include "daemon/manager/creation-options-dbus.h"
#include "daemon/manager/departure-dbus.h"
#include "daemon/manager/durable.h"
#include "daemon/manager/error-dbus.h"
#include "daemon/manager/link-dbus.h"
#include "daemon/manager/manager.h"
#include "daemon/manager/quota.h"
#include "daemon/manager/recovery-dbus.h"
#include "daemon/manager/spawn.h"
#include "daemon/manager/unit-dbus.h"
#include "daemon/manager/vm-dbus.h"

/* A unit may take 10 s more to stop, and D-Bus clients wait for 25 s. */
#define START_USEC 14000000

static const sd_bus_error caller_left = SD_BUS_ERROR_MAKE_CONST(
        SD_BUS_ERROR_DISCONNECTED, "the caller left before the VM was there; it had no effect");

void creation_failed(VM *vm, const sd_bus_error *error) {
        _cleanup_(sd_bus_error_free) sd_bus_error ended = SD_BUS_ERROR_NULL;
        sd_bus_message *answer = NULL;

        if (!error) {
                error_set(&ended, GUESTMAP_ERROR_VM_GONE,
                          "VM \"%s\": its process ended before it was set up", vm->name);
                error = &ended;
        }
        if (vm->request) {
                audit_call(vm->manager, vm->requester, vm->request, error);
                (void)sd_bus_message_new_method_error(vm->request, &answer, error);
        }
        vm->destroyed = true;
        departure_begin(vm, answer);
}

static void failed_errno(VM *vm, int r, const char *what) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        sd_bus_error_set_errnof(&error, r, "VM \"%s\": %s: %s", vm->name, what, strerror(-r));
        creation_failed(vm, &error);
}

/* What was asked before it failed may be answered after that. */
static bool is_over(const VM *vm, const sd_bus_message *reply) {
        return !reply || vm->phase != VM_STARTING;
}

/* The first properties are there: it can be shown. */
static void on_first_properties(VM *vm, sd_bus_message *reply, void *userdata) {
        if (is_over(vm, reply))
                return;
        if (!vm_read_reply(vm, reply)) {
                failed_errno(vm, -EIO, "its process does not tell its properties");
                return;
        }
        vm_set_phase(vm, VM_LIVING);
        audit_call(vm->manager, vm->requester, vm->request, NULL);
        (void)sd_bus_reply_method_return(vm->request, "o", vm->path);
        vm_drop_messages(vm);
        vm_announce(vm);
}

static void ask_first_properties(VM *vm) {
        int r;

        r = vm_query(vm, on_first_properties, NULL);
        if (r < 0)
                failed_errno(vm, r, "can't ask its process");
}

static int set_not_remembered(const VM *vm, int r, sd_bus_error *error) {
        const char *dir = vm->manager->settings.state_dir;

        if (r == -ENOSPC || r == -EDQUOT || r == -EFBIG)
                return error_set(error, GUESTMAP_ERROR_NO_SPACE, "VM \"%s\": %s: %s", vm->name, dir,
                                 strerror(-r));
        return sd_bus_error_set_errnof(error, r, "VM \"%s\": can't remember it in %s: %s", vm->name,
                                       dir, strerror(-r));
}

static void not_remembered(VM *vm, int r) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        (void)set_not_remembered(vm, r, &error);
        creation_failed(vm, &error);
}

static void on_setup(VM *vm, sd_bus_message *reply, void *userdata) {
        int r;

        if (is_over(vm, reply))
                return;
        if (sd_bus_message_is_method_error(reply, NULL)) {
                creation_failed(vm, sd_bus_message_get_error(reply));
                return;
        }
        r = durable_confirm(vm->manager->settings.state_dir, vm);
        if (r < 0)
                not_remembered(vm, r);
        else
                ask_first_properties(vm);
}

/* A layout may bring memory that takes as long as it takes; who asked may leave. */
static int set_up(VM *vm) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        CreationOptions options;
        int r;

        r = sd_bus_message_rewind(vm->request, 1);
        if (r < 0)
                return r;
        r = creation_options_read(&options, vm->request, NULL);
        if (r < 0)
                return r;
        r = link_new_call(vm->link, &m, GUESTMAP_PATH_PRIVATE, GUESTMAP_INTERFACE_PRIVATE, "Setup");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "ssu", vm->name, vm->id, vm->owner);
        if (r < 0)
                return r;
        r = creation_options_append(&options, &vm->manager->quotas, m);
        return r < 0 ? r : link_call(vm->link, NULL, m, LINK_NEVER, on_setup, NULL);
}

static void on_first_answer(VM *vm, sd_bus_message *reply, void *userdata) {
        int r;

        if (is_over(vm, reply))
                return;
        vm->timer = sd_event_source_disable_unref(vm->timer);
        if (sd_bus_message_is_method_error(reply, NULL)) {
                creation_failed(vm, sd_bus_message_get_error(reply));
                return;
        }
        r = set_up(vm);
        if (r < 0)
                failed_errno(vm, r, "can't talk to its process");
}

/* The first call carries no descriptor: to send one sd-bus would wait until the process answers. */
static void begin_setup(VM *vm) {
        int r;

        r = recovery_connect(vm);
        if (r >= 0)
                r = vm_ask_description(vm, LINK_NEVER, on_first_answer);
        if (r < 0)
                failed_errno(vm, r, "can't talk to its process");
}

static bool is_denial(const char *result) {
        return strcmp(result, SD_BUS_ERROR_ACCESS_DENIED) == 0 ||
               strcmp(result, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED) == 0;
}

static void unit_failed(VM *vm, const char *result) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        char unit[UNIT_NAME_MAX];

        unit_name(vm, "service", unit);
        if (is_denial(result))
                sd_bus_error_setf(&error, SD_BUS_ERROR_FAILED,
                                  "Failed: VM \"%s\": its unit %s: %s; guestmapd may start it by "
                                  "polkit's rule, or as root where there is no polkit: "
                                  "guestmapd(8), WITHOUT POLKIT",
                                  vm->name, unit, result);
        else
                sd_bus_error_setf(&error, SD_BUS_ERROR_FAILED,
                                  "Failed: VM \"%s\": its unit %s: %s; "
                                  "\"journalctl --unit=%s\" may say more",
                                  vm->name, unit, result, unit);
        creation_failed(vm, &error);
}

/* It is not told to quit: it would not hear. */
static int on_overdue(sd_event_source *source, uint64_t usec, void *userdata) {
        VM *vm = userdata;

        vm->link = link_free(vm->link);
        if (vm->process)
                process_kill(vm->process);
        if (vm->manager->settings.units)
                unit_failed(vm, "does not answer");
        else
                failed_errno(vm, -ETIMEDOUT, "its process does not answer");
        return 0;
}

/* systemd would start it again for ever, and for a VM that has been that is right. */
static void on_unit_started(VM *vm, const char *result) {
        if (strcmp(result, "done") == 0)
                begin_setup(vm);
        else if (strcmp(result, "failed") != 0 || unit_ask_result(vm, unit_failed) < 0)
                unit_failed(vm, result);
}

/* From here on failures are told by creation_failed(). */
static int begin(VM *vm, sd_bus_error *error) {
        int r;

        r = sd_event_add_time_relative(vm->manager->event, &vm->timer, CLOCK_MONOTONIC, START_USEC,
                                       0, on_overdue, vm);
        if (r < 0)
                return r;
        /* Before its process, so that none is there that guestmapd would not know for durable. */
        if (vm->durable) {
                r = durable_add(vm->manager->settings.state_dir, vm);
                if (r < 0)
                        return set_not_remembered(vm, r, error);
        }
        if (vm->manager->settings.units)
                return unit_start(vm, on_unit_started);
        r = spawn_start(vm);
        if (r >= 0)
                begin_setup(vm);
        return r;
}

/* Whoever wanted no answer has not left for want of one. */
static bool is_wanted_by(const VM *vm, const char *client) {
        return vm->phase == VM_STARTING && vm->request &&
               sd_bus_message_get_expect_reply(vm->request) > 0 &&
               strcmp(sd_bus_message_get_sender(vm->request), client) == 0;
}

void creation_client_left(Manager *manager, const char *client) {
        VM *vm, *next;

        cds_list_for_each_entry_safe(vm, next, &manager->vms, siblings)
                if (is_wanted_by(vm, client))
                        creation_failed(vm, &caller_left);
}

static int new_vm(VM **ret, Manager *manager, const CreationOptions *options, uint32_t owner) {
        _cleanup_(vm_freep) VM *vm = NULL;
        char id[VM_ID_LENGTH + 1];
        sd_id128_t random;
        int r;

        r = sd_id128_randomize(&random);
        if (r < 0)
                return r;
        r = vm_new(&vm, manager);
        if (r < 0)
                return r;
        r = vm_set_identity(vm, options->name, sd_id128_to_string(random, id));
        if (r < 0)
                return r;
        vm->owner = owner;
        vm->durable = vm->unmade = options->durable;
        vm->ration.is_known = true; /* it has nothing yet */
        *ret = TAKE_PTR(vm);
        return 0;
}

/* The owner is the caller, unless root says otherwise. */
static int choose_owner(Caller *caller, const CreationOptions *options, uint32_t *ret,
                        sd_bus_error *error) {
        *ret = options->has_owner ? options->owner : caller->uid;
        if (*ret == caller->uid || caller->uid == 0)
                return 0;
        return error_set(error, ERROR_ACCESS_DENIED,
                         "VM \"%s\": uid %u may not give it to %u, only root may", options->name,
                         caller->uid, options->owner);
}

static size_t count_vms_of(Manager *manager, uint32_t owner) {
        size_t n = 0;

        for (VM *vm = registry_first(&manager->registry); vm; vm = registry_next(vm))
                n += vm->owner == owner;
        return n;
}

static int check_room(Manager *manager, const char *name, uint32_t owner, sd_bus_error *error) {
        const Quotas *quotas = &manager->quotas;
        const VM *other = registry_find(&manager->registry, name);
        Detail detail;

        if (other)
                return error_set(error, GUESTMAP_ERROR_VM_EXISTS, "there is a VM \"%s\"%s", name,
                                 other->phase == VM_STOPPED ? ", which is durable, and stopped"
                                                            : "");
        if (quota_check(quotas, QUOTA_VMS, manager->registry.n, &detail) > 0 ||
            quota_check(quotas, QUOTA_VMS_PER_USER, count_vms_of(manager, owner), &detail) > 0)
                return error_set(error, GUESTMAP_ERROR_QUOTA_EXCEEDED, "VM \"%s\": %s", name,
                                 detail.text);
        return 0;
}

/* Whether one of its instance has not said yet who it is: to set that up would be to destroy it. */
static bool is_awaited(const VM *vm) {
        VM *other;

        cds_list_for_each_entry(other, &vm->manager->vms, siblings)
                if (other->awaited && strcmp(other->instance, vm->instance) == 0)
                        return true;
        return false;
}

int creation_method(Manager *manager, sd_bus_message *m, sd_bus_error *error) {
        _cleanup_(vm_freep) VM *vm = NULL;
        CreationOptions options;
        uint32_t owner;
        int r;

        r = creation_options_read(&options, m, error);
        if (r < 0)
                return r;
        r = choose_owner(callers_of(manager, m), &options, &owner, error);
        if (r < 0)
                return r;
        r = check_room(manager, options.name, owner, error);
        if (r < 0)
                return r;
        r = new_vm(&vm, manager, &options, owner);
        if (r < 0)
                return r;
        if (is_awaited(vm))
                return error_set(error, GUESTMAP_ERROR_VM_EXISTS,
                                 "VM \"%s\" was there, and is looked for", options.name);
        if (durable_has(manager->settings.state_dir, vm->instance))
                return error_set(error, GUESTMAP_ERROR_VM_EXISTS,
                                 "VM \"%s\" is durable, and stopped", options.name);
        vm_take_request(vm, m);
        r = begin(vm, error);
        if (r < 0 && vm->durable)
                durable_remove(manager->settings.state_dir, vm->instance);
        if (r == -EADDRINUSE)
                return error_set(error, GUESTMAP_ERROR_VM_EXISTS, "VM \"%s\" has a socket in %s",
                                 options.name, manager->settings.runtime_dir);
        if (r < 0 && !manager->settings.units)
                spawn_remove(vm);
        if (r < 0 && !sd_bus_error_is_set(error))
                r = sd_bus_error_set_errnof(error, r, "VM \"%s\": can't start its process: %s",
                                            options.name, strerror(-r));
        if (r < 0)
                return r;
        TAKE_PTR(vm);
        return 1;
}
