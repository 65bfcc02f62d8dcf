/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Bad input of every kind: the error named in the contract, with a message that names the object,
 * the value and the limit, and nothing changed: same generation, same tree, same views, same slots,
 * no signal. Each call is made on the VM and on a transaction, where it must leave the staged edits
 * alone too.
 */

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/bus/rig.h"
#include "tests/common/unit.h"

/* Room for a name that is too long. */
static char long_name[130];

/* A VM with one of everything, and a transaction 1 with one edit. */
static Rig *rig_new_full(void) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "ram", "ram", 0x10000, "system", 0);
        rig_add(rig, RIG_VM, "dev", "mmio", 0x1000, "system", 0x20000);
        rig_add(rig, RIG_VM, "box", "container", 0x1000, "system", 0x30000);
        rig_alias(rig, RIG_VM, "low", "ram", 0, 0x1000, "box", 0);
        rig_call(rig, RIG_VM, "Map.AddIOEventFD", "stubta{sv}", "dev", UINT64_C(0), UINT32_C(4),
                 true, UINT64_C(1), 0);
        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        assert_string_equal(rig->text, "/transaction/1");
        assert_string_equal(rig_enable(rig, RIG_VM "/transaction/1", "dev", false), "0");
        free(rig_log(rig));
        memset(long_name, 'x', sizeof(long_name) - 1);
        return rig;
}

/* The last call was refused with a message that begins so, and changed nothing. */
static void check_refused(Rig *rig, const char *before, const char *expected) {
        char *after = rig_state(rig);

        assert_true(sd_bus_message_is_method_error(rig->reply, NULL));
        if (strncmp(rig->text, expected, strlen(expected)) != 0)
                fail_msg("said <%s>, expected <%s>", rig->text, expected);
        assert_string_equal(after, before);
        assert_text(rig_log(rig), "reply\n");
        free(after);
}

#define REFUSED_AT(rig, path, expected, ...)                                                       \
        do {                                                                                       \
                char *before_ = rig_state(rig);                                                    \
                                                                                                   \
                rig_call(rig, path, __VA_ARGS__);                                                  \
                check_refused(rig, before_, expected);                                             \
                free(before_);                                                                     \
        } while (0)

#define REFUSED(rig, expected, ...)                                                                \
        do {                                                                                       \
                REFUSED_AT(rig, RIG_VM, expected, __VA_ARGS__);                                    \
                REFUSED_AT(rig, RIG_VM "/transaction/1", expected, __VA_ARGS__);                   \
                rig_get(rig, RIG_VM "/transaction/1", "org.guestmap1.Transaction", "Edits");       \
                assert_string_equal(rig->text, "1");                                               \
                free(rig_log(rig));                                                                \
        } while (0)

#define REFUSED_ADD(rig, expected, name, kind, size, parent, offset)                               \
        REFUSED(rig, expected, "Map.AddRegion", "sststia{sv}", name, kind, (uint64_t)(size),       \
                parent, (uint64_t)(offset), 0, 0)

#define REFUSED_ALIAS(rig, expected, name, target, target_offset, size, parent, offset)            \
        REFUSED(rig, expected, "Map.AddAlias", "ssttstia{sv}", name, target,                       \
                (uint64_t)(target_offset), (uint64_t)(size), parent, (uint64_t)(offset), 0, 0)

#define REFUSED_SET(rig, expected, name, property, type, value)                                    \
        REFUSED(rig, expected, "Map.SetRegion", "sa{sv}a{sv}", name, 1, property, type, value, 0)

static void test_names(void **state) {
        Rig *rig = rig_new_full();

        REFUSED_ADD(rig, "InvalidName: ", "", "ram", 0x1000, "", 0);
        REFUSED_ADD(rig, "InvalidName: \"a\\x0ab\", 3 bytes, is not a name", "a\nb", "ram", 0x1000,
                    "", 0);
        REFUSED_ADD(rig, "InvalidName: ", long_name, "ram", 0x1000, "", 0);
        REFUSED(rig, "InvalidName: ", "Map.AddAddressSpace", "ssa{sv}", "", "system", 0);
        REFUSED(rig, "InvalidName: ", "Map.AddAddressSpace", "ssa{sv}", long_name, "system", 0);
        REFUSED_ADD(rig, "RegionExists: region \"ram\"", "ram", "mmio", 0x1000, "", 0);
        REFUSED_ALIAS(rig, "RegionExists: region \"dev\"", "dev", "ram", 0, 0x1000, "", 0);
        REFUSED(rig, "AddressSpaceExists: ", "Map.AddAddressSpace", "ssa{sv}", "memory", "ram", 0);
        rig_free(rig);
}

