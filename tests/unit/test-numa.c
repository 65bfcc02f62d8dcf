/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Sets of nodes in words, what callers may choose, and what the kernel is told of it
 */

#include <errno.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/memory/backing.h"
#include "lib/memory/map-error.h"
#include "lib/util/cleanup.h"
#include "tests/common/unit.h"

/* A machine with these nodes is not to be had: what it would be told is looked at. */
static bool is_kept;
static int kept_error, kept_mode;
static uint64_t kept_nodes;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, void *host, size_t size, int mode, const void *nodes,
                    unsigned long bits, unsigned flags);

long __wrap_syscall(long number, void *host, size_t size, int mode, const void *nodes,
                    unsigned long bits, unsigned flags) {
        if (!is_kept)
                return __real_syscall(number, host, size, mode, nodes, bits, flags);
        assert_int_equal(number, SYS_mbind);
        assert_int_equal(bits, 65);
        kept_mode = mode;
        memcpy(&kept_nodes, nodes, sizeof(kept_nodes));
        errno = kept_error;
        return kept_error ? -1 : 0;
}

static void assert_list(const char *list, uint64_t nodes, const char *back, const char *words) {
        uint64_t read = 0;

        assert_int_equal(numa_nodes_parse(list, &read), 0);
        assert_int_equal(read, nodes);
        assert_string_equal(numa_nodes_list(nodes).text, back);
        assert_string_equal(numa_nodes_words(nodes).text, words);
}

static void test_lists(void **state) {
        static const char *const wrong[] = {
                "",     "x",   "-1", "0-",   "1-0", "0,",    ",0",
                "0,,1", "0 1", "64", "0-64", "0x1", "0-1-2", "99999999999999999999"};
        uint64_t read = 7;

        assert_list("0", 1, "0", "node 0");
        assert_list("63", UINT64_C(1) << 63, "63", "node 63");
        assert_list("0-1,3", 11, "0-1,3", "nodes 0-1,3");
        assert_list("3,1,0,1", 11, "0-1,3", "nodes 0-1,3");
        assert_list("5-5", 32, "5", "node 5");
        assert_list("0-63", UINT64_MAX, "0-63", "nodes 0-63");
        assert_string_equal(numa_nodes_list(UINT64_C(0xaaaaaaaaaaaaaaaa)).text,
                            "1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31,33,35,37,39,41,43,45,47,49,"
                            "51,53,55,57,59,61,63");
        for (size_t i = 0; i < ELEMENTS_OF(wrong); i++)
                assert_int_equal(numa_nodes_parse(wrong[i], &read), -EINVAL);
        assert_int_equal(read, 7);
}

static void assert_choice(NUMAChoice choice, NUMAPolicy policy, uint64_t nodes) {
        NUMA numa = {};
        Detail detail = {};

        assert_int_equal(numa_choose(&numa, &choice, "dimm0", &detail), 0);
        assert_int_equal(numa.policy, policy);
        assert_int_equal(numa.nodes, nodes);
}

static void assert_no_choice(NUMAChoice choice, const char *words) {
        NUMA numa = {};
        Detail detail = {};

        assert_int_equal(numa_choose(&numa, &choice, "dimm0", &detail), MAP_E_INVALID_ARGUMENT);
        assert_string_equal(detail.text, words);
        assert_int_equal(numa.policy, NUMA_ANYWHERE);
}

static void test_choices(void **state) {
        assert_choice((NUMAChoice){}, NUMA_ANYWHERE, 0);
        assert_choice((NUMAChoice){.has_node = 1, .node = 2}, NUMA_BIND, 4);
        assert_choice((NUMAChoice){.nodes = "0-1"}, NUMA_BIND, 3);
        assert_choice((NUMAChoice){.nodes = "0-1", .policy = "preferred"}, NUMA_PREFERRED, 3);
        assert_choice((NUMAChoice){.has_node = 1, .policy = "interleave"}, NUMA_INTERLEAVE, 1);
        assert_no_choice((NUMAChoice){.has_node = 1, .policy = ""},
                         "memory of \"dimm0\": numa-policy \"\" is none of bind, preferred, "
                         "interleave");
        assert_no_choice((NUMAChoice){.policy = "bind"},
                         "memory of \"dimm0\": a numa-policy needs a numa-node");
        assert_no_choice((NUMAChoice){.has_node = 1, .nodes = "1"},
                         "memory of \"dimm0\": of numa-node and numa-nodes there can be one only");
        assert_no_choice((NUMAChoice){.has_node = 1, .node = UINT32_MAX},
                         "memory of \"dimm0\": numa-node 4294967295 is beyond 63, the last that "
                         "there can be");
        assert_no_choice((NUMAChoice){.nodes = "near"},
                         "memory of \"dimm0\": numa-nodes \"near\" is no list of nodes from 0 to "
                         "63, such as 0-1,3");
}

