/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "daemon/common/status.h"

static int on_due(sd_event_source *source, uint64_t usec, void *userdata) {
        Status *status = userdata;
        char text[256];

        status->print(text, sizeof(text), status->userdata);
        (void)sd_notifyf(0, "STATUS=%s", text);
        return 0;
}

int status_init(Status *status, sd_event *event, StatusPrint print, void *userdata) {
        *status = (Status){.print = print, .userdata = userdata};
        if (!getenv("NOTIFY_SOCKET"))
                return 0;
        return sd_event_add_time_relative(event, &status->timer, CLOCK_MONOTONIC, 0, 0, on_due,
                                          status);
}

void status_deinit(Status *status) {
        status->timer = sd_event_source_disable_unref(status->timer);
}

void status_changed(Status *status) {
        int enabled;

        if (!status->timer || sd_event_source_get_enabled(status->timer, &enabled) != 0)
                return; /* on its way */
        if (sd_event_source_set_time_relative(status->timer, STATUS_USEC) >= 0)
                (void)sd_event_source_set_enabled(status->timer, SD_EVENT_ONESHOT);
}
