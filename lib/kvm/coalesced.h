/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Coalesced writes: the ring into which KVM puts them
 *
 * A guest's write to a coalesced zone (bus.h) does not leave the guest. KVM appends it to a ring,
 * one for all vCPUs of a VM, and lets go of the guest only when the ring is full. Whoever drains
 * the ring makes these writes, in order, as if they had trapped just then.
 *
 * It is drained before an access that traps is made, so that devices see what a guest did in the
 * order in which it did it, and by a listener, before a commit changes what is where: once the
 * zones that go have gone, and before slots change and views are published. Register it behind the
 * buses, in front of the slots.
 *
 * A commit waits for nobody: gathered writes to somebody who may wait, such as another process, and
 * those behind them, are left for the next access that traps. That somebody may be the very one
 * who makes the commit.
 *
 * Any thread may drain. One at a time does; that writes made by it make the same thread drain once
 * more changes nothing.
 */

#include "lib/kvm/accelerator.h"
#include "lib/kvm/vcpu.h"
#include "lib/memory/listener.h"

typedef struct CoalescedOps CoalescedOps;
typedef struct CoalescedRing CoalescedRing;

/* Who makes the writes. */
struct CoalescedOps {
        /* Whether to make it may take until somebody else has done something. */
        bool (*waits)(void *userdata, const Trap *write);
        void (*write)(void *userdata, const Trap *write);
};

/* -ENOMEM. A ring without memory is empty. */
int coalesced_ring_new(CoalescedRing **ret, const Accelerator *accelerator);
/* The listener must have been unregistered. */
CoalescedRing *coalesced_ring_free(CoalescedRing *ring);
DEFINE_CLEANUP(CoalescedRing *, coalesced_ring_free);

/* To be registered with the map. */
Listener *coalesced_ring_listener(CoalescedRing *ring);

/* Gives it the ring in a vCPU's mapping, which must stay, and who makes the writes. */
void coalesced_ring_attach(CoalescedRing *ring, void *vcpu_mapping, const CoalescedOps *ops,
                           void *userdata);
/* Takes both away. What is left in the ring is lost. */
void coalesced_ring_detach(CoalescedRing *ring);
void coalesced_ring_drain(CoalescedRing *ring);
