/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <string.h>
#include <sys/inotify.h>

#include "api/private.h"
#include "daemon/common/log.h"
#include "daemon/manager/creation-dbus.h"
#include "daemon/manager/departure-dbus.h"
#include "daemon/manager/durable.h"
#include "daemon/manager/forward.h"
#include "daemon/manager/link-dbus.h"
#include "daemon/manager/manager.h"
#include "daemon/manager/recovery-dbus.h"
#include "daemon/manager/relay-dbus.h"
#include "daemon/manager/runtime-dir.h"
#include "daemon/manager/spawn.h"
#include "daemon/manager/unit-dbus.h"
#include "daemon/manager/vm-dbus.h"

#define RETRY_USEC    20000
#define RETRY_DOUBLED 6 /* times, to a bit more than a second */

static void look(VM *vm);
static void on_description(VM *vm, sd_bus_message *reply, void *userdata);

static void signal_state(VM *vm) {
        if (vm->manager->bus && vm->phase != VM_STARTING)
                (void)sd_bus_emit_properties_changed(vm->manager->bus, vm->path,
                                                     GUESTMAP_INTERFACE_VM, "State", "Lost", NULL);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        VM *vm = userdata;

        vm->retry = sd_event_source_disable_unref(vm->retry);
        look(vm);
        return 0;
}

static void look_later(VM *vm) {
        uint64_t usec = (uint64_t)RETRY_USEC << MIN_OF(vm->attempts, RETRY_DOUBLED);
        int r;

        vm->attempts++;
        vm->retry = sd_event_source_disable_unref(vm->retry);
        r = sd_event_add_time_relative(vm->manager->event, &vm->retry, CLOCK_MONOTONIC, usec, 0,
                                       on_retry, vm);
        if (r < 0)
                log_vm(LOG_ERR, vm->name, "can't wait for its process: %s", strerror(-r));
}

static void look_again(VM *vm) {
        vm->link = link_free(vm->link);
        look_later(vm);
}

/* What nobody can be told of by name is forgotten. Its files stay. */
static void give_up(VM *vm, const char *why) {
        log_warning("%s/%s: %s", vm->manager->settings.runtime_dir, vm->instance, why);
        vm_free(vm);
}

static void settle_as_crashed(VM *vm, const char *why) {
        vm_set_reason(vm, why);
        log_entry(LOG_ERR, &(const LogFields){.vm = vm->name, .message_id = MESSAGE_VM_CRASHED},
                  "%s", why);
        (void)vm_set_state(vm, "crashed");
        vm_set_phase(vm, VM_CRASHED);
        signal_state(vm);
        held_refuse(vm, why);
        ration_reconsider(vm->manager);
}

/* It does not come back. */
static void crash(VM *vm, const char *why) {
        vm->link = link_free(vm->link);
        vm->retry = sd_event_source_disable_unref(vm->retry);
        if (vm->process)
                process_kill(vm->process); /* if it lives, it talks to nobody any more */
        if (!vm->path) {
                give_up(vm, why);
                return;
        }
        if (vm->manager->settings.units)
                unit_drop(vm, "socket"); /* or whoever connects starts it again */
        settle_as_crashed(vm, why);
}

/* Who asked for it was not told, but it is there. */
static void confirm(VM *vm) {
        int r;

        r = durable_confirm(vm->manager->settings.state_dir, vm);
        if (r < 0)
                log_vm(LOG_WARNING, vm->name, "can't remember that it was made: %s", strerror(-r));
}

/* Of a VM that is found before guestmapd serves an earlier one has told. */
static void found(VM *vm) {
        bool early = !vm->manager->settled, is_news = !vm->announced && !early;

        if (vm->phase == VM_RECOVERING) {
                vm->n_recoveries++;
                log_entry(LOG_NOTICE,
                          &(const LogFields){.vm = vm->name,
                                             .message_id = MESSAGE_VM_RECOVERED,
                                             .has_generation = true,
                                             .generation = vm->generation},
                          "is back, at generation %" PRIu64, vm->generation);
        }

        confirm(vm);
        if (early)
                vm->told = vm->generation;
        vm->announced = true;
        vm->attempts = 0;
        signal_state(vm);
        vm_set_phase(vm, VM_LIVING);
        if (is_news)
                vm_announce(vm);
        ration_reconsider(vm->manager);
        relay_catch_up(vm);
        forward_held(vm);
}

