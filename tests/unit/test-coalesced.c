/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The ring of coalesced writes, with a test in the place of KVM
 */

#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "lib/kvm/coalesced.h"
#include "lib/memory/commit.h"
#include "lib/memory/dispatch.h"
#include "tests/common/scene.h"
#include "tests/common/unit.h"

typedef struct World World;

enum {
        PAGE = 4096,
        SIZE = 170,
        RING_PAGE = 2,
        FAILS = 557,
        IS_CUT = 556, /* the thread's patience is over, once */
        WAITS_FOR_COMMIT = 599,
};

struct World {
        Accelerator *none;
        CoalescedRing *ring;
        union {
                char mapping[(RING_PAGE + 1) * PAGE];
                uint64_t aligned;
        };
        Handler *quick; /* whom writes are for */
        Handler *slow;  /* those of 500 to 599 */
        uint64_t made[COALESCED_LEFT_MAX];
        unsigned n_made;
        unsigned n_left;
        Trap last;
        int cut;        /* with what the wait for IS_CUT ends */
        bool has_begun; /* atomic, as is the next */
        bool may_end;
};

static struct kvm_coalesced_mmio_ring *shared(World *world) {
        return (void *)(world->mapping + RING_PAGE * PAGE);
}

/* False: it is full. */
static bool put(World *world, uint64_t value) {
        struct kvm_coalesced_mmio_ring *ring = shared(world);
        uint32_t next = (ring->last + 1) % SIZE;

        if (next == ring->first)
                return false;
        ring->coalesced_mmio[ring->last] = (struct kvm_coalesced_mmio){
                .phys_addr = 0xfe000000 + value, .len = 8, .pio = value & 1};
        memcpy(ring->coalesced_mmio[ring->last].data, &value, sizeof(value));
        ring->last = next;
        return true;
}

static bool on_postpone(void *userdata, const Trap *trap, PendingWrite *ret) {
        World *world = userdata;
        uint64_t value;

        memcpy(&value, trap->data, sizeof(value));
        world->last = *trap;
        if (value == 0)
                return false;
        *ret = (PendingWrite){
                .handler = handler_ref(value / 100 == 5 ? world->slow : world->quick),
                .address = trap->address,
                .size = (uint8_t)trap->length,
        };
        memcpy(ret->data, trap->data, trap->length);
        return true;
}

static int outcome(World *world, uint64_t value, Detail *reason) {
        int r = value == IS_CUT ? world->cut : 0;

        if (value == FAILS)
                return detail_set(reason, -EPIPE, "it has gone");
        world->cut = value == IS_CUT ? 0 : world->cut;
        return r;
}

static int on_make(void *userdata, const PendingWrite *write, const Patience *patience,
                   Detail *reason) {
        World *world = userdata;
        uint64_t value;
        int r;

        assert_true(world->n_made < ELEMENTS_OF(world->made));
        memcpy(&value, write->data, sizeof(value));
        r = outcome(world, value, reason);
        if (r == -ECANCELED)
                return r;
        world->made[world->n_made++] = value;
        __atomic_store_n(&world->has_begun, true, __ATOMIC_RELEASE);
        while (value == WAITS_FOR_COMMIT && !__atomic_load_n(&world->may_end, __ATOMIC_ACQUIRE))
                sched_yield();
        if (value % 3 == 0)
                (void)put(world, value + 1000);
        return r;
}

static void on_left(void *userdata) {
        World *world = userdata;

        world->n_left++;
}

static const CoalescedOps ops = {on_postpone, on_make, on_left};

static void free_slow(Handler *handler) {
        free(handler);
}

static Handler *new_slow(void) {
        static const HandlerOps slow_ops = {.waits = true, .free = free_slow};
        Handler *slow = malloc(sizeof(*slow));

        assert_non_null(slow);
        handler_init(slow, &slow_ops);
        return slow;
}

static void drain_all(World *world) {
        uint64_t address;
        Detail reason;

        assert_int_equal(coalesced_ring_drain(world->ring, NULL, &address, &reason), 0);
}

