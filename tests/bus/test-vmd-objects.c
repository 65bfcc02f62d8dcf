/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The process' life, its objects and lists, and the memory that it hands out
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bus/rig.h"
#include "tests/common/unit.h"

#define ID "0123456789abcdef0123456789abcdef"

static void test_setup(void **state) {
        Rig *rig = rig_new();

        assert_string_equal(rig_call(rig, RIG_PRIVATE, "Private.Describe", ""), "  0  starting 0 ");
        rig_get(rig, RIG_VM, "org.guestmap1.VM", "Name");
        assert_true(sd_bus_message_is_method_error(rig->reply, NULL));
        rig_call(rig, RIG_PRIVATE, "Private.Setup", "ssua{sv}", "test", ID, UINT32_C(1000), 2,
                 "accelerator", "s", "none", "memory-space", "s", "other");
        assert_string_equal(rig->text, "");
        assert_string_equal(rig_call(rig, RIG_PRIVATE, "Private.Describe", ""),
                            "test " ID " 1000 none running 1 ");
        assert_string_equal(rig_call(rig, RIG_VM, "Properties.GetAll", "s", "org.guestmap1.VM"),
                            "{Name: test, ID: " ID
                            ", State: running, Lost: [], Directory: , Owner: 1000, "
                            "Durable: false, Accelerator: none, AddressBits: 52, "
                            "Generation: 1, SlotsUsed: 0, SlotsMax: 32764, "
                            "SlotStats: {delete: 0, move: 0, flags: 0, create: 0, "
                            "bytes-remapped: 0, bytes-unchanged-remapped: 0}, "
                            "Regions: 2, RAMBytes: 0, TrappedBytes: 0, Preparing: [], "
                            "PauseUSec: {count: 0, total: 0, max: 0}}");
        rig_call(rig, RIG_PRIVATE, "Private.Setup", "ssua{sv}", "test", ID, UINT32_C(1000), 0);
        assert_string_equal(rig->text, "InvalidArgs: this process was set up before");
        /* The slots follow the address space that was named. */
        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetSlots", ""), "[]");
        rig_call(rig, RIG_VM, "Map.AddAddressSpace", "ssa{sv}", "other", "system", 0);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetSlots", ""), "[(0 0 4095 0 1 0)]");
        rig_free(rig);
}

static void test_setup_with_layout(void **state) {
        Rig *rig = rig_new();

        rig_call(rig, RIG_PRIVATE, "Private.Setup", "ssua{sv}", "test", ID, UINT32_C(1000), 2,
                 "accelerator", "s", "none", "layout", "s",
                 "{\"guestmap\": 1, \"regions\": [{\"name\": \"root\", \"kind\": \"container\","
                 "\"size\": \"2^64\"}, {\"name\": \"ram\", \"kind\": \"ram\", \"size\": \"8KiB\","
                 "\"parent\": \"root\"}], \"address-spaces\": [{\"name\": \"memory\","
                 "\"root\": \"root\"}]}");
        assert_string_equal(rig->text, "");
        assert_string_equal(rig_flat(rig, RIG_MEMORY), "1 [(0 8191 ram 0 ram 0)]");
        rig_free(rig);
}

/* Takes the client out of the loop, which is about to end: it would be closed there. */
static void outlive_loop(Rig *rig) {
        rig_call(rig, RIG_PRIVATE, "Private.Describe", "");
        assert_true(sd_bus_detach_event(rig->bus) >= 0);
}

/* The loop has ended with that code, and the answer has come all the same. */
static void check_ended(Rig *rig, int expected_code, const char *answer) {
        int code;

        while (sd_event_get_state(rig->event) != SD_EVENT_FINISHED)
                assert_true(sd_event_run(rig->event, UINT64_MAX) >= 0);
        assert_true(sd_event_get_exit_code(rig->event, &code) >= 0);
        assert_int_equal(code, expected_code);
        while (!rig->answered)
                assert_true(sd_bus_process(rig->bus, NULL) >= 0);
        assert_string_equal(rig->text, answer);
}

/* The process has nothing to live for. */
static void check_setup_fails(const char *accelerator, const char *option, const char *value,
                              const char *message) {
        Rig *rig = rig_new();

        outlive_loop(rig);
        rig_send(rig, RIG_PRIVATE, "Private.Setup", "ssua{sv}", "test", ID, UINT32_C(1000), 2,
                 "accelerator", "s", accelerator, option, "s", value);
        check_ended(rig, EXIT_FAILURE, message);
        rig_free(rig);
}

