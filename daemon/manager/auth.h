/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Authorization: the gate that every call passes
 *
 * Root may do everything, and everybody may with a VM of his own. Of all others polkit is asked,
 * for the one right that rights.h says a call needs; where there is no polkit they may look. On the
 * session bus everybody is its user and may do everything.
 *
 * While polkit has not answered, the call stands at the head of its caller's line, which stands
 * still. Then it comes again as if it were new: what it is about is looked up again.
 *
 * I1: no handler sees a call before its sender is known and has the right that it needs.
 * I2: an answer holds for the call that it was asked for, and only if that is still about the same
 *     VM: one that was destroyed and made again meanwhile is another.
 */

#include <systemd/sd-bus.h>

#include "daemon/manager/caller-dbus.h"

/* Puts the gate in front of everything on the manager's bus. */
int auth_register(Manager *manager);

/* The caller has left, or the call at the head of its line was given up. */
void auth_drop_caller(Caller *caller);
