/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Status: the line that `systemctl status` shows
 *
 * Told to whoever started this process as a service, soon after it has changed, at most once in
 * STATUS_USEC. For others nothing of this happens. Nothing waits for who does not listen: what is
 * not taken is told later, as it is then.
 */

#include <stddef.h>
#include <systemd/sd-event.h>

#include "daemon/common/notify.h"

typedef struct Status Status;

/* Writes the line, without a newline. */
typedef void (*StatusPrint)(char *text, size_t size, void *userdata);

enum { STATUS_USEC = 500000 };

struct Status {
        sd_event_source *timer; /* armed: a line is due. NULL: nobody wants to know */
        Notify notify;
        StatusPrint print;
        void *userdata;
};

int status_init(Status *status, sd_event *event, StatusPrint print, void *userdata);
void status_deinit(Status *status);
/* What the line says has changed. */
void status_changed(Status *status);
