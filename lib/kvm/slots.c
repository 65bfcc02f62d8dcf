/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Slots: the listener
 *
 * Nothing is allocated between prepare() and settle(), so carrying a plan out and taking it back
 * fail for the accelerator's reasons only.
 *
 * I5: `set` is what the accelerator has, at every moment: also when it refuses an operation half
 *     way, or refuses to take one back.
 */

#include <inttypes.h>
#include <linux/kvm.h>
#include <string.h>

#include "lib/kvm/dirty-fetch.h"
#include "lib/kvm/slot-cut.h"
#include "lib/kvm/slot-join.h"
#include "lib/kvm/slot-set.h"
#include "lib/kvm/slots.h"
#include "lib/memory/map-error.h"

struct Slots {
        Listener listener;
        Accelerator *accelerator;
        RunGate *gate;
        SlotSet set;
        uint64_t trapped;
        SlotStats stats;
        DirtyBuffer dirty;
        bool torn; /* I2 does not hold: the accelerator refused to take something back */

        /* Of the commit at hand, from prepare() to settle(). */
        SlotPlan *plan; /* NULL: it is not about our address space */
        uint64_t trapped_before;
        uint64_t trapped_after;
        SlotStats stats_before;
        bool repairs; /* the plan is about everything, because of `torn` */
        bool holds;   /* the gate */
        char space[];
};

static Slots *slots_of(Listener *listener) {
        return caa_container_of(listener, Slots, listener);
}

/* What all slots map, whatever the view had. */
static int slots_extents(const Slots *slots, Extents *extents) {
        const Slot *slot = slots_first(slots, 0);
        int r = 0;

        for (; r == 0 && slot; slot = slots_next(slots, slot))
                r = extents_append(extents, &slot->extent);
        return r;
}

/* What is mapped and what should be, of what changes; of everything if we had been torn. */
static int slots_compare(const Slots *slots, const SpaceChange *change, Extents *had,
                         Extents *now) {
        const Accelerator *accelerator = slots->accelerator;
        int r;

        if (slots->torn) {
                r = slots_extents(slots, had);
                return r < 0 ? r : extents_from_view(now, change->new, accelerator);
        }
        r = extents_from_diff(had, change->diff, false, accelerator);
        return r < 0 ? r : extents_from_diff(now, change->diff, true, accelerator);
}

/* What a plan starts from and leads to: of the slots that must change, and of no others. */
static int slots_gather(const Slots *slots, const SpaceChange *change, SlotList *old,
                        Extents *wanted) {
        _cleanup_(extents_deinit) Extents had = {}, now = {};
        _cleanup_(remaps_deinit) Remaps remaps = {};
        int r;

        r = slots_compare(slots, change, &had, &now);
        if (r == 0)
                r = remaps_compare(&remaps, &had, &now);
        for (size_t i = 0; r == 0 && i < remaps.n; i++)
                r = slot_set_find(&slots->set, remaps.items[i].range, old);
        if (r == 0)
                r = extents_cut(wanted, old, &remaps, slots->accelerator->slot_size_max);
        return r;
}

/* Adds the slots that are not in the list, as they are, to both sides. */
static int slots_gather_rest(const Slots *slots, SlotList *old, Extents *wanted) {
        const Slot *slot = slots_first(slots, 0);
        size_t n_gathered = old->n, next = 0;
        int r = 0;

        for (; r == 0 && slot; slot = slots_next(slots, slot)) {
                if (next < n_gathered && old->items[next].number == slot->number) {
                        next++;
                        continue;
                }
                r = slot_list_append(old, slot);
                if (r == 0)
                        r = extents_append(wanted, &slot->extent);
        }
        slot_list_sort(old);
        extents_sort(wanted);
        return r;
}

static uint64_t slots_needed(const Slots *slots, const SlotList *old, const Extents *wanted) {
        return slots->set.n_used - old->n + wanted->n;
}

/* Leaves out of both sides the slots that stay as they are: a plan need not know them. */
static void leave_out_same(SlotList *old, Extents *wanted) {
        size_t i = 0, j = 0, n_old = 0, n_wanted = 0;

        while (i < old->n || j < wanted->n) {
                const Extent *slot = i < old->n ? &old->items[i].extent : NULL;
                const Extent *want = j < wanted->n ? &wanted->items[j] : NULL;

                if (slot && want && extent_equal(slot, want)) {
                        i++;
                        j++;
                } else if (slot && (!want || slot->range.first <= want->range.first)) {
                        old->items[n_old++] = old->items[i++];
                } else {
                        wanted->items[n_wanted++] = wanted->items[j++];
                }
        }
        old->n = n_old;
        wanted->n = n_wanted;
}