static void test_missing(void **state) {
        Rig *rig = rig_new_full();

        REFUSED_ADD(rig, "NoSuchRegion: there is no region \"up\"", "x", "ram", 0x1000, "up", 0);
        REFUSED_ALIAS(rig, "NoSuchRegion: there is no region \"of\"", "x", "of", 0, 1, "", 0);
        REFUSED(rig, "NoSuchRegion: ", "Map.RemoveRegion", "sa{sv}", "none", 0);
        REFUSED(rig, "NoSuchRegion: ", "Map.EnableRegion", "sba{sv}", "none", true, 0);
        REFUSED(rig, "NoSuchRegion: ", "Map.MoveRegion", "sstia{sv}", "none", "system", UINT64_C(0),
                0, 0);
        REFUSED(rig, "NoSuchRegion: ", "Map.MoveRegion", "sstia{sv}", "ram", "none", UINT64_C(0), 0,
                0);
        REFUSED_SET(rig, "NoSuchRegion: ", "none", "size", "t", UINT64_C(1));
        REFUSED(rig, "NoSuchRegion: ", "Map.AddAddressSpace", "ssa{sv}", "new", "none", 0);
        REFUSED(rig, "NoSuchAddressSpace: ", "Map.RemoveAddressSpace", "sa{sv}", "none", 0);
        REFUSED(rig, "NoSuchIOEventFD: region \"dev\"", "Map.RemoveIOEventFD", "stubta{sv}", "dev",
                UINT64_C(8), UINT32_C(4), false, UINT64_C(0), 0);
        rig_free(rig);
}

static void test_ranges(void **state) {
        Rig *rig = rig_new_full();

        REFUSED_ADD(rig, "QuotaExceeded: RAMBytes: ", "x", "ram", UINT64_MAX - 1, "", 0);
        REFUSED_ADD(rig, "InvalidRange: ", "x", "ram", 0, "", 0);
        REFUSED_ADD(rig, "InvalidRange: ", "x", "ram", UINT64_MAX, "", 0);
        REFUSED_ADD(rig, "InvalidRange: ", "x", "mmio", 0x1001, "system", UINT64_MAX - 0xfff);
        REFUSED_ADD(rig, "InvalidRange: ", "x", "mmio", UINT64_MAX, "system", 1);
        REFUSED_ALIAS(rig, "InvalidRange: ", "x", "ram", UINT64_MAX, 2, "", 0);
        REFUSED_SET(rig, "InvalidRange: region \"ram\"", "ram", "size", "t", UINT64_C(0x20000));
        REFUSED_SET(rig, "InvalidRange: region \"ram\"", "ram", "size", "t", UINT64_C(0));
        REFUSED_SET(rig, "InvalidRange: region \"dev\"", "dev", "offset", "t", UINT64_MAX);
        REFUSED_SET(rig, "InvalidRange: alias \"low\"", "low", "target-offset", "t", UINT64_MAX);
        REFUSED(rig, "InvalidRange: ", "Map.MoveRegion", "sstia{sv}", "dev", "system", UINT64_MAX,
                0, 0);
        REFUSED(rig, "InvalidRange: ", "Map.AddIOEventFD", "stubta{sv}", "dev", UINT64_C(0xffd),
                UINT32_C(4), false, UINT64_C(0), 0);
        REFUSED(rig, "InvalidRange: ", "Map.AddCoalesced", "stta{sv}", "dev", UINT64_C(0),
                UINT64_C(0x1001), 0);
        REFUSED(rig, "InvalidRange: region \"dev\": a zone of size 0 is empty", "Map.AddCoalesced",
                "stta{sv}", "dev", UINT64_C(0), UINT64_C(0), 0);
        rig_free(rig);
}

