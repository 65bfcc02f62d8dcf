/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Every verb that edits: what it answers, what it does, what is told of it and in which order
 */

#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/bus/rig.h"
#include "tests/common/unit.h"

#define GETS_ALL "{edits: 1, slot-operations: 1}"

static void test_add_region(void **state) {
        Rig *rig = rig_new_vm();

        assert_string_equal(rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0), "2");
        assert_text(rig_log(rig),
                    "reply\n"
                    "InterfacesAdded /region/ram\n"
                    "Committed 2 1 [(memory [] [(0 4095 ram 0 ram 0)])] " GETS_ALL "\n");
        assert_string_equal(rig_flat(rig, RIG_MEMORY), "2 [(0 4095 ram 0 ram 0)]");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetSlots", ""), "[(0 0 4095 0 1 0)]");
        rig_free(rig);
}

static void test_kinds_and_options(void **state) {
        Rig *rig = rig_new_vm();

        assert_string_equal(rig_add(rig, RIG_VM, "box", "container", UINT64_MAX, "", 0), "2");
        assert_string_equal(rig_add(rig, RIG_VM, "rom", "rom", 0x1000, "system", 0), "3");
        assert_string_equal(rig_add(rig, RIG_VM, "flash", "romd", 0x1000, "system", 0x1000), "4");
        assert_string_equal(rig_add(rig, RIG_VM, "dev", "mmio", 0x1000, "system", 0x2000), "5");
        assert_string_equal(rig_add(rig, RIG_VM, "no", "reserved", 0x1000, "system", 0x3000), "6");
        assert_string_equal(rig_call(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "all", "ram",
                                     UINT64_C(0x1000), "system", UINT64_C(0x4000), -1, 6, "enabled",
                                     "b", true, "readonly", "b", true, "nonvolatile", "b", true,
                                     "unmergeable", "b", true, "dirty-log", "b", true,
                                     "expect-generation", "t", UINT64_C(6)),
                            "7");
        assert_string_equal(rig_flat(rig, RIG_MEMORY),
                            "7 [(0 4095 rom 0 rom 1), (4096 8191 flash 0 romd 8), "
                            "(8192 12287 dev 0 mmio 0), (12288 16383 no 0 reserved 0), "
                            "(16384 20479 all 0 rom 23)]");
        assert_string_equal(rig_call(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "off", "ram",
                                     UINT64_C(0x1000), "system", UINT64_C(0), 9, 1, "enabled", "b",
                                     false),
                            "8");
        assert_string_equal(rig_get(rig, RIG_VM "/region/off", "org.guestmap1.Region", "Enabled"),
                            "false");
        rig_free(rig);
}

static void test_alias(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "ram", "ram", 0x4000, "", 0);
        assert_string_equal(rig_alias(rig, RIG_VM, "low", "ram", 0x1000, 0x2000, "system", 0x8000),
                            "3");
        assert_string_equal(rig_flat(rig, RIG_MEMORY), "3 [(32768 40959 ram 4096 ram 0)]");
        assert_string_equal(rig_call(rig, RIG_VM, "Map.AddAlias", "ssttstia{sv}", "pam", "ram",
                                     UINT64_C(0), UINT64_C(0x1000), "system", UINT64_C(0), 1, 1,
                                     "readonly", "b", true),
                            "4");
        assert_string_equal(rig_call(rig, RIG_MEMORY, "AddressSpace.Find", "t", UINT64_C(5)),
                            "4 (0 4095 ram 0 ram 1)");
        assert_string_equal(rig_get(rig, RIG_VM "/region/ram", "org.guestmap1.Region", "Aliases"),
                            "[low, pam]");
        rig_free(rig);
}

static void test_remove_region(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0);
        free(rig_log(rig));
        assert_string_equal(rig_remove(rig, RIG_VM, "ram"), "3");
        assert_text(rig_log(rig),
                    "reply\n"
                    "InterfacesRemoved /region/ram\n"
                    "Committed 3 2 [(memory [(0 4095 ram 0 ram 0)] [])] " GETS_ALL "\n");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetSlots", ""), "[]");
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "RAMBytes"), "0");
        rig_free(rig);
}

static void test_enable_region(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0);
        free(rig_log(rig));
        assert_string_equal(rig_enable(rig, RIG_VM, "ram", false), "3");
        assert_text(rig_log(rig),
                    "reply\n"
                    "PropertiesChanged @/region/ram org.guestmap1.Region "
                    "{Enabled: false} []\n"
                    "Committed 3 2 [(memory [(0 4095 ram 0 ram 0)] [])] " GETS_ALL "\n");
        /* What is so already is no change: the current generation, nothing told. */
        assert_string_equal(rig_enable(rig, RIG_VM, "ram", false), "3");
        assert_text(rig_log(rig), "reply\n");
        assert_string_equal(rig_enable(rig, RIG_VM, "ram", true), "4");
        rig_free(rig);
}

