/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Making plans, and trying them
 *
 * What is there and what is wanted are compared in one walk by address: slots that stay need
 * nothing or a change of flags, the rest is leaving or coming. Of these, pairs with the same memory
 * behind them are moves; what then remains is deleted and created.
 */

#include <inttypes.h>
#include <linux/kvm.h>
#include <string.h>

#include "lib/kvm/slot-move.h"
#include "lib/kvm/slot-plan.h"
#include "lib/kvm/slot-table.h"
#include "lib/memory/map-error.h"
#include "lib/util/string-table.h"

typedef struct Draft Draft;
typedef struct MoveList MoveList;

struct MoveList {
        SlotMove *items;
        size_t n;
};

/* A plan in the making: a list for each kind. What leaves has no `to`, what comes no `slot`. */
struct Draft {
        MoveList leaving;
        MoveList moves;
        MoveList ordered; /* those of the moves that can be made */
        MoveList flags;
        MoveList coming;
};

static const char *const kind_words[] = {
        [SLOT_DELETE] = "delete",
        [SLOT_MOVE] = "move",
        [SLOT_FLAGS] = "flags",
        [SLOT_CREATE] = "create",
};

STRING_TABLE(slot_op_kind, SlotOpKind, kind_words);

static int list_init(MoveList *list, size_t n) {
        /* calloc() may give NULL for nothing, so there is always room for one more. */
        list->items = calloc(n + 1, sizeof(*list->items));
        return list->items ? 0 : -ENOMEM;
}

static void list_add(MoveList *list, const Slot *slot, const Extent *to) {
        list->items[list->n++] = (SlotMove){.slot = slot, .to = to};
}

static void draft_deinit(Draft *draft) {
        free(draft->leaving.items);
        free(draft->moves.items);
        free(draft->ordered.items);
        free(draft->flags.items);
        free(draft->coming.items);
}

static int draft_init(Draft *draft, size_t n_slots, size_t n_wanted) {
        size_t n_pairs = MIN_OF(n_slots, n_wanted);

        if (list_init(&draft->leaving, n_slots) < 0 || list_init(&draft->moves, n_pairs) < 0 ||
            list_init(&draft->ordered, n_pairs) < 0 || list_init(&draft->flags, n_pairs) < 0 ||
            list_init(&draft->coming, n_wanted) < 0)
                return -ENOMEM;
        return 0;
}

/* A slot and an extent that begin at the same address. */
static void draft_compare_two(Draft *draft, const Slot *slot, const Extent *want) {
        if (!extent_same_memory(&slot->extent, want)) {
                list_add(&draft->leaving, slot, NULL);
                list_add(&draft->coming, NULL, want);
        } else if (slot->extent.flags != want->flags) {
                list_add(&draft->flags, slot, want);
        }
}

/* Sorts out what stays, in one walk over both. */
static void draft_compare(Draft *draft, const Slot *slots, size_t n_slots, const Extent *wanted,
                          size_t n_wanted) {
        size_t i = 0, j = 0;

        while (i < n_slots || j < n_wanted) {
                uint64_t slot_first = i < n_slots ? slots[i].extent.range.first : UINT64_MAX;
                uint64_t want_first = j < n_wanted ? wanted[j].range.first : UINT64_MAX;

                /* No page begins at the last byte: UINT64_MAX is behind all of them. */
                if (slot_first < want_first)
                        list_add(&draft->leaving, &slots[i++], NULL);
                else if (slot_first > want_first)
                        list_add(&draft->coming, NULL, &wanted[j++]);
                else
                        draft_compare_two(draft, &slots[i++], &wanted[j++]);
        }
}

/* Bytes of what leaves that come back at the same addresses as they were: both lists ascend. */
static uint64_t draft_unchanged(const Draft *draft) {
        uint64_t bytes = 0;

        for (size_t i = 0, j = 0; i < draft->leaving.n && j < draft->coming.n;) {
                const Extent *old = &draft->leaving.items[i].slot->extent;
                const Extent *new = draft->coming.items[j].to;
                Range both;

                if (range_intersect(old->range, new->range, &both) &&
                    extent_same_translation(old, new))
                        bytes += range_size(both);
                if (old->range.last < new->range.last)
                        i++;
                else
                        j++;
        }
        return bytes;
}

