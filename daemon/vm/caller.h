/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Callers: whom guestmapd forwards for
 *
 * Clients by their unique names on the bus, as guestmapd announced them. What they may do it has
 * checked; here they matter for whose a transaction is.
 */

#include <stdint.h>

#include "lib/util/tree.h"

typedef struct Caller Caller;

RB_HEAD(Callers, Caller);

struct Caller {
        RB_ENTRY(Caller) by_name;
        uint32_t uid;
        char name[];
};

/* Adds a caller, or gives the one there is another uid. -ENOMEM. */
int callers_set(struct Callers *callers, const char *name, uint32_t uid);
const Caller *callers_find(struct Callers *callers, const char *name);
void callers_remove(struct Callers *callers, const char *name);
void callers_clear(struct Callers *callers);