static void test_move_region(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "a", "mmio", 0x1000, "system", 0);
        rig_add(rig, RIG_VM, "b", "mmio", 0x1000, "system", 0);
        free(rig_log(rig));
        /* To where it is: it comes to lie on top of its equal, and once only. */
        assert_string_equal(rig_call(rig, RIG_VM, "Map.MoveRegion", "sstia{sv}", "a", "system",
                                     UINT64_C(0), 0, 0),
                            "4");
        assert_text(rig_log(rig), "reply\n"
                                  "Committed 4 3 [(memory [(0 4095 b 0 mmio 0)] "
                                  "[(0 4095 a 0 mmio 0)])] {edits: 1, slot-operations: 0}\n");
        assert_string_equal(rig_call(rig, RIG_VM, "Map.MoveRegion", "sstia{sv}", "a", "system",
                                     UINT64_C(0), 0, 0),
                            "4");
        assert_text(rig_log(rig), "reply\n");
        assert_string_equal(rig_call(rig, RIG_VM, "Map.MoveRegion", "sstia{sv}", "a", "system",
                                     UINT64_C(0x2000), -5, 0),
                            "5");
        assert_text(rig_log(rig), "reply\n"
                                  "PropertiesChanged @/region/a org.guestmap1.Region "
                                  "{Offset: 8192, Priority: -5} []\n"
                                  "Committed 5 4 [(memory [(0 4095 a 0 mmio 0)] "
                                  "[(0 4095 b 0 mmio 0), (8192 12287 a 0 mmio 0)])] "
                                  "{edits: 1, slot-operations: 0}\n");
        assert_string_equal(
                rig_call(rig, RIG_VM, "Map.MoveRegion", "sstia{sv}", "a", "", UINT64_C(0), 0, 0),
                "6");
        assert_string_equal(rig_get(rig, RIG_VM "/region/a", "org.guestmap1.Region", "Parent"), "");
        rig_free(rig);
}

static void test_set_region(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "ram", "ram", 0x2000, "", 0);
        rig_alias(rig, RIG_VM, "low", "ram", 0, 0x1000, "system", 0);
        free(rig_log(rig));
        assert_string_equal(rig_call(rig, RIG_VM, "Map.SetRegion", "sa{sv}a{sv}", "low", 8, "size",
                                     "t", UINT64_C(0x800), "offset", "t", UINT64_C(0x1000),
                                     "priority", "i", 3, "enabled", "b", true, "readonly", "b",
                                     true, "nonvolatile", "b", true, "unmergeable", "b", true,
                                     "target-offset", "t", UINT64_C(0x1000), 0),
                            "4");
        assert_text(rig_log(rig),
                    "reply\n"
                    "PropertiesChanged @/region/low org.guestmap1.Region {Size: 2048, "
                    "Offset: 4096, Priority: 3, ReadOnly: true, NonVolatile: true, "
                    "Unmergeable: true, TargetOffset: 4096} []\n"
                    "Committed 4 3 [(memory [(0 4095 ram 0 ram 0)] "
                    "[(4096 6143 ram 4096 ram 7)])] {edits: 1, slot-operations: 1}\n");
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "TrappedBytes"), "2048");
        rig_free(rig);
}

static void test_set_flags(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0);
        rig_add(rig, RIG_VM, "flash", "romd", 0x1000, "system", 0x1000);
        free(rig_log(rig));
        assert_string_equal(rig_call(rig, RIG_VM, "Map.SetRegion", "sa{sv}a{sv}", "ram", 1,
                                     "dirty-log", "b", true, 0),
                            "4");
        assert_text(rig_log(rig), "reply\n"
                                  "PropertiesChanged @/region/ram org.guestmap1.Region "
                                  "{DirtyLog: true} []\n"
                                  "Committed 4 3 [(memory [(0 4095 ram 0 ram 0)] "
                                  "[(0 4095 ram 0 ram 16)])] " GETS_ALL "\n");
        assert_string_equal(rig_call(rig, RIG_VM, "Map.SetRegion", "sa{sv}a{sv}", "ram", 1,
                                     "readonly", "b", true, 0),
                            "5");
        assert_text(rig_log(rig), "reply\n"
                                  "PropertiesChanged @/region/ram org.guestmap1.Region "
                                  "{Kind: rom, ReadOnly: true} []\n"
                                  "Committed 5 4 [(memory [(0 4095 ram 0 ram 16)] "
                                  "[(0 4095 ram 0 rom 17)])] {edits: 1, slot-operations: 2}\n");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetSlots", ""),
                            "[(0 0 4095 0 1 3), (1 4096 8191 0 2 2)]");
        assert_string_equal(rig_call(rig, RIG_VM, "Map.SetRegion", "sa{sv}a{sv}", "flash", 1,
                                     "romd", "b", false, 0),
                            "6");
        assert_string_equal(rig_flat(rig, RIG_MEMORY),
                            "6 [(0 4095 ram 0 rom 17), (4096 8191 flash 0 romd 0)]");
        rig_free(rig);
}

