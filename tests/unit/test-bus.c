/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What is asked of the kernel when ioeventfds and coalesced zones come and go, and when it refuses
 */

#include "lib/kvm/bus-table.h"
#include "lib/kvm/bus.h"
#include "lib/memory/commit.h"
#include "lib/memory/listener.h"
#include "tests/common/scene.h"
#include "tests/common/unit.h"
#include "tests/property/random.h"
#include "tests/unit/fail-allocation.h"
#include "tests/unit/mock-kvm.h"

typedef struct World World;

struct World {
        Map *map;
        Accelerator *kvm;
        Bus *memory;
        Bus *ports;
        Detail detail;
};

static Bus *must_bus(World *world, const char *space, bool ports) {
        Bus *bus = NULL;

        assert_int_equal(bus_new(&bus, world->kvm, space, ports), 0);
        assert_int_equal(listener_register(bus_listener(bus), world->map, NULL), 0);
        return bus;
}

/* Devices of 4 KiB: "nic" at 0xfe000000 of `memory`, "uart" at port 0x3f8 of `io`. */
static int setup(void **state) {
        World *world = calloc(1, sizeof(*world));

        assert_non_null(world);
        assert_int_equal(mock_kvm_setup(NULL), 0);
        assert_int_equal(accelerator_new_kvm(&world->kvm, &world->detail), 0);
        world->map = scene_new();
        must_edit(world->map, add_region(REGION_CONTAINER, "ports", 0x10000, NULL, 0, 0));
        must_edit(world->map, add_space("io", "ports"));
        must_edit(world->map, add_region(REGION_MMIO, "nic", 0x1000, "system", 0xfe000000, 0));
        must_edit(world->map, add_region(REGION_MMIO, "uart", 8, "ports", 0x3f8, 0));
        must_commit(world->map);
        world->memory = must_bus(world, "memory", false);
        world->ports = must_bus(world, "io", true);
        *state = world;
        return 0;
}

static int teardown(void **state) {
        World *world = *state;

        listener_unregister(bus_listener(world->ports), world->map);
        listener_unregister(bus_listener(world->memory), world->map);
        assert_text(mock_kvm_devices(), "");
        bus_free(world->ports);
        bus_free(world->memory);
        accelerator_free(world->kvm);
        map_free(world->map);
        free(world);
        return mock_kvm_teardown(NULL);
}

/* A commit that is refused with this outcome and these words, and rolled back. */
static void assert_refused(World *world, int outcome, const char *words) {
        _cleanup_(commit_freep) Commit *commit = NULL;
        int r;

        r = commit_new(&commit, world->map, &world->detail);
        if (r == 0)
                r = commit_apply(commit, &world->detail);
        assert_int_equal(r, outcome);
        assert_string_equal(world->detail.text, words);
        commit = commit_free(commit);
        map_rollback(world->map, 0);
}

static void test_ioeventfds(void **state) {
        World *world = *state;
        Map *map = world->map;

        must_add_ioeventfd(map, "nic", 0x10, 0, false, 0);
        must_add_ioeventfd(map, "nic", 0x20, 4, true, 7);
        must_add_ioeventfd(map, "nic", 0x20, 8, true, UINT64_C(0x123456789abcdef0));
        must_add_ioeventfd(map, "uart", 0, 1, false, 0);
        must_commit(map);
        assert_text(mock_kvm_take(), "+ memory fe000010/0\n"
                                     "+ memory fe000020/4 =7\n"
                                     "+ memory fe000020/8 =123456789abcdef0\n"
                                     "+ ports 3f8/1\n");

        /* Where it is seen twice, both; of what is hidden, none; all removals first. */
        must_edit(map, add_alias("again", "nic", 0x20, 0x10, "system", 0x1000, 0));
        must_edit(map, add_region(REGION_RESERVED, "cover", 0x10, "system", 0xfe000010, 1));
        must_edit(map, move_region("uart", "ports", 0x2f8, 0));
        must_commit(map);
        assert_text(mock_kvm_take(), "- memory fe000010/0\n"
                                     "+ memory 1000/4 =7\n"
                                     "+ memory 1000/8 =123456789abcdef0\n"
                                     "- ports 3f8/1\n"
                                     "+ ports 2f8/1\n");

        must_edit_commit(map, disable("nic"));
        assert_text(mock_kvm_devices(), "+ ports 2f8/1\n");
}

