/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * GetManagedObjects of GUESTMAP_PATH: the VM objects
 *
 * Their properties are asked of their processes, of all at the same time. Calls that come meanwhile
 * wait and are answered together from the next round: so an answer is never older than its call,
 * and there is one round at a time whoever calls how often.
 */

#include "daemon/manager/manager.h"

int objects_register(Manager *manager);

/* Lets go of the calls that wait. */
void objects_clear(Manager *manager);
