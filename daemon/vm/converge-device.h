/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Converging one region's ioeventfds, coalesced zones, and who answers for it
 *
 * The first two are sets: what is on both sides stays. A zone cannot be removed alone, so if any
 * has to go all are cleared, and those wanted are added again.
 */

#include "daemon/vm/edit-list.h"
#include "lib/memory/region.h"

/* Appends the edits that take away what `wanted` lacks. */
int converge_devices_remove(EditList *edits, const Region *region, const EditList *wanted);
/* Appends the edits that add what is missing then; `region` is NULL if it is still to be made. */
int converge_devices_add(EditList *edits, const Region *region, const EditList *wanted);