/* Whether it no longer matters what its process says: there is none, or it is told to quit. */
static bool is_past(const VM *vm, sd_bus_message *reply) {
        return !reply || vm->phase == VM_LEAVING;
}

static void on_properties(VM *vm, sd_bus_message *reply, void *userdata) {
        if (is_past(vm, reply))
                return;
        if (vm_read_reply(vm, reply))
                found(vm);
        else
                look_again(vm);
}

static void ask_properties(VM *vm) {
        if (vm_query(vm, on_properties, NULL) < 0)
                look_again(vm);
}

static void ask_who(VM *vm) {
        if (vm_ask_description(vm, LINK_NEVER, on_description) < 0)
                look_again(vm);
}

static void on_offered(VM *vm, sd_bus_message *reply, void *userdata) {
        if (is_past(vm, reply))
                return;
        if (sd_bus_message_is_method_error(reply, NULL))
                log_vm(LOG_WARNING, vm->name, "its process does not offer what it has stored: %s",
                       sd_bus_message_get_error(reply)->message);
        vm->unoffered = false;
        ask_who(vm);
}

/* Before anybody is told that it is there: from then on it is to survive its process. */
static void ask_offer(VM *vm) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = link_new_call(vm->link, &m, GUESTMAP_PATH_PRIVATE, GUESTMAP_INTERFACE_PRIVATE, "Offer");
        if (r >= 0)
                r = link_call(vm->link, NULL, m, LINK_NEVER, on_offered, NULL);
        if (r < 0)
                look_again(vm);
}

/* Clients know it by what its socket is called (read_salvaged()), which may be its name. */
static bool learn_identity(VM *vm, const char *name, const char *id, uint32_t owner) {
        if (vm->announced && strcmp(vm->name, name) != 0) {
                vm_announce_removal(vm);
                vm->announced = false;
        }
        vm_forget_identity(vm);
        vm->owner = owner;
        return vm_name_is_valid(name) && vm_set_identity(vm, name, id) >= 0;
}

static bool read_identity(VM *vm, const char *name, const char *id, uint32_t owner) {
        if (vm->path)
                return vm->id[0] ? strcmp(vm->id, id) == 0 : learn_identity(vm, name, id, owner);
        vm->owner = owner;
        return vm_name_is_valid(name) && vm_set_identity(vm, name, id) >= 0;
}

/*
 * A process that has not been set up is of no use to anybody: guestmapd ended before it could do
 * that, or was not there when somebody destroyed the VM. Nor is memory that it has of a VM of which
 * nobody was told that it is there.
 */
static void on_empty(VM *vm, const char *state) {
        if (vm->path && !vm->unmade && strcmp(state, "destroyed") != 0) {
                crash(vm, "its process has come back without it");
                return;
        }
        vm->destroyed = true;
        departure_begin(vm, NULL);
}

/*
 * Its process can say that it is there, and no more: so it is root's, until it is mended, and has
 * the name of its socket, where that was made from its ID one that no other VM can have.
 */
static bool read_salvaged(VM *vm, const char *name, const char *id, uint32_t owner) {
        if (name[0])
                return read_identity(vm, name, id, owner);
        return vm->path || vm_set_identity(vm, vm->instance, "") >= 0;
}

/* Its process stays for the memory that it has, salvage-dbus.h. */
static void on_salvaged(VM *vm, const char *why) {
        bool is_news = !vm->announced && vm->manager->settled;
        char text[1024];

        if (vm->unoffered) {
                ask_offer(vm);
                return;
        }
        vm->attempts = 0;
        vm->announced = true;
        snprintf(text, sizeof(text), "its process can't restore it, and has its memory%s%s",
                 why[0] ? ": " : "", why);
        settle_as_crashed(vm, text);
        if (is_news)
                vm_announce(vm);
}

