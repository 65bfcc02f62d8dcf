/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * KVM's rules on two trees: the slots by number and by guest address
 */

#include <linux/kvm.h>

#include "lib/kvm/slot-table.h"

/* The kernel counts a slot's pages in 31 bits (KVM_MEM_MAX_NR_PAGES). */
#define PAGES_MAX ((UINT64_C(1) << 31) - 1)

struct TableSlot {
        SlotOp op; /* first: slot_table_next() casts */
        RB_ENTRY(TableSlot) by_number;
        RB_ENTRY(TableSlot) by_address;
};

static int compare_number(const TableSlot *a, const TableSlot *b) {
        return (a->op.slot > b->op.slot) - (a->op.slot < b->op.slot);
}

static int compare_address(const TableSlot *a, const TableSlot *b) {
        return (a->op.address > b->op.address) - (a->op.address < b->op.address);
}

RB_GENERATE_STATIC(TableByNumber, TableSlot, by_number, compare_number)
RB_GENERATE_STATIC(TableByAddress, TableSlot, by_address, compare_address)

void slot_table_init(SlotTable *table, const Accelerator *limits) {
        table->limits = limits;
        RB_INIT(&table->by_number);
        RB_INIT(&table->by_address);
}

static void table_remove(SlotTable *table, TableSlot *slot) {
        RB_REMOVE(TableByNumber, &table->by_number, slot);
        RB_REMOVE(TableByAddress, &table->by_address, slot);
        free(slot);
}

void slot_table_deinit(SlotTable *table) {
        TableSlot *slot;

        while ((slot = RB_ROOT(&table->by_number)))
                table_remove(table, slot);
}

/* What the kernel refuses whatever slots there are. */
static bool op_is_valid(const SlotOp *op, const Accelerator *limits) {
        uint32_t known = KVM_MEM_LOG_DIRTY_PAGES | (limits->has_readonly ? KVM_MEM_READONLY : 0);

        if (op->flags & ~known || op->slot >= limits->n_slots)
                return false;
        if ((op->address | op->size | op->host) & (limits->page_size - 1))
                return false;
        if (op->size == 0)
                return true;
        return op->size / limits->page_size <= PAGES_MAX && op->address <= limits->address_last &&
               op->size - 1 <= limits->address_last - op->address;
}

/* Whether a slot other than `self` has bytes where the operation would put some. */
static bool table_overlaps(SlotTable *table, const SlotOp *op, const TableSlot *self) {
        TableSlot key = {.op.address = op->address};
        TableSlot *after = RB_NFIND(TableByAddress, &table->by_address, &key);
        TableSlot *before = after ? RB_PREV(TableByAddress, NULL, after)
                                  : RB_MAX(TableByAddress, &table->by_address);

        /* Slots are disjoint: behind `self` comes at most one more that can be in the way. */
        if (after && after == self)
                after = RB_NEXT(TableByAddress, NULL, after);
        if (before && before == self)
                before = RB_PREV(TableByAddress, NULL, before);
        return (after && after->op.address - op->address < op->size) ||
               (before && op->address - before->op.address < before->op.size);
}

static int table_create(SlotTable *table, const SlotOp *op) {
        TableSlot *slot;

        if (table_overlaps(table, op, NULL))
                return -EEXIST;
        slot = malloc(sizeof(*slot));
        if (!slot)
                return -ENOMEM;
        slot->op = *op;
        RB_INSERT(TableByNumber, &table->by_number, slot);
        RB_INSERT(TableByAddress, &table->by_address, slot);
        return 0;
}

static int table_modify(SlotTable *table, TableSlot *slot, const SlotOp *op) {
        if (op->size != slot->op.size || op->host != slot->op.host ||
            (op->flags ^ slot->op.flags) & KVM_MEM_READONLY)
                return -EINVAL;
        if (table_overlaps(table, op, slot))
                return -EEXIST;
        RB_REMOVE(TableByAddress, &table->by_address, slot);
        slot->op = *op;
        RB_INSERT(TableByAddress, &table->by_address, slot);
        return 0;
}

int slot_table_set(SlotTable *table, const SlotOp *op) {
        TableSlot key = {.op.slot = op->slot}, *slot;

        if (!op_is_valid(op, table->limits))
                return -EINVAL;
        slot = RB_FIND(TableByNumber, &table->by_number, &key);
        if (op->size == 0) {
                if (!slot)
                        return -EINVAL;
                table_remove(table, slot);
                return 0;
        }
        return slot ? table_modify(table, slot, op) : table_create(table, op);
}

const SlotOp *slot_table_next(const SlotTable *table, const SlotOp *op) {
        struct TableByAddress *by_address = (struct TableByAddress *)&table->by_address;
        TableSlot *next = op ? RB_NEXT(TableByAddress, NULL, (TableSlot *)op)
                             : RB_MIN(TableByAddress, by_address);

        return next ? &next->op : NULL;
}