static void test_kinds(void **state) {
        Rig *rig = rig_new_full();

        REFUSED_ADD(rig, "InvalidKind: region \"x\": kind \"disk\"", "x", "disk", 1, "", 0);
        REFUSED_ADD(rig, "InvalidKind: ", "x", "alias", 1, "", 0);
        REFUSED_ADD(rig, "InvalidKind: ", "x", "ram", 0x1000, "low", 0);
        REFUSED_SET(rig, "InvalidKind: ", "ram", "romd", "b", true);
        REFUSED_SET(rig, "InvalidKind: ", "ram", "target-offset", "t", UINT64_C(0));
        REFUSED_SET(rig, "InvalidKind: ", "dev", "dirty-log", "b", true);
        REFUSED(rig, "InvalidKind: ", "Map.AddIOEventFD", "stubta{sv}", "ram", UINT64_C(0),
                UINT32_C(4), false, UINT64_C(0), 0);
        REFUSED(rig, "InvalidKind: ", "Map.AddCoalesced", "stta{sv}", "box", UINT64_C(0),
                UINT64_C(1), 0);
        rig_free(rig);
}

static void test_loops_and_use(void **state) {
        Rig *rig = rig_new_full();

        REFUSED(rig, "WouldLoop: ", "Map.MoveRegion", "sstia{sv}", "system", "box", UINT64_C(0), 0,
                0);
        REFUSED(rig, "WouldLoop: ", "Map.MoveRegion", "sstia{sv}", "box", "box", UINT64_C(0), 0, 0);
        REFUSED_ALIAS(rig, "WouldLoop: ", "x", "system", 0, UINT64_MAX, "box", 0);
        rig_free(rig);
}

static void test_in_use(void **state) {
        Rig *rig = rig_new_full();

        REFUSED(rig,
                "InUse: region \"system\" has 3 children and 0 aliases, and is the root of 1 "
                "address",
                "Map.RemoveRegion", "sa{sv}", "system", 0);
        REFUSED(rig, "InUse: region \"box\"", "Map.RemoveRegion", "sa{sv}", "box", 0);
        REFUSED(rig, "InUse: region \"ram\"", "Map.RemoveRegion", "sa{sv}", "ram", 0);
        REFUSED(rig, "InUse: region \"io\"", "Map.RemoveRegion", "sa{sv}", "io", 0);
        REFUSED(rig, "IOEventFDExists: region \"dev\"", "Map.AddIOEventFD", "stubta{sv}", "dev",
                UINT64_C(0), UINT32_C(0), false, UINT64_C(0), 0);
        rig_free(rig);
}

static void test_options(void **state) {
        Rig *rig = rig_new_full();

        REFUSED(rig, "InvalidArgs: unknown option \"preheat\"", "Map.AddRegion", "sststia{sv}",
                "x", "ram", UINT64_C(0x1000), "", UINT64_C(0), 0, 1, "preheat", "b", true);
        REFUSED(rig, "InvalidArgs: option \"readonly\" is of type s, not b", "Map.AddRegion",
                "sststia{sv}", "x", "ram", UINT64_C(0x1000), "", UINT64_C(0), 0, 1, "readonly", "s",
                "yes");
        REFUSED(rig, "InvalidArgs: option \"enabled\" is given twice", "Map.AddRegion",
                "sststia{sv}", "x", "ram", UINT64_C(0x1000), "", UINT64_C(0), 0, 2, "enabled", "b",
                true, "enabled", "b", true);
        REFUSED(rig, "InvalidArgs: unknown option \"colour\"", "Map.RemoveRegion", "sa{sv}", "ram",
                1, "colour", "s", "red");
        REFUSED_SET(rig, "InvalidArgs: unknown option \"kind\"", "ram", "kind", "s", "rom");
        REFUSED_SET(rig, "InvalidArgs: option \"size\" is of type u, not t", "ram", "size", "u",
                    UINT32_C(1));
        REFUSED(rig, "InvalidArgs: ", "Map.AddIOEventFD", "stubta{sv}", "dev", UINT64_C(0),
                UINT32_C(3), false, UINT64_C(0), 0);
        REFUSED(rig, "InvalidArgs: ", "Map.AddIOEventFD", "stubta{sv}", "dev", UINT64_C(0),
                UINT32_C(0), true, UINT64_C(0), 0);
        REFUSED(rig, "Invalid argument", "Map.RemoveRegion", "s", "ram");
        rig_free(rig);
}

