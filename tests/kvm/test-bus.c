/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Ioeventfds and coalesced zones on the real KVM, rung and written by a guest
 */

#include <sys/eventfd.h>

#include "lib/kvm/bus.h"
#include "lib/kvm/coalesced.h"
#include "tests/common/bus-rules.h"
#include "tests/common/unit.h"
#include "tests/kvm/processor.h"

typedef struct World World;

enum { NIC = 0x10000000, UART = 0x3f8 };

struct World {
        Processor *processor; /* first: processor_setup() and processor_teardown() */
        Bus *memory;
        Bus *ports;
        CoalescedRing *ring;
        unsigned n_traps; /* as of the last store() */
};

static Bus *must_bus(const World *world, const char *space, bool ports) {
        Bus *bus = NULL;

        assert_int_equal(bus_new(&bus, world->processor->kvm, space, ports), 0);
        assert_int_equal(listener_register(bus_listener(bus), world->processor->map, NULL), 0);
        return bus;
}

/* "nic" of 4 KiB at NIC, "uart" of 8 ports at UART. */
static int setup(void **state) {
        World *world = calloc(1, sizeof(*world));
        Map *map;

        assert_non_null(world);
        processor_setup((void **)&world->processor);
        map = world->processor->map;
        must_edit(map, add_region(REGION_MMIO, "nic", 4 * KIB, "system", NIC, 0));
        must_edit(map, add_region(REGION_CONTAINER, "ports", 64 * KIB, NULL, 0, 0));
        must_edit(map, add_region(REGION_MMIO, "uart", 8, "ports", UART, 0));
        must_edit(map, add_space("io", "ports"));
        must_commit(map);
        world->memory = must_bus(world, "memory", false);
        world->ports = must_bus(world, "io", true);
        *state = world;
        return 0;
}

static int teardown(void **state) {
        World *world = *state;

        listener_unregister(bus_listener(world->ports), world->processor->map);
        listener_unregister(bus_listener(world->memory), world->processor->map);
        bus_free(world->ports);
        bus_free(world->memory);
        processor_teardown((void **)&world->processor);
        free(world);
        return 0;
}

/* A store to memory, or an OUT, of `length` bytes; whether it trapped. */
static bool store(World *world, bool port, uint64_t address, uint64_t value, unsigned length) {
        static const uint8_t stores[][4] = {
                [1] = {0x88, 0x03, 0xf4},       /* mov [rbx], al; hlt */
                [2] = {0x66, 0x89, 0x03, 0xf4}, /* mov [rbx], ax; hlt */
                [4] = {0x89, 0x03, 0xf4},       /* mov [rbx], eax; hlt */
                [8] = {0x48, 0x89, 0x03, 0xf4}, /* mov [rbx], rax; hlt */
        };
        static const uint8_t outs[][3] = {
                [1] = {0xee, 0xf4},       /* out dx, al; hlt */
                [2] = {0x66, 0xef, 0xf4}, /* out dx, ax; hlt */
                [4] = {0xef, 0xf4},       /* out dx, eax; hlt */
        };
        Processor *processor = world->processor;
        unsigned before = world->n_traps;

        if (port)
                processor_load(processor, VCPU_MODE_LONG, AT, outs[length], sizeof(outs[length]));
        else
                processor_load(processor, VCPU_MODE_LONG, AT, stores[length],
                               sizeof(stores[length]));
        processor_set(processor, "rax", value);
        processor_set(processor, port ? "rdx" : "rbx", address);
        assert_int_equal(processor_run(processor, 0).state, VCPU_HALTED);
        world->n_traps = __atomic_load_n(&processor->n_traps, __ATOMIC_RELAXED);
        return world->n_traps > before;
}

/* A new ioeventfd, whose descriptor it keeps. Staged. */
static int add_bell(const World *world, const char *region, uint64_t offset, unsigned length,
                    bool match, uint64_t data) {
        _cleanup_(ioeventfd_unrefp) IOEventFD *ioeventfd = NULL;
        int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

        assert_true(fd >= 0);
        assert_int_equal(ioeventfd_new(&ioeventfd, offset, length, match, data, fd), 0);
        must_edit(world->processor->map, add_ioeventfd(region, ioeventfd));
        return fd;
}

/* How often it was signalled since it was asked last. */
static uint64_t rings(int fd) {
        eventfd_t n = 0;

        (void)eventfd_read(fd, &n);
        return n;
}

static void test_rules(void **state) {
        World *world = *state;

        assert_bus_rules(world->processor->kvm, false);
        assert_bus_rules(world->processor->kvm, true);
}

