/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Map.FindFree: what counts as free, on a VM as it is and on a transaction as it would be
 */

#include <string.h>

#include "tests/bus/rig.h"
#include "tests/common/unit.h"

#define T1 RIG_VM "/transaction/1"

/* A multiple of a page, anywhere. */
static const char *find(Rig *rig, const char *path, const char *space, uint64_t size) {
        return rig_call(rig, path, "Map.FindFree", "stttt", space, size, UINT64_C(0x1000),
                        UINT64_C(0), UINT64_MAX);
}

static void begin(Rig *rig) {
        assert_string_equal(rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0),
                            "/transaction/1");
}

static void test_what_is_free(void **state) {
        Rig *rig = rig_new_vm();

        assert_string_equal(find(rig, RIG_VM, "memory", UINT64_MAX), "0");
        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0);
        /* A container has gaps, an mmio region with children none, a reserved one neither. */
        rig_add(rig, RIG_VM, "bridge", "container", 0x4000, "system", 0x1000);
        rig_add(rig, RIG_VM, "bar", "mmio", 0x1000, "bridge", 0x1000);
        assert_string_equal(find(rig, RIG_VM, "memory", 0x1000), "4096");
        rig_add(rig, RIG_VM, "background", "mmio", 0x4000, "system", 0x1000);
        rig_add(rig, RIG_VM, "front", "mmio", 0x1000, "background", 0x1000);
        rig_add(rig, RIG_VM, "hole", "reserved", 0x1000, "system", 0x5000);
        assert_string_equal(find(rig, RIG_VM, "memory", 0x1000), "24576");
        rig_enable(rig, RIG_VM, "hole", false);
        assert_string_equal(find(rig, RIG_VM, "memory", 0x1000), "20480");
        rig_enable(rig, RIG_VM, "background", false);
        assert_string_equal(find(rig, RIG_VM, "memory", 0x1000), "4096");
        assert_string_equal(find(rig, RIG_VM, "memory", 0x2000), "12288");
        /* Each space is one of its own. */
        assert_string_equal(find(rig, RIG_VM, "io", 0x1000), "0");
        rig_free(rig);
}

static void test_refused(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "ram", "ram", 0x3000, "system", 0x1000);
        assert_string_equal(rig_call(rig, RIG_VM, "Map.FindFree", "stttt", "memory",
                                     UINT64_C(0x2000), UINT64_C(0x800), UINT64_C(0x400),
                                     UINT64_C(0x4fff)),
                            "NoFreeRange: address space \"memory\": 8KiB at a multiple of "
                            "2KiB are free nowhere in 0x400-0x4fff: the largest place is "
                            "0x4000-0x4fff");
        assert_string_equal(find(rig, RIG_VM, "memory", 0),
                            "InvalidRange: address space \"memory\": size 0 has no place");
        assert_string_equal(rig_call(rig, RIG_VM, "Map.FindFree", "stttt", "memory", UINT64_C(1),
                                     UINT64_C(3), UINT64_C(0), UINT64_MAX),
                            "InvalidArgs: address space \"memory\": alignment 0x3 is not a power "
                            "of two");
        assert_string_equal(find(rig, RIG_VM, "dma", 1),
                            "NoSuchAddressSpace: VM \"test\" has no address space \"dma\"");
        rig_free(rig);
}

static void test_staged(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0x1000);
        begin(rig);
        assert_string_equal(find(rig, T1, "memory", 0x2000), "8192");
        rig_add(rig, T1, "more", "ram", 0x1000, "system", 0x2000);
        assert_string_equal(find(rig, T1, "memory", 0x2000), "12288");
        assert_string_equal(find(rig, RIG_VM, "memory", 0x2000), "8192");
        rig_remove(rig, T1, "ram");
        assert_string_equal(find(rig, T1, "memory", 0x2000), "0");
        /* Also of spaces that come and go. */
        rig_call(rig, T1, "Map.AddAddressSpace", "ssa{sv}", "dma", "more", 0);
        assert_string_equal(find(rig, T1, "dma", 0x1000), "4096");
        assert_string_equal(find(rig, RIG_VM, "dma", 0x1000),
                            "NoSuchAddressSpace: VM \"test\" has no address space \"dma\"");
        rig_call(rig, T1, "Map.AddAddressSpace", "ssa{sv}", "nothing", "io", 0);
        assert_string_equal(find(rig, T1, "nothing", 0x1000), "0");
        rig_call(rig, T1, "Map.RemoveAddressSpace", "sa{sv}", "io", 0);
        assert_string_equal(find(rig, T1, "io", 0x1000),
                            "NoSuchAddressSpace: VM \"test\" has no address space \"io\"");
        /* Looking has changed nothing of it. */
        assert_string_equal(rig_call(rig, T1, "Transaction.Commit", "a{sv}", 0), "3");
        assert_string_equal(rig_flat(rig, RIG_MEMORY), "3 [(8192 12287 more 0 ram 0)]");
        rig_free(rig);
}

/* What another commit has set under the transaction's feet is told as Commit would. */
static void test_staged_conflict(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0);
        begin(rig);
        rig_remove(rig, T1, "ram");
        rig_remove(rig, RIG_VM, "ram");
        assert_non_null(strstr(find(rig, T1, "memory", 0x1000), "Conflict: edit 1: "));
        rig_free(rig);
}

/* A large transaction is prepared beside the loop. */
static void test_staged_many(void **state) {
        Rig *rig = rig_new_vm();

        begin(rig);
        for (uint64_t i = 0; i < 4097; i++) {
                char name[16];

                snprintf(name, sizeof(name), "%u", (unsigned)i);
                rig_add(rig, T1, name, "mmio", 0x1000, "system", i * 0x1000);
        }
        rig_send(rig, T1, "Map.FindFree", "stttt", "memory", UINT64_C(1), UINT64_C(0), UINT64_C(0),
                 UINT64_MAX);
        assert_string_equal(rig_wait(rig), "16781312");
        assert_false(gate_is_busy(&rig->service->gate));
        assert_string_equal(rig_call(rig, T1, "Transaction.Commit", "a{sv}", 0), "2");
        rig_free(rig);
}

UNIT_TESTS(cmocka_unit_test(test_what_is_free), cmocka_unit_test(test_refused),
           cmocka_unit_test(test_staged), cmocka_unit_test(test_staged_conflict),
           cmocka_unit_test(test_staged_many));
