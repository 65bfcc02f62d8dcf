/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-bus.h>
#include <time.h>

#include "api/names.h"
#include "client/client.h"
#include "client/late.h"

enum { LATE_SECONDS = 3 };

typedef struct Late {
        pthread_mutex_t lock; /* of what the timer's thread looks at, too */
        char *name;           /* of the VM that a call is under way to; NULL: to none */
        bool has_told;

        timer_t timer;
        bool has_timer;
} Late;

static Late late = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_late(union sigval value) {
        pthread_mutex_lock(&late.lock);
        if (late.name && !late.has_told) {
                late.has_told = true;
                fail("waiting for VM \"%s\" to answer", late.name);
        }
        pthread_mutex_unlock(&late.lock);
}

static char *vm_name(const char *path) {
        _cleanup_(freep) char *vm = client_vm_of(path);
        char *name = NULL;

        if (vm)
                (void)sd_bus_path_decode(vm, GUESTMAP_PATH_VM, &name);
        return name;
}

static void set_name(char *name) {
        pthread_mutex_lock(&late.lock);
        free(late.name);
        late.name = name;
        pthread_mutex_unlock(&late.lock);
}

static void set_timer(time_t seconds) {
        struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_late};
        const struct itimerspec once = {.it_value.tv_sec = seconds};

        if (!late.has_timer)
                late.has_timer = timer_create(CLOCK_MONOTONIC, &event, &late.timer) == 0;
        if (late.has_timer)
                (void)timer_settime(late.timer, 0, &once, NULL);
}

void late_begin(const char *path) {
        set_name(vm_name(path));
        if (late.name)
                set_timer(LATE_SECONDS);
}

void late_end(void) {
        if (!late.name)
                return;
        set_name(NULL);
        set_timer(0);
}
