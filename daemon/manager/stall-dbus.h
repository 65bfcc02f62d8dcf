/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Stall: a bus that takes nothing from us any more
 *
 * dbus-daemon charges a message to its sender until the last receiver has read it, and reads no
 * more from a sender that owes too much. So a subscriber that sleeps through a million commits
 * would silence the service for all, for as long as it sleeps. A new connection owes nothing; and
 * what comes for that subscriber is dropped from then on, because its own queue is full.
 *
 * So when as much waits for the bus as before, for half of STALL_USEC, it is asked something: who
 * sends replies of one size without a pause has always as much waiting, too. If it has not read the
 * question after as long again, the connection is given up for lost, like one that has ended, and a
 * new one is made. Calls under way are answered by the bus, as those of a service that has gone;
 * VMs do not notice.
 */

#include <stdint.h>
#include <systemd/sd-event.h>

typedef struct Manager Manager;
typedef struct Stall Stall;
typedef struct sd_bus_slot sd_bus_slot;

enum { STALL_USEC = 2000000 };

struct Stall {
        sd_event_source *timer; /* armed while something waits */
        int unread;             /* bytes that lay in the socket when last looked at */
        uint64_t n_queued;      /* messages that waited behind them */
        unsigned n_steps;       /* since when neither has become less */
        sd_bus_slot *question;  /* to the bus, not answered */
};

/* Something was sent: looks after it until the bus has read all there is. */
void stall_watch(Manager *manager);
/* The connection is another one, or there is none. */
void stall_end(Manager *manager);
