/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Slots: the KVM committer
 *
 * A listener on one address space that keeps the accelerator's slots equal to the memory sections
 * of the view. prepare() makes the plan and refuses when slots run out (MAP_E_NO_SLOTS); apply()
 * carries it out and, if the kernel refuses one operation (MAP_E_KVM), takes those before it back
 * in reverse; undo() takes it all back. Nothing here aborts, and nothing costs more than what the
 * commit changes, times the logarithm of the slots there are; but when slots run short, all of them
 * are looked at for pieces that can be joined (slot-join.h).
 *
 * I1: slots are disjoint, in guest addresses as in slot numbers.
 * I2: after a commit the slots cover exactly what extent_from_section() gives for all sections,
 *     with the same host addresses and flags; they are cut where changes happened (slot-cut.h). If
 *     the kernel has refused to take something back, the next commit restores this.
 * I3: no vCPU runs from the first operation of a plan that takes memory away, if only for a moment,
 *     until the new views are published, and from then on it may: guests see all of a commit or
 *     nothing, and do not wait for what a commit does besides.
 * I4: memory that a slot maps stays mapped here, also when the kernel refuses to delete the slot,
 *     until slots_free().
 *
 * Source: KVM_SET_USER_MEMORY_REGION.
 */

#include "lib/kvm/accelerator.h"
#include "lib/kvm/run-gate.h"
#include "lib/kvm/slot-plan.h"
#include "lib/memory/listener.h"

typedef struct SlotStats SlotStats;
typedef struct Slots Slots;

/* What the plans of all commits in force have come to. */
struct SlotStats {
        uint64_t operations[N_SLOT_OP_KINDS];
        uint64_t bytes_remapped; /* SlotPlan.bytes_remapped, summed up; and so on */
        uint64_t bytes_unchanged;
};

/* `accelerator` must outlive the slots; `space` is copied. */
int slots_new(Slots **ret, Accelerator *accelerator, const char *space);
/* The listener must have been unregistered. Deletes what slots are left. */
Slots *slots_free(Slots *slots);
DEFINE_CLEANUP(Slots *, slots_free);
/* The gate that vCPUs pass, which must outlive the slots. Without one there are no vCPUs. */
void slots_set_gate(Slots *slots, RunGate *gate);

/* To be registered with the map. */
Listener *slots_listener(Slots *slots);

/* How many slots there are, and what they have cost since slots_new(). */
uint32_t slots_used(const Slots *slots);
const SlotStats *slots_stats(const Slots *slots);
/* Bytes of guest memory in the view that no slot covers: heads, tails, misaligned, out of reach. */
uint64_t slots_trapped(const Slots *slots);

/* The slots, ascending by guest address, starting from the one that ends at or behind `from`. */
const Slot *slots_first(const Slots *slots, uint64_t from);
const Slot *slots_next(const Slots *slots, const Slot *slot);
/* A slot's flags as the accelerator has them: those of its extent, and whether all are logged. */
uint32_t slots_flags(const Slots *slots, const Slot *slot);

/* What the commit between its commit_new() and its commit_free() does to the slots. */
const SlotPlan *slots_plan(const Slots *slots);
/* slots_trapped() as that commit leaves it. */
uint64_t slots_planned_trapped(const Slots *slots);
