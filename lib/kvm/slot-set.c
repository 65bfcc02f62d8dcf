/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "lib/kvm/slot-set.h"

struct SlotNode {
        Slot slot; /* first: slot_set_next() casts */
        bool used;
        RB_ENTRY(SlotNode) by_address;
        struct cds_list_head unused_link;
};

static int compare_address(const SlotNode *a, const SlotNode *b) {
        uint64_t first = a->slot.extent.range.first, other = b->slot.extent.range.first;

        return (first > other) - (first < other);
}

RB_GENERATE_STATIC(SlotsByAddress, SlotNode, by_address, compare_address)

int slot_set_init(SlotSet *set, uint32_t n_slots) {
        *set = (SlotSet){.nodes = calloc(n_slots, sizeof(*set->nodes))};
        RB_INIT(&set->by_address);
        CDS_INIT_LIST_HEAD(&set->unused);
        return set->nodes ? 0 : -ENOMEM;
}

void slot_set_deinit(SlotSet *set) {
        SlotNode *node;

        RB_FOREACH(node, SlotsByAddress, &set->by_address)
                backing_unref(node->slot.extent.backing);
        free(set->nodes);
}

bool slot_set_has(const SlotSet *set, uint32_t number) {
        return set->nodes[number].used;
}

const Slot *slot_set_first(const SlotSet *set, uint64_t from) {
        SlotNode *node = RB_ROOT(&set->by_address), *first = NULL;

        while (node) {
                if (node->slot.extent.range.last >= from) {
                        first = node;
                        node = RB_LEFT(node, by_address);
                } else {
                        node = RB_RIGHT(node, by_address);
                }
        }
        return first ? &first->slot : NULL;
}

const Slot *slot_set_next(const Slot *slot) {
        SlotNode *next = RB_NEXT(SlotsByAddress, NULL, (SlotNode *)slot);

        return next ? &next->slot : NULL;
}

int slot_set_find(const SlotSet *set, Range range, SlotList *found) {
        const Slot *slot = slot_set_first(set, range.first);
        int r = 0;

        if (slot && found->n > 0 && found->items[found->n - 1].number == slot->number)
                slot = slot_set_next(slot);
        for (; r == 0 && slot && slot->extent.range.first <= range.last; slot = slot_set_next(slot))
                r = slot_list_append(found, slot);
        return r;
}

void slot_set_number(const SlotSet *set, SlotPlan *plan) {
        struct cds_list_head *unused = set->unused.next;
        PlannedOp *creates = slot_plan_creates(plan);
        uint32_t fresh = set->n_touched;

        for (size_t i = 0; i < plan->counts[SLOT_CREATE]; i++) {
                if (i < plan->counts[SLOT_DELETE]) {
                        creates[i].slot = plan->ops[i].slot;
                } else if (unused != &set->unused) {
                        SlotNode *node = caa_container_of(unused, SlotNode, unused_link);

                        creates[i].slot = node->slot.number;
                        unused = unused->next;
                } else {
                        creates[i].slot = fresh++;
                }
        }
}

static void set_insert(SlotSet *set, SlotNode *node, const Extent *extent) {
        node->slot.extent = *extent;
        backing_ref(extent->backing);
        RB_INSERT(SlotsByAddress, &set->by_address, node);
}

static void set_remove(SlotSet *set, SlotNode *node) {
        RB_REMOVE(SlotsByAddress, &set->by_address, node);
        backing_unref(node->slot.extent.backing);
}

void slot_set_record(SlotSet *set, const PlannedOp *op) {
        SlotNode *node = &set->nodes[op->slot];

        switch (op->kind) {
        case SLOT_CREATE:
                if (op->slot < set->n_touched)
                        cds_list_del(&node->unused_link);
                else
                        set->n_touched = op->slot + 1;
                node->slot.number = op->slot;
                node->used = true;
                set_insert(set, node, &op->after);
                set->n_used++;
                break;
        case SLOT_DELETE:
                set_remove(set, node);
                cds_list_add(&node->unused_link, &set->unused);
                node->used = false;
                set->n_used--;
                break;
        case SLOT_MOVE:
                set_remove(set, node);
                set_insert(set, node, &op->after);
                break;
        default:
                node->slot.extent.flags = op->after.flags;
        }
}
