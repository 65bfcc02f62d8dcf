/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Slot join: what to do when slots run short
 *
 * Pieces that changes have cut are made one again: no more of them than must be, and first those
 * that unmap the least. To join two neighbours unmaps what a slot has of them that would stay; a
 * piece that is made anyway, or that has been joined before, costs nothing more.
 *
 * Source: this project.
 */

#include "lib/kvm/slot-list.h"

/*
 * Joins neighbours in `wanted` that one slot of at most `size_max` bytes could map, until there are
 * `excess` less or no more to join. `slots`, ascending, is what there is. O(n log n). -ENOMEM.
 */
int extents_join(Extents *wanted, const SlotList *slots, size_t excess, uint64_t size_max);
