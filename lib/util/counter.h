/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Counter: a number that goes up, and that others look at
 *
 * One thread at a time adds to it, whichever has what is counted; any thread reads it, and sees it
 * as it was not long ago. Neither costs more than with a number of one's own.
 *
 * Source: this project.
 */

#include <stdint.h>

static inline uint64_t counter_get(const uint64_t *counter) {
        return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline void counter_add(uint64_t *counter, uint64_t n) {
        __atomic_store_n(counter, counter_get(counter) + n, __ATOMIC_RELAXED);
}