/* Another descriptor for the same writes: the kernel would refuse to have both. */
static void test_replaced(void **state) {
        World *world = *state;
        _cleanup_(ioeventfd_unrefp) IOEventFD *key = must_ioeventfd(0, 4, false, 0);

        must_add_ioeventfd(world->map, "nic", 0, 4, false, 0);
        must_commit(world->map);
        free(mock_kvm_take());
        must_edit(world->map, remove_ioeventfd("nic", key));
        must_add_ioeventfd(world->map, "nic", 0, 0, false, 0);
        must_add_ioeventfd(world->map, "nic", 8, 4, false, 0);
        must_commit(world->map);
        assert_text(mock_kvm_take(), "- memory fe000000/4\n"
                                     "+ memory fe000000/0\n"
                                     "+ memory fe000008/4\n");
}

static void test_out_of_reach(void **state) {
        World *world = *state;
        Map *map = world->map;
        uint64_t end = world->kvm->address_last;

        must_edit(map, add_region(REGION_MMIO, "far", 0x1000, "system", end - 0x7ff, 0));
        must_edit(map, add_region(REGION_MMIO, "last", 0x1000, "system", -UINT64_C(0x1000), 0));
        must_add_ioeventfd(map, "far", 0x7fc, 4, false, 0);
        must_add_ioeventfd(map, "far", 0x7fe, 4, false, 0);
        must_add_ioeventfd(map, "last", 0xff8, 8, false, 0);
        must_edit(map, add_coalesced("far", 0x700, 0x200));
        must_commit(map);
        assert_text(mock_kvm_take(), "+ memory fffffffffffc/4\n"
                                     "+ memory zone ffffffffff00-ffffffffffff\n");
}

static void test_zones(void **state) {
        World *world = *state;
        Map *map = world->map;

        must_edit(map, add_coalesced("nic", 0x100, 0x100));
        must_edit(map, add_coalesced("nic", 0x180, 0x100));
        must_edit(map, add_coalesced("nic", 0x280, 0x10));
        must_edit(map, add_coalesced("uart", 0, 8));
        must_commit(map);
        assert_text(mock_kvm_take(), "+ memory zone fe000100-fe00027f\n"
                                     "+ memory zone fe000280-fe00028f\n"
                                     "+ ports zone 3f8-3ff\n");

        /* Cut by what comes to lie over it, and whole again. */
        must_edit_commit(map, add_region(REGION_RESERVED, "cover", 8, "system", 0xfe000140, 1));
        assert_text(mock_kvm_take(), "- memory zone fe000100-fe00027f\n"
                                     "+ memory zone fe000100-fe00013f\n"
                                     "+ memory zone fe000148-fe00027f\n");
        must_edit_commit(map, disable("cover"));
        assert_text(mock_kvm_devices(), "+ memory zone fe000280-fe00028f\n"
                                        "+ memory zone fe000100-fe00027f\n"
                                        "+ ports zone 3f8-3ff\n");
        must_edit_commit(map, clear_coalesced("nic"));
        assert_text(mock_kvm_devices(), "+ ports zone 3f8-3ff\n");
}

/* Without the capability nothing is asked for. */
static void test_no_zones(void **state) {
        _cleanup_(accelerator_freep) Accelerator *kvm = NULL;
        Bus *memory = NULL, *ports = NULL;
        World *world = *state;

        mock_kvm.coalesced_pio = 0;
        assert_int_equal(accelerator_new_kvm(&kvm, NULL), 0);
        assert_int_equal(bus_new(&ports, kvm, "other-io", true), 0);
        mock_kvm.coalesced_mmio = 0;
        kvm = accelerator_free(kvm);
        assert_int_equal(accelerator_new_kvm(&kvm, NULL), 0);
        assert_int_equal(bus_new(&memory, kvm, "other", false), 0);
        must_edit(world->map, add_space("other", "system"));
        must_edit(world->map, add_space("other-io", "ports"));
        must_edit(world->map, add_coalesced("nic", 0, 8));
        must_edit(world->map, add_coalesced("uart", 0, 8));
        must_commit(world->map);
        free(mock_kvm_take());
        assert_int_equal(listener_register(bus_listener(memory), world->map, NULL), 0);
        assert_int_equal(listener_register(bus_listener(ports), world->map, NULL), 0);
        assert_text(mock_kvm_take(), "");
        listener_unregister(bus_listener(memory), world->map);
        listener_unregister(bus_listener(ports), world->map);
        bus_free(memory);
        bus_free(ports);
}

