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
 * I2: of what a caller asked who waits nothing is kept here but what the answer needs. Of one who
 *     has left the same is kept of calls that the audit has entries of: what comes of them is for
 *     these. They count as their user's until then.
 */

#include <systemd/sd-bus.h>

#include "daemon/manager/caller-dbus.h"

/* Takes charge of everything below GUESTMAP_PATH_VM on the manager's bus. */
int forward_register(Manager *manager);

/* Sends what is held (held-dbus.h), as far as the VM's process takes it; also when it is back. */
void forward_held(VM *vm);

/* The caller has left: its calls are answered to nobody, if they are. */
void forward_drop_caller(Caller *caller);