static void test_setup_fails(void **state) {
        check_setup_fails("tcg", "memory-space", "memory",
                          "InvalidArgs: accelerator \"tcg\" is neither \"kvm\" nor \"none\"");
        check_setup_fails("none", "colour", "red", "InvalidArgs: unknown option \"colour\"");
        check_setup_fails("none", "layout", "{",
                          "InvalidDocument: expected a key (line 1, byte 2)");
        check_setup_fails("none", "memory-space", "",
                          "InvalidName: memory-space \"\": an address space's name is 1 to 128 "
                          "bytes of UTF-8 without control characters");
}

static void test_quit(void **state) {
        Rig *rig = rig_new_vm();

        outlive_loop(rig);
        rig_send(rig, RIG_PRIVATE, "Private.Quit", "");
        check_ended(rig, EXIT_SUCCESS, "");
        rig_free(rig);
}

/* Who was not announced gets nowhere, and nobody forwarded gets at what is guestmapd's. */
static void test_callers(void **state) {
        Rig *rig = rig_new_vm();

        rig->sender = ":1.1";
        assert_string_equal(rig_flat(rig, RIG_MEMORY),
                            "AccessDenied: caller :1.1 may not call " RIG_MEMORY);
        rig_announce(rig, ":1.1", 1000);
        assert_string_equal(rig_flat(rig, RIG_MEMORY), "1 []");
        assert_string_equal(rig_call(rig, RIG_PRIVATE, "Private.Quit", ""),
                            "AccessDenied: caller :1.1 may not call " RIG_PRIVATE);
        rig_free(rig);
}

/* What a guestmapd that has restarted does: the process goes on as it is. */
static void test_another_connection(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0);
        rig_announce(rig, ":1.1", 1000);
        rig_reconnect(rig);
        assert_string_equal(rig_call(rig, RIG_PRIVATE, "Private.Describe", ""),
                            "test " ID " 1000 none running 2 ");
        assert_string_equal(rig_flat(rig, RIG_MEMORY), "2 [(0 4095 ram 0 ram 0)]");
        free(rig_log(rig));
        rig_remove(rig, RIG_VM, "ram");
        assert_non_null(strstr(rig->log, "Committed 3 2 "));
        /* Callers are to be announced anew. */
        rig->sender = ":1.1";
        assert_string_equal(rig_flat(rig, RIG_MEMORY),
                            "AccessDenied: caller :1.1 may not call " RIG_MEMORY);
        rig_free(rig);
}

static void test_managed_objects(void **state) {
        Rig *rig = rig_new_vm();
        const char *text;

        rig_add(rig, RIG_VM, "0000:00:02.0/bar0", "mmio", 0x1000, "system", 0);
        text = rig_call(rig, RIG_VM, "ObjectManager.GetManagedObjects", "");
        assert_non_null(strstr(text, "/region/_30000_3a00_3a02_2e0_2fbar0: "));
        assert_non_null(strstr(text, "/region/system: "));
        assert_non_null(strstr(text, "/space/memory: "));
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetRegion", "s", "0000:00:02.0/bar0"),
                            "/region/_30000_3a00_3a02_2e0_2fbar0");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetAddressSpace", "s", "io"), "/space/io");
        rig_call(rig, RIG_VM, "Introspectable.Introspect", "");
        assert_non_null(strstr(rig->text, "<node name=\"region\"/>"));
        assert_null(strstr(rig->text, "system"));
        rig_call(rig, RIG_VM "/region", "Introspectable.Introspect", "");
        assert_non_null(strstr(rig->text, "<node name=\"system\"/>"));
        rig_free(rig);
}

static void test_region_object(void **state) {
        Rig *rig = rig_new_vm();
        const char *all;

        rig->verbose = true;
        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0x2000);
        all = "Name: ram, Kind: ram, Size: 4096, Parent: system, Offset: 8192, Priority: 0, "
              "Enabled: true, ReadOnly: false, NonVolatile: false, Unmergeable: false, "
              "DirtyLog: false, Target: , TargetOffset: 0, Children: [], NChildren: 0, "
              "Aliases: [], NAliases: 0, Backing: 1, Memory: memfd, PageSize: 4096, "
              "Prealloc: false, NUMANodes: , NUMAPolicy: , Dump: false, Handler: , HandlerReads: "
              "0, "
              "HandlerWrites: 0, MappedAt: [(memory 8192)]";
        assert_non_null(strstr(rig->log, all));
        rig_call(rig, RIG_VM "/region/ram", "Properties.GetAll", "s", "org.guestmap1.Region");
        assert_non_null(strstr(rig->text, all));
        assert_string_equal(
                rig_get(rig, RIG_VM "/region/system", "org.guestmap1.Region", "Children"), "[ram]");
        free(rig_log(rig));
        rig_remove(rig, RIG_VM, "ram");
        assert_non_null(strstr(rig->log,
                               "InterfacesRemoved /region/ram [org.freedesktop.DBus.Peer, "
                               "org.freedesktop.DBus.Introspectable, "
                               "org.freedesktop.DBus.Properties, org.guestmap1.Region]\n"));
        rig_free(rig);
}