/* The rest of a description. A process of an older version does not say why. */
static void read_salvage(VM *vm, sd_bus_message *reply, uint64_t generation) {
        const char *why = "";

        (void)sd_bus_message_read(reply, "s", &why);
        vm->generation = generation > 0 ? generation : vm->generation;
        on_salvaged(vm, why);
}

static void on_description(VM *vm, sd_bus_message *reply, void *userdata) {
        const char *name, *id, *state;
        uint64_t generation;
        uint32_t owner;

        if (is_past(vm, reply))
                return;
        if (sd_bus_message_is_method_error(reply, NULL) ||
            sd_bus_message_read(reply, "ssusst", &name, &id, &owner, NULL, &state, &generation) < 0)
                crash(vm, "what serves its socket does not say which VM it is");
        else if (name[0] == '\0' && (vm->unmade || strcmp(state, "crashed") != 0))
                on_empty(vm, state);
        else if (strcmp(state, "crashed") == 0 && read_salvaged(vm, name, id, owner))
                read_salvage(vm, reply, generation);
        else if (!read_identity(vm, name, id, owner))
                crash(vm, "what serves its socket is another VM");
        else if (vm->unoffered)
                ask_offer(vm);
        else
                ask_properties(vm);
}

int recovery_connect(VM *vm) {
        int fd, r;

        r = runtime_dir_connect(vm->manager->settings.runtime_dir, vm->instance, &fd);
        if (r < 0)
                return r;
        r = link_new(&vm->link, vm, fd, relay_signal, recovery_link_closed);
        return r < 0 ? r : ration_begin(vm);
}

/* No time-out: a process may have much to recover, and one that ends is heard of. */
static int connect_and_ask(VM *vm) {
        int r;

        r = recovery_connect(vm);
        if (r >= 0 && !vm->manager->settings.units)
                r = spawn_adopt(vm);
        return r < 0 ? r : vm_ask_description(vm, LINK_NEVER, on_description);
}

/* It did not run, and is to: what is left of its socket is in the way. */
static int run_again(VM *vm) {
        int r;

        runtime_dir_remove(vm->manager->settings.runtime_dir, vm->instance);
        r = spawn_start(vm);
        return r < 0 ? r : connect_and_ask(vm);
}

static bool nobody_listens(int r) {
        return r == -ECONNREFUSED || r == -ENOENT;
}

static void look_for_process(VM *vm) {
        int r;

        r = vm->manager->owner ? connect_and_ask(vm) : -ENOTCONN;
        if (nobody_listens(r) && !vm->process && !vm->manager->settings.units)
                r = run_again(vm);
        if (r < 0)
                look_again(vm);
}

static void on_unit_started(VM *vm, const char *result) {
        look_later(vm);
}

/* Whoever wants it to run again has guestmapd start, or the machine. */
static void on_unit_inactive(VM *vm) {
        if (!vm->durable || !vm->awaited || vm->started) {
                departure_begin(vm, NULL);
                return;
        }
        vm->started = true;
        if (unit_start(vm, on_unit_started) < 0)
                look_later(vm);
}

static void on_unit(VM *vm, const char *state) {
        if (strcmp(state, "active") == 0)
                look_for_process(vm);
        else if (strcmp(state, "inactive") == 0)
                on_unit_inactive(vm);
        else if (strcmp(state, "failed") == 0)
                crash(vm, "its unit has failed");
        else
                look_later(vm);
}

/* To connect to a unit's socket is to start the unit: first look whether it is to run. */
static void look(VM *vm) {
        if (!vm->manager->settings.units || !vm->manager->owner)
                look_for_process(vm);
        else if (unit_look(vm, on_unit) < 0)
                look_later(vm);
}

static void lose(VM *vm) {
        log_entry(LOG_WARNING, &(const LogFields){.vm = vm->name, .message_id = MESSAGE_VM_LOST},
                  "the connection to its process was lost");
        (void)vm_set_state(vm, "recovering");
        vm_set_phase(vm, VM_RECOVERING);
        signal_state(vm);
        look_later(vm);
}

