/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Headroom: which limit says that there is not so much memory, on hosts that are made up of files
 */

#include "lib/memory/headroom.h"
#include "lib/memory/map-error.h"
#include "lib/util/cleanup.h"
#include "tests/common/huge-pages.h"
#include "tests/common/made-host.h"

#define MIB (UINT64_C(1) << 20)

static BackingSpec spec;

static int setup(void **state) {
        spec = (BackingSpec){};
        return made_host_setup(state);
}

static void assert_check(int (*check)(const Headroom *, Detail *), uint64_t page, uint64_t bytes,
                         const char *words) {
        const Headroom headroom = {
                .name = "dimm0", .spec = &spec, .page = page, .bytes = bytes, .root = made_host};
        Detail detail = {};

        assert_int_equal(check(&headroom, &detail), words ? MAP_E_NO_MEMORY : 0);
        assert_string_equal(detail.text, words ?: "");
}

static void assert_room(uint64_t bytes, const char *words) {
        assert_check(headroom_check, 4096, bytes, words);
}

static void test_unknown(void **state) {
        assert_room(UINT64_MAX, NULL);
        assert_check(headroom_check, HUGE_2M, UINT64_MAX & ~(HUGE_2M - 1), NULL);
}

/* 256 MiB with 100 that can be had, and another 256 with 50; one part in 256 is not given. */
static void put_nodes(void) {
        put_file("/sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:       262144 kB\n"
                                                           "Node 0 MemFree:         61440 kB\n"
                                                           "Node 0 Active:         999999 kB\n"
                                                           "Node 0 Active(file):    10240 kB\n"
                                                           "Node 0 Inactive(file):  20480 kB\n"
                                                           "Node 0 SReclaimable:    10240 kB\n");
        put_file("/sys/devices/system/node/node1/meminfo", "Node 1 MemTotal:       262144 kB\n"
                                                           "Node 1 MemFree:         51200 kB\n");
}

static void test_host(void **state) {
        put_nodes();
        assert_room(148 * MIB, NULL);
        assert_room(148 * MIB + 1, "memory of \"dimm0\": needs 155189249B, the host has "
                                   "148MiB available");
}

static void test_node(void **state) {
        put_nodes();
        spec = (BackingSpec){.numa = {NUMA_BIND, 1 << 1}};
        assert_room(49 * MIB, NULL);
        assert_room(50 * MIB, "memory of \"dimm0\": needs 50MiB, NUMA node 1 has "
                              "49MiB available");
        /* What is preferred is no limit. */
        spec.numa.policy = NUMA_PREFERRED;
        assert_room(50 * MIB, NULL);
}

static void test_nodes(void **state) {
        put_nodes();
        put_file("/sys/devices/system/node/node7/meminfo", "Node 7 MemTotal:       262144 kB\n"
                                                           "Node 7 MemFree:         51200 kB\n");
        spec = (BackingSpec){.numa = {NUMA_BIND, 1 << 1 | 1 << 7}};
        assert_room(98 * MIB, NULL);
        assert_room(99 * MIB, "memory of \"dimm0\": needs 99MiB, NUMA nodes 1,7 have "
                              "98MiB available");
        spec.numa.policy = NUMA_INTERLEAVE;
        assert_room(99 * MIB, NULL);
}

static void test_cgroup(void **state) {
        put_nodes();
        put_file("/proc/self/cgroup", "4:memory:/elsewhere\n0::/guestmap.slice/vm.service\n");
        put_file("/sys/fs/cgroup/guestmap.slice/vm.service/memory.max", "max\n");
        put_file("/sys/fs/cgroup/guestmap.slice/vm.service/memory.current", "1\n");
        assert_room(100 * MIB, NULL);

        put_file("/sys/fs/cgroup/guestmap.slice/vm.service/memory.max", "67108864\n");
        put_file("/sys/fs/cgroup/guestmap.slice/vm.service/memory.current", "33554432\n");
        put_file("/sys/fs/cgroup/guestmap.slice/vm.service/memory.stat",
                 "anon 7340032\n"
                 "inactive_file 1048576\n"
                 "active_file 1048576\n"
                 "slab_reclaimable 1048576\n");
        assert_room(35 * MIB, NULL);
        assert_room(36 * MIB,
                    "memory of \"dimm0\": needs 36MiB, cgroup /guestmap.slice/vm.service "
                    "has 35MiB left of its MemoryMax, 64MiB");
}

static void test_cgroup_above(void **state) {
        put_file("/proc/self/cgroup", "0::/guestmap.slice/vm.service\n");
        put_file("/sys/fs/cgroup/guestmap.slice/memory.max", "1048576\n");
        put_file("/sys/fs/cgroup/guestmap.slice/memory.current", "2097152\n");
        assert_room(1, "memory of \"dimm0\": needs 1B, cgroup /guestmap.slice has 0B left "
                       "of its MemoryMax, 1MiB");
}

#define HUGE "/sys/kernel/mm/hugepages/hugepages-2048kB/"

static void test_huge(void **state) {
        put_file(HUGE "free_hugepages", "20\n");
        put_file(HUGE "resv_hugepages", "8\n");
        put_file(HUGE "nr_overcommit_hugepages", "5\n");
        put_file(HUGE "surplus_hugepages", "1\n");
        assert_check(headroom_check_huge, HUGE_2M, 16 * HUGE_2M, NULL);
        assert_check(headroom_check_huge, HUGE_2M, 512 * HUGE_2M,
                     "memory of \"dimm0\": needs 512 huge pages of 2MiB, 16 are free "
                     "(nr_hugepages)");
}

static void test_huge_on_node(void **state) {
        put_file("/sys/devices/system/node/node3/hugepages/hugepages-1048576kB/free_hugepages",
                 "2\n");
        spec = (BackingSpec){.numa = {NUMA_BIND, 1 << 3}};
        assert_check(headroom_check, HUGE_1G, 2 * HUGE_1G, NULL);
        assert_check(headroom_check, HUGE_1G, 3 * HUGE_1G,
                     "memory of \"dimm0\": needs 3 huge pages of 1GiB, 2 are free on NUMA node 3 "
                     "(nr_hugepages)");
        put_file("/sys/devices/system/node/node5/hugepages/hugepages-1048576kB/free_hugepages",
                 "2\n");
        spec.numa.nodes |= 1 << 5;
        assert_check(headroom_check, HUGE_1G, 4 * HUGE_1G, NULL);
        assert_check(
                headroom_check, HUGE_1G, 5 * HUGE_1G,
                "memory of \"dimm0\": needs 5 huge pages of 1GiB, 4 are free on NUMA nodes 3,5 "
                "(nr_hugepages)");
        spec.numa.policy = NUMA_ANYWHERE;
        assert_check(headroom_check, HUGE_1G, 3 * HUGE_1G, NULL);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, made_host_teardown)

UNIT_TESTS(TEST(test_unknown), TEST(test_host), TEST(test_node), TEST(test_nodes),
           TEST(test_cgroup), TEST(test_cgroup_above), TEST(test_huge), TEST(test_huge_on_node));