/* Joins pieces if slots run short. */
static int slots_coalesce(const Slots *slots, SlotList *old, Extents *wanted) {
        uint64_t needed = slots_needed(slots, old, wanted);
        uint32_t limit = slots->accelerator->n_slots;
        int r;

        if (needed <= limit)
                return 0;
        r = slots_gather_rest(slots, old, wanted);
        if (r < 0)
                return r;
        r = extents_join(wanted, old, needed - limit, slots->accelerator->slot_size_max);
        if (r == 0)
                leave_out_same(old, wanted);
        return r;
}

static int slots_check_limit(const Slots *slots, uint64_t needed, Detail *detail) {
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
        _cleanup_(slot_list_deinit) SlotList old = {};
        int r;

        r = slots_gather(slots, change, &old, &wanted);
        if (r == 0)
                r = slots_coalesce(slots, &old, &wanted);
        if (r == 0)
                r = slots_check_limit(slots, slots_needed(slots, &old, &wanted), detail);
        if (r == 0)
                r = slot_plan_new(&plan, old.items, old.n, wanted.items, wanted.n);
        if (r != 0)
                return r;
        slot_set_number(&slots->set, plan);
        r = slot_plan_check(plan, old.items, old.n, slots->accelerator, detail);
        if (r == 0)
                *ret = TAKE_PTR(plan);
        return r;
}

/* Room for the log of each slot that the plan, or its undoing, may have to save. */
static int slots_reserve_dirty(Slots *slots) {
        const SlotPlan *plan = slots->plan;
        uint64_t size = 0;

        for (size_t i = 0; i < plan->n_ops; i++) {
                const Extent *extent = planned_op_extent(&plan->ops[i]);

                if (dirty_is_logged(slots->accelerator, &plan->ops[i].before) ||
                    dirty_is_logged(slots->accelerator, &plan->ops[i].after))
                        size = MAX_OF(size, range_size(extent->range));
        }
        return dirty_buffer_reserve(&slots->dirty, slots->accelerator, size);
}

static const SpaceChange *slots_change(const Slots *slots, const Commit *commit) {
        for (size_t i = 0; i < commit->n_changes; i++)
                if (strcmp(commit->changes[i].space, slots->space) == 0)
                        return &commit->changes[i];
        return NULL;
}

static void slots_hold(Slots *slots) {
        if (!slots->gate || !slot_plan_takes_memory(slots_plan(slots)))
                return;
        run_gate_hold(slots->gate);
        slots->holds = true;
}

static void slots_release(Slots *slots) {
        if (slots->holds)
                run_gate_release(slots->gate);
        slots->holds = false;
}

static void slots_settle(Listener *listener, const Commit *commit) {
        Slots *slots = slots_of(listener);

        slots_release(slots);
        slots->plan = slot_plan_free(slots->plan);
        slots->trapped_before = slots->trapped_after = slots->trapped;
        slots->stats_before = slots->stats;
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
        if (r == 0)
                r = slots_reserve_dirty(slots);
        if (r != 0)
                slots_settle(listener, commit);
        return r;
}

/* A slot stays, and its region's log begins or ends. */
static bool is_relogged(const PlannedOp *op) {
        return (op->kind == SLOT_MOVE || op->kind == SLOT_FLAGS) &&
               (op->before.flags ^ op->after.flags) & KVM_MEM_LOG_DIRTY_PAGES;
}

/*
 * KVM forgets what it has logged of a slot that goes, or is not to be logged any more. What it has
 * logged for others when a region's log begins is from before.
 */
static int slots_save_dirty(Slots *slots, const PlannedOp *op) {
        const Slot slot = {op->slot, op->before};

        if ((op->kind != SLOT_DELETE && !is_relogged(op)) ||
            !dirty_is_logged(slots->accelerator, &slot.extent))
                return 0;
        return dirty_fetch(&slots->dirty, slots->accelerator, &slot, op->kind != SLOT_DELETE);
}