void recovery_link_closed(VM *vm) {
        bool created = vm->phase == VM_STARTING && vm->request;

        vm->link = link_free(vm->link);
        callers_forget_vm(vm);
        if (vm->phase == VM_LEAVING)
                departure_continue(vm);
        else if (created)
                creation_failed(vm, NULL);
        else if (vm->destroyed)
                departure_begin(vm, NULL);
        else if (vm->phase == VM_LIVING || vm->phase == VM_CRASHED)
                lose(vm);
        else
                look_later(vm);
}

void recovery_process_ended(void *userdata, const char *how) {
        VM *vm = userdata;

        vm->process = process_free(vm->process);
        if (vm->phase == VM_LEAVING) {
                departure_continue(vm);
                return;
        }
        log_vm(LOG_NOTICE, vm->name, "its process ended: %s", how);
}

static int on_idle(sd_event_source *source, void *userdata) {
        VM *vm = userdata;

        vm->retry = sd_event_source_disable_unref(vm->retry);
        look_for_process(vm);
        return 0;
}

/*
 * When those that were looked for before have nothing to say: each turn of the loop goes through
 * all that is to be read, and for a thousand VMs at once that would take longer than all else.
 */
static int look_when_idle(VM *vm) {
        int r;

        r = sd_event_add_defer(vm->manager->event, &vm->retry, on_idle, vm);
        return r < 0 ? r : sd_event_source_set_priority(vm->retry, SD_EVENT_PRIORITY_IDLE);
}

/* Clients know of it, unless it may not have been made. */
static int show(VM *vm) {
        int r;

        r = vm_set_state(vm, "recovering");
        if (r < 0 || vm->unmade)
                return r;
        vm->announced = true;
        vm_set_phase(vm, VM_RECOVERING);
        return 0;
}

static int on_durable(const DurableVM *durable, void *userdata) {
        _cleanup_(vm_freep) VM *vm = NULL;
        int r;

        r = vm_new(&vm, userdata);
        if (r < 0)
                return r;
        vm_await(vm);
        vm->durable = true;
        vm->unmade = durable->unmade;
        vm->owner = durable->owner;
        vm->instance = strdup(durable->instance);
        if (!vm->instance)
                return -ENOMEM;
        r = vm_set_identity(vm, durable->name, durable->id);
        if (r < 0) {
                log_warning("%s/%s: is not what VM \"%s\" would be called",
                            vm->manager->settings.state_dir, durable->instance, durable->name);
                return 0;
        }
        r = show(vm);
        if (r >= 0)
                r = look_when_idle(vm);
        if (r < 0)
                return r;
        TAKE_PTR(vm);
        return 0;
}

static int on_socket(const char *instance, void *userdata) {
        _cleanup_(vm_freep) VM *vm = NULL;
        Manager *manager = userdata;
        int r;

        if (durable_has(manager->settings.state_dir, instance))
                return 0;
        r = vm_new(&vm, manager);
        if (r < 0)
                return r;
        vm_await(vm);
        vm->instance = strdup(instance);
        if (!vm->instance)
                return -ENOMEM;
        r = look_when_idle(vm);
        if (r < 0)
                return r;
        TAKE_PTR(vm);
        return 0;
}

/* Somebody else has started the unit of one that was stopped. */
static int on_socket_made(sd_event_source *source, const struct inotify_event *event,
                          void *userdata) {
        Manager *manager = userdata;
        VM *vm;

        cds_list_for_each_entry(vm, &manager->vms, siblings)
                if (vm->phase == VM_STOPPED && event->len > 0 &&
                    strcmp(vm->instance, event->name) == 0) {
                        vm_set_phase(vm, VM_STARTING);
                        look_for_process(vm);
                        break;
                }
        return 0;
}

static int watch_sockets(Manager *manager) {
        if (!manager->settings.units)
                return 0;
        return sd_event_add_inotify(manager->event, &manager->sockets,
                                    manager->settings.runtime_dir, IN_CREATE, on_socket_made,
                                    manager);
}

int recovery_find(Manager *manager) {
        int r;

        r = watch_sockets(manager);
        if (r < 0)
                return r;
        r = durable_scan(manager->settings.state_dir, on_durable, manager);
        if (r < 0)
                return r;
        return runtime_dir_scan(manager->settings.runtime_dir, on_socket, manager);
}
