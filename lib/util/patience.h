/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Patience: how long a thread waits for others
 *
 * Somewhere deep in a vCPU's run its thread waits for another process, or for a thread that does.
 * When the vCPU is told to stop, that wait is over, whatever it is for. So whoever may wait is
 * given the patience of who asks; NULL is endless, and waits have their own limits only.
 *
 * Source: this project.
 */

#include <stdint.h>

typedef struct Patience Patience;

struct Patience {
        int stop_fd;         /* when it can be read there is no more waiting; -1: never mind */
        uint64_t until_usec; /* nor is there later than this */
};

/* CLOCK_MONOTONIC, as all times here. */
uint64_t monotonic_usec(void);

/*
 * Waits until a descriptor has one of poll(2)'s events. 0; -ETIMEDOUT: the deadline has passed;
 * -ECANCELED: the patience is over; -errno.
 */
int patience_await(const Patience *patience, int fd, short events, uint64_t deadline_usec);
