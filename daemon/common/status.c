/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "daemon/common/status.h"

static void tell_later(Status *status) {
        if (sd_event_source_set_time_relative(status->timer, STATUS_USEC) >= 0)
                (void)sd_event_source_set_enabled(status->timer, SD_EVENT_ONESHOT);
}

static void tell(Status *status) {
        char text[256], message[sizeof("\nSTATUS=") + sizeof(text) + STATUS_STATE_SIZE];

        status->print(text, sizeof(text), status->userdata);
        snprintf(message, sizeof(message), "%s%sSTATUS=%s", status->state,
                 status->state[0] ? "\n" : "", text);
        if (notify_send(&status->notify, message, -1) == -EAGAIN)
                tell_later(status);
        else
                status->state[0] = '\0';
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata) {
        tell(userdata);
        return 0;
}

/* One that is not taken is made up for by the next: they come twice as often as they have to. */
static int on_watchdog(sd_event_source *source, uint64_t usec, void *userdata) {
        Status *status = userdata;
        int r;

        (void)notify_send(&status->notify, "WATCHDOG=1", -1);
        r = sd_event_source_set_time_relative(source, status->watchdog_usec);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int watch(Status *status, sd_event *event) {
        uint64_t usec;
        int r;

        r = sd_watchdog_enabled(false, &usec);
        if (r <= 0)
                return r;
        status->watchdog_usec = usec / 2;
        return sd_event_add_time_relative(event, &status->watchdog, CLOCK_MONOTONIC, 0,
                                          usec / 4, on_watchdog, status);
}

int status_init(Status *status, sd_event *event, StatusPrint print, void *userdata) {
        int r;

        *status = (Status){.print = print, .userdata = userdata};
        if (!getenv("NOTIFY_SOCKET"))
                return 0;
        r = sd_event_add_time_relative(event, &status->timer, CLOCK_MONOTONIC, 0, 0, on_due,
                                       status);
        return r < 0 ? r : watch(status, event);
}

void status_say(Status *status, const char *state) {
        if (!status->timer)
                return;
        snprintf(status->state, sizeof(status->state), "%s", state);
        tell(status);
}

void status_deinit(Status *status) {
        status->timer = sd_event_source_disable_unref(status->timer);
        status->watchdog = sd_event_source_disable_unref(status->watchdog);
        notify_deinit(&status->notify);
}

void status_changed(Status *status) {
        int enabled;

        if (!status->timer || sd_event_source_get_enabled(status->timer, &enabled) != 0)
                return; /* on its way */
        tell_later(status);
}
