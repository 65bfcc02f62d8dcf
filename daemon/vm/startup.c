/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <signal.h>
#include <stdio.h>

#include "daemon/vm/startup.h"

/* One that is not taken is made up for by the next. */
static void tell(Startup *startup) {
        char message[64];

        snprintf(message, sizeof(message), "EXTEND_TIMEOUT_USEC=%d\nWATCHDOG=1",
                 STARTUP_EXTEND_USEC);
        (void)notify_send(&startup->notify, message, -1);
        startup->due = notify_deadline(STARTUP_TOLD_USEC);
}

/* Whether somebody wants the process to end. The signals are blocked, and stay for the loop. */
static bool is_ended(void) {
        sigset_t pending;

        sigemptyset(&pending);
        (void)sigpending(&pending);
        return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
}

static bool on_ask(void *userdata) {
        Startup *startup = userdata;

        pthread_mutex_lock(&startup->lock);
        if (notify_deadline(0) >= startup->due)
                tell(startup);
        pthread_mutex_unlock(&startup->lock);
        return is_ended();
}

void startup_init(Startup *startup) {
        *startup = (Startup){
                .cancel = {.ask = on_ask, .userdata = startup},
                .lock = PTHREAD_MUTEX_INITIALIZER,
        };
}

void startup_deinit(Startup *startup) {
        notify_deinit(&startup->notify);
        pthread_mutex_destroy(&startup->lock);
}