static void add_zones(Map *map, unsigned n) {
        for (unsigned i = 0; i < n; i++)
                must_edit(map, add_coalesced("nic", 4 * i, 4));
}

static void test_zone_limit(void **state) {
        World *world = *state;

        must_edit(world->map, set_size("nic", 0x10000));
        must_commit(world->map);
        add_zones(world->map, BUS_ZONES_MAX + 1);
        assert_refused(world, MAP_E_QUOTA_EXCEEDED,
                       "region \"nic\": coalesced zone 0xfe000f9c-0xfe000f9f: address space "
                       "\"memory\" has 999 zones, the limit of a bus");
        assert_text(mock_kvm_take(), "");
        add_zones(world->map, BUS_ZONES_MAX);
        must_add_ioeventfd(world->map, "nic", 0, 4, false, 0);
        must_commit(world->map);
        must_edit(world->map, add_coalesced("nic", 4 * BUS_ZONES_MAX, 4));
        assert_refused(world, MAP_E_QUOTA_EXCEEDED,
                       "region \"nic\": coalesced zone 0xfe000f9c-0xfe000f9f: address space "
                       "\"memory\" has 999 zones, the limit of a bus");
}

/* From one state to the other take two removals and three additions. */
enum { N_OPS = 5 };

static void make_before(Map *map) {
        must_add_ioeventfd(map, "nic", 0, 4, false, 0);
        must_edit(map, add_coalesced("nic", 0x100, 0x10));
        must_commit(map);
        free(mock_kvm_take());
}

static void stage_after(Map *map) {
        _cleanup_(ioeventfd_unrefp) IOEventFD *key = must_ioeventfd(0, 4, false, 0);

        must_edit(map, remove_ioeventfd("nic", key));
        must_add_ioeventfd(map, "nic", 0, 0, false, 0);
        must_add_ioeventfd(map, "nic", 8, 8, true, 1);
        must_edit(map, add_coalesced("nic", 0x108, 0x10));
}

#define BEFORE                                                                                     \
        "+ memory fe000000/4\n"                                                                    \
        "+ memory zone fe000100-fe00010f\n"
#define AFTER                                                                                      \
        "+ memory fe000000/0\n"                                                                    \
        "+ memory fe000008/8 =1\n"                                                                 \
        "+ memory zone fe000100-fe000117\n"

static const char *const refusals[N_OPS] = {
        "region \"nic\": remove ioeventfd of length 4 at 0xfe000000: Input/output error",
        "region \"nic\": remove coalesced zone 0xfe000100-0xfe00010f: Input/output error",
        "region \"nic\": add ioeventfd of length 0 at 0xfe000000: Input/output error",
        "region \"nic\": add ioeventfd of length 8 at 0xfe000008: Input/output error",
        "region \"nic\": add coalesced zone 0xfe000100-0xfe000117: Input/output error",
};

/* Each ioctl fails in turn: those before it are taken back, latest first, and all is as it was. */
static void test_every_ioctl_fails(void **state) {
        World *world = *state;

        make_before(world->map);
        for (unsigned n = 1; n <= N_OPS; n++) {
                stage_after(world->map);
                mock_kvm.fail_at = n;
                mock_kvm.fail_errno = -EIO;
                assert_refused(world, MAP_E_KVM, refusals[n - 1]);
                assert_int_equal(mock_kvm.n_calls, 2 * n - 1);
                assert_text(mock_kvm_devices(), BEFORE);
                free(mock_kvm_take());
        }
        mock_kvm.fail_at = 0;
        stage_after(world->map);
        must_commit(world->map);
        assert_int_equal(mock_kvm.n_calls, N_OPS);
        assert_text(mock_kvm_devices(), AFTER);
}

