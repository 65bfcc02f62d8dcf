/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Growing arrays
 *
 * A growing array is three fields of its owner: items, how many are used, how many are allocated.
 *
 * Source: this project.
 */

#include <errno.h>
#include <stdlib.h>

/*
 * Makes room for n items beyond the `used` ones, doubling what is allocated. -ENOMEM leaves the
 * array as it is. `items` is the address of the owner's pointer.
 */
#define array_reserve(items, allocated, used, n)                                                   \
        array_reserve_bytes((void **)(items), allocated, used, n, sizeof(**(items)))

static inline int array_reserve_bytes(void **items, size_t *allocated, size_t used, size_t n,
                                      size_t size) {
        size_t want = *allocated ? *allocated : 8;
        void *grown;

        if (n <= *allocated - used)
                return 0;
        while (want - used < n)
                want *= 2;
        grown = reallocarray(*items, want, size);
        if (!grown)
                return -ENOMEM;
        *items = grown;
        *allocated = want;
        return 0;
}

enum { ARRAY_KEPT = 1024 };

/*
 * For an array that is empty again and will be used again: gives back the memory that it took for
 * once, keeps what is usual.
 */
#define array_relax(items, allocated) array_relax_bytes((void **)(items), allocated)

static inline void array_relax_bytes(void **items, size_t *allocated) {
        if (*allocated <= ARRAY_KEPT)
                return;
        free(*items);
        *items = NULL;
        *allocated = 0;
}
