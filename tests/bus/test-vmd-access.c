/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * AddressSpace.Read and Write: what comes, what is refused in which words, that a refused write
 * writes nothing, and how large an access may be
 */

#include <string.h>

#include "api/names.h"
#include "tests/bus/rig.h"
#include "tests/common/unit.h"

/*
 * 0-fff ram, 1000-1fff "dev" mmio, 2000-2fff rom, 3000-3fff flash (romd), 4000-4fff "no" reserved,
 * 5000-5fff ram again, read-only; then nothing but the last page
 */
static Rig *rig_new_full(void) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0);
        rig_add(rig, RIG_VM, "dev", "mmio", 0x1000, "system", 0x1000);
        rig_add(rig, RIG_VM, "rom", "rom", 0x1000, "system", 0x2000);
        rig_add(rig, RIG_VM, "flash", "romd", 0x1000, "system", 0x3000);
        rig_add(rig, RIG_VM, "no", "reserved", 0x1000, "system", 0x4000);
        rig_call(rig, RIG_VM, "Map.AddAlias", "ssttstia{sv}", "window", "ram", UINT64_C(0),
                 UINT64_C(0x1000), "system", UINT64_C(0x5000), 0, 1, "readonly", "b", true);
        rig_add(rig, RIG_VM, "top", "ram", 0x1000, "system", UINT64_MAX - 0xfff);
        assert_string_equal(rig->text, "8");
        return rig;
}

static const char *rig_read(Rig *rig, uint64_t address, uint64_t length) {
        return rig_call(rig, RIG_MEMORY, "AddressSpace.Read", "tt", address, length);
}

static const char *rig_write(Rig *rig, uint64_t address, const char *data) {
        size_t n = strlen(data);

        if (n == 3)
                return rig_call(rig, RIG_MEMORY, "AddressSpace.Write", "tay", address, 3, data[0],
                                data[1], data[2]);
        assert_int_equal(n, 1);
        return rig_call(rig, RIG_MEMORY, "AddressSpace.Write", "tay", address, 1, data[0]);
}

static void test_read_and_write(void **state) {
        Rig *rig = rig_new_full();

        assert_string_equal(rig_write(rig, 0x10, "abc"), "");
        assert_string_equal(rig_read(rig, 0xf, 5), "[0, 97, 98, 99, 0]");
        assert_string_equal(rig_read(rig, 0x5011, 1), "[98]");
        assert_string_equal(rig_read(rig, 0x2fff, 2), "[0, 0]"); /* rom, then flash */
        assert_string_equal(rig_write(rig, UINT64_MAX - 2, "xyz"), "");
        assert_string_equal(rig_read(rig, UINT64_MAX - 1, 2), "[121, 122]");
        assert_string_equal(rig_read(rig, UINT64_MAX, 1), "[122]");
        assert_string_equal(rig_read(rig, 0x1000, 0), "[]");
        assert_string_equal(
                rig_call(rig, RIG_MEMORY, "AddressSpace.Write", "tay", UINT64_C(0x1000), 0), "");
        /* Nothing of the map has changed. */
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "Generation"), "8");
        rig_free(rig);
}

static void test_read_refused(void **state) {
        Rig *rig = rig_new_full();

        assert_string_equal(rig_read(rig, 0x5fff, 2),
                            "Unassigned: address space \"memory\": nothing answers at 0x6000");
        assert_string_equal(rig_read(rig, 0x3fff, 0x10),
                            "Unassigned: address space \"memory\": nothing answers at 0x4000: "
                            "region \"no\" is reserved");
        assert_string_equal(rig_read(rig, 0xffe, 0x10),
                            "NotSupported: address space \"memory\": cannot read at 0x1000: region "
                            "\"dev\", seen at 0x1000-0x1fff, is mmio, not memory");
        rig_call(rig, RIG_VM, "Map.SetRegion", "sa{sv}a{sv}", "flash", 1, "romd", "b", false, 0);
        assert_string_equal(rig_read(rig, 0x3008, 1),
                            "NotSupported: address space \"memory\": cannot read at 0x3008: region "
                            "\"flash\", seen at 0x3000-0x3fff, is a ROM device that is not in "
                            "direct-read mode");
        rig_free(rig);
}