/* It refuses, and then to take back: the next commit sets it right. */
static void test_undo_refused(void **state) {
        World *world = *state;

        make_before(world->map);
        for (unsigned n = 2; n <= N_OPS; n++) {
                stage_after(world->map);
                mock_kvm.fail_at = n;
                mock_kvm.fail_more = 1 + n % 2;
                mock_kvm.fail_errno = -EIO;
                assert_refused(world, MAP_E_KVM, refusals[n - 1]);
                mock_kvm.fail_at = 0;

                must_add_ioeventfd(world->map, "nic", 0x80 + 8 * n, 1, false, 0);
                must_commit(world->map);
                must_edit_commit(world->map, disable("nic"));
                assert_text(mock_kvm_devices(), "");
                must_edit_commit(world->map, enable("nic"));
                free(mock_kvm_take());
        }
        assert_text(mock_kvm_devices(), "+ memory fe000000/4\n"
                                        "+ memory fe000090/1\n"
                                        "+ memory fe000098/1\n"
                                        "+ memory fe0000a0/1\n"
                                        "+ memory fe0000a8/1\n"
                                        "+ memory zone fe000100-fe00010f\n");
}

static int refuse(Listener *listener, const Commit *commit, Detail *detail) {
        return detail_set(detail, MAP_E_NO_MEMORY, "a later listener does not like it");
}

/* A later listener refuses: all is taken back; also what had set things right. */
static void test_undo(void **state) {
        static const ListenerOps ops = {.apply = refuse};
        Listener refusing = {.ops = &ops, .priority = LISTENER_PRIORITY_ACCELERATOR + 1};
        World *world = *state;

        make_before(world->map);
        stage_after(world->map);
        mock_kvm.fail_at = 3;
        mock_kvm.fail_more = 1;
        mock_kvm.fail_errno = -ENOMEM;
        assert_refused(world, MAP_E_KVM,
                       "region \"nic\": add ioeventfd of length 0 at 0xfe000000: "
                       "Cannot allocate memory");
        assert_text(mock_kvm_devices(), "+ memory fe000000/4\n");
        mock_kvm.fail_at = 0;

        cds_list_add_tail(&refusing.link, &world->map->listeners);
        stage_after(world->map);
        assert_refused(world, MAP_E_NO_MEMORY, "a later listener does not like it");
        assert_text(mock_kvm_devices(), "+ memory fe000000/4\n");
        cds_list_del(&refusing.link);

        stage_after(world->map);
        must_commit(world->map);
        assert_text(mock_kvm_devices(), AFTER);
}

/* Each allocation of a commit fails in turn. */
static void test_every_allocation_fails(void **state) {
        World *world = *state;
        unsigned n;

        make_before(world->map);
        for (n = 1;; n++) {
                _cleanup_(commit_freep) Commit *commit = NULL;
                int r;

                stage_after(world->map);
                fail_allocation_at(n);
                r = commit_new(&commit, world->map, NULL);
                if (!fail_allocation_done())
                        break;
                assert_int_equal(r, -ENOMEM);
                map_rollback(world->map, 0);
                assert_text(mock_kvm_devices(), BEFORE);
        }
        map_rollback(world->map, 0);
        assert_true(n > 10);
}

static void test_free_removes(void **state) {
        World *world = *state;
        Listener *listener = bus_listener(world->memory);

        make_before(world->map);
        cds_list_del(&listener->link);
        world->memory = bus_free(world->memory);
        assert_text(mock_kvm_take(), "- memory fe000000/4\n"
                                     "- memory zone fe000100-fe00010f\n");
        world->memory = must_bus(world, "memory", false);
        assert_text(mock_kvm_take(), "+ memory fe000000/4\n"
                                     "+ memory zone fe000100-fe00010f\n");
}

enum { N_REGIONS = 4, REGION_SIZE = 0x100, SPAN = 0x1000, N_ROUNDS = 3000 };

static const char *const names[N_REGIONS] = {"r0", "r1", "r2", "r3"};

/* One edit of the regions, which may be refused. */
static void edit_at_random(Map *map, Random *random) {
        const char *name = names[random_below(random, N_REGIONS)];
        uint64_t offset = 4 * random_below(random, REGION_SIZE / 4 - 8);
        IOEventFD *first = ioeventfds_first(&must_find(map, name)->ioeventfds, offset);
        _cleanup_(ioeventfd_unrefp) IOEventFD *new =
                must_ioeventfd(offset, 1u << random_below(random, 4), random_below(random, 2), 7);
        Edit edits[] = {
                move_region(name, "system", 0x10 * random_below(random, 0x80),
                            (int32_t)random_below(random, 2)),
                enable(name),
                disable(name),
                add_ioeventfd(name, new),
                remove_ioeventfd(name, first ? first : new),
                add_coalesced(name, offset, random_below(random, 32) + 1),
                clear_coalesced(name),
        };

        (void)map_edit(map, &edits[random_below(random, ELEMENTS_OF(edits))], NULL);
}

