/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Allocations that fail on demand
 *
 * Linked with --wrap for malloc, calloc, realloc and reallocarray. To fail each allocation of a
 * piece of work in turn:
 *
 *   for (unsigned n = 1;; n++) {
 *           fail_allocation_at(n);
 *           r = work();
 *           if (!fail_allocation_done())
 *                   break;              all of them succeeded: there are fewer than n
 *           … work() must have failed, and changed nothing …
 *   }
 */

#include <stdbool.h>

/* The n-th allocation from now, from 1, gives NULL; once. */
void fail_allocation_at(unsigned n);
/* So do all behind it. */
void fail_allocations_from(unsigned n);
/* Whether that has happened. None fails from here on. */
bool fail_allocation_done(void);