static int slots_do(Slots *slots, const PlannedOp *op) {
        SlotOp request = planned_op_request(op);
        int r;

        r = slots_save_dirty(slots, op);
        if (r == 0)
                r = accelerator_set_slot(slots->accelerator, &request);
        if (r < 0)
                return r;
        slot_set_record(&slots->set, op);
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
                if ((inverse.kind == SLOT_CREATE && slot_set_has(&slots->set, inverse.slot)) ||
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

static void slots_count(SlotStats *stats, const SlotPlan *plan) {
        for (unsigned kind = 0; kind < N_SLOT_OP_KINDS; kind++)
                stats->operations[kind] += plan->counts[kind];
        stats->bytes_remapped += plan->bytes_remapped;
        stats->bytes_unchanged += plan->bytes_unchanged;
}

/* All of the plan, or nothing. */
static int slots_apply(Listener *listener, const Commit *commit, Detail *detail) {
        Slots *slots = slots_of(listener);

        slots_hold(slots);
        for (size_t i = 0; slots->plan && i < slots->plan->n_ops; i++) {
                const PlannedOp *op = &slots->plan->ops[i];
                int r = slots_do(slots, op);

                if (r < 0) {
                        slots_take_back(slots, i);
                        slots_release(slots);
                        r = planned_op_refused(op, r, detail);
                        detail_name_region(detail, slots_change(slots, commit), op);
                        return r;
                }
        }
        slots_count(&slots->stats, slots_plan(slots));
        slots->trapped = slots->trapped_after;
        if (slots->repairs)
                slots->torn = false;
        return 0;
}

static void slots_undo(Listener *listener, const Commit *commit) {
        Slots *slots = slots_of(listener);

        if (slots->plan)
                slots_take_back(slots, slots->plan->n_ops);
        slots_release(slots);
        slots->trapped = slots->trapped_before;
        slots->stats = slots->stats_before;
        slots->torn |= slots->repairs;
}

/* Whatever a guest meets from here on is served by the new views. */
static void slots_published(Listener *listener, const Commit *commit) {
        slots_release(slots_of(listener));
}

static const ListenerOps slots_ops = {
        .prepare = slots_prepare,
        .apply = slots_apply,
        .undo = slots_undo,
        .published = slots_published,
        .settle = slots_settle,
};

int slots_new(Slots **ret, Accelerator *accelerator, const char *space) {
        _cleanup_(slots_freep) Slots *slots = calloc(1, sizeof(*slots) + strlen(space) + 1);
        int r;

        if (!slots)
                return -ENOMEM;
        strcpy(slots->space, space);
        slots->listener = (Listener){
                .ops = &slots_ops,
                .priority = LISTENER_PRIORITY_ACCELERATOR,
                .space = slots->space,
        };
        slots->accelerator = accelerator;
        r = slot_set_init(&slots->set, accelerator->n_slots);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(slots);
        return 0;
}

Slots *slots_free(Slots *slots) {
        const Slot *slot;

        if (!slots)
                return NULL;
        for (slot = slots_first(slots, 0); slot; slot = slots_next(slots, slot)) {
                PlannedOp op = {SLOT_DELETE, slot->number, .before = slot->extent};
                SlotOp request = planned_op_request(&op);

                (void)accelerator_set_slot(slots->accelerator, &request);
        }
        slot_plan_free(slots->plan);
        slot_set_deinit(&slots->set);
        dirty_buffer_deinit(&slots->dirty);
        free(slots);
        return NULL;
}

void slots_set_gate(Slots *slots, RunGate *gate) {
        slots->gate = gate;
}

Listener *slots_listener(Slots *slots) {
        return &slots->listener;
}

uint32_t slots_used(const Slots *slots) {
        return slots->set.n_used;
}

const SlotStats *slots_stats(const Slots *slots) {
        return &slots->stats;
}

uint64_t slots_trapped(const Slots *slots) {
        return slots->trapped;
}

const Slot *slots_first(const Slots *slots, uint64_t from) {
        return slot_set_first(&slots->set, from);
}

const Slot *slots_next(const Slots *slots, const Slot *slot) {
        return slot_set_next(slot);
}

uint32_t slots_flags(const Slots *slots, const Slot *slot) {
        bool logged = dirty_is_logged(slots->accelerator, &slot->extent);

        return slot->extent.flags | (logged ? KVM_MEM_LOG_DIRTY_PAGES : 0);
}

const SlotPlan *slots_plan(const Slots *slots) {
        static const SlotPlan nothing;

        return slots->plan ? slots->plan : &nothing;
}

uint64_t slots_planned_trapped(const Slots *slots) {
        return slots->trapped_after;
}
