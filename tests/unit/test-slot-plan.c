/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Extents and slot plans: pure functions, so each case is in and out, and then random ones against
 * the rules
 */

#include <inttypes.h>
#include <string.h>

#include "lib/kvm/slot-plan.h"
#include "lib/kvm/slot-table.h"
#include "lib/memory/map-error.h"
#include "tests/common/unit.h"
#include "tests/unit/pages.h"

static Accelerator limits = {
        .n_slots = 64,
        .slot_size_max = 0x100000,
        .address_last = (UINT64_C(1) << 36) - 1,
        .page_size = PAGE,
        .has_readonly = true,
};

static void assert_extent(Extent extent, Extent expected) {
        assert_true(range_equal(extent.range, expected.range));
        assert_int_equal(extent.host, expected.host);
        assert_ptr_equal(extent.backing, expected.backing);
        assert_int_equal(extent.offset, expected.offset);
        assert_int_equal(extent.flags, expected.flags);
}

/* A line per operation: kind, slot, what it was, what it is to be; numbers in pages. */
static char *plan_text(const SlotPlan *plan) {
        size_t length;
        char *text;
        FILE *stream = open_memstream(&text, &length);

        assert_non_null(stream);
        for (size_t i = 0; i < plan->n_ops; i++) {
                const PlannedOp *op = &plan->ops[i];

                fputs(slot_op_kind_to_string(op->kind), stream);
                if (op->kind != SLOT_CREATE) {
                        fprintf(stream, " %" PRIu32, op->slot);
                        pages_write(stream, &op->before);
                }
                if (op->kind == SLOT_MOVE || op->kind == SLOT_FLAGS)
                        fputs(" to", stream);
                if (op->kind != SLOT_DELETE)
                        pages_write(stream, &op->after);
                fputc('\n', stream);
        }
        fclose(stream);
        return text;
}

/* Deletes free their numbers for creates; further numbers follow from `fresh`. */
static void number_creates(SlotPlan *plan, uint32_t fresh) {
        PlannedOp *creates = slot_plan_creates(plan);

        for (size_t i = 0; i < plan->counts[SLOT_CREATE]; i++)
                creates[i].slot = i < plan->counts[SLOT_DELETE] ? plan->ops[i].slot : fresh++;
}

static SlotPlan *must_plan(const Slot *slots, size_t n_slots, const Extent *wanted,
                           size_t n_wanted) {
        SlotPlan *plan = NULL;
        Detail detail = {};

        assert_int_equal(slot_plan_new(&plan, slots, n_slots, wanted, n_wanted), 0);
        assert_non_null(plan);
        number_creates(plan, 32);
        if (slot_plan_check(plan, slots, n_slots, &limits, &detail) != 0)
                fail_msg("%s", detail.text);
        return plan;
}

#define assert_plan(slots, wanted, expected)                                                       \
        do {                                                                                       \
                _cleanup_(slot_plan_freep) SlotPlan *plan_ =                                       \
                        must_plan(slots, ELEMENTS_OF(slots), wanted, ELEMENTS_OF(wanted));         \
                                                                                                   \
                assert_text(plan_text(plan_), expected);                                           \
        } while (0)

static void test_nothing(void **state) {
        _cleanup_(slot_plan_freep) SlotPlan *plan = must_plan(NULL, 0, NULL, 0);
        const Slot slots[] = {{3, pages(0, 4, 100, 0)}, {1, pages(8, 4, 108, RO | LOG)}};
        const Extent wanted[] = {slots[0].extent, slots[1].extent};

        assert_int_equal(plan->n_ops, 0);
        assert_int_equal(plan->bytes_remapped, 0);
        assert_plan(slots, wanted, "");
}

