/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/common/status.h"

static void tell_later(Status *status) {
        if (sd_event_source_set_time_relative(status->timer, STATUS_USEC) >= 0)
                (void)sd_event_source_set_enabled(status->timer, SD_EVENT_ONESHOT);
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata) {
        Status *status = userdata;
        char text[256], message[sizeof("STATUS=") + sizeof(text)];

        status->print(text, sizeof(text), status->userdata);
        snprintf(message, sizeof(message), "STATUS=%s", text);
        if (notify_send(&status->notify, message, -1) == -EAGAIN)
                tell_later(status);
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
        notify_deinit(&status->notify);
}

void status_changed(Status *status) {
        int enabled;

        if (!status->timer || sd_event_source_get_enabled(status->timer, &enabled) != 0)
                return; /* on its way */
        tell_later(status);
}
