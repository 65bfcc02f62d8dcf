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
#include "lib/util/array.h"
#include "lib/util/tree.h"

typedef struct Extents Extents;
typedef struct SlotNode SlotNode;

RB_HEAD(SlotsByAddress, SlotNode);

struct SlotNode {
        Slot slot; /* first: slots_next() casts */
        RB_ENTRY(SlotNode) by_address;
        struct cds_list_head unused_link;
};

struct Slots {
        Listener listener;
        Accelerator *accelerator;
        struct SlotsByAddress by_address;
        struct cds_list_head unused; /* of SlotNode.unused_link: the numbers given back, latest first */
        SlotNode *nodes;
        uint32_t n_touched;
        uint32_t n_used;
        uint64_t trapped;

        /* Of the commit at hand, from prepare() to settle(). */
        SlotPlan *plan; /* NULL: it is not about our address space */
        uint64_t trapped_before;
        uint64_t trapped_after;
        char space[];
};

struct Extents {
        Extent *items;
        size_t n;
        size_t allocated;
};

static int compare_address(const SlotNode *a, const SlotNode *b) {
        uint64_t first = a->slot.extent.range.first, other = b->slot.extent.range.first;

        return (first > other) - (first < other);
}

RB_GENERATE_STATIC(SlotsByAddress, SlotNode, by_address, compare_address)

static void extents_deinit(Extents *extents) {
        free(extents->items);
}

static Slots *slots_of(Listener *listener) {
        return caa_container_of(listener, Slots, listener);
}

/* Appends what slots the section should have. */
static int extents_append(Extents *extents, const Section *section, const Accelerator *accelerator) {
        Extent whole;
        size_t n;
        int r;

        if (!extent_from_section(section, accelerator, &whole))
                return 0;
        n = extent_n_parts(&whole, accelerator->slot_size_max);
        r = array_reserve(&extents->items, &extents->allocated, extents->n, n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                extents->items[extents->n++] =
                        extent_part(&whole, accelerator->slot_size_max, i);
        return 0;
}

/* One side of a diff, by address: what is removed or added, merged with what is logged otherwise. */
static int extents_from_diff(Extents *extents, const Diff *diff, bool new,
                             const Accelerator *accelerator) {
        const Sections *sections = new ? &diff->added : &diff->removed;
        size_t i = 0, j = 0;

        while (i < sections->n || j < diff->n_relogged) {
                const Section *section = NULL;
                int r;

                if (j < diff->n_relogged)
                        section = new ? &diff->relogged[j].new : &diff->relogged[j].old;
                if (section && (i == sections->n ||
                                section->range.first < sections->items[i].range.first))
                        j++;
                else
                        section = &sections->items[i++];
                r = extents_append(extents, section, accelerator);
                if (r < 0)
                        return r;
        }
        return 0;
}

static uint64_t sections_trapped(const Sections *sections, const Accelerator *accelerator) {
        uint64_t trapped = 0;

        for (size_t i = 0; i < sections->n; i++)
                trapped += section_trapped(&sections->items[i], accelerator);
        return trapped;
}

/* The slots for extents that had theirs; `ret` has room for all of them. */
static size_t slots_find(Slots *slots, const Extents *extents, Slot *ret) {
        size_t n = 0;

        for (size_t i = 0; i < extents->n; i++) {
                SlotNode key = {.slot.extent = extents->items[i]};
                SlotNode *node = RB_FIND(SlotsByAddress, &slots->by_address, &key);

                if (node)
                        ret[n++] = node->slot;
        }
        return n;
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
                        creates[i].slot = caa_container_of(unused, SlotNode, unused_link)->slot.number;
                        unused = unused->next;
                } else {
                        creates[i].slot = fresh++;
                }
        }
}

static int slots_check_limit(const Slots *slots, const SlotPlan *plan, Detail *detail) {
        uint64_t needed = slots->n_used + plan->counts[SLOT_CREATE] - plan->counts[SLOT_DELETE];

        if (needed <= slots->accelerator->n_slots)
                return 0;
        return detail_set(detail, MAP_E_NO_SLOTS,
                          "address space \"%s\": %" PRIu64 " slots are needed, the limit is %" PRIu32,
                          slots->space, needed, slots->accelerator->n_slots);
}

/* The plan for one change, numbered and tried. */
static int slots_plan_change(Slots *slots, const Diff *diff, SlotPlan **ret, Detail *detail) {
        _cleanup_(extents_deinit) Extents had = {}, wanted = {};
        _cleanup_(slot_plan_freep) SlotPlan *plan = NULL;
        _cleanup_(freep) Slot *old = NULL;
        size_t n_old;
        int r;

        r = extents_from_diff(&had, diff, false, slots->accelerator);
        if (r < 0)
                return r;
        r = extents_from_diff(&wanted, diff, true, slots->accelerator);
        if (r < 0)
                return r;
        old = calloc(had.n + 1, sizeof(*old));
        if (!old)
                return -ENOMEM;
        n_old = slots_find(slots, &had, old);

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
}

static int slots_prepare(Listener *listener, const Commit *commit, Detail *detail) {
        Slots *slots = slots_of(listener);
        const SpaceChange *change = slots_change(slots, commit);

        slots_settle(listener, commit);
        if (!change)
                return 0;
        slots->trapped_after += sections_trapped(&change->diff->added, slots->accelerator) -
                                sections_trapped(&change->diff->removed, slots->accelerator);
        return slots_plan_change(slots, change->diff, &slots->plan, detail);
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
                slots_insert(slots, node, &op->after);
                slots->n_used++;
                break;
        case SLOT_DELETE:
                RB_REMOVE(SlotsByAddress, &slots->by_address, node);
                cds_list_add(&node->unused_link, &slots->unused);
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
 * as it is, there and here.
 */
static void slots_take_back(Slots *slots, size_t n) {
        while (n-- > 0) {
                PlannedOp inverse = planned_op_inverse(&slots->plan->ops[n]);

                (void)slots_do(slots, &inverse);
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
        return 0;
}

static void slots_undo(Listener *listener, const Commit *commit) {
        Slots *slots = slots_of(listener);

        if (slots->plan)
                slots_take_back(slots, slots->plan->n_ops);
        slots->trapped = slots->trapped_before;
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
