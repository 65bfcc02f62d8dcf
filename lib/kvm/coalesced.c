/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * KVM writes `last` and what lies before it; whoever has the lock writes `first`. They are equal
 * when the ring is empty, and one place is always free.
 */

#include <inttypes.h>
#include <linux/kvm.h>
#include <pthread.h>

#include "lib/kvm/coalesced.h"
#include "lib/memory/dispatch.h"
#include "lib/util/turn.h"

struct CoalescedRing {
        Listener listener;
        uint64_t offset; /* of the ring in a vCPU's mapping, one page */
        uint32_t size;   /* in writes */
        Turn turn;       /* to make writes */

        pthread_mutex_t lock;                   /* of all that follows */
        struct kvm_coalesced_mmio_ring *shared; /* with KVM; NULL: not attached */
        const CoalescedOps *ops;
        void *userdata;
        PendingWrite queue[COALESCED_LEFT_MAX];
        size_t first;
        size_t n;
        uint64_t n_lost; /* since that was told */
        uint64_t lost_address;
};

/* Takes the ring's first write out. False: it has none. */
static bool take_first(CoalescedRing *ring, struct kvm_coalesced_mmio *ret) {
        struct kvm_coalesced_mmio_ring *shared = ring->shared;
        uint32_t first;

        if (!shared || shared->first == __atomic_load_n(&shared->last, __ATOMIC_ACQUIRE))
                return false;
        first = shared->first;
        *ret = shared->coalesced_mmio[first];
        __atomic_store_n(&shared->first, (first + 1) % ring->size, __ATOMIC_RELEASE);
        return true;
}

static void lose(CoalescedRing *ring, PendingWrite *write) {
        if (ring->n_lost++ == 0)
                ring->lost_address = write->address;
        pending_write_deinit(write);
}

static void append(CoalescedRing *ring, struct kvm_coalesced_mmio *write) {
        const Trap trap = {
                .is_port = write->pio,
                .is_write = true,
                .length = write->len,
                .address = write->phys_addr,
                .data = write->data,
        };
        PendingWrite pending;

        if (!ring->ops->postpone(ring->userdata, &trap, &pending))
                return;
        if (ring->n < COALESCED_LEFT_MAX)
                ring->queue[(ring->first + ring->n++) % COALESCED_LEFT_MAX] = pending;
        else
                lose(ring, &pending);
}

/* With the lock. */
static void empty_into_queue(CoalescedRing *ring) {
        struct kvm_coalesced_mmio write;

        while (take_first(ring, &write))
                append(ring, &write);
}

static void drop_first(CoalescedRing *ring) {
        pending_write_deinit(&ring->queue[ring->first]);
        ring->first = (ring->first + 1) % COALESCED_LEFT_MAX;
        ring->n--;
}

/* The oldest write, which stays: who has the turn passes it when it is made. */
static bool look_first(CoalescedRing *ring, bool may_wait, PendingWrite *ret) {
        bool found;

        pthread_mutex_lock(&ring->lock);
        if (ring->n == 0)
                empty_into_queue(ring);
        *ret = ring->queue[ring->first];
        found = ring->n > 0 && (may_wait || !pending_write_waits(ret));
        pthread_mutex_unlock(&ring->lock);
        return found;
}

static void pass_first(CoalescedRing *ring) {
        pthread_mutex_lock(&ring->lock);
        drop_first(ring);
        pthread_mutex_unlock(&ring->lock);
}

/* One that was asked for is passed, answered or not; one that was not is still the first. */
static int make_first(CoalescedRing *ring, const PendingWrite *write, const Patience *patience,
                      Detail *reason) {
        int r;

        r = ring->ops->make(ring->userdata, write, patience, reason);
        if (r != -ECANCELED)
                pass_first(ring);
        return r == -EINTR ? -ECANCELED : r;
}

