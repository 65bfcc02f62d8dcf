/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Sibling order: places that ascend, by the fewest changes
 *
 * Children of equal priority are ordered by place, a number that each has from when it was last
 * placed. To bring them into another order it is enough to give new places to some: those that are
 * not on a longest ascending subsequence of the order wanted. New places lie between those of the
 * neighbours that stay; where there is no number left between two of them, those behind have to
 * make room.
 */

#include <stddef.h>
#include <stdint.h>

/*
 * places[i] is what number i in the order wanted has now, 0 if it has none. On success they ascend
 * strictly; those at the end may be 0, which stands for places higher than any. -ENOMEM.
 */
int sibling_order(uint64_t *places, size_t n);