/* Where the slot is, or should come. */
static const Extent *move_extent(const SlotMove *move) {
        return move->slot ? &move->slot->extent : move->to;
}

static int compare_u64(uint64_t a, uint64_t b) {
        return (a > b) - (a < b);
}

static int compare_address(const void *a, const void *b) {
        return compare_u64(move_extent(a)->range.first, move_extent(b)->range.first);
}

/* 0: the one can move to the place of the other, see extent_same_memory(). */
static int compare_memory(const SlotMove *a, const SlotMove *b) {
        const Extent *one = move_extent(a), *other = move_extent(b);
        int r;

        r = compare_u64(one->host, other->host);
        if (r == 0)
                r = compare_u64(range_size(one->range), range_size(other->range));
        if (r == 0)
                r = compare_u64(one->flags & KVM_MEM_READONLY, other->flags & KVM_MEM_READONLY);
        return r;
}

static int compare_memory_address(const void *a, const void *b) {
        int r = compare_memory(a, b);

        return r ? r : compare_address(a, b);
}

static void list_sort(MoveList *list, int (*compare)(const void *a, const void *b)) {
        qsort(list->items, list->n, sizeof(list->items[0]), compare);
}

/* Pairs what leaves with what comes, both sorted by memory. What finds no partner stays. */
static void draft_pair(Draft *draft) {
        MoveList leaving = draft->leaving, coming = draft->coming;
        size_t i = 0, j = 0;

        draft->leaving.n = draft->coming.n = 0;
        while (i < leaving.n || j < coming.n) {
                int r = i == leaving.n  ? 1
                        : j == coming.n ? -1
                                        : compare_memory(&leaving.items[i], &coming.items[j]);

                if (r < 0)
                        list_add(&draft->leaving, leaving.items[i++].slot, NULL);
                else if (r > 0)
                        list_add(&draft->coming, NULL, coming.items[j++].to);
                else
                        list_add(&draft->moves, leaving.items[i++].slot, coming.items[j++].to);
        }
}

/* Makes moves of what leaves and comes with the same memory, as far as there is room for them. */
static void draft_move(Draft *draft) {
        if (draft->leaving.n == 0 || draft->coming.n == 0)
                return;
        list_sort(&draft->leaving, compare_memory_address);
        list_sort(&draft->coming, compare_memory_address);
        draft_pair(draft);

        list_sort(&draft->moves, compare_address);
        draft->ordered.n =
                slot_moves_order(draft->moves.items, draft->moves.n, draft->ordered.items);
        for (size_t i = 0; i < draft->moves.n; i++)
                if (draft->moves.items[i].state == SLOT_MOVE_BROKEN) {
                        list_add(&draft->leaving, draft->moves.items[i].slot, NULL);
                        list_add(&draft->coming, NULL, draft->moves.items[i].to);
                }
        list_sort(&draft->leaving, compare_address);
        list_sort(&draft->coming, compare_address);
}

static void plan_add(SlotPlan *plan, SlotOpKind kind, const MoveList *list) {
        plan->counts[kind] = list->n;
        for (size_t i = 0; i < list->n; i++) {
                const SlotMove *move = &list->items[i];
                PlannedOp *op = &plan->ops[plan->n_ops++];

                op->kind = kind;
                if (move->slot) {
                        op->slot = move->slot->number;
                        op->before = move->slot->extent;
                }
                if (move->to)
                        op->after = *move->to;
                backing_ref(op->before.backing);
                backing_ref(op->after.backing);
                if (kind != SLOT_FLAGS)
                        plan->bytes_remapped += range_size(planned_op_extent(op)->range);
        }
}

