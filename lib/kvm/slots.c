/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Slots: the listener
 *
 * Every slot that the accelerator can have has its node in one array, made at construction and
 * indexed by number: nothing is allocated between prepare() and settle(), so carrying a plan out
 * and taking it back fail for the accelerator's reasons only. The array's pages that no slot has
 * used were never touched.
 *
 * I3: nodes from n_touched on were never used; below, a node is in `by_address` or in `unused`.
 * I4: the nodes in `by_address` are what the accelerator has, at every moment: also when it refuses
 *     an operation half way, or refuses to take one back.
 */

#include <inttypes.h>
#include <string.h>
#include <urcu/list.h>

#include "lib/kvm/slots.h"
#include "lib/memory/map-error.h"
#include "lib/util/tree.h"

typedef struct SlotNode SlotNode;

RB_HEAD(SlotsByAddress, SlotNode);

struct SlotNode {
        Slot slot; /* first: slots_next() casts */
        bool used;
        RB_ENTRY(SlotNode) by_address;
        struct cds_list_head unused_link;
};

struct Slots {
        Listener listener;
        Accelerator *accelerator;
        struct SlotsByAddress by_address;
        struct cds_list_head unused; /* of SlotNode.unused_link: numbers given back, latest first */
        SlotNode *nodes;
        uint32_t n_touched;
        uint32_t n_used;
        uint64_t trapped;
        bool torn; /* I2 does not hold: the accelerator refused to take something back */

        /* Of the commit at hand, from prepare() to settle(). */
        SlotPlan *plan; /* NULL: it is not about our address space */
        uint64_t trapped_before;
        uint64_t trapped_after;
        bool repairs; /* the plan is about everything, because of `torn` */
        char space[];
};

static int compare_address(const SlotNode *a, const SlotNode *b) {
        uint64_t first = a->slot.extent.range.first, other = b->slot.extent.range.first;

        return (first > other) - (first < other);
}

RB_GENERATE_STATIC(SlotsByAddress, SlotNode, by_address, compare_address)

static Slots *slots_of(Listener *listener) {
        return caa_container_of(listener, Slots, listener);
}

/* The slots for extents that had theirs. */
static int slots_find(Slots *slots, const Extents *extents, Slot **ret, size_t *ret_n) {
        Slot *found = calloc(extents->n + 1, sizeof(*found));
        size_t n = 0;

        if (!found)
                return -ENOMEM;
        for (size_t i = 0; i < extents->n; i++) {
                SlotNode key = {.slot.extent = extents->items[i]};
                SlotNode *node = RB_FIND(SlotsByAddress, &slots->by_address, &key);

                if (node)
                        found[n++] = node->slot;
        }
        *ret = found;
        *ret_n = n;
        return 0;
}

static int slots_find_all(Slots *slots, Slot **ret, size_t *ret_n) {
        Slot *found = calloc(slots->n_used + 1, sizeof(*found));
        SlotNode *node;
        size_t n = 0;

        if (!found)
                return -ENOMEM;
        RB_FOREACH(node, SlotsByAddress, &slots->by_address)
                found[n++] = node->slot;
        *ret = found;
        *ret_n = n;
        return 0;
}

/* What a plan starts from and leads to: of the ranges that change, or of everything. */
static int slots_gather(Slots *slots, const SpaceChange *change, Extents *wanted, Slot **ret,
                        size_t *ret_n) {
        const Accelerator *accelerator = slots->accelerator;
        _cleanup_(extents_deinit) Extents had = {};
        int r;

        if (slots->torn) {
                r = extents_from_view(wanted, change->new, accelerator);
                return r < 0 ? r : slots_find_all(slots, ret, ret_n);
        }
        r = extents_from_diff(wanted, change->diff, true, accelerator);
        if (r < 0)
                return r;
        r = extents_from_diff(&had, change->diff, false, accelerator);
        return r < 0 ? r : slots_find(slots, &had, ret, ret_n);
}

/*
 * Gives each create a number: first those of the plan's own deletes, then numbers given back, then
 * fresh ones. Takes nothing yet: slots_record() does.
 */
