/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Slot list: some of the slots, ascending by address
 *
 * Source: this project.
 */

#include "lib/kvm/extent.h"

typedef struct Slot Slot;
typedef struct SlotList SlotList;

struct Slot {
        uint32_t number;
        Extent extent;
};

struct SlotList {
        Slot *items;
        size_t n;
        size_t allocated;
};

/* Copies the slot; takes no reference to its backing. -ENOMEM. */
int slot_list_append(SlotList *list, const Slot *slot);
/* By address. */
void slot_list_sort(SlotList *list);
void slot_list_deinit(SlotList *list);