static void test_create_and_delete(void **state) {
        const Slot slots[] = {{3, pages(0, 4, 100, 0)}, {1, pages(8, 4, 108, RO)}};
        const Extent wanted[] = {pages(2, 2, 7, 0), pages(6, 9, 19, RO | LOG)};
        const Extent none[] = {};
        const Slot empty[] = {};

        assert_plan(empty, wanted, "create 2+2@7\ncreate 6+9@13 ro log\n");
        assert_plan(slots, none, "delete 3 0+4@64\ndelete 1 8+4@6c ro\n");
        assert_plan(slots, wanted,
                    "delete 3 0+4@64\ndelete 1 8+4@6c ro\n"
                    "create 2+2@7\ncreate 6+9@13 ro log\n");
}

static void test_in_place(void **state) {
        const Slot slots[] = {{0, pages(0, 4, 100, 0)},    {1, pages(4, 4, 104, LOG)},
                              {2, pages(8, 4, 108, 0)},    {3, pages(12, 4, 112, 0)},
                              {4, pages(16, 4, 116, LOG)}, {5, pages(20, 4, 120, RO)}};
        const Extent wanted[] = {
                pages(0, 4, 100, LOG),  /* logging on */
                pages(4, 4, 104, 0),    /* and off */
                pages(8, 4, 108, RO),   /* read-only: not in place */
                pages(12, 4, 200, 0),   /* other memory */
                pages(16, 3, 116, LOG), /* shorter */
                pages(20, 4, 120, RO | LOG),
        };

        assert_plan(slots, wanted,
                    "delete 2 8+4@6c\n"
                    "delete 3 c+4@70\n"
                    "delete 4 10+4@74 log\n"
                    "flags 0 0+4@64 to 0+4@64 log\n"
                    "flags 1 4+4@68 log to 4+4@68\n"
                    "flags 5 14+4@78 ro to 14+4@78 ro log\n"
                    "create 8+4@6c ro\n"
                    "create c+4@c8\n"
                    "create 10+3@74 log\n");
}

static void test_bytes_remapped(void **state) {
        const Slot slots[] = {
                {0, pages(0, 4, 100, 0)}, {1, pages(10, 3, 200, 0)}, {2, pages(20, 7, 300, 0)}};
        const Extent wanted[] = {pages(0, 4, 100, LOG), pages(40, 3, 200, 0), pages(50, 5, 300, 0)};
        _cleanup_(slot_plan_freep) SlotPlan *plan = must_plan(slots, 3, wanted, 3);

        assert_int_equal(plan->bytes_remapped, (3 + 7 + 5) * PAGE);
        assert_int_equal(plan->counts[SLOT_DELETE], 1);
        assert_int_equal(plan->counts[SLOT_MOVE], 1);
        assert_int_equal(plan->counts[SLOT_FLAGS], 1);
        assert_int_equal(plan->counts[SLOT_CREATE], 1);
}

static void test_move(void **state) {
        const Slot slots[] = {{9, pages(0x10, 4, 100, RO)}};
        const Extent far[] = {pages(0x80, 4, 100, RO)}, near[] = {pages(0x12, 4, 100, RO)};
        const Extent logged[] = {pages(0x80, 4, 100, RO | LOG)};
        const Extent writable[] = {pages(0x80, 4, 100, 0)}, longer[] = {pages(0x80, 5, 100, RO)};

        assert_plan(slots, far, "move 9 10+4@64 ro to 80+4@64 ro\n");
        assert_plan(slots, near, "move 9 10+4@64 ro to 12+4@64 ro\n");
        assert_plan(slots, logged, "move 9 10+4@64 ro to 80+4@64 ro log\n");
        assert_plan(slots, writable, "delete 9 10+4@64 ro\ncreate 80+4@64\n");
        assert_plan(slots, longer, "delete 9 10+4@64 ro\ncreate 80+5@64 ro\n");
}

/* A place that a deleted slot leaves is free; one that stays is never asked for. */
static void test_move_into_deleted(void **state) {
        const Slot slots[] = {{0, pages(0, 4, 100, 0)}, {1, pages(8, 4, 200, 0)}};
        const Extent wanted[] = {pages(8, 4, 100, 0)};

        assert_plan(slots, wanted, "delete 1 8+4@c8\nmove 0 0+4@64 to 8+4@64\n");
}