/* With the turn; up to the first that fails. */
static int make_all(CoalescedRing *ring, bool may_wait, const Patience *patience,
                    uint64_t *ret_address, Detail *reason) {
        PendingWrite write;
        int r = 0;

        while (r == 0 && look_first(ring, may_wait, &write)) {
                *ret_address = write.address;
                r = make_first(ring, &write, patience, reason);
        }
        return r;
}

/* How many were lost is told once. */
static int tell_lost(CoalescedRing *ring, uint64_t *ret_address, Detail *reason) {
        uint64_t n;

        pthread_mutex_lock(&ring->lock);
        n = ring->n_lost;
        ring->n_lost = 0;
        if (n > 0)
                *ret_address = ring->lost_address;
        pthread_mutex_unlock(&ring->lock);
        if (n == 0)
                return 0;
        detail_set(reason, 0, "%" PRIu64 " coalesced writes were lost: %d others wait", n,
                   COALESCED_LEFT_MAX);
        return -ENOBUFS;
}

int coalesced_ring_drain(CoalescedRing *ring, const Patience *patience, uint64_t *ret_address,
                         Detail *reason) {
        int r;

        r = turn_take(&ring->turn, patience);
        if (r < 0) {
                detail_set(reason, 0, "told to stop before coalesced writes were made");
                return -ECANCELED;
        }
        r = make_all(ring, true, patience, ret_address, reason);
        turn_leave(&ring->turn);
        return r == 0 ? tell_lost(ring, ret_address, reason) : r;
}

/* Handlers that wait for nobody do not fail. */
static int on_apply(Listener *listener, const Commit *commit, Detail *detail) {
        CoalescedRing *ring = caa_container_of(listener, CoalescedRing, listener);
        uint64_t address;
        Detail reason;
        bool left;

        pthread_mutex_lock(&ring->lock);
        empty_into_queue(ring);
        pthread_mutex_unlock(&ring->lock);
        if (turn_try(&ring->turn)) {
                (void)make_all(ring, false, NULL, &address, &reason);
                turn_leave(&ring->turn);
        }
        pthread_mutex_lock(&ring->lock);
        left = ring->n > 0;
        pthread_mutex_unlock(&ring->lock);
        if (left)
                ring->ops->left(ring->userdata);
        return 0;
}

static const ListenerOps ring_ops = {.apply = on_apply};

int coalesced_ring_new(CoalescedRing **ret, const Accelerator *accelerator) {
        _cleanup_(freep) CoalescedRing *ring = calloc(1, sizeof(*ring));
        size_t room = accelerator->page_size - sizeof(struct kvm_coalesced_mmio_ring);
        int r;

        if (!ring)
                return -ENOMEM;
        r = turn_init(&ring->turn);
        if (r < 0)
                return r;
        ring->listener = (Listener){
                .ops = &ring_ops,
                .priority = LISTENER_PRIORITY_ACCELERATOR,
        };
        ring->offset = accelerator->ring_page * accelerator->page_size;
        ring->size = (uint32_t)(room / sizeof(struct kvm_coalesced_mmio));
        pthread_mutex_init(&ring->lock, NULL);
        *ret = TAKE_PTR(ring);
        return 0;
}

/* With the lock, or by the last who has it. */
static void forget_all(CoalescedRing *ring) {
        ring->shared = NULL;
        while (ring->n > 0)
                drop_first(ring);
}

CoalescedRing *coalesced_ring_free(CoalescedRing *ring) {
        if (!ring)
                return NULL;
        forget_all(ring);
        pthread_mutex_destroy(&ring->lock);
        turn_deinit(&ring->turn);
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

/* With the turn: nobody makes the first write. */
void coalesced_ring_detach(CoalescedRing *ring) {
        (void)turn_take(&ring->turn, NULL);
        pthread_mutex_lock(&ring->lock);
        forget_all(ring);
        pthread_mutex_unlock(&ring->lock);
        turn_leave(&ring->turn);
}
