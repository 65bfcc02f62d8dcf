/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Clock: microseconds, to measure by and to wait for
 */

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_read_usec(clockid_t clock) {
        struct timespec now;

        (void)clock_gettime(clock, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static inline uint64_t clock_usec(void) {
        return clock_read_usec(CLOCK_MONOTONIC);
}

/* To tell people, never to measure by: it may be set at any time. */
static inline uint64_t clock_realtime_usec(void) {
        return clock_read_usec(CLOCK_REALTIME);
}

/* What it says in so many; UINT64_MAX, which is never, if that is too many. */
static inline uint64_t clock_deadline(uint64_t usec) {
        uint64_t deadline;

        return __builtin_add_overflow(clock_usec(), usec, &deadline) ? UINT64_MAX : deadline;
}

/* How many there are until a deadline; 0 if it has passed. */
static inline uint64_t clock_left(uint64_t deadline) {
        uint64_t now = clock_usec();

        return deadline > now ? deadline - now : 0;
}
