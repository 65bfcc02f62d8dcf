/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Populate: all of a backing's memory is taken from the host now
 *
 * Several threads go through the mapping, a step each at a time. Nothing is touched: the kernel is
 * asked to fill in the pages, and says what is wrong where touching them would be a SIGBUS. Before
 * each step it is seen whether the host has that much left (headroom.h).
 *
 * Source: madvise(2).
 */

#include "lib/memory/backing.h"
#include "lib/util/cancel.h"
#include "lib/util/detail.h"

/*
 * Populates a backing that nobody uses yet, for region `name`; one that is populated already stays
 * so. How far it has come backing_populated() tells other threads. If that fails, what it took is
 * given back, unless the file was passed in: there it stays. MAP_E_NO_MEMORY: the detail says which
 * limit; -ECANCELED.
 */
int backing_populate(Backing *backing, const char *name, const Cancel *cancel, Detail *detail);
/*
 * Gives the pages back, with what is in them, unless the file was passed in. To let the backing go
 * does that, too, but may be left to a thread that has no time.
 */
void backing_give_back(Backing *backing);