/* One of each length rings for that length only, and only where it is. */
static void assert_lengths(World *world, const char *region, bool port, uint64_t at) {
        Map *map = world->processor->map;
        const struct IOEventFDs *bells = &must_find(map, region)->ioeventfds;
        unsigned longest = port ? 4 : 8;

        for (unsigned length = 1; length <= longest; length *= 2) {
                int fd = add_bell(world, region, 0, length, false, 0);

                must_commit(map);
                for (unsigned written = 1; written <= longest; written *= 2) {
                        assert_int_equal(store(world, port, at, 0x77, written), written != length);
                        assert_int_equal(rings(fd), written == length);
                }
                assert_true(store(world, port, at + 1, 0x77, 1));
                assert_int_equal(rings(fd), 0);
                must_edit_commit(map, remove_ioeventfd(region, ioeventfds_first(bells, 0)));
        }
}

static void test_lengths(void **state) {
        assert_lengths(*state, "nic", false, NIC);
}

static void test_ports(void **state) {
        assert_lengths(*state, "uart", true, UART);
}

static void test_any_length(void **state) {
        World *world = *state;
        int nic = add_bell(world, "nic", 0x10, 0, false, 0);
        int uart = add_bell(world, "uart", 1, 0, false, 0);

        must_commit(world->processor->map);
        for (unsigned length = 1; length <= 8; length *= 2)
                assert_false(store(world, false, NIC + 0x10, 1, length));
        assert_int_equal(rings(nic), 4);
        for (unsigned length = 1; length <= 4; length *= 2)
                assert_false(store(world, true, UART + 1, 1, length));
        assert_int_equal(rings(uart), 3);
}

/* All 64 bits of the data count. */
static void test_match(void **state) {
        const uint64_t wide = UINT64_C(0x8123456789abcdef);
        World *world = *state;
        int four = add_bell(world, "nic", 0, 4, true, 7);
        int eight = add_bell(world, "nic", 0, 8, true, wide);
        int port = add_bell(world, "uart", 0, 2, true, 0x1234);

        must_commit(world->processor->map);
        assert_false(store(world, false, NIC, 7, 4));
        assert_true(store(world, false, NIC, 8, 4));
        assert_false(store(world, false, NIC, wide, 8));
        assert_true(store(world, false, NIC, wide ^ (UINT64_C(1) << 63), 8));
        assert_true(store(world, false, NIC, (uint32_t)wide, 8));
        assert_false(store(world, true, UART, 0x1234, 2));
        assert_true(store(world, true, UART, 0x1235, 2));
        assert_int_equal(rings(four), 1);
        assert_int_equal(rings(eight), 1);
        assert_int_equal(rings(port), 1);
}

/* Where it can be seen, everywhere; where it is hidden, disabled or gone, nowhere. */
static void test_hidden(void **state) {
        World *world = *state;
        Map *map = world->processor->map;
        int fd = add_bell(world, "nic", 0, 4, false, 0);

        must_edit(map, add_alias("again", "nic", 0, KIB, "system", 2 * NIC, 0));
        must_commit(map);
        assert_false(store(world, false, NIC, 0, 4));
        assert_false(store(world, false, 2 * NIC, 0, 4));
        assert_int_equal(rings(fd), 2);

        must_edit_commit(map, add_region(REGION_RESERVED, "cover", 1, "system", NIC + 3, 1));
        assert_true(store(world, false, NIC, 0, 4));
        assert_false(store(world, false, 2 * NIC, 0, 4));
        assert_int_equal(rings(fd), 1);
        must_edit_commit(map, disable("nic"));
        assert_true(store(world, false, 2 * NIC, 0, 4));
        must_edit(map, enable("nic"));
        must_edit_commit(map, move_region("nic", "system", 3 * NIC, 0));
        assert_true(store(world, false, NIC, 0, 4));
        assert_int_equal(rings(fd), 0);
        assert_false(store(world, false, 3 * NIC, 0, 4));
        assert_int_equal(rings(fd), 1);
}

/* Whoever it is for, it is noted as a trap. */
static bool postpone_write(void *userdata, const Trap *write, PendingWrite *ret) {
        (void)processor_ops.trap(userdata, write, NULL);
        return false;
}

static const CoalescedOps coalesced_ops = {.postpone = postpone_write};

static void make_ring(World *world) {
        Processor *processor = world->processor;

        assert_int_equal(coalesced_ring_new(&world->ring, processor->kvm), 0);
        assert_int_equal(
                listener_register(coalesced_ring_listener(world->ring), processor->map, NULL), 0);
        coalesced_ring_attach(world->ring, vcpu_mapping(processor->vcpu), &coalesced_ops,
                              processor);
}