static void test_address_spaces(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0);
        free(rig_log(rig));
        assert_string_equal(
                rig_call(rig, RIG_VM, "Map.AddAddressSpace", "ssa{sv}", "dma/0", "system", 0), "3");
        assert_text(rig_log(rig), "reply\n"
                                  "InterfacesAdded /space/dma_2f0\n"
                                  "Committed 3 2 [(dma/0 [] [(0 4095 ram 0 ram 0)])] "
                                  "{edits: 1, slot-operations: 0}\n");
        assert_string_equal(rig_flat(rig, RIG_VM "/space/dma_2f0"), "3 [(0 4095 ram 0 ram 0)]");
        free(rig_log(rig));
        assert_string_equal(rig_call(rig, RIG_VM, "Map.RemoveAddressSpace", "sa{sv}", "dma/0", 0),
                            "4");
        assert_text(rig_log(rig), "reply\n"
                                  "InterfacesRemoved /space/dma_2f0\n"
                                  "Committed 4 3 [(dma/0 [(0 4095 ram 0 ram 0)] [])] "
                                  "{edits: 1, slot-operations: 0}\n");
        /* Without the address space that they follow the slots go; with it they come back. */
        rig_call(rig, RIG_VM, "Map.RemoveAddressSpace", "sa{sv}", "memory", 0);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetSlots", ""), "[]");
        rig_call(rig, RIG_VM, "Map.AddAddressSpace", "ssa{sv}", "memory", "system", 0);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetSlots", ""), "[(0 0 4095 0 1 0)]");
        rig_free(rig);
}

static void test_ioeventfds(void **state) {
        Rig *rig = rig_new_vm();
        int bell = eventfd(0, EFD_CLOEXEC), theirs;
        eventfd_t n = 0;

        rig_add(rig, RIG_VM, "dev", "mmio", 0x1000, "system", 0);
        free(rig_log(rig));
        assert_string_equal(rig_call(rig, RIG_VM, "Map.AddIOEventFD", "stubta{sv}", "dev",
                                     UINT64_C(16), UINT32_C(4), true, UINT64_C(7), 0),
                            "3");
        assert_text(rig_log(rig), "reply\nCommitted 3 2 [] {edits: 1, slot-operations: 0}\n");
        assert_string_equal(rig_call(rig, RIG_VM, "Map.AddIOEventFD", "stubta{sv}", "dev",
                                     UINT64_C(32), UINT32_C(0), false, UINT64_C(0), 1, "fd", "h",
                                     bell),
                            "4");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListIOEventFDs", "s", "dev"),
                            "[(16 4 true 7), (32 0 false 0)]");
        assert_string_equal(rig_call(rig, RIG_VM "/region/dev", "Region.GetIOEventFD", "tubt",
                                     UINT64_C(32), UINT32_C(0), false, UINT64_C(0)),
                            "fd");
        /* It is the one that was given. */
        assert_true(sd_bus_message_read(rig->reply, "h", &theirs) > 0);
        assert_int_equal(eventfd_write(theirs, 7), 0);
        assert_int_equal(eventfd_read(bell, &n), 0);
        assert_int_equal(n, 7);
        assert_string_equal(rig_call(rig, RIG_VM, "Map.RemoveIOEventFD", "stubta{sv}", "dev",
                                     UINT64_C(32), UINT32_C(0), false, UINT64_C(0), 0),
                            "5");
        close(bell);
        rig_free(rig);
}

static void test_coalesced(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "dev", "mmio", 0x1000, "system", 0);
        assert_string_equal(rig_call(rig, RIG_VM, "Map.AddCoalesced", "stta{sv}", "dev",
                                     UINT64_C(0), UINT64_C(256), 0),
                            "3");
        assert_int_equal(rig->service->vm->map->n_coalesced, 1);
        assert_string_equal(rig_call(rig, RIG_VM, "Map.ClearCoalesced", "sa{sv}", "dev", 0), "4");
        assert_int_equal(rig->service->vm->map->n_coalesced, 0);
        assert_string_equal(rig_call(rig, RIG_VM, "Map.ClearCoalesced", "sa{sv}", "dev", 0), "4");
        rig_free(rig);
}

static void test_set_property(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0);
        free(rig_log(rig));
        assert_string_equal(rig_call(rig, RIG_VM "/region/ram", "Properties.Set", "ssv",
                                     "org.guestmap1.Region", "Enabled", "b", false),
                            "");
        assert_text(rig_log(rig),
                    "reply\n"
                    "PropertiesChanged @/region/ram org.guestmap1.Region "
                    "{Enabled: false} []\n"
                    "Committed 3 2 [(memory [(0 4095 ram 0 ram 0)] [])] " GETS_ALL "\n");
        rig_free(rig);
}

UNIT_TESTS(cmocka_unit_test(test_add_region), cmocka_unit_test(test_kinds_and_options),
           cmocka_unit_test(test_alias), cmocka_unit_test(test_remove_region),
           cmocka_unit_test(test_enable_region), cmocka_unit_test(test_move_region),
           cmocka_unit_test(test_set_region), cmocka_unit_test(test_set_flags),
           cmocka_unit_test(test_address_spaces), cmocka_unit_test(test_ioeventfds),
           cmocka_unit_test(test_coalesced), cmocka_unit_test(test_set_property));
