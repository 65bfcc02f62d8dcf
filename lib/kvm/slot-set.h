/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Slot set: the slots that an accelerator has, by address and by number
 *
 * Every slot that there can be has its node in one array, made at construction and indexed by
 * number: to write down what a plan does allocates nothing. The array's pages that no slot has used
 * were never touched.
 *
 * I1: nodes from n_touched on were never used; below, a node is in `by_address` or in `unused`.
 * I2: a node in `by_address` has a reference to the slot's backing.
 *
 * Source: this project.
 */

#include <urcu/list.h>

#include "lib/kvm/slot-list.h"
#include "lib/kvm/slot-plan.h"
#include "lib/util/tree.h"

typedef struct SlotNode SlotNode;
typedef struct SlotSet SlotSet;

RB_HEAD(SlotsByAddress, SlotNode);

struct SlotSet {
        struct SlotsByAddress by_address;
        struct cds_list_head unused; /* of SlotNode.unused_link: numbers given back, latest first */
        SlotNode *nodes;
        uint32_t n_touched;
        uint32_t n_used;
};

/* An empty set of slots 0 … n_slots - 1. -ENOMEM. */
int slot_set_init(SlotSet *set, uint32_t n_slots);
void slot_set_deinit(SlotSet *set);

/* Whether there is a slot of that number, which must be below n_slots. */
bool slot_set_has(const SlotSet *set, uint32_t number);
/* The slots, ascending by guest address, starting from the one that ends at or behind `from`. */
const Slot *slot_set_first(const SlotSet *set, uint64_t from);
const Slot *slot_set_next(const Slot *slot);
/* Appends the slots that meet a range, but for the list's last one. -ENOMEM. */
int slot_set_find(const SlotSet *set, Range range, SlotList *found);

/*
 * Gives each create of a plan a number: first those of the plan's own deletes, then numbers given
 * back, then fresh ones. Takes nothing yet: slot_set_record() does.
 */
void slot_set_number(const SlotSet *set, SlotPlan *plan);
/* Writes down what the accelerator has just done. */
void slot_set_record(SlotSet *set, const PlannedOp *op);