static void test_write_refused(void **state) {
        Rig *rig = rig_new_full();

        assert_string_equal(rig_write(rig, 0xffe, "abc"),
                            "NotSupported: address space \"memory\": cannot write at 0x1000: "
                            "region \"dev\", seen at 0x1000-0x1fff, is mmio, not memory");
        assert_string_equal(rig_read(rig, 0xffe, 2), "[0, 0]");
        assert_string_equal(rig_write(rig, 0x2001, "a"),
                            "NotSupported: address space \"memory\": cannot write at 0x2001: "
                            "region \"rom\", seen at 0x2000-0x2fff, is read-only there");
        assert_string_equal(rig_write(rig, 0x3000, "a"),
                            "NotSupported: address space \"memory\": cannot write at 0x3000: "
                            "region \"flash\", seen at 0x3000-0x3fff, is a ROM device, which takes "
                            "commands");
        assert_string_equal(rig_write(rig, 0x4fff, "abc"),
                            "Unassigned: address space \"memory\": nothing answers at 0x4fff: "
                            "region \"no\" is reserved");
        assert_string_equal(rig_write(rig, 0x5000, "a"),
                            "NotSupported: address space \"memory\": cannot write at 0x5000: "
                            "region \"ram\", seen at 0x5000-0x5fff, is read-only there");
        assert_string_equal(rig_write(rig, 0x6000, "a"),
                            "Unassigned: address space \"memory\": nothing answers at 0x6000");
        rig_free(rig);
}

static void test_sizes(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "ram", "ram", 0x200000, "system", 0);
        rig_read(rig, 0x1000, GUESTMAP_ACCESS_MAX);
        assert_int_equal(sd_bus_message_is_method_error(rig->reply, NULL), 0);
        assert_int_equal(strlen(rig->text), 3 * GUESTMAP_ACCESS_MAX); /* "0, " each */
        assert_string_equal(rig_read(rig, 0, GUESTMAP_ACCESS_MAX + 1),
                            "TooLarge: address space \"memory\": 0x100001 bytes, over the limit of "
                            "0x100000 of one access: use GetMemoryTable and GetBacking");
        assert_string_equal(rig_read(rig, UINT64_MAX, 2),
                            "InvalidRange: address space \"memory\": 0x2 bytes at "
                            "0xffffffffffffffff reach beyond 2^64");
        assert_string_equal(rig_write(rig, UINT64_MAX - 1, "abc"),
                            "InvalidRange: address space \"memory\": 0x3 bytes at "
                            "0xfffffffffffffffe reach beyond 2^64");
        assert_string_equal(rig_read(rig, 0, UINT64_MAX),
                            "TooLarge: address space \"memory\": 0xffffffffffffffff bytes, over "
                            "the limit of 0x100000 of one access: use GetMemoryTable and "
                            "GetBacking");
        rig_free(rig);
}

/* A transaction that is open does not show in what is read. */
static void test_published_only(void **state) {
        Rig *rig = rig_new_full();

        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        rig_enable(rig, RIG_VM "/transaction/1", "ram", false);
        assert_string_equal(rig_write(rig, 0, "a"), "");
        assert_string_equal(rig_read(rig, 0, 1), "[97]");
        rig_call(rig, RIG_VM "/transaction/1", "Transaction.Commit", "a{sv}", 0);
        assert_string_equal(rig_read(rig, 0, 1),
                            "Unassigned: address space \"memory\": nothing answers at 0x0");
        rig_free(rig);
}

UNIT_TESTS(cmocka_unit_test(test_read_and_write), cmocka_unit_test(test_read_refused),
           cmocka_unit_test(test_write_refused), cmocka_unit_test(test_sizes),
           cmocka_unit_test(test_published_only));
