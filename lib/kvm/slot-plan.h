/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Slot plan: the slot operations that lead from one set of slots to another
 *
 * A pure function. In: the slots there are in the ranges that change, and the extents (guest
 * address, host address, flags) that must be mapped there. Out: operations in the order in which
 * KVM takes them: delete, move, flags, create.
 *
 *   same extent                        nothing
 *   same but for dirty logging         flags   one ioctl, in place
 *   same host memory, size and
 *   read-only, another guest address   move    one ioctl, if the new place is free by then
 *   anything else                      delete, create
 *
 * A plan is data: it can be shown without being carried out, tried on a slot table, and taken back
 * operation by operation. It holds references to the backings it speaks of, so that what it deletes
 * can be brought back.
 *
 * I1: an operation that the rules of KVM forbid is never planned: slot_plan_check() replays a plan
 *     against them before the first ioctl.
 *
 * Source: KVM_SET_USER_MEMORY_REGION.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/kvm/accelerator.h"
#include "lib/kvm/extent.h"
#include "lib/kvm/slot-list.h"
#include "lib/util/detail.h"

typedef struct PlannedOp PlannedOp;
typedef struct SlotPlan SlotPlan;

typedef enum SlotOpKind {
        SLOT_DELETE,
        SLOT_MOVE,
        SLOT_FLAGS,
        SLOT_CREATE,
        N_SLOT_OP_KINDS,
} SlotOpKind;

struct PlannedOp {
        SlotOpKind kind;
        uint32_t slot;
        Extent before; /* not for create */
        Extent after;  /* not for delete */
};

struct SlotPlan {
        size_t n_ops;
        size_t counts[N_SLOT_OP_KINDS];
        uint64_t bytes_remapped;  /* of deletes, moves, creates: guest memory that comes or goes */
        uint64_t bytes_unchanged; /* of that: guest memory that goes and comes back as it was */
        PlannedOp ops[];          /* in the order of their kinds */
};

/* The word of the D-Bus contract, and back: -EINVAL for any other word. */
const char *slot_op_kind_to_string(SlotOpKind kind);
int slot_op_kind_from_string(const char *word);

/*
 * The plan that turns `slots` into `wanted`; both ascend by address and do not overlap. Creates
 * have no slot number yet. -ENOMEM.
 */
int slot_plan_new(SlotPlan **ret, const Slot *slots, size_t n_slots, const Extent *wanted,
                  size_t n_wanted);
SlotPlan *slot_plan_free(SlotPlan *plan);
DEFINE_CLEANUP(SlotPlan *, slot_plan_free);

/*
 * Whether any guest memory that is mapped goes, for good or until a later operation. While such a
 * plan is carried out a guest would see what is neither before it nor after it.
 */
bool slot_plan_takes_memory(const SlotPlan *plan);

/* The creates: the last counts[SLOT_CREATE] operations. */
PlannedOp *slot_plan_creates(SlotPlan *plan);

/*
 * Carries the plan out on a table that holds just `slots`, under the accelerator's limits.
 * MAP_E_KVM with the operation that would be refused in the detail. -ENOMEM.
 */
int slot_plan_check(const SlotPlan *plan, const Slot *slots, size_t n_slots,
                    const Accelerator *accelerator, Detail *detail);

/* The operation as the accelerator takes it, and the one that takes it back. */
SlotOp planned_op_request(const PlannedOp *op);
PlannedOp planned_op_inverse(const PlannedOp *op);
/* The guest range that an operation is about: where it leads, for a delete what it leaves. */
const Extent *planned_op_extent(const PlannedOp *op);
/* Fills the detail: "slot 7: create 0x100000-0x1fffff of backing 3: File exists". MAP_E_KVM. */
int planned_op_refused(const PlannedOp *op, int error, Detail *detail);
