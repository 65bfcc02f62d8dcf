/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What follows a VM, as it comes in messages
 *
 * A negative errno if the message is not what it should be; *ret is to be deinitialized whatever
 * comes.
 */

#include <systemd/sd-bus.h>

#include "client/follow.h"

/* A Committed. */
int commit_read(sd_bus_message *signal, Commit *ret);
/* A reply of GetChanges or WaitChanges; the name of the space is the caller's to fill in. */
int answer_read(sd_bus_message *reply, Answer *ret);
