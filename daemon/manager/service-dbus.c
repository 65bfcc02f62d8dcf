/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "api/names.h"
#include "daemon/common/log.h"
#include "daemon/manager/auth.h"
#include "daemon/manager/creation-dbus.h"
#include "daemon/manager/forward.h"
#include "daemon/manager/manager-dbus.h"
#include "daemon/manager/objects-dbus.h"
#include "daemon/manager/relay-dbus.h"
#include "daemon/manager/service-dbus.h"
#include "daemon/manager/unit-dbus.h"
#include "daemon/manager/vm-dbus.h"

#define RETRY_USEC 200000

/* Whoever has this one has the VMs; nobody calls it. */
#define OWNER GUESTMAP_SERVICE ".Owner"

#define LEFT_THE_BUS                                                                               \
        "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"                \
        "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg2=''"

static void retry_later(Manager *manager);

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        Manager *manager = userdata;

        manager->reconnect = sd_event_source_disable_unref(manager->reconnect);
        if (service_open(manager) < 0)
                retry_later(manager);
        return 0;
}

static void retry_later(Manager *manager) {
        int r;

        r = sd_event_add_time_relative(manager->event, &manager->reconnect, CLOCK_MONOTONIC,
                                       RETRY_USEC, 0, on_retry, manager);
        if (r < 0) {
                log_error("can't wait for the bus: %s", strerror(-r));
                (void)sd_event_exit(manager->event, r);
        }
}

/* The end of the first try is the end of guestmapd; later ones are repeated. */
static void give_up_or_retry(Manager *manager, int r, const char *what) {
        service_close(manager);
        if (manager->named) {
                retry_later(manager);
                return;
        }
        log_error("%s: %s", what, strerror(-r));
        (void)sd_event_exit(manager->event, r);
}

/* 0: it is ours now. Without queueing all else than 1 means that it is another's. */
static int read_ownership(sd_bus_message *reply) {
        uint32_t result;

        if (sd_bus_message_is_method_error(reply, NULL)) {
                log_error("%s", sd_bus_message_get_error(reply)->message);
                return -sd_bus_message_get_errno(reply);
        }
        return sd_bus_message_read(reply, "u", &result) >= 0 && result == 1 ? 0 : -EADDRINUSE;
}

/* What another does with the VMs, since this one had lost its bus, is not to be meddled with. */
static void leave_to_another(Manager *manager, uint32_t pid) {
        log_error("another guestmapd has the VMs, process %" PRIu32, pid);
        service_close(manager);
        (void)sd_event_exit(manager->event, -EADDRINUSE);
}

/* A bus that is slow to see that a connection was closed still takes it for the owner. */
static int on_rival(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Manager *manager = userdata;
        uint32_t pid;

        if (sd_bus_message_is_method_error(reply, NULL) ||
            sd_bus_message_read(reply, "u", &pid) < 0 || pid == (uint32_t)getpid())
                give_up_or_retry(manager, -EADDRINUSE, "can't get the name " OWNER);
        else
                leave_to_another(manager, pid);
        return 1;
}

static int ask_who_owns(Manager *manager) {
        return sd_bus_call_method_async(manager->bus, NULL, "org.freedesktop.DBus",
                                        "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                        "GetConnectionUnixProcessID", on_rival, manager, "s",
                                        OWNER);
}

static int begin(Manager *manager) {
        manager->owner = true;
        return manager->settled ? service_serve(manager) : manager_find(manager);
}

static int on_owner(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Manager *manager = userdata;
        int r;

        r = read_ownership(reply);
        if (r == 0)
                r = begin(manager);
        else if (r == -EADDRINUSE && manager->named)
                r = ask_who_owns(manager);
        if (r < 0)
                give_up_or_retry(manager, r,
                                 manager->owner ? "can't begin" : "can't get the name " OWNER);
        return 1;
}