static int draft_finish(const Draft *draft, uint64_t bytes_unchanged, SlotPlan **ret) {
        size_t n = draft->leaving.n + draft->ordered.n + draft->flags.n + draft->coming.n;
        SlotPlan *plan = calloc(1, sizeof(*plan) + n * sizeof(plan->ops[0]));

        if (!plan)
                return -ENOMEM;
        plan_add(plan, SLOT_DELETE, &draft->leaving);
        plan_add(plan, SLOT_MOVE, &draft->ordered);
        plan_add(plan, SLOT_FLAGS, &draft->flags);
        plan_add(plan, SLOT_CREATE, &draft->coming);
        plan->bytes_unchanged = bytes_unchanged;
        *ret = plan;
        return 0;
}

int slot_plan_new(SlotPlan **ret, const Slot *slots, size_t n_slots, const Extent *wanted,
                  size_t n_wanted) {
        _cleanup_(draft_deinit) Draft draft = {};
        uint64_t bytes_unchanged;
        int r;

        r = draft_init(&draft, n_slots, n_wanted);
        if (r < 0)
                return r;
        draft_compare(&draft, slots, n_slots, wanted, n_wanted);
        bytes_unchanged = draft_unchanged(&draft);
        draft_move(&draft);
        return draft_finish(&draft, bytes_unchanged, ret);
}

SlotPlan *slot_plan_free(SlotPlan *plan) {
        for (size_t i = 0; plan && i < plan->n_ops; i++) {
                backing_unref(plan->ops[i].before.backing);
                backing_unref(plan->ops[i].after.backing);
        }
        free(plan);
        return NULL;
}

bool slot_plan_takes_memory(const SlotPlan *plan) {
        return plan->counts[SLOT_DELETE] > 0 || plan->counts[SLOT_MOVE] > 0;
}

PlannedOp *slot_plan_creates(SlotPlan *plan) {
        return plan->ops + (plan->n_ops - plan->counts[SLOT_CREATE]);
}

static int table_add(SlotTable *table, const Slot *slot) {
        PlannedOp op = {.kind = SLOT_CREATE, .slot = slot->number, .after = slot->extent};
        SlotOp request = planned_op_request(&op);

        return slot_table_set(table, &request);
}

int slot_plan_check(const SlotPlan *plan, const Slot *slots, size_t n_slots,
                    const Accelerator *accelerator, Detail *detail) {
        _cleanup_(slot_table_deinit) SlotTable table;
        int r;

        slot_table_init(&table, accelerator);
        for (size_t i = 0; i < n_slots; i++) {
                r = table_add(&table, &slots[i]);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < plan->n_ops; i++) {
                SlotOp request = planned_op_request(&plan->ops[i]);

                r = slot_table_set(&table, &request);
                if (r == -ENOMEM)
                        return r;
                if (r < 0)
                        return planned_op_refused(&plan->ops[i], r, detail);
        }
        return 0;
}

SlotOp planned_op_request(const PlannedOp *op) {
        const Extent *extent = planned_op_extent(op);

        return (SlotOp){
                .slot = op->slot,
                .flags = op->kind == SLOT_DELETE ? 0 : extent->flags,
                .address = extent->range.first,
                .size = op->kind == SLOT_DELETE ? 0 : range_size(extent->range),
                .host = extent->host,
        };
}

PlannedOp planned_op_inverse(const PlannedOp *op) {
        static const SlotOpKind inverses[] = {
                [SLOT_DELETE] = SLOT_CREATE,
                [SLOT_MOVE] = SLOT_MOVE,
                [SLOT_FLAGS] = SLOT_FLAGS,
                [SLOT_CREATE] = SLOT_DELETE,
        };

        return (PlannedOp){
                .kind = inverses[op->kind],
                .slot = op->slot,
                .before = op->after,
                .after = op->before,
        };
}

const Extent *planned_op_extent(const PlannedOp *op) {
        return op->kind == SLOT_DELETE ? &op->before : &op->after;
}

int planned_op_refused(const PlannedOp *op, int error, Detail *detail) {
        const Extent *extent = planned_op_extent(op);

        return detail_set(detail, MAP_E_KVM,
                          "slot %" PRIu32 ": %s 0x%" PRIx64 "-0x%" PRIx64 " of backing %" PRIu64
                          ": %s",
                          op->slot, slot_op_kind_to_string(op->kind), extent->range.first,
                          extent->range.last, extent->backing->id, strerror(-error));
}
