/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Slot cut: which slots there should be where a map changes
 *
 * Guest memory whose translation does not change should not be unmapped, not even for a moment, and
 * KVM can neither split nor resize a slot. So slots are cut where changes happen, and stay cut: a
 * slot that a change meets in part gives way to a piece for each part that stays, and what comes
 * gets pieces of its own. The first change in a slot's middle remaps the slot's ends; from then on
 * the same change, back and forth, touches what lies between them only.
 *
 * What comes is one piece for each stretch of new translation, as long as a slot may be: memory
 * that goes as a whole and comes back as something else is whole again.
 *
 * Pieces are joined only when slots run short, see slot-join.h.
 *
 * Source: KVM_SET_USER_MEMORY_REGION.
 */

#include "lib/kvm/remap.h"
#include "lib/kvm/slot-list.h"

/*
 * Appends what should be mapped, a slot each, instead of `slots`, which are all those that the
 * remaps meet; pieces of at most `size_max` bytes, ascending. -ENOMEM.
 */
int extents_cut(Extents *wanted, const SlotList *slots, const Remaps *remaps, uint64_t size_max);