static void slots_number(Slots *slots, SlotPlan *plan) {
        struct cds_list_head *unused = slots->unused.next;
        PlannedOp *creates = slot_plan_creates(plan);
        uint32_t fresh = slots->n_touched;

        for (size_t i = 0; i < plan->counts[SLOT_CREATE]; i++) {
                if (i < plan->counts[SLOT_DELETE]) {
                        creates[i].slot = plan->ops[i].slot;
                } else if (unused != &slots->unused) {
                        SlotNode *node = caa_container_of(unused, SlotNode, unused_link);

                        creates[i].slot = node->slot.number;
                        unused = unused->next;
                } else {
                        creates[i].slot = fresh++;
                }
        }
}

static int slots_check_limit(const Slots *slots, const SlotPlan *plan, Detail *detail) {
        uint64_t needed = slots->n_used + plan->counts[SLOT_CREATE] - plan->counts[SLOT_DELETE];
        uint32_t limit = slots->accelerator->n_slots;

        if (needed <= limit)
                return 0;
        return detail_set(detail, MAP_E_NO_SLOTS,
                          "address space \"%s\": %" PRIu64 " slots are needed, the limit is "
                          "%" PRIu32,
                          slots->space, needed, limit);
}

/* The plan for one change, numbered and tried. */
static int slots_plan_change(Slots *slots, const SpaceChange *change, SlotPlan **ret,
                             Detail *detail) {
        _cleanup_(slot_plan_freep) SlotPlan *plan = NULL;
        _cleanup_(extents_deinit) Extents wanted = {};
        _cleanup_(freep) Slot *old = NULL;
        size_t n_old;
        int r;

        r = slots_gather(slots, change, &wanted, &old, &n_old);
        if (r < 0)
                return r;
        r = slot_plan_new(&plan, old, n_old, wanted.items, wanted.n);
        if (r < 0)
                return r;
        r = slots_check_limit(slots, plan, detail);
        if (r != 0)
                return r;
        slots_number(slots, plan);
        r = slot_plan_check(plan, old, n_old, slots->accelerator, detail);
        if (r != 0)
                return r;
        *ret = TAKE_PTR(plan);
        return 0;
}

static const SpaceChange *slots_change(const Slots *slots, const Commit *commit) {
        for (size_t i = 0; i < commit->n_changes; i++)
                if (strcmp(commit->changes[i].space, slots->space) == 0)
                        return &commit->changes[i];
        return NULL;
}

static void slots_settle(Listener *listener, const Commit *commit) {
        Slots *slots = slots_of(listener);

        slots->plan = slot_plan_free(slots->plan);
        slots->trapped_before = slots->trapped_after = slots->trapped;
        slots->repairs = false;
}

static int slots_prepare(Listener *listener, const Commit *commit, Detail *detail) {
        Slots *slots = slots_of(listener);
        const SpaceChange *change = slots_change(slots, commit);
        int r;

        slots_settle(listener, commit);
        if (!change)
                return 0;
        slots->trapped_after += sections_trapped(&change->diff->added, slots->accelerator) -
                                sections_trapped(&change->diff->removed, slots->accelerator);
        slots->repairs = slots->torn;
        r = slots_plan_change(slots, change, &slots->plan, detail);
        if (r != 0)
                slots_settle(listener, commit);
        return r;
}

static void slots_insert(Slots *slots, SlotNode *node, const Extent *extent) {
        node->slot.extent = *extent;
        RB_INSERT(SlotsByAddress, &slots->by_address, node);
}

/* Writes down what the accelerator has just done. */
static void slots_record(Slots *slots, const PlannedOp *op) {
        SlotNode *node = &slots->nodes[op->slot];

        switch (op->kind) {
        case SLOT_CREATE:
                if (op->slot < slots->n_touched)
                        cds_list_del(&node->unused_link);
                else
                        slots->n_touched = op->slot + 1;
                node->slot.number = op->slot;
                node->used = true;
                slots_insert(slots, node, &op->after);
                slots->n_used++;
                break;
        case SLOT_DELETE:
                RB_REMOVE(SlotsByAddress, &slots->by_address, node);
                cds_list_add(&node->unused_link, &slots->unused);
                node->used = false;
                slots->n_used--;
                break;
        case SLOT_MOVE:
                RB_REMOVE(SlotsByAddress, &slots->by_address, node);
                slots_insert(slots, node, &op->after);
                break;
        default:
                node->slot.extent = op->after;
        }
}

static int slots_do(Slots *slots, const PlannedOp *op) {
        SlotOp request = planned_op_request(op);
        int r;

        r = accelerator_set_slot(slots->accelerator, &request);
        if (r < 0)
                return r;
        slots_record(slots, op);
        return 0;
}

