/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * KVM writes `last` and what lies before it; whoever drains writes `first`. They are equal when the
 * ring is empty, and one place is always free.
 */

#include <linux/kvm.h>
#include <pthread.h>

#include "lib/kvm/coalesced.h"

typedef struct kvm_coalesced_mmio CoalescedWrite;

struct CoalescedRing {
        Listener listener;
        uint64_t offset;                        /* of the ring in a vCPU's mapping, one page */
        uint32_t size;                          /* in writes */
        pthread_mutex_t lock;                   /* of all that follows; recursive */
        struct kvm_coalesced_mmio_ring *shared; /* with KVM; NULL: not attached */
        const VCPUOps *ops;
        void *userdata;
        bool drains;
};

static int on_apply(Listener *listener, const Commit *commit, Detail *detail) {
        coalesced_ring_drain(caa_container_of(listener, CoalescedRing, listener));
        return 0;
}

static const ListenerOps ring_ops = {.apply = on_apply};

static void init_lock(pthread_mutex_t *lock) {
        pthread_mutexattr_t attributes;

        pthread_mutexattr_init(&attributes);
        pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
        pthread_mutex_init(lock, &attributes);
        pthread_mutexattr_destroy(&attributes);
}

int coalesced_ring_new(CoalescedRing **ret, const Accelerator *accelerator) {
        CoalescedRing *ring = calloc(1, sizeof(*ring));
        size_t room = accelerator->page_size - sizeof(struct kvm_coalesced_mmio_ring);

        if (!ring)
                return -ENOMEM;
        ring->listener = (Listener){
                .ops = &ring_ops,
                .priority = LISTENER_PRIORITY_ACCELERATOR,
        };
        ring->offset = accelerator->ring_page * accelerator->page_size;
        ring->size = (uint32_t)(room / sizeof(CoalescedWrite));
        init_lock(&ring->lock);
        *ret = ring;
        return 0;
}

CoalescedRing *coalesced_ring_free(CoalescedRing *ring) {
        if (!ring)
                return NULL;
        pthread_mutex_destroy(&ring->lock);
        free(ring);
        return NULL;
}

Listener *coalesced_ring_listener(CoalescedRing *ring) {
        return &ring->listener;
}

void coalesced_ring_attach(CoalescedRing *ring, void *vcpu_mapping, const VCPUOps *ops,
                           void *userdata) {
        if (ring->offset == 0)
                return;
        pthread_mutex_lock(&ring->lock);
        ring->shared = (void *)((char *)vcpu_mapping + ring->offset);
        ring->ops = ops;
        ring->userdata = userdata;
        pthread_mutex_unlock(&ring->lock);
}

void coalesced_ring_detach(CoalescedRing *ring) {
        pthread_mutex_lock(&ring->lock);
        ring->shared = NULL;
        pthread_mutex_unlock(&ring->lock);
}

/* Copied, so that KVM can have its place at once. */
static bool take_first(CoalescedRing *ring, CoalescedWrite *ret) {
        struct kvm_coalesced_mmio_ring *shared = ring->shared;
        uint32_t first = shared->first;

        if (first == __atomic_load_n(&shared->last, __ATOMIC_ACQUIRE))
                return false;
        *ret = shared->coalesced_mmio[first];
        __atomic_store_n(&shared->first, (first + 1) % ring->size, __ATOMIC_RELEASE);
        return true;
}

static void make(const CoalescedRing *ring, CoalescedWrite *write) {
        const Trap trap = {
                .is_port = write->pio,
                .is_write = true,
                .length = write->len,
                .address = write->phys_addr,
                .data = write->data,
        };
        Detail reason;

        (void)ring->ops->trap(ring->userdata, &trap, &reason);
}

void coalesced_ring_drain(CoalescedRing *ring) {
        CoalescedWrite write;

        pthread_mutex_lock(&ring->lock);
        if (ring->shared && !ring->drains) {
                ring->drains = true;
                while (take_first(ring, &write))
                        make(ring, &write);
                ring->drains = false;
        }
        pthread_mutex_unlock(&ring->lock);
}