static const char *mapped_at(Rig *rig, const char *region) {
        char path[128];

        snprintf(path, sizeof(path), RIG_VM "/region/%s", region);
        return rig_get(rig, path, "org.guestmap1.Region", "MappedAt");
}

/* In pieces, where something lies over it; through aliases, once where two show the same. */
static void test_mapped_at(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "ram", "ram", 0x4000, "", 0);
        assert_string_equal(mapped_at(rig, "ram"), "[]");
        rig_alias(rig, RIG_VM, "low", "ram", 0, 0x3000, "system", 0x10000);
        rig_alias(rig, RIG_VM, "high", "ram", 0x1000, 0x3000, "system", 0x100000);
        rig_alias(rig, RIG_VM, "again", "low", 0, 0x1000, "system", 0x10000);
        rig_alias(rig, RIG_VM, "port", "ram", 0x2000, 0x1000, "io", 0x100);
        assert_string_equal(mapped_at(rig, "ram"), "[(io 256), (memory 65536), (memory 1048576)]");
        rig_add(rig, RIG_VM, "hole", "mmio", 0x1000, "system", 0x11000);
        assert_string_equal(mapped_at(rig, "ram"), "[(io 256), (memory 65536), (memory 73728), "
                                                   "(memory 1048576)]");
        assert_string_equal(mapped_at(rig, "low"), "[]");
        assert_string_equal(mapped_at(rig, "system"), "[]");
        rig_enable(rig, RIG_VM, "low", false);
        assert_string_equal(mapped_at(rig, "ram"), "[(io 256), (memory 1048576)]");
        rig_call(rig, RIG_VM, "Map.RemoveAddressSpace", "sa{sv}", "io", 0);
        assert_string_equal(mapped_at(rig, "ram"), "[(memory 1048576)]");
        rig_enable(rig, RIG_VM, "system", false);
        assert_string_equal(mapped_at(rig, "ram"), "[]");
        rig_free(rig);
}

static void test_too_many_to_enumerate(void **state) {
        Rig *rig = rig_new_vm();
        char name[32];

        for (unsigned i = 2; i < GUESTMAP_OBJECTS_MAX + 1; i++) {
                snprintf(name, sizeof(name), "r%05u", i);
                rig_add(rig, RIG_VM, name, "mmio", 1, "", 0);
        }
        rig_call(rig, RIG_VM "/region", "Introspectable.Introspect", "");
        assert_null(strstr(rig->text, "<node name"));
        assert_string_equal(rig_get(rig, RIG_VM "/region/r00077", "org.guestmap1.Region", "Size"),
                            "1");
        rig_remove(rig, RIG_VM, "r00077");
        rig_call(rig, RIG_VM "/region", "Introspectable.Introspect", "");
        assert_non_null(strstr(rig->text, "<node name=\"r00078\"/>"));
        rig_free(rig);
}

static void test_list_regions(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "a", "mmio", 1, "system", 7);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListRegions", "su", "", UINT32_C(2)),
                            "2 [(a mmio 1 7 system 0 true), (io container 65536 0  0 true)] true");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListRegions", "su", "io", UINT32_C(0)),
                            "2 [(system container 18446744073709551615 0  0 true)] false");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListRegions", "su", "system", UINT32_MAX),
                            "2 [] false");
        rig_free(rig);
}

static int reply_fd(Rig *rig) {
        int fd;

        if (sd_bus_message_is_method_error(rig->reply, NULL))
                fail_msg("%s", rig->text);
        assert_true(sd_bus_message_read(rig->reply, "h", &fd) > 0);
        return fd;
}

static void test_memory(void **state) {
        Rig *rig = rig_new_vm();
        char page[16] = {};
        int fd;

        rig_add(rig, RIG_VM, "ram", "ram", 0x2000, "system", 0);
        assert_string_equal(rig_call(rig, RIG_MEMORY, "AddressSpace.GetMemoryTable", ""),
                            "2 [(0 8191 1 0 0)]");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetBacking", "tb", UINT64_C(1), true),
                            "fd 8192");
        fd = reply_fd(rig);
        assert_int_equal(pwrite(fd, "hello", 5, 4096), 5);
        assert_int_equal(ftruncate(fd, 0), -1);
        assert_string_equal(rig_call(rig, RIG_VM "/region/ram", "Region.GetMemory", "b", false),
                            "fd 0 8192");
        fd = reply_fd(rig);
        assert_int_equal(pread(fd, page, 5, 4096), 5);
        assert_string_equal(page, "hello");
        assert_int_equal(pwrite(fd, "x", 1, 0), -1);
        assert_int_equal(errno, EBADF);
        assert_true(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
        rig_free(rig);
}

