/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <systemd/sd-bus.h>

#include "daemon/common/log.h"
#include "daemon/manager/manager.h"
#include "daemon/manager/service-dbus.h"
#include "daemon/manager/stall-dbus.h"

enum { STEPS = 8 };

/* How many bytes lie in the socket. What waits behind them is ours, and waits for these. */
static int count_unread(Manager *manager) {
        int n = 0;

        if (manager->bus)
                (void)ioctl(sd_bus_get_fd(manager->bus), SIOCOUTQ, &n);
        return n;
}

static int on_step(sd_event_source *source, uint64_t usec, void *userdata) {
        Manager *manager = userdata;
        Stall *stall = &manager->stall;
        int unread = count_unread(manager), r;

        if (unread == 0) {
                stall_end(manager);
                return 0;
        }
        stall->n_steps = unread == stall->unread ? stall->n_steps + 1 : 0;
        stall->unread = unread;
        if (stall->n_steps == STEPS) {
                service_reconnect(manager, "the bus takes nothing from us");
                return 0;
        }
        r = sd_event_source_set_time_relative(source, STALL_USEC / STEPS);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void stall_watch(Manager *manager) {
        int r;

        if (manager->stall.timer)
                return;
        manager->stall = (Stall){};
        r = sd_event_add_time_relative(manager->event, &manager->stall.timer, CLOCK_MONOTONIC,
                                       STALL_USEC / STEPS, 0, on_step, manager);
        if (r < 0)
                log_error("can't watch the bus: %s", strerror(-r));
}

void stall_end(Manager *manager) {
        manager->stall.timer = sd_event_source_disable_unref(manager->stall.timer);
}