static void test_expect_generation(void **state) {
        Rig *rig = rig_new_full();

        REFUSED_AT(rig, RIG_VM, "Conflict: VM \"test\" has generation 6, not 5",
                   "Map.RemoveRegion", "sa{sv}", "low", 1, "expect-generation", "t", UINT64_C(5));
        rig_add(rig, RIG_VM, "new", "mmio", 1, "", 0);
        free(rig_log(rig));
        /* What is staged compares with what the transaction is based on. */
        REFUSED_AT(rig, RIG_VM "/transaction/1",
                   "Conflict: transaction 1 of VM \"test\" has generation 6, not 7",
                   "Map.RemoveRegion", "sa{sv}", "ram", 1, "expect-generation", "t", UINT64_C(7));
        REFUSED_AT(rig, RIG_VM, "Conflict: ", "VM.Begin", "ta{sv}", UINT64_C(0), 1,
                   "expect-generation", "t", UINT64_C(6));
        REFUSED_AT(rig, RIG_VM "/transaction/1", "Conflict: ", "Transaction.Commit", "a{sv}", 1,
                   "expect-generation", "t", UINT64_C(6));
        rig_free(rig);
}

/* Quotas and slots, made small so that they are soon reached. */
static void test_limits(void **state) {
        Rig *rig = rig_new_full();
        MapLimits *limits = &rig->service->vm->map->limits;

        limits->regions = 6;
        REFUSED_AT(rig, RIG_VM,
                   "QuotaExceeded: Regions: 6 in use, 1 more asked for, the limit is 6",
                   "Map.AddRegion", "sststia{sv}", "x", "mmio", UINT64_C(1), "", UINT64_C(0), 0, 0);
        limits->regions = 100;
        limits->address_spaces = 2;
        REFUSED(rig, "QuotaExceeded: ", "Map.AddAddressSpace", "ssa{sv}", "x", "system", 0);
        limits->ram_bytes = 0x10fff;
        REFUSED_ADD(rig, "QuotaExceeded: RAMBytes", "x", "ram", 0x1000, "", 0);
        limits->ioeventfds = 1;
        REFUSED(rig, "QuotaExceeded: ", "Map.AddIOEventFD", "stubta{sv}", "dev", UINT64_C(8),
                UINT32_C(4), false, UINT64_C(0), 0);
        limits->edits = 1;
        REFUSED_AT(rig, RIG_VM "/transaction/1", "QuotaExceeded: ", "Map.EnableRegion", "sba{sv}",
                   "ram", false, 0);
        rig_free(rig);
}

#define ADD_DOORBELL                                                                               \
        "{\"guestmap\": 1, \"edits\": [{\"enable-region\": {\"name\": \"dev\", \"enabled\": "      \
        "true}}, "                                                                                 \
        "{\"add-ioeventfd\": {\"region\": \"dev\", \"offset\": 8, \"length\": 4}}]}"

/* Descriptors end before the process has none left for anything else. */
static void test_descriptors(void **state) {
        _cleanup_(closep) int bell = eventfd(0, EFD_CLOEXEC);
        Rig *rig = rig_new_full();
        int next = dup(0);

        assert_true(next >= 0);
        close(next);
        rig->service->vm->descriptors_max = next;
        REFUSED_ADD(rig, "QuotaExceeded: region \"x\": descriptors: all ", "x", "ram", 0x1000, "",
                    0);
        REFUSED(rig, "QuotaExceeded: region \"dev\": descriptors: all ", "Map.AddIOEventFD",
                "stubta{sv}", "dev", UINT64_C(8), UINT32_C(4), false, UINT64_C(0), 0);
        REFUSED(rig, "QuotaExceeded: region \"dev\": descriptors: all ", "Map.AddIOEventFD",
                "stubta{sv}", "dev", UINT64_C(8), UINT32_C(4), false, UINT64_C(0), 1, "fd", "h",
                bell);
        REFUSED(rig, "QuotaExceeded: edit 2: region \"dev\": descriptors: all ", "Map.Apply",
                "sa{sv}", ADD_DOORBELL, 0);
        rig_add(rig, RIG_VM, "y", "mmio", 0x1000, "", 0);
        assert_string_equal(rig->text, "7");
        rig_free(rig);
}

