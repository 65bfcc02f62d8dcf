/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Startup: long work that the loop waits for, of a process that has no VM yet
 *
 * A service manager gives up on a process that does not say READY=1 in time, or, when it is tried
 * again in the loop, whose watchdog is silent, and starts another, which would come no further. So
 * it is told that the work goes on, by the work itself, between its steps: work that hangs is given
 * up all the same. A signal to end, which waits for the loop, ends the work, too.
 */

#include <pthread.h>
#include <stdint.h>

#include "daemon/common/notify.h"
#include "lib/util/cancel.h"

typedef struct Startup Startup;

enum {
        STARTUP_TOLD_USEC = 1000000,
        STARTUP_EXTEND_USEC = 300000000, /* from then on, for one step and for what comes after */
};

struct Startup {
        Cancel cancel; /* to be handed to the work: asks here */
        pthread_mutex_t lock;
        uint64_t due; /* CLOCK_MONOTONIC: when the service manager is told again */
        Notify notify;
};

/* Stays where it is. */
void startup_init(Startup *startup);
void startup_deinit(Startup *startup);
