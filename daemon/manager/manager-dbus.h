/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * org.guestmap1.Manager
 */

#include "daemon/manager/manager.h"

int manager_register(Manager *manager);

/* Signals that Limits are others now. */
void manager_tell_limits(Manager *manager);