/* Everything up by a bit more than nothing: the last one has to go first. Down: the first one. */
static void test_move_all(void **state) {
        const Slot slots[] = {
                {0, pages(10, 4, 100, 0)}, {1, pages(14, 4, 200, 0)}, {2, pages(18, 4, 300, 0)}};
        const Extent up[] = {pages(12, 4, 100, 0), pages(16, 4, 200, 0), pages(20, 4, 300, 0)};
        const Extent down[] = {pages(8, 4, 100, 0), pages(12, 4, 200, 0), pages(16, 4, 300, 0)};

        assert_plan(slots, up,
                    "move 2 12+4@12c to 14+4@12c\n"
                    "move 1 e+4@c8 to 10+4@c8\n"
                    "move 0 a+4@64 to c+4@64\n");
        assert_plan(slots, down,
                    "move 0 a+4@64 to 8+4@64\n"
                    "move 1 e+4@c8 to c+4@c8\n"
                    "move 2 12+4@12c to 10+4@12c\n");
}

/* In a ring nobody can begin: one is deleted and created, the rest still move. */
static void test_move_ring(void **state) {
        const Slot slots[] = {{0, pages(0, 4, 100, 0)},
                              {1, pages(4, 4, 200, 0)},
                              {2, pages(8, 4, 300, 0)},
                              {3, pages(12, 4, 400, 0)}};
        const Extent swapped[] = {pages(0, 4, 200, 0), pages(4, 4, 100, 0), pages(8, 4, 300, 0),
                                  pages(12, 4, 400, 0)};
        const Extent turned[] = {pages(0, 4, 400, 0), pages(4, 4, 100, 0), pages(8, 4, 200, 0),
                                 pages(12, 4, 300, 0)};

        assert_plan(slots, swapped,
                    "delete 0 0+4@64\n"
                    "move 1 4+4@c8 to 0+4@c8\n"
                    "create 4+4@64\n");
        assert_plan(slots, turned,
                    "delete 0 0+4@64\n"
                    "move 3 c+4@190 to 0+4@190\n"
                    "move 2 8+4@12c to c+4@12c\n"
                    "move 1 4+4@c8 to 8+4@c8\n"
                    "create 4+4@64\n");
}

/* Who waits for a ring without being of it: 0 → 4 ⇄ 8, where slot 0 wants what the ring leaves. */
static void test_move_behind_ring(void **state) {
        const Slot slots[] = {
                {0, pages(0, 2, 100, 0)}, {1, pages(4, 4, 200, 0)}, {2, pages(8, 4, 300, 0)}};
        const Extent wanted[] = {pages(4, 2, 100, 0), pages(6, 4, 300, 0), pages(10, 4, 200, 0)};

        assert_plan(slots, wanted,
                    "delete 1 4+4@c8\n"
                    "move 2 8+4@12c to 6+4@12c\n"
                    "move 0 0+2@64 to 4+2@64\n"
                    "create a+4@c8\n");
}

/* The same memory seen several times: pairs in the order of addresses. */
static void test_move_twins(void **state) {
        const Slot slots[] = {{0, pages(0, 4, 100, 0)}, {1, pages(4, 4, 100, 0)}};
        const Extent three[] = {pages(20, 4, 100, 0), pages(24, 4, 100, 0), pages(28, 4, 100, 0)};
        const Extent one[] = {pages(4, 4, 100, 0)};

        assert_plan(slots, three,
                    "move 0 0+4@64 to 14+4@64\nmove 1 4+4@64 to 18+4@64\n"
                    "create 1c+4@64\n");
        assert_plan(slots, one, "delete 0 0+4@64\n");
}