static void assert_told(NUMAPolicy policy, uint64_t nodes, int mode) {
        const NUMA numa = {policy, nodes};
        Detail detail = {};

        is_kept = true;
        kept_error = 0;
        kept_mode = -1;
        assert_int_equal(numa_bind(&numa, "dimm0", NULL, 4096, &detail), 0);
        assert_int_equal(kept_mode, mode);
        assert_true(mode < 0 || kept_nodes == nodes);
        is_kept = false;
}

static void test_told(void **state) {
        const NUMA numa = {NUMA_INTERLEAVE, 3};
        Detail detail = {};

        assert_told(NUMA_ANYWHERE, 0, -1);
        assert_told(NUMA_BIND, 6, MPOL_BIND);
        assert_told(NUMA_PREFERRED, 1, MPOL_PREFERRED);
        assert_told(NUMA_PREFERRED, 3, MPOL_PREFERRED_MANY);
        assert_told(NUMA_INTERLEAVE, UINT64_C(1) << 63 | 1, MPOL_INTERLEAVE);
        is_kept = true;
        kept_error = EPERM;
        assert_int_equal(numa_bind(&numa, "dimm0", NULL, 4096, &detail), MAP_E_INVALID_ARGUMENT);
        assert_string_equal(detail.text,
                            "memory of \"dimm0\": the kernel gives guestmap-vmd none of "
                            "NUMA nodes 0-1: Operation not permitted");
        is_kept = false;
}

static bool has_node(unsigned node) {
        char path[64];

        snprintf(path, sizeof(path), "/sys/devices/system/node/node%u", node);
        return access(path, F_OK) == 0;
}

/* What the kernel says of a memory's first page. */
static void test_in_force(void **state) {
        static const int modes[] = {
                [NUMA_BIND] = MPOL_BIND,
                [NUMA_PREFERRED] = MPOL_PREFERRED,
                [NUMA_INTERLEAVE] = MPOL_INTERLEAVE,
        };

        if (!has_node(0)) {
                print_message("# the kernel knows no nodes\n");
                skip();
        }
        for (NUMAPolicy policy = NUMA_BIND; policy <= NUMA_INTERLEAVE; policy++) {
                const BackingSpec spec = {.numa = {policy, 1}};
                _cleanup_(backing_unrefp) Backing *backing = NULL;
                unsigned long nodes[1024 / 64] = {};
                Detail detail = {};
                int mode = -1;

                assert_int_equal(backing_new_memfd(&backing, 1, "dimm0", 1 << 20, &spec, &detail),
                                 0);
                assert_int_equal(__real_syscall(SYS_get_mempolicy, &mode, nodes, 1024,
                                                backing->host, MPOL_F_ADDR),
                                 0);
                assert_int_equal(mode, modes[policy]);
                assert_int_equal(nodes[0], 1);
        }
}

static void test_absent(void **state) {
        const BackingSpec spec = {.numa = {NUMA_INTERLEAVE, UINT64_C(1) << 63 | 1}};
        Backing *backing = NULL;
        Detail detail = {};

        if (!has_node(0) || has_node(63))
                skip();
        assert_int_equal(backing_new_memfd(&backing, 1, "dimm0", 4096, &spec, &detail),
                         MAP_E_INVALID_ARGUMENT);
        assert_memory_equal(
                detail.text,
                "memory of \"dimm0\": there is no NUMA node 63; the host "
                "has: 0",
                strlen("memory of \"dimm0\": there is no NUMA node 63; the host has: 0"));
        assert_null(backing);
}

UNIT_TESTS(cmocka_unit_test(test_lists), cmocka_unit_test(test_choices),
           cmocka_unit_test(test_told), cmocka_unit_test(test_in_force),
           cmocka_unit_test(test_absent));