/* The bytes that lie in some zone, of those that the view announces, of those in the kernel. */
static void mark_announced(const FlatView *view, uint8_t *marks, unsigned *n_ioeventfds) {
        ViewCursor cursor;
        const Announced *announced = flat_view_first_announced(view, &cursor, 0);

        for (; announced; announced = flat_view_next_announced(&cursor)) {
                *n_ioeventfds += announced->ioeventfd != NULL;
                for (uint64_t at = announced->range.first;
                     announced->coalesced && at <= announced->range.last; at++)
                        marks[at] = 1;
        }
}

static void mark_kernel(uint8_t *marks) {
        const BusOp *zone = bus_table_next_zone(&mock_kvm.memory, NULL);

        for (; zone; zone = bus_table_next_zone(&mock_kvm.memory, zone))
                for (uint64_t at = zone->address; at < zone->address + zone->length; at++) {
                        assert_int_equal(marks[at], 0);
                        marks[at] = 1;
                }
}

static bool is_announced(const FlatView *view, const BusOp *op) {
        ViewCursor cursor;
        const Announced *announced = flat_view_first_announced(view, &cursor, op->address);

        for (; announced && announced->range.first == op->address;
             announced = flat_view_next_announced(&cursor))
                if (announced->ioeventfd && announced->ioeventfd->length == op->length &&
                    announced->ioeventfd->match == op->match &&
                    announced->ioeventfd->data == op->data)
                        return true;
        return false;
}

/* The kernel has what the view announces, and zones that do not overlap. */
static void assert_in_step(Map *map) {
        const BusOp *op = bus_table_next_ioeventfd(&mock_kvm.memory, NULL);
        const FlatView *view = scene_published(map, "memory");
        uint8_t announced[SPAN] = {}, kernel[SPAN] = {};
        unsigned n = 0;

        mark_announced(view, announced, &n);
        mark_kernel(kernel);
        assert_memory_equal(announced, kernel, SPAN);
        for (; op; op = bus_table_next_ioeventfd(&mock_kvm.memory, op), n--)
                assert_true(is_announced(view, op));
        assert_int_equal(n, 0);
}

/* Whether the commit changed the address space; where the kernel refuses it is rolled back. */
static bool commit_at_random(World *world, Random *random) {
        _cleanup_(commit_freep) Commit *commit = NULL;
        bool changed;
        int r;

        assert_int_equal(commit_new(&commit, world->map, &world->detail), 0);
        changed = commit->n_changes > 0;
        mock_kvm.n_calls = 0;
        mock_kvm.fail_at = random_below(random, 3) ? 0 : 1 + (unsigned)random_below(random, 6);
        mock_kvm.fail_more = (unsigned)random_below(random, 3);
        mock_kvm.fail_errno = -ENOMEM;
        r = commit_apply(commit, &world->detail);
        mock_kvm.fail_at = 0;
        if (r == 0)
                return changed;
        assert_int_equal(r, MAP_E_KVM);
        commit = commit_free(commit);
        map_rollback(world->map, 0);
        return false;
}

/* After each commit that goes through, whatever the kernel refused before. */
static void test_random(void **state) {
        Random random = {4};
        World *world = *state;
        unsigned n = 0;

        for (unsigned i = 0; i < N_REGIONS; i++)
                must_edit(world->map,
                          add_region(REGION_MMIO, names[i], REGION_SIZE, "system", 0x80 * i, 0));
        must_commit(world->map);
        for (unsigned round = 0; round < N_ROUNDS; round++) {
                for (uint64_t edits = random_below(&random, 4); edits > 0; edits--)
                        edit_at_random(world->map, &random);
                if (commit_at_random(world, &random)) {
                        assert_in_step(world->map);
                        n++;
                }
                free(mock_kvm_take());
        }
        assert_true(n > N_ROUNDS / 4);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

UNIT_TESTS(TEST(test_ioeventfds), TEST(test_replaced), TEST(test_out_of_reach), TEST(test_zones),
           TEST(test_no_zones), TEST(test_zone_limit), TEST(test_every_ioctl_fails),
           TEST(test_undo_refused), TEST(test_undo), TEST(test_every_allocation_fails),
           TEST(test_free_removes), TEST(test_random));