static void test_check_refuses(void **state) {
        const Slot slots[] = {{0, pages(0, 4, 100, 0)}, {1, pages(8, 4, 200, 0)}};
        SlotPlan *plan = calloc(1, sizeof(*plan) + sizeof(plan->ops[0]));
        Detail detail = {};

        assert_non_null(plan);
        plan->n_ops = 1;
        plan->ops[0] = (PlannedOp){SLOT_MOVE, 0, slots[0].extent, pages(10, 4, 100, 0)};
        assert_int_equal(slot_plan_check(plan, slots, 2, &limits, &detail), MAP_E_KVM);
        assert_string_equal(detail.text, "slot 0: move 0xa000-0xdfff of backing 1: File exists");
        plan->ops[0] = (PlannedOp){SLOT_CREATE, 64, .after = pages(20, 4, 100, 0)};
        assert_int_equal(slot_plan_check(plan, slots, 2, &limits, &detail), MAP_E_KVM);
        assert_string_equal(detail.text,
                            "slot 64: create 0x14000-0x17fff of backing 1: Invalid argument");
        plan->ops[0] = (PlannedOp){SLOT_DELETE, 5, .before = pages(20, 4, 100, 0)};
        assert_int_equal(slot_plan_check(plan, slots, 2, &limits, &detail), MAP_E_KVM);
        free(plan);
}

static void test_inverse(void **state) {
        const Extent a = pages(0, 4, 100, 0), b = pages(8, 4, 100, LOG);
        const PlannedOp ops[] = {{SLOT_DELETE, 1, .before = a},
                                 {SLOT_MOVE, 2, a, b},
                                 {SLOT_FLAGS, 3, a, a},
                                 {SLOT_CREATE, 4, .after = b}};
        const SlotOpKind kinds[] = {SLOT_CREATE, SLOT_MOVE, SLOT_FLAGS, SLOT_DELETE};

        for (size_t i = 0; i < ELEMENTS_OF(ops); i++) {
                PlannedOp inverse = planned_op_inverse(&ops[i]);
                PlannedOp again = planned_op_inverse(&inverse);

                assert_int_equal(inverse.kind, kinds[i]);
                assert_int_equal(inverse.slot, ops[i].slot);
                assert_int_equal(again.kind, ops[i].kind);
                assert_extent(again.before, ops[i].before);
                assert_extent(again.after, ops[i].after);
        }
        assert_int_equal(planned_op_request(&ops[0]).size, 0);
        assert_int_equal(planned_op_request(&ops[1]).address, 8 * PAGE);
        assert_int_equal(planned_op_request(&ops[3]).size, 4 * PAGE);
        assert_int_equal(planned_op_request(&ops[3]).flags, LOG);
}

static void test_words(void **state) {
        for (int kind = 0; kind < N_SLOT_OP_KINDS; kind++)
                assert_int_equal(slot_op_kind_from_string(slot_op_kind_to_string(kind)), kind);
        assert_null(slot_op_kind_to_string(N_SLOT_OP_KINDS));
        assert_int_equal(slot_op_kind_from_string("resize"), -EINVAL);
}

/* Random plans: each is tried under the rules by must_plan() and leads where it should. */

static uint64_t random_state = 88172645463325252;

static uint64_t random_below(uint64_t n) {
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return random_state % n;
}

enum { RANDOM_MAX = 24, ROUNDS = 20000 };

/* Few sizes and little memory, so that many can move and many are in the way. */
static size_t random_extents(Extent *extents) {
        size_t n = random_below(RANDOM_MAX);
        uint64_t at = 0;

        for (size_t i = 0; i < n; i++) {
                uint64_t size = 1 + random_below(3);

                at += random_below(3);
                extents[i] = pages(at, size, 100 + random_below(RANDOM_MAX),
                                   random_below(8) == 0   ? RO
                                   : random_below(8) == 0 ? LOG
                                                          : 0);
                at += size;
        }
        return n;
}

