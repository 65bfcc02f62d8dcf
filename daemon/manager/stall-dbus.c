/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <systemd/sd-bus.h>

#include "daemon/common/log.h"
#include "daemon/manager/manager.h"
#include "daemon/manager/service-dbus.h"
#include "daemon/manager/stall-dbus.h"

enum { STEPS = 4 }; /* of half the time */

/* Messages wait only where the socket is full: as many bytes in it may be others than before. */
static Stall look_at(sd_bus *bus) {
        Stall stall = {};

        (void)ioctl(sd_bus_get_fd(bus), SIOCOUTQ, &stall.unread);
        (void)sd_bus_get_n_queued_write(bus, &stall.n_queued);
        return stall;
}

/* It has read all that was sent before. */
static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        stall_end(userdata);
        return 1;
}

/* -errno: the bus cannot be asked, which is no better than no answer. */
static int ask(Manager *manager) {
        manager->stall.n_steps = 0;
        return sd_bus_call_method_async(manager->bus, &manager->stall.question,
                                        "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                        "org.freedesktop.DBus.Peer", "Ping", on_answer, manager,
                                        NULL);
}

static int on_step(sd_event_source *source, uint64_t usec, void *userdata) {
        Manager *manager = userdata;
        Stall *stall = &manager->stall, now = look_at(manager->bus);
        int r;

        if (now.unread == 0) {
                stall_end(manager);
                return 0;
        }
        if (now.unread == stall->unread && now.n_queued >= stall->n_queued)
                now.n_steps = stall->n_steps + 1;
        now.timer = stall->timer;
        now.question = stall->question;
        *stall = now;
        if (stall->n_steps == STEPS && (stall->question || ask(manager) < 0)) {
                service_reconnect(manager, "the bus takes nothing from us");
                return 0;
        }
        r = sd_event_source_set_time_relative(source, STALL_USEC / (2 * STEPS));
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void stall_watch(Manager *manager) {
        int r;

        if (manager->stall.timer)
                return;
        manager->stall = (Stall){};
        r = sd_event_add_time_relative(manager->event, &manager->stall.timer, CLOCK_MONOTONIC,
                                       STALL_USEC / (2 * STEPS), 0, on_step, manager);
        if (r < 0)
                log_error("can't watch the bus: %s", strerror(-r));
}

void stall_end(Manager *manager) {
        manager->stall.timer = sd_event_source_disable_unref(manager->stall.timer);
        manager->stall.question = sd_bus_slot_unref(manager->stall.question);
}
