/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Relay: a VM process' signals go to the bus
 *
 * A bus that does not take our messages (a subscriber of it does not read) must not make us keep
 * them without bound. While QUOTA_SIGNALS of them lie there, what commits would say is left out;
 * when the bus has taken them all, one Committed per VM makes up for it, from the last generation
 * told to the present one, truncated.
 *
 * I1: a VM's Committed signals form a chain: each one's `previous` is the `generation` before.
 * I2: a process speaks for its own VM's objects only.
 */

#include <systemd/sd-bus.h>

#include "daemon/manager/vm.h"

void relay_signal(VM *vm, sd_bus_message *signal);

/* Signals may have been lost on the way here. */
void relay_catch_up(VM *vm);

/* How many messages the bus has not taken yet. */
uint64_t relay_backlog(const Manager *manager);

/* A new bus: its subscribers have been told nothing. */
void relay_restart(Manager *manager);