/* Some of the memory in another order: nothing but moves and rings. */
static size_t shuffled_extents(Extent *extents, const Slot *slots, size_t n) {
        uint64_t at = random_below(4);

        for (size_t i = 0; i < n; i++)
                extents[i] = slots[i].extent;
        for (size_t i = n; i > 1; i--) {
                size_t j = random_below(i);
                Extent other = extents[j];

                extents[j] = extents[i - 1];
                extents[i - 1] = other;
        }
        for (size_t i = 0; i < n; i++) {
                uint64_t size = range_size(extents[i].range);

                extents[i].range = (Range){at * PAGE, at * PAGE + size - 1};
                at += size / PAGE + random_below(2);
        }
        return n;
}

/* The slots that the plan leads to, on a table of their own. */
static void assert_leads_to(const SlotPlan *plan, const Slot *slots, size_t n_slots,
                            const Extent *wanted, size_t n_wanted) {
        _cleanup_(slot_table_deinit) SlotTable table;
        bool found[RANDOM_MAX] = {};
        const SlotOp *op;
        size_t n = 0;

        slot_table_init(&table, &limits);
        for (size_t i = 0; i < n_slots; i++) {
                PlannedOp create = {SLOT_CREATE, slots[i].number, .after = slots[i].extent};
                SlotOp request = planned_op_request(&create);

                assert_int_equal(slot_table_set(&table, &request), 0);
        }
        for (size_t i = 0; i < plan->n_ops; i++) {
                SlotOp request = planned_op_request(&plan->ops[i]);

                assert_int_equal(slot_table_set(&table, &request), 0);
        }
        for (op = slot_table_next(&table, NULL); op; op = slot_table_next(&table, op), n++)
                for (size_t i = 0; i < n_wanted; i++)
                        if (op->address == wanted[i].range.first) {
                                assert_int_equal(op->size, range_size(wanted[i].range));
                                assert_int_equal(op->host, wanted[i].host);
                                assert_int_equal(op->flags, wanted[i].flags);
                                found[i] = true;
                        }
        assert_int_equal(n, n_wanted);
        for (size_t i = 0; i < n_wanted; i++)
                assert_true(found[i]);
}

static void test_random(void **state) {
        size_t n_moves = 0, n_broken = 0;

        for (int round = 0; round < ROUNDS; round++) {
                _cleanup_(slot_plan_freep) SlotPlan *plan = NULL;
                Extent before[RANDOM_MAX], wanted[RANDOM_MAX];
                Slot slots[RANDOM_MAX];
                size_t n_slots = random_extents(before), n_wanted;
                bool shuffle = round % 2;

                for (size_t i = 0; i < n_slots; i++)
                        slots[i] = (Slot){i, before[i]};
                n_wanted =
                        shuffle ? shuffled_extents(wanted, slots, n_slots) : random_extents(wanted);
                plan = must_plan(slots, n_slots, wanted, n_wanted);
                assert_leads_to(plan, slots, n_slots, wanted, n_wanted);
                assert_true(plan->n_ops <= n_slots + n_wanted);
                n_moves += plan->counts[SLOT_MOVE];
                if (shuffle)
                        n_broken += plan->counts[SLOT_CREATE];
        }
        /* The cases are there: many moves, and rings among them. */
        assert_true(n_moves > ROUNDS);
        assert_true(n_broken > ROUNDS / 10);
}

UNIT_TESTS(cmocka_unit_test(test_nothing), cmocka_unit_test(test_create_and_delete),
           cmocka_unit_test(test_in_place), cmocka_unit_test(test_bytes_remapped),
           cmocka_unit_test(test_move), cmocka_unit_test(test_move_into_deleted),
           cmocka_unit_test(test_move_all), cmocka_unit_test(test_move_ring),
           cmocka_unit_test(test_move_behind_ring), cmocka_unit_test(test_move_twins),
           cmocka_unit_test(test_check_refuses), cmocka_unit_test(test_inverse),
           cmocka_unit_test(test_words), cmocka_unit_test(test_random));
