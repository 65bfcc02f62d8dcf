/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Forwarding: calls on a VM's objects go to its process
 *
 * Message bodies have to be of the types that the contract says, and are copied unread: replies,
 * errors and descriptors come back as the process made them. There is no time-out, since some calls
 * wait for something to happen.
 *
 * I1: every call that wants an answer gets one. Where the process can't give it (it has died, or is
 *     being ended) it is VMGone.
 * I2: nothing is kept here of what a caller asked who has left; nor of what one asked who waits,
 *     but what the answer needs.
 */

#include <systemd/sd-bus.h>

#include "daemon/manager/caller-dbus.h"

/* Takes charge of everything below GUESTMAP_PATH_VM on the manager's bus. */
int forward_register(Manager *manager);

/* The VM is back: sends what was held (held-dbus.h). */
void forward_held(VM *vm);

/* The caller has left: its calls are answered to nobody. */
void forward_drop_caller(Caller *caller);