/* And where there is none after all, what it was for is told. */
static void test_no_descriptor(void **state) {
        Rig *rig = rig_new_full();
        struct rlimit before, none;
        int next = dup(0);

        assert_true(next >= 0);
        close(next);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = (struct rlimit){(rlim_t)next, before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        REFUSED_ADD(rig, "NoMemory: memory of \"x\": ", "x", "ram", 0x1000, "", 0);
        REFUSED(rig, "NoMemory: region \"dev\": no eventfd to be had: ", "Map.AddIOEventFD",
                "stubta{sv}", "dev", UINT64_C(8), UINT32_C(4), false, UINT64_C(0), 0);
        REFUSED(rig, "NoMemory: edit 2: region \"dev\": no eventfd", "Map.Apply", "sa{sv}",
                ADD_DOORBELL, 0);
        REFUSED_AT(rig, RIG_VM, "NoMemory: dump of flat of VM \"test\": ", "VM.Dump", "sa{sv}",
                   "flat", 0);
        REFUSED_AT(rig, RIG_VM, "NoMemory: backing 1: cannot open it: ", "VM.GetBacking", "tb",
                   UINT64_C(1), false);
        REFUSED_AT(rig, RIG_VM "/region/ram",
                   "NoMemory: region \"ram\": backing 1: ", "Region.GetMemory", "b", false);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        rig_free(rig);
}

static void test_no_slots(void **state) {
        Rig *rig = rig_new_full();

        rig->service->vm->accelerator->n_slots = slots_used(rig->service->vm->slots);
        REFUSED_AT(rig, RIG_VM, "NoSlots: ", "Map.AddRegion", "sststia{sv}", "x", "ram",
                   UINT64_C(0x1000), "system", UINT64_C(0x100000), 0, 0);
        /* On a transaction it shows when edits are taken together: at Commit, which leaves it. */
        rig_call(rig, RIG_VM "/transaction/1", "Map.AddRegion", "sststia{sv}", "x", "ram",
                 UINT64_C(0x1000), "system", UINT64_C(0x100000), 0, 0);
        rig_call(rig, RIG_VM "/transaction/1", "Map.AddRegion", "sststia{sv}", "y", "ram",
                 UINT64_C(0x1000), "system", UINT64_C(0x200000), 0, 0);
        free(rig_log(rig));
        REFUSED_AT(rig, RIG_VM "/transaction/1", "NoSlots: ", "Transaction.Commit", "a{sv}", 0);
        rig_get(rig, RIG_VM "/transaction/1", "org.guestmap1.Transaction", "Edits");
        assert_string_equal(rig->text, "3");
        rig_free(rig);
}

static void test_documents(void **state) {
        Rig *rig = rig_new_full();
        char *deep = calloc(1, 4096), *large = malloc((8 << 20) + 2);

        assert_non_null(deep);
        assert_non_null(large);
        memset(deep, '[', 4000);
        memcpy(deep, "{\"guestmap\": 1, \"regions\": ", 27);
        memset(large, ' ', (8 << 20) + 1);
        large[(8 << 20) + 1] = '\0';
        REFUSED(rig, "InvalidDocument: ", "Map.Apply", "sa{sv}", "", 0);
        REFUSED(rig, "InvalidDocument: ", "Map.Apply", "sa{sv}", "{\"guestmap\": 2}", 0);
        REFUSED(rig, "InvalidDocument: ", "Map.Apply", "sa{sv}",
                "{\"guestmap\": 1, \"regions\": [], \"colour\": 1}", 0);
        REFUSED(rig, "InvalidDocument: ", "Map.Apply", "sa{sv}",
                "{\"guestmap\": 1, \"guestmap\": 1, \"regions\": []}", 0);
        REFUSED(rig, "InvalidDocument: ", "Map.Apply", "sa{sv}",
                "{\"guestmap\": 1, \"regions\": [{\"name\": \"a\", \"kind\": \"mmio\","
                "\"size\": true}]}",
                0);
        REFUSED(rig, "QuotaExceeded: ", "Map.Apply", "sa{sv}", deep, 0);
        REFUSED(rig, "TooLarge: ", "Map.Apply", "sa{sv}", large, 0);
        REFUSED(rig, "RegionExists: edit 2: region \"ram\"", "Map.Apply", "sa{sv}",
                "{\"guestmap\": 1, \"edits\": [{\"enable-region\": {\"name\": \"ram\","
                "\"enabled\": false}}, {\"add-region\": {\"name\": \"ram\", \"kind\": \"mmio\","
                "\"size\": 1}}]}",
                0);
        REFUSED(rig, "InvalidArgs: unknown option \"colour\"", "Map.Apply", "sa{sv}",
                "{\"guestmap\": 1, \"edits\": []}", 1, "colour", "b", true);
        REFUSED(rig, "InUse: region \"ram\" would lose its contents", "Map.Apply", "sa{sv}",
                "{\"guestmap\": 1, \"edits\": [{\"remove-region\": {\"name\": \"low\"}},"
                "{\"remove-region\": {\"name\": \"ram\"}}]}",
                1, "keep-memory", "b", true);
        free(large);
        free(deep);
        rig_free(rig);
}

static void test_queries(void **state) {
        Rig *rig = rig_new_full();

        REFUSED_AT(rig, RIG_VM, "NoSuchRegion: ", "VM.GetRegion", "s", "none");
        REFUSED_AT(rig, RIG_VM, "NoSuchAddressSpace: ", "VM.GetAddressSpace", "s", "none");
        REFUSED_AT(rig, RIG_VM, "NoSuchRegion: ", "VM.ListIOEventFDs", "s", "none");
        REFUSED_AT(rig, RIG_VM, "InvalidRange: VM \"test\" has no backing 9", "VM.GetBacking", "tb",
                   UINT64_C(9), false);
        REFUSED_AT(rig, RIG_VM, "InvalidArgs: dump of \"all\"", "VM.Dump", "sa{sv}", "all", 0);
        REFUSED_AT(rig, RIG_VM, "InvalidArgs: unknown option", "VM.GetLayout", "a{sv}", 1, "x", "s",
                   "y");
        REFUSED_AT(rig, RIG_VM, "InvalidArgs: timeout of", "VM.Begin", "ta{sv}", UINT64_MAX, 0);
        REFUSED_AT(rig, RIG_MEMORY,
                   "Unassigned: address space \"memory\": nothing answers at "
                   "0x10000",
                   "AddressSpace.Find", "t", UINT64_C(0x10000));
        REFUSED_AT(rig, RIG_VM "/region/dev", "NotSupported: ", "Region.GetMemory", "b", false);
        REFUSED_AT(rig, RIG_VM "/region/dev", "NoSuchIOEventFD: ", "Region.GetIOEventFD", "tubt",
                   UINT64_C(0), UINT32_C(4), true, UINT64_C(2));
        REFUSED_AT(rig, RIG_VM "/region/none", "NoSuchRegion: VM \"test\" has no region \"none\"",
                   "Region.GetMemory", "b", false);
        REFUSED_AT(rig, RIG_VM "/space/none", "NoSuchAddressSpace: ", "AddressSpace.GetFlatView",
                   "");
        REFUSED_AT(rig, RIG_VM "/transaction/99",
                   "TransactionClosed: there is no transaction 99 of VM \"test\"",
                   "Transaction.Abort", "a{sv}", 0);
        REFUSED_AT(rig, RIG_VM "/transaction/01", "Unknown object", "Transaction.Abort", "a{sv}",
                   0);
        REFUSED_AT(rig, RIG_VM "/region", "Unknown", "Region.GetMemory", "b", false);
        rig_free(rig);
}

UNIT_TESTS(cmocka_unit_test(test_names), cmocka_unit_test(test_missing),
           cmocka_unit_test(test_ranges), cmocka_unit_test(test_kinds),
           cmocka_unit_test(test_loops_and_use), cmocka_unit_test(test_in_use),
           cmocka_unit_test(test_options), cmocka_unit_test(test_expect_generation),
           cmocka_unit_test(test_limits), cmocka_unit_test(test_descriptors),
           cmocka_unit_test(test_no_descriptor), cmocka_unit_test(test_no_slots),
           cmocka_unit_test(test_documents), cmocka_unit_test(test_queries));
