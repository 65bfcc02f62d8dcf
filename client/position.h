/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Position: where in an address space a region is
 *
 * Found by going up from the region to the space's root, by parents. What is seen through an alias
 * only has no position: it may have many.
 */

#include "client/client.h"
#include "lib/util/range.h"

typedef struct Position Position;

struct Position {
        uint64_t base; /* address of the region's first byte; modulo 2^64 */
        Range extent;  /* addresses at which it shows what is placed in it */
};

/* One that shows nothing, because it or what is above it is disabled, is an error. */
int position_find(Client *client, const char *vm_path, const char *root, const char *region,
                  Position *ret);
