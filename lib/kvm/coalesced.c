/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * KVM writes `last` and what lies before it; whoever drains writes `first`. They are equal when the
 * ring is empty, and one place is always free.
 */

#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>

#include "lib/kvm/coalesced.h"

typedef struct kvm_coalesced_mmio CoalescedWrite;

struct CoalescedRing {
        Listener listener;
        uint64_t offset;                        /* of the ring in a vCPU's mapping, one page */
        uint32_t size;                          /* in writes */
        pthread_mutex_t lock;                   /* of all that follows; recursive */
        struct kvm_coalesced_mmio_ring *shared; /* with KVM; NULL: not attached */
        const CoalescedOps *ops;
        void *userdata;
        bool drains;
        int waits; /* atomic: whoever has the lock makes a write that may wait */
};

/* Copied, so that KVM can have its place at once. */
static bool look_first(const CoalescedRing *ring, CoalescedWrite *ret) {
        const struct kvm_coalesced_mmio_ring *shared = ring->shared;

        if (shared->first == __atomic_load_n(&shared->last, __ATOMIC_ACQUIRE))
                return false;
        *ret = shared->coalesced_mmio[shared->first];
        return true;
}

static void pass_first(CoalescedRing *ring) {
        uint32_t next = (ring->shared->first + 1) % ring->size;

        __atomic_store_n(&ring->shared->first, next, __ATOMIC_RELEASE);
}

/* The first write, if there is one that can be made. */
static bool make_first(CoalescedRing *ring, bool may_wait) {
        CoalescedWrite write;
        Trap trap = {.is_write = true};
        bool waits;

        if (!look_first(ring, &write))
                return false;
        trap.is_port = write.pio;
        trap.length = write.len;
        trap.address = write.phys_addr;
        trap.data = write.data;
        waits = ring->ops->waits(ring->userdata, &trap);
        if (waits && !may_wait)
                return false;
        pass_first(ring);
        __atomic_store_n(&ring->waits, waits, __ATOMIC_RELAXED);
        ring->ops->write(ring->userdata, &trap);
        __atomic_store_n(&ring->waits, 0, __ATOMIC_RELAXED);
        return true;
}

/* With the lock. */
static void drain(CoalescedRing *ring, bool may_wait) {
        if (!ring->shared || ring->drains)
                return;
        ring->drains = true;
        while (make_first(ring, may_wait))
                ;
        ring->drains = false;
}

void coalesced_ring_drain(CoalescedRing *ring) {
        pthread_mutex_lock(&ring->lock);
        drain(ring, true);
        pthread_mutex_unlock(&ring->lock);
}

/* A thread that has the lock is soon done, unless it waits. */
static int on_apply(Listener *listener, const Commit *commit, Detail *detail) {
        CoalescedRing *ring = caa_container_of(listener, CoalescedRing, listener);

        while (pthread_mutex_trylock(&ring->lock) != 0) {
                if (__atomic_load_n(&ring->waits, __ATOMIC_RELAXED))
                        return 0;
                sched_yield();
        }
        drain(ring, false);
        pthread_mutex_unlock(&ring->lock);
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

void coalesced_ring_attach(CoalescedRing *ring, void *vcpu_mapping, const CoalescedOps *ops,
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