/*
 * Takes the first n operations back, latest first. What the accelerator refuses to take back stays
 * as it is, there and here, until the next plan sets it right.
 */
static void slots_take_back(Slots *slots, size_t n) {
        while (n-- > 0) {
                PlannedOp inverse = planned_op_inverse(&slots->plan->ops[n]);

                /* To "create" what was not deleted might be a move to the kernel. */
                if ((inverse.kind == SLOT_CREATE && slots->nodes[inverse.slot].used) ||
                    slots_do(slots, &inverse) < 0)
                        slots->torn = true;
        }
}

/* Whose memory an operation is about, as the view has it that the operation leads from or to. */
static void detail_name_region(Detail *detail, const SpaceChange *change, const PlannedOp *op) {
        const FlatView *view = op->kind == SLOT_DELETE ? change->old : change->new;
        const Section *section = flat_view_find(view, planned_op_extent(op)->range.first);

        if (section)
                detail_prefix(detail, "region \"%s\": ", section->region->name);
}

/* All of the plan, or nothing. This is where vCPUs would have to be held while live slots go. */
static int slots_apply(Listener *listener, const Commit *commit, Detail *detail) {
        Slots *slots = slots_of(listener);

        for (size_t i = 0; slots->plan && i < slots->plan->n_ops; i++) {
                const PlannedOp *op = &slots->plan->ops[i];
                int r = slots_do(slots, op);

                if (r < 0) {
                        slots_take_back(slots, i);
                        r = planned_op_refused(op, r, detail);
                        detail_name_region(detail, slots_change(slots, commit), op);
                        return r;
                }
        }
        slots->trapped = slots->trapped_after;
        if (slots->repairs)
                slots->torn = false;
        return 0;
}

static void slots_undo(Listener *listener, const Commit *commit) {
        Slots *slots = slots_of(listener);

        if (slots->plan)
                slots_take_back(slots, slots->plan->n_ops);
        slots->trapped = slots->trapped_before;
        slots->torn |= slots->repairs;
}

static const ListenerOps slots_ops = {
        .prepare = slots_prepare,
        .apply = slots_apply,
        .undo = slots_undo,
        .settle = slots_settle,
};

int slots_new(Slots **ret, Accelerator *accelerator, const char *space) {
        _cleanup_(slots_freep) Slots *slots = calloc(1, sizeof(*slots) + strlen(space) + 1);

        if (!slots)
                return -ENOMEM;
        strcpy(slots->space, space);
        slots->listener = (Listener){
                .ops = &slots_ops,
                .priority = LISTENER_PRIORITY_ACCELERATOR,
                .space = slots->space,
        };
        slots->accelerator = accelerator;
        RB_INIT(&slots->by_address);
        CDS_INIT_LIST_HEAD(&slots->unused);
        slots->nodes = calloc(accelerator->n_slots, sizeof(*slots->nodes));
        if (!slots->nodes)
                return -ENOMEM;
        *ret = TAKE_PTR(slots);
        return 0;
}

Slots *slots_free(Slots *slots) {
        SlotNode *node;

        if (!slots)
                return NULL;
        RB_FOREACH(node, SlotsByAddress, &slots->by_address) {
                PlannedOp op = {SLOT_DELETE, node->slot.number, .before = node->slot.extent};
                SlotOp request = planned_op_request(&op);

                (void)accelerator_set_slot(slots->accelerator, &request);
        }
        slot_plan_free(slots->plan);
        free(slots->nodes);
        free(slots);
        return NULL;
}

Listener *slots_listener(Slots *slots) {
        return &slots->listener;
}

uint32_t slots_used(const Slots *slots) {
        return slots->n_used;
}

uint64_t slots_trapped(const Slots *slots) {
        return slots->trapped;
}

const Slot *slots_first(const Slots *slots, uint64_t from) {
        SlotNode *node = RB_ROOT(&slots->by_address), *first = NULL;

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

const Slot *slots_next(const Slots *slots, const Slot *slot) {
        SlotNode *next = RB_NEXT(SlotsByAddress, NULL, (SlotNode *)slot);

        return next ? &next->slot : NULL;
}

const SlotPlan *slots_plan(const Slots *slots) {
        static const SlotPlan nothing;

        return slots->plan ? slots->plan : &nothing;
}

uint64_t slots_planned_trapped(const Slots *slots) {
        return slots->trapped_after;
}
