/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Slot table: the rules of KVM_SET_USER_MEMORY_REGION, without KVM
 *
 * Answers a slot operation as the kernel does, errno included, and remembers the slots. It is all
 * there is to accelerator=none, and what a slot plan is tried on before the first ioctl.
 *
 *   size 0                                   delete; EINVAL if the slot is empty
 *   slot empty                               create; EEXIST if another slot overlaps
 *   same size, host address and read-only    same place: set dirty logging; another place: move,
 *                                            EEXIST if another slot overlaps
 *   anything else in a slot that is in use   EINVAL
 *   unaligned, wrapping, beyond the limits   EINVAL
 *
 * I1: the slots are disjoint.
 *
 * Source: KVM_SET_USER_MEMORY_REGION.
 */

#include "lib/kvm/accelerator.h"
#include "lib/util/tree.h"

typedef struct SlotTable SlotTable;
typedef struct TableSlot TableSlot;

RB_HEAD(TableByNumber, TableSlot);
RB_HEAD(TableByAddress, TableSlot);

struct SlotTable {
        const Accelerator *limits;
        struct TableByNumber by_number;
        struct TableByAddress by_address;
};

/* An empty table; `limits` must outlive it. */
void slot_table_init(SlotTable *table, const Accelerator *limits);
void slot_table_deinit(SlotTable *table);

/* 0, or -errno as the kernel gives it; then nothing has changed. */
int slot_table_set(SlotTable *table, const SlotOp *op);
/* The next slot by guest address, the first for NULL, as the operation that made it what it is. */
const SlotOp *slot_table_next(const SlotTable *table, const SlotOp *op);
