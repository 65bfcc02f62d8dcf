/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Notify: messages to whoever started this process as a service
 *
 * sd_notify(3) waits for as long as a manager that does not read lets it. What is sent from here is
 * taken at once or not at all; who has to have it taken waits, up to a deadline of its own.
 *
 * I1: all messages arrive in the order in which they were sent, from however many of these.
 */

#include <stdbool.h>
#include <stdint.h>

typedef struct Notify Notify;

/* All zero: not connected yet. One thread at a time. */
struct Notify {
        bool connected;
        int socket;
};

void notify_deinit(Notify *notify);

/*
 * Sends lines of VARIABLE=VALUE, and `fd` unless it is negative. -EAGAIN: there is no room now.
 * Any other -errno: nobody is there to take it.
 */
int notify_send(Notify *notify, const char *message, int fd);

/* How many descriptors it keeps: it says so from version 254 on, for older ones the unit does. */
unsigned notify_fds_max(void);

/* What CLOCK_MONOTONIC will say in so many microseconds. */
uint64_t notify_deadline(uint64_t usec);
/* After -EAGAIN: waits until there may be room. -ETIMEDOUT. */
int notify_wait(const Notify *notify, uint64_t deadline);

/*
 * Waits until all that was sent before has been looked at: the manager closes a descriptor that it
 * is sent. It is a socket, into which one that could not do all may write an errno first. -errno:
 * this one; -ETIMEDOUT.
 */
int notify_barrier(Notify *notify, uint64_t deadline);