static void test_documents(void **state) {
        static const char *const dumps[] = {"layout", "flat", "regions", "slots", "memory-table"};
        Rig *rig = rig_new_vm();
        char text[8192], *layout;
        ssize_t n;

        rig_add(rig, RIG_VM, "ram", "ram", 0x2000, "system", 0);
        for (size_t i = 0; i < ELEMENTS_OF(dumps); i++) {
                int fd;

                rig_call(rig, RIG_VM, "VM.Dump", "sa{sv}", dumps[i], 0);
                fd = reply_fd(rig);
                n = read(fd, text, sizeof(text) - 1);
                assert_true(n > 0);
                text[n] = '\0';
                assert_true(text[0] == '{');
                if (i < 3)
                        assert_non_null(strstr(text, "\"ram\""));
                assert_int_equal(write(fd, "x", 1), -1);
                assert_int_equal(ftruncate(fd, 0), -1);
        }
        rig_call(rig, RIG_VM, "VM.GetLayout", "a{sv}", 0);
        layout = strdup(rig->text);
        /* It is what it says: applied, it changes nothing. */
        rig_call(rig, RIG_VM, "Map.Apply", "sa{sv}", layout, 0);
        assert_int_equal(strncmp(rig->text, "2 {", 3), 0);
        free(layout);
        rig_free(rig);
}

static void test_apply(void **state) {
        const char *remove =
                "{\"guestmap\": 1, \"edits\": [{\"remove-region\": {\"name\": \"ram\"}}]}";
        Rig *rig = rig_new_vm();
        char *before, *after;

        rig_add(rig, RIG_VM, "ram", "ram", 0x2000, "system", 0);
        before = rig_state(rig);
        free(rig_log(rig));
        rig_call(rig, RIG_VM, "Map.Apply", "sa{sv}", remove, 1, "dry-run", "b", true);
        assert_int_equal(strncmp(rig->text, "2 {", 3), 0);
        after = rig_state(rig);
        assert_string_equal(after, before);
        assert_text(rig_log(rig), "reply\n");
        rig_call(rig, RIG_VM, "Map.Apply", "sa{sv}", remove, 2, "dry-run", "b", true, "keep-memory",
                 "b", true);
        assert_string_equal(rig->text,
                            "InUse: region \"ram\" would lose its contents, of 8KiB "
                            "of RAM in all, and keep-memory is set");
        free(rig_log(rig));
        rig_call(rig, RIG_VM, "Map.Apply", "sa{sv}", remove, 0);
        assert_text(rig_log(rig), "reply\n"
                                  "InterfacesRemoved /region/ram\n"
                                  "Committed 3 2 [(memory [(0 8191 ram 0 ram 0)] [])] {edits: 1, "
                                  "slot-operations: 1}\n");
        free(after);
        free(before);
        rig_free(rig);
}

/* Removed and added again by one commit: another object at the same place. */
static void test_replaced(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "ram", "ram", 0x2000, "system", 0);
        free(rig_log(rig));
        rig_call(rig, RIG_VM, "Map.Apply", "sa{sv}",
                 "{\"guestmap\": 1, \"edits\": [{\"remove-region\": {\"name\": \"ram\"}},"
                 "{\"add-region\": {\"name\": \"ram\", \"kind\": \"mmio\", \"size\": 4096,"
                 "\"parent\": \"system\"}}]}",
                 0);
        assert_text(rig_log(rig), "reply\n"
                                  "InterfacesRemoved /region/ram\n"
                                  "InterfacesAdded /region/ram\n"
                                  "Committed 3 2 [(memory [(0 8191 ram 0 ram 0)] "
                                  "[(0 4095 ram 0 mmio 0)])] {edits: 2, slot-operations: 1}\n");
        rig_free(rig);
}

UNIT_TESTS(cmocka_unit_test(test_setup), cmocka_unit_test(test_setup_with_layout),
           cmocka_unit_test(test_setup_fails), cmocka_unit_test(test_quit),
           cmocka_unit_test(test_callers), cmocka_unit_test(test_another_connection),
           cmocka_unit_test(test_managed_objects), cmocka_unit_test(test_region_object),
           cmocka_unit_test(test_mapped_at), cmocka_unit_test(test_too_many_to_enumerate),
           cmocka_unit_test(test_list_regions), cmocka_unit_test(test_memory),
           cmocka_unit_test(test_documents), cmocka_unit_test(test_apply),
           cmocka_unit_test(test_replaced));
