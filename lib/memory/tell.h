/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a commit does with the listeners of its map (listener.h says in which order)
 *
 * Source: QEMU's MemoryListener.
 */

#include <stddef.h>

#include "lib/memory/commit.h"
#include "lib/memory/listener.h"

/*
 * Asks each to prepare; *n_prepared counts those that did, also on failure. Any MapError that a
 * listener gives.
 */
int listeners_prepare(const Commit *commit, size_t *n_prepared, Detail *detail);
/* Has each apply; when one fails, those before it undo, and its outcome is returned. */
int listeners_apply(const Commit *commit, Detail *detail);
/* Says that what all applied is in force. */
void listeners_published(const Commit *commit);
/* Ends what listeners_prepare() began with the first n. */
void listeners_settle(const Commit *commit, size_t n);
/* Tells all what is in force now. */
void listeners_tell(const Commit *commit);

/* The callbacks of one address space's change: to all listeners of the map, or to `only` one. */
void tell_space(Map *map, Listener *only, const SpaceChange *change);
/* Those of all the commit's ioeventfds. */
void tell_eventfds(Map *map, Listener *only, const Commit *commit);
