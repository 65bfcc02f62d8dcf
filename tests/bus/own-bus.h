/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * OwnBus: a bus that is the test itself, and a guestmapd on it
 *
 * The test is everybody else on that bus: its driver, whose simpler calls are answered here, and
 * all clients and services. It says who sends a message, and what becomes of those that come.
 */

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

typedef struct OwnBus OwnBus;

struct OwnBus {
        char directory[64];
        pid_t daemon; /* 0: the test */
        sd_bus *bus;
        bool named;          /* guestmapd has its name */
        unsigned n_refusals; /* of the names that it asks for next: another has them */
};

/*
 * Returns when guestmapd owns its name. The handler gets all messages but what the driver's Hello,
 * RequestName and AddMatch are; 0 from it means that it did not care. `config` is guestmapd's
 * configuration. Fails the test if anything is wrong, as do all functions here.
 */
void own_bus_open(OwnBus *own, const char *guestmapd, const char *config,
                  sd_bus_message_handler_t handler);

/*
 * The steps of that for a guestmapd that is the test itself, and connects in between: to the socket
 * "bus" in the directory, where "conf" is, too. own_bus_listen() returns what own_bus_accept()
 * takes.
 */
int own_bus_listen(OwnBus *own, const char *config);
void own_bus_accept(OwnBus *own, int listener, sd_bus_message_handler_t handler);

/* For the next connection of that guestmapd, which has lost this one then. */
int own_bus_listen_again(OwnBus *own);

/* Whether guestmapd ended well, and left nothing behind. */
bool own_bus_close(OwnBus *own);

/* Handles messages until *done. */
void own_bus_run_until(OwnBus *own, const bool *done);

/* Tells guestmapd that who has this unique name has left. */
void own_bus_tell_gone(OwnBus *own, const char *name);

/* The VM's process, if there is one VM; 0 if there is none. */
pid_t own_bus_vm(const OwnBus *own);
