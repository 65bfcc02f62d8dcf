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
 *   same host memory, size and flags,
 *   another guest address              move    one ioctl, if the new place is free by then
 *   anything else                      delete, create
 *
 * I1: an operation that the rules of KVM forbid is never planned: slot_plan_check() replays a plan
 *     against them before the first ioctl.
 */

#include <stddef.h>
#include <stdint.h>

#include "lib/kvm/accelerator.h"
#include "lib/memory/flat-view.h"
#include "lib/util/detail.h"

typedef struct Extent Extent;
typedef struct PlannedOp PlannedOp;
typedef struct SlotPlan SlotPlan;

typedef enum SlotOpKind {
        SLOT_DELETE,
        SLOT_MOVE,
        SLOT_FLAGS,
        SLOT_CREATE,
        N_SLOT_OP_KINDS,
} SlotOpKind;

/* Guest memory that a slot maps, or should. */
struct Extent {
        Range range;      /* guest-physical, page-aligned */
        uint64_t host;    /* of range.first */
        uint64_t backing; /* id */
        uint64_t offset;  /* of range.first in the backing */
        uint32_t flags;   /* KVM_MEM_READONLY, KVM_MEM_LOG_DIRTY_PAGES */
};

struct PlannedOp {
        SlotOpKind kind;
        uint32_t slot;
        Extent before; /* not for create */
        Extent after;  /* not for delete */
};

struct SlotPlan {
        PlannedOp *ops;
        size_t n_ops;
        size_t counts[N_SLOT_OP_KINDS];
        uint64_t bytes_remapped; /* deleted, moved or created: whose translation goes or comes */
};

const char *slot_op_kind_to_string(SlotOpKind kind);
int slot_op_kind_from_string(const char *word);

/*
 * The part of a section that can be a slot: ram, rom, romd in direct-read mode; start rounded up,
 * end rounded down to host pages; guest address and host address alike modulo the page size; below
 * the guest's width. False if nothing is left: the section's accesses trap. Longer than
 * slot_size_max is not cut here: see extent_split().
 */
bool extent_from_section(const Section *section, const Accelerator *accelerator, Extent *ret);
/* Bytes of a memory section (ram, rom, direct-read romd) that no slot covers. */
uint64_t section_trapped(const Section *section, const Accelerator *accelerator);
