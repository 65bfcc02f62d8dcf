/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Free ranges: where nothing of an address space is assigned
 *
 * Free is what no section of a flat view covers: the gaps of containers, the extent of a region
 * that is disabled or of size 0, what lies beyond all. Whatever answers there, or refuses to, is
 * not free: also what an mmio region keeps of itself between its children, and reserved ranges.
 *
 * Source: this project.
 */

#include "lib/memory/flat-view.h"
#include "lib/util/detail.h"

typedef struct FreeRequest FreeRequest;

struct FreeRequest {
        uint64_t size;  /* in bytes, SIZE_WHOLE is 2^64 */
        uint64_t align; /* a power of two; 0 and 1: any address will do */
        uint64_t first; /* the window: none of the bytes lies before */
        uint64_t last;  /* or behind */
};

/*
 * The lowest address that is a multiple of `align` and begins `size` free bytes of the window.
 * Looks at the window's sections up to there. MAP_E_INVALID_RANGE: nothing is asked for, or the
 * window ends before it begins; MAP_E_INVALID_ARGUMENT: not a power of two;
 * MAP_E_NO_FREE_RANGE: the detail says which place is the largest.
 */
int free_range_find(const FlatView *view, const FreeRequest *request, uint64_t *ret,
                    Detail *detail);