static int on_name(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Manager *manager = userdata;
        int r;

        r = read_ownership(reply);
        if (r < 0) {
                give_up_or_retry(manager, r, "can't get the name " GUESTMAP_SERVICE);
                return 1;
        }
        log_info("serving %zu VMs", manager->registry.n);
        manager->named = true;
        status_say(&manager->status, "READY=1");
        return 1;
}

/* The match is no fence for signals that are sent to us alone: anybody may send one like it. */
static int on_left(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *sender = sd_bus_message_get_sender(m), *name;

        if (!sender || strcmp(sender, "org.freedesktop.DBus") != 0)
                return 0;
        if (sd_bus_message_read(m, "s", &name) < 0)
                return 0;
        callers_gone(userdata, name);
        creation_client_left(userdata, name);
        return 0;
}

void service_reconnect(Manager *manager, const char *why) {
        log_entry(LOG_WARNING, &(const LogFields){.message_id = MESSAGE_BUS_LOST}, "%s", why);
        give_up_or_retry(manager, -ECONNRESET, "the bus");
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        service_reconnect(userdata, "the bus has gone");
        return 1;
}

static int connect_bus(Manager *manager) {
        int r;

        if (!manager->settings.address)
                return manager->settings.user ? sd_bus_open_user(&manager->bus)
                                              : sd_bus_open_system(&manager->bus);
        r = sd_bus_new(&manager->bus);
        if (r < 0)
                return r;
        r = sd_bus_set_address(manager->bus, manager->settings.address);
        if (r < 0)
                return r;
        r = sd_bus_set_bus_client(manager->bus, 1);
        return r < 0 ? r : sd_bus_start(manager->bus);
}

/* The gate first: filters run in the order in which they were added. */
static int register_all(Manager *manager) {
        int r;

        r = auth_register(manager);
        if (r >= 0)
                r = manager_register(manager);
        if (r >= 0)
                r = objects_register(manager);
        if (r >= 0)
                r = forward_register(manager);
        if (r >= 0)
                r = vm_register(manager);
        if (r >= 0 && manager->settings.units)
                r = units_register(manager);
        return r;
}

static int listen_to_bus(Manager *manager) {
        int r;

        r = sd_bus_match_signal(manager->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
                                "org.freedesktop.DBus.Local", "Disconnected", on_disconnected,
                                manager);
        if (r < 0)
                return r;
        return sd_bus_add_match_async(manager->bus, NULL, LEFT_THE_BUS, on_left, NULL, manager);
}

static int open_bus(Manager *manager) {
        int r;

        r = connect_bus(manager);
        if (r < 0)
                return r;
        /* The end of the loop is not that of the bus: there are calls to be answered. */
        r = sd_bus_set_close_on_exit(manager->bus, false);
        if (r < 0)
                return r;
        r = register_all(manager);
        if (r < 0)
                return r;
        r = listen_to_bus(manager);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(manager->bus, manager->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;
        manager->n_buses++;
        relay_restart(manager);
        return sd_bus_request_name_async(manager->bus, NULL, OWNER, 0, on_owner, manager);
}

int service_serve(Manager *manager) {
        if (!manager->bus)
                return 0; /* when there is one */
        return sd_bus_request_name_async(manager->bus, NULL, GUESTMAP_SERVICE, 0, on_name, manager);
}

int service_open(Manager *manager) {
        int r;

        r = open_bus(manager);
        if (r < 0)
                service_close(manager);
        return r;
}

static bool is_writable(sd_bus *bus) {
        struct pollfd socket = {.fd = sd_bus_get_fd(bus), .events = POLLOUT};

        return poll(&socket, 1, 0) > 0 && (socket.revents & POLLOUT);
}

void service_close(Manager *manager) {
        sd_bus *bus = manager->bus;

        manager->bus = NULL;
        manager->owner = false;
        stall_end(manager);
        callers_clear(manager);
        questions_clear(&manager->questions);
        objects_clear(manager);
        units_clear(manager);
        /* What the bus does not take at once waits for somebody else: not for us, too. */
        if (bus && is_writable(bus))
                (void)sd_bus_flush(bus);
        sd_bus_close_unref(bus);
}
