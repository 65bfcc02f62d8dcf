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
 * order in which it did it, and when a run ends.
 *
 * A commit changes what is where, but for what was written before it that does not matter: a
 * listener moves it from the ring into a queue, where each write is for whoever had the region when
 * it was written. That is once the zones that go have gone, before slots change and views are
 * published; register it behind the buses, in front of the slots. A commit waits for nobody: what
 * may wait, and what comes behind it, is left in the queue, and somebody is asked to drain. He whom
 * it waits for may be the very one who makes the commit.
 *
 * I1: one thread at a time makes writes, the one that has the turn, and the oldest first.
 * I2: with the lock nobody waits. Who moves writes into the queue has it, so they keep their order.
 *
 * Source: KVM_REGISTER_COALESCED_MMIO.
 */

#include "lib/kvm/accelerator.h"
#include "lib/kvm/vcpu.h"
#include "lib/memory/listener.h"

typedef struct CoalescedOps CoalescedOps;
typedef struct CoalescedRing CoalescedRing;
typedef struct Patience Patience;
typedef struct PendingWrite PendingWrite;

/* How many writes may be left in the queue. More are lost, which who drains is told. */
enum { COALESCED_LEFT_MAX = 1024 };

struct CoalescedOps {
        /* Whom it is for, as of now, with a reference; false: nobody, and that is that. */
        bool (*postpone)(void *userdata, const Trap *write, PendingWrite *ret);
        /* As a handler's write(). */
        int (*make)(void *userdata, const PendingWrite *write, const Patience *patience,
                    Detail *reason);
        /* A commit has left some: a thread that may wait is to drain. With none of the locks. */
        void (*left)(void *userdata);
};

/* -errno. A ring without memory is empty. */
int coalesced_ring_new(CoalescedRing **ret, const Accelerator *accelerator);
/* The listener must have been unregistered. */
CoalescedRing *coalesced_ring_free(CoalescedRing *ring);
DEFINE_CLEANUP(CoalescedRing *, coalesced_ring_free);

/* To be registered with the map. */
Listener *coalesced_ring_listener(CoalescedRing *ring);

/* Gives it the ring in a vCPU's mapping, which must stay, and who makes the writes. */
void coalesced_ring_attach(CoalescedRing *ring, void *vcpu_mapping, const CoalescedOps *ops,
                           void *userdata);
/* Takes both away. What is left is lost. */
void coalesced_ring_detach(CoalescedRing *ring);
/*
 * Any thread that may wait. 0: there is none left. Else how a write failed, and its address: there
 * may be more to make, but for -ECANCELED, when the patience is over.
 */
int coalesced_ring_drain(CoalescedRing *ring, const Patience *patience, uint64_t *ret_address,
                         Detail *reason);
