/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Status: what whoever started this process as a service is told of it
 *
 * The state that it is in, and the line that `systemctl status` shows, soon after that has changed,
 * at most once in STATUS_USEC; and that the loop turns, if there is a watchdog. For others nothing
 * of this happens. Nothing waits for who does not listen: what is not taken is told later, as it is
 * then.
 */

#include <stddef.h>
#include <systemd/sd-event.h>

#include "daemon/common/notify.h"

typedef struct Status Status;

/* Writes the line, without a newline. */
typedef void (*StatusPrint)(char *text, size_t size, void *userdata);

enum { STATUS_USEC = 500000, STATUS_STATE_SIZE = 64 };

struct Status {
        sd_event_source *timer; /* armed: a line is due. NULL: nobody wants to know */
        sd_event_source *watchdog;
        uint64_t watchdog_usec; /* from one sign of life to the next */
        char state[STATUS_STATE_SIZE]; /* to be told; empty: it was */
        Notify notify;
        StatusPrint print;
        void *userdata;
};

int status_init(Status *status, sd_event *event, StatusPrint print, void *userdata);
void status_deinit(Status *status);
/* Lines of sd_notify(3) that say what is going on: "READY=1". At once, in place of earlier ones. */
void status_say(Status *status, const char *state);
/* What the line says has changed. */
void status_changed(Status *status);