static int setup(void **state) {
        World *world = calloc(1, sizeof(*world));

        assert_non_null(world);
        assert_int_equal(handler_new_none(&world->quick), 0);
        world->slow = new_slow();
        assert_int_equal(accelerator_new_none(&world->none, 0), 0);
        world->none->ring_page = RING_PAGE;
        assert_int_equal(coalesced_ring_new(&world->ring, world->none), 0);
        coalesced_ring_attach(world->ring, world->mapping, &ops, world);
        *state = world;
        return 0;
}

static int teardown(void **state) {
        World *world = *state;

        coalesced_ring_free(world->ring);
        accelerator_free(world->none);
        handler_unref(world->quick);
        handler_unref(world->slow);
        free(world);
        return 0;
}

static void assert_made(World *world, const uint64_t *values, unsigned n) {
        assert_int_equal(world->n_made, n);
        for (unsigned i = 0; i < n; i++)
                assert_int_equal(world->made[i], values[i]);
        assert_int_equal(shared(world)->first, shared(world)->last);
        world->n_made = 0;
}

static void test_order(void **state) {
        World *world = *state;

        drain_all(world);
        assert_made(world, NULL, 0);
        assert_true(put(world, 5));
        assert_true(put(world, 4));
        assert_true(put(world, 7));
        drain_all(world);
        assert_made(world, (uint64_t[]){5, 4, 7}, 3);
        assert_true(world->last.is_port);
        assert_true(world->last.is_write);
        assert_int_equal(world->last.length, 8);
        assert_int_equal(world->last.address, 0xfe000007);
}

/* Full, and round and round; what comes while it is drained is taken along. */
static void test_wrap(void **state) {
        World *world = *state;
        uint64_t expected[SIZE];

        for (unsigned round = 0; round < 5; round++) {
                for (unsigned i = 0; i < SIZE - 1; i++) {
                        expected[i] = 3 * (round * SIZE + i) + 1;
                        assert_true(put(world, expected[i]));
                }
                assert_false(put(world, 1));
                drain_all(world);
                assert_made(world, expected, SIZE - 1);
        }
        assert_true(put(world, 3));
        assert_true(put(world, 4));
        drain_all(world);
        assert_made(world, (uint64_t[]){3, 4, 1003}, 3);
}

/* A commit that changes any view drains it; one of the tree alone does not. */
static void test_commit(void **state) {
        World *world = *state;
        Listener *listener = coalesced_ring_listener(world->ring);
        Map *map = scene_new();

        assert_int_equal(listener_register(listener, map, NULL), 0);
        assert_true(put(world, 4));
        must_edit_commit(map, add_region(REGION_MMIO, "nic", 0x1000, NULL, 0, 0));
        assert_int_equal(world->n_made, 0);
        must_edit_commit(map, move_region("nic", "system", 0, 0));
        assert_made(world, (uint64_t[]){4}, 1);

        assert_int_equal(world->n_left, 0);

        /* It waits for nobody: one that may is left, and what comes behind it. */
        assert_true(put(world, 7));
        assert_true(put(world, 500));
        assert_true(put(world, 8));
        must_edit_commit(map, move_region("nic", "system", 0x1000, 0));
        assert_int_equal(world->n_made, 1);
        assert_int_equal(world->n_left, 1);
        /* Whose they are was settled before the commit: the ring is empty. */
        assert_int_equal(shared(world)->first, shared(world)->last);
        assert_true(put(world, 10));
        drain_all(world);
        assert_made(world, (uint64_t[]){7, 500, 8, 10}, 4);
        listener_unregister(listener, map);
        map_free(map);
}

/* What fails is told, each by itself, and keeps nothing else from being made. */
static void test_failure(void **state) {
        World *world = *state;
        uint64_t address;
        Detail reason;

        assert_true(put(world, 4));
        assert_true(put(world, FAILS));
        assert_true(put(world, 0));
        assert_true(put(world, 5));
        assert_int_equal(coalesced_ring_drain(world->ring, NULL, &address, &reason), -EPIPE);
        assert_string_equal(reason.text, "it has gone");
        assert_int_equal(address, 0xfe000000 + FAILS);
        drain_all(world);
        assert_made(world, (uint64_t[]){4, FAILS, 5}, 3);
}

