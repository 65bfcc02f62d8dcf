/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Depth first, without recursion: whoever is in the way goes first, and then its waiter is resumed.
 */

#include "lib/kvm/slot-move.h"

/* The first source that ends at or behind an address. */
static size_t first_source(const SlotMove *moves, size_t n_moves, uint64_t address) {
        size_t low = 0, high = n_moves;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (moves[middle].slot->extent.range.last < address)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

/* A move whose slot is still where this one leads. Its own slot is in nobody's way. */
static SlotMove *move_blocker(SlotMove *moves, size_t n_moves, SlotMove *move) {
        for (; move->probe < n_moves; move->probe++) {
                SlotMove *other = &moves[move->probe];

                if (other->slot->extent.range.first > move->to->range.last)
                        return NULL;
                if (other != move && other->state < SLOT_MOVE_DONE)
                        return other;
        }
        return NULL;
}

/* One step: makes the move, gives it up, or puts who is in the way before it. Who is next? */
static SlotMove *move_step(SlotMove *moves, size_t n_moves, SlotMove *move) {
        SlotMove *blocker;

        if (move->state == SLOT_MOVE_BROKEN)
                return move->waiter;
        blocker = move_blocker(moves, n_moves, move);
        if (!blocker) {
                move->state = SLOT_MOVE_DONE;
                return move->waiter;
        }
        if (blocker->state == SLOT_MOVE_STARTED) {
                blocker->state = SLOT_MOVE_BROKEN;
                return move;
        }
        move->state = SLOT_MOVE_STARTED;
        blocker->waiter = move;
        return blocker;
}

size_t slot_moves_order(SlotMove *moves, size_t n_moves, SlotMove *ordered) {
        size_t n_ordered = 0;

        for (size_t i = 0; i < n_moves; i++)
                moves[i].probe = first_source(moves, n_moves, moves[i].to->range.first);

        for (size_t i = 0; i < n_moves; i++) {
                SlotMove *move = moves[i].state == SLOT_MOVE_WAITING ? &moves[i] : NULL;

                while (move) {
                        SlotMove *next = move_step(moves, n_moves, move);

                        if (move->state == SLOT_MOVE_DONE)
                                ordered[n_ordered++] = *move;
                        move = next;
                }
        }
        return n_ordered;
}
