/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Slot moves: in which order slots can change places
 *
 * A slot moves only to guest addresses that no other slot has at that time. So a move waits for
 * those whose slots lie where it leads. Where moves wait for each other in a ring, one of them is
 * broken: its slot is deleted beforehand and created at the end.
 *
 * Source: KVM_SET_USER_MEMORY_REGION.
 */

#include <stddef.h>

#include "lib/kvm/slot-plan.h"

typedef struct SlotMove SlotMove;

typedef enum SlotMoveState {
        SLOT_MOVE_WAITING,
        SLOT_MOVE_STARTED, /* waits for others */
        SLOT_MOVE_DONE,
        SLOT_MOVE_BROKEN,
} SlotMoveState;

struct SlotMove {
        const Slot *slot; /* borrowed, as is `to` */
        const Extent *to;

        /* For slot_moves_order(). */
        SlotMoveState state;
        size_t probe;     /* sources before this one are not in the way, or no longer */
        SlotMove *waiter; /* who is held up by this move */
};

/*
 * Orders `moves`, which ascend by where their slots are. Fills `ordered`, with room for n_moves,
 * with copies of those that can be made, and returns how many; the state of the others is broken.
 * O(n log n): sources are disjoint and so are destinations, hence few can meet.
 */
size_t slot_moves_order(SlotMove *moves, size_t n_moves, SlotMove *ordered);