/* Cut short before it was asked for, a write is made the next time; after that, it is not. */
static void test_impatience(void **state) {
        World *world = *state;
        uint64_t address;
        Detail reason;

        world->cut = -ECANCELED;
        assert_true(put(world, IS_CUT));
        assert_true(put(world, 5));
        assert_int_equal(coalesced_ring_drain(world->ring, NULL, &address, &reason), -ECANCELED);
        assert_int_equal(world->n_made, 0);
        drain_all(world);
        assert_made(world, (uint64_t[]){IS_CUT, 5}, 2);

        world->cut = -EINTR;
        assert_true(put(world, IS_CUT));
        assert_true(put(world, 5));
        assert_int_equal(coalesced_ring_drain(world->ring, NULL, &address, &reason), -ECANCELED);
        drain_all(world);
        assert_made(world, (uint64_t[]){IS_CUT, 5}, 2);
}

/* Commit after commit finds the ring full, and nobody drains. */
static void test_too_many(void **state) {
        World *world = *state;
        Listener *listener = coalesced_ring_listener(world->ring);
        Map *map = scene_new();
        unsigned n = 0;
        uint64_t address;
        Detail reason;

        assert_int_equal(listener_register(listener, map, NULL), 0);
        must_edit_commit(map, add_region(REGION_MMIO, "nic", 0x1000, "system", 0, 0));
        while (n < COALESCED_LEFT_MAX + 2) {
                while (n < COALESCED_LEFT_MAX + 2 && put(world, n == 0 ? 500 : 1 + 3 * n))
                        n++;
                must_edit_commit(map, move_region("nic", "system", 0x1000 * n, 0));
        }
        assert_int_equal(coalesced_ring_drain(world->ring, NULL, &address, &reason), -ENOBUFS);
        assert_string_equal(reason.text, "2 coalesced writes were lost: 1024 others wait");
        assert_int_equal(address, 0xfe000000 + 1 + 3 * COALESCED_LEFT_MAX);
        assert_int_equal(world->n_made, COALESCED_LEFT_MAX);
        drain_all(world);
        listener_unregister(listener, map);
        map_free(map);
}

static void *drain(void *data) {
        drain_all(data);
        return NULL;
}

/* Another thread makes a write that takes until a commit is through. */
static void test_commit_beside(void **state) {
        World *world = *state;
        Listener *listener = coalesced_ring_listener(world->ring);
        Map *map = scene_new();
        pthread_t thread;

        assert_int_equal(listener_register(listener, map, NULL), 0);
        assert_true(put(world, WAITS_FOR_COMMIT));
        assert_int_equal(pthread_create(&thread, NULL, drain, world), 0);
        while (!__atomic_load_n(&world->has_begun, __ATOMIC_ACQUIRE))
                sched_yield();
        must_edit_commit(map, add_region(REGION_MMIO, "nic", 0x1000, "system", 0, 0));
        __atomic_store_n(&world->may_end, true, __ATOMIC_RELEASE);
        pthread_join(thread, NULL);
        assert_made(world, (uint64_t[]){WAITS_FOR_COMMIT}, 1);
        listener_unregister(listener, map);
        map_free(map);
}

static void test_not_attached(void **state) {
        World *world = *state;
        CoalescedRing *ring = NULL;

        assert_int_equal(coalesced_ring_new(&ring, world->none), 0);
        assert_int_equal(coalesced_ring_drain(ring, NULL, NULL, NULL), 0);
        coalesced_ring_free(ring);

        /* KVM without zones has no ring, and what would be in its place is something else. */
        world->none->ring_page = 0;
        memset(world->mapping, 0x77, PAGE);
        assert_int_equal(coalesced_ring_new(&ring, world->none), 0);
        coalesced_ring_attach(ring, world->mapping, &ops, world);
        assert_int_equal(coalesced_ring_drain(ring, NULL, NULL, NULL), 0);
        assert_int_equal(world->n_made, 0);
        coalesced_ring_free(ring);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

UNIT_TESTS(TEST(test_order), TEST(test_wrap), TEST(test_commit), TEST(test_failure),
           TEST(test_impatience), TEST(test_too_many), TEST(test_commit_beside),
           TEST(test_not_attached));