static void free_ring(World *world) {
        listener_unregister(coalesced_ring_listener(world->ring), world->processor->map);
        world->ring = coalesced_ring_free(world->ring);
}

static void assert_noted(const World *world, unsigned i, bool port, uint64_t address,
                         uint64_t value, unsigned length) {
        const NotedTrap *noted = &world->processor->traps[i];

        assert_int_equal(noted->trap.is_port, port);
        assert_true(noted->trap.is_write);
        assert_int_equal(noted->trap.address, address);
        assert_int_equal(noted->trap.length, length);
        assert_int_equal(noted->value, value);
}

/* Writes to zones of both buses come late and in order. */
static void test_coalesced(void **state) {
        World *world = *state;
        Processor *processor = world->processor;

        make_ring(world);
        must_edit(processor->map, add_coalesced("nic", 0x100, 0x10));
        must_edit(processor->map, add_coalesced("uart", 0, 4));
        must_commit(processor->map);
        for (unsigned i = 0; i < 5; i++) {
                assert_false(store(world, false, NIC + 0x100 + 2 * i, i + 10, 2));
                assert_false(store(world, true, UART + 1, i + 0xa0, 1));
        }
        assert_false(store(world, false, NIC + 0x108, UINT64_C(0x123456789abcdef0), 8));
        assert_int_equal(coalesced_ring_drain(world->ring, NULL, NULL, NULL), 0);
        assert_int_equal(processor->n_traps, 11);
        for (unsigned i = 0; i < 5; i++) {
                assert_noted(world, 2 * i, false, NIC + 0x100 + 2 * i, i + 10, 2);
                assert_noted(world, 2 * i + 1, true, UART + 1, i + 0xa0, 1);
        }
        assert_noted(world, 10, false, NIC + 0x108, UINT64_C(0x123456789abcdef0), 8);
        world->n_traps = processor->n_traps;

        /* Across the border of a zone, and beside it, writes trap. */
        assert_true(store(world, false, NIC + 0x10e, 1, 4));
        assert_true(store(world, false, NIC + 0x110, 1, 1));
        assert_true(store(world, true, UART + 4, 1, 1));
        free_ring(world);
}

/* A commit makes what was gathered before it. What comes after the zone has gone traps. */
static void test_coalesced_commit(void **state) {
        World *world = *state;
        Processor *processor = world->processor;

        make_ring(world);
        must_edit_commit(processor->map, add_coalesced("nic", 0, 0x1000));
        assert_false(store(world, false, NIC + 0x20, 1, 4));
        must_edit_commit(processor->map, add_region(REGION_RESERVED, "r", 1, "system", MIB, 0));
        assert_int_equal(processor->n_traps, 1);
        assert_noted(world, 0, false, NIC + 0x20, 1, 4);
        world->n_traps = processor->n_traps;

        assert_false(store(world, false, NIC + 0x30, 2, 4));
        must_edit_commit(processor->map, clear_coalesced("nic"));
        assert_noted(world, 1, false, NIC + 0x30, 2, 4);
        world->n_traps = processor->n_traps;
        assert_true(store(world, false, NIC + 0x40, 3, 4));
        assert_noted(world, 2, false, NIC + 0x40, 3, 4);
        free_ring(world);
}

/* Zones that overlap are one: that one of them goes leaves the other. */
static void test_coalesced_overlap(void **state) {
        World *world = *state;
        Map *map = world->processor->map;

        make_ring(world);
        must_edit(map, add_coalesced("nic", 0, 0x100));
        must_edit(map, add_coalesced("nic", 0x80, 8));
        must_edit(map, add_alias("small", "nic", 0x80, 0x10, "system", 2 * NIC, 0));
        must_commit(map);
        assert_false(store(world, false, NIC + 0x80, 1, 4));
        assert_false(store(world, false, NIC + 0xf0, 1, 4));
        assert_false(store(world, false, 2 * NIC, 1, 4));
        must_edit_commit(map, disable("small"));
        world->n_traps = world->processor->n_traps;
        assert_true(store(world, false, 2 * NIC, 1, 4));
        assert_false(store(world, false, NIC + 0x80, 1, 4));
        assert_false(store(world, false, NIC + 0xf0, 1, 4));
        free_ring(world);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

PROCESSOR_TESTS(TEST(test_rules), TEST(test_lengths), TEST(test_ports), TEST(test_any_length),
                TEST(test_match), TEST(test_hidden), TEST(test_coalesced),
                TEST(test_coalesced_commit), TEST(test_coalesced_overlap));
