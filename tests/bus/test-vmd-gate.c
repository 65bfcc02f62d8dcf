/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * While the tree is lent: who is answered, who waits, in which order, and what may not happen
 * before it is back. The test lends it itself, in the name of a caller.
 */

#include <string.h>
#include <unistd.h>

#include "tests/bus/rig.h"
#include "tests/bus/slow-jobs.h"
#include "tests/common/unit.h"

#define BORROWER ":1.1"
#define OTHER    ":1.2"
#define THIRD    ":1.3"
#define STRANGER ":1.4" /* another uid than the owner's */

static void lend(Rig *rig) {
        sd_bus_message *m;

        assert_true(sd_bus_message_new_method_call(rig->service->bus, &m, NULL, RIG_VM,
                                                   "org.guestmap1.Map", "ApplyFD") >= 0);
        assert_true(sd_bus_message_set_sender(m, BORROWER) >= 0);
        assert_int_equal(gate_lend(&rig->service->gate, m), 0);
        sd_bus_message_unref(m);
}

static void take_back(Rig *rig) {
        gate_take_back(&rig->service->gate);
        rig_settle(rig);
}

/* The tree is lent to BORROWER; the VM has region "ram" in front. */
static Rig *rig_new_lent(void) {
        Rig *rig = rig_new_vm();

        rig_announce(rig, BORROWER, 1000);
        rig_announce(rig, OTHER, 1000);
        rig_announce(rig, THIRD, 1000);
        rig_announce(rig, STRANGER, 4711);
        assert_string_equal(rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0), "2");
        free(rig_log(rig));
        rig->sender = OTHER;
        lend(rig);
        return rig;
}

static void add(Rig *rig, const char *sender, const char *name) {
        rig->sender = sender;
        rig_send(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", name, "mmio", UINT64_C(1), "",
                 UINT64_C(0), 0, 0);
}

static size_t n_waiting(const Rig *rig) {
        return rig->service->gate.n_line;
}

static const char *regions(Rig *rig) {
        return rig_get(rig, RIG_VM, "org.guestmap1.VM", "Regions");
}

static void test_published_is_told(void **state) {
        Rig *rig = rig_new_lent();

        assert_string_equal(rig_flat(rig, RIG_MEMORY), "2 [(0 4095 ram 0 ram 0)]");
        assert_string_equal(
                rig_call(rig, RIG_MEMORY, "AddressSpace.GetFlatViewFrom", "tu", UINT64_C(0), 1),
                "2 [(0 4095 ram 0 ram 0)] false");
        assert_string_equal(rig_call(rig, RIG_MEMORY, "AddressSpace.Find", "t", UINT64_C(1)),
                            "2 (0 4095 ram 0 ram 0)");
        assert_string_equal(rig_call(rig, RIG_MEMORY, "AddressSpace.GetChanges", "t", UINT64_C(1)),
                            "2 true [] [(0 4095 ram 0 ram 0)]");
        assert_string_equal(rig_call(rig, RIG_MEMORY, "AddressSpace.WaitChanges", "tt", UINT64_C(1),
                                     UINT64_MAX),
                            "2 true [] [(0 4095 ram 0 ram 0)]");
        assert_string_equal(rig_call(rig, RIG_MEMORY, "AddressSpace.WaitChanges", "tt", UINT64_C(2),
                                     UINT64_C(1)),
                            "2 true [] []");
        assert_string_equal(rig_call(rig, RIG_MEMORY, "AddressSpace.GetMemoryTable", ""),
                            "2 [(0 4095 1 0 0)]");
        assert_string_equal(rig_call(rig, RIG_VM, "Map.FindFree", "stttt", "memory", UINT64_C(1),
                                     UINT64_C(0), UINT64_C(0), UINT64_MAX),
                            "4096");
        assert_true(rig->service->gate.is_lent);
        assert_string_equal(rig_get(rig, RIG_MEMORY, "org.guestmap1.AddressSpace", "Sections"),
                            "1");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetAddressSpace", "s", "io"), "/space/io");
        assert_int_equal(strncmp(rig_call(rig, RIG_VM, "VM.ListAddressSpaces", ""), "2 [(io ", 7),
                         0);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.Dump", "sa{sv}", "flat", 0), "fd");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetSlots", ""), "[(0 0 4095 0 1 0)]");
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "Generation"), "2");
        assert_string_equal(regions(rig), "3");
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "RAMBytes"), "4096");
        assert_string_equal(rig_call(rig, RIG_VM, "Peer.Ping", ""), "");
        assert_int_equal(n_waiting(rig), 0);
        take_back(rig);
        rig_free(rig);
}

static void test_tree_is_waited_for(void **state) {
        static const struct {
                const char *path, *member, *types, *first, *second;
        } calls[] = {
                {RIG_VM, "VM.GetRegion", "s", "ram"},
                {RIG_VM, "VM.ListIOEventFDs", "s", "ram"},
                {RIG_VM, "VM.Dump", "sa{sv}", "layout"},
                {RIG_VM, "VM.Dump", "sa{sv}", "regions"},
                {RIG_VM, "VM.ListTransactions", ""},
                {RIG_VM, "VM.GetLayout", "a{sv}"},
                {RIG_VM, "Map.RemoveAddressSpace", "sa{sv}", "io"},
                {RIG_VM, "ObjectManager.GetManagedObjects", ""},
                {RIG_VM, "Introspectable.Introspect", ""},
                {RIG_VM "/region/ram", "Properties.Get", "ss", "org.guestmap1.Region", "Size"},
                {RIG_VM "/region/ram", "Properties.GetAll", "s", "org.guestmap1.Region"},
                /* There is no such method, but to tell so one looks whether there is a region. */
                {RIG_VM "/region/ram", "VM.Pause", ""},
                {RIG_VM "/region/none", "VCPU.Start", ""},
                {RIG_VM "/transaction/1", "AddressSpace.GetFlatView", ""},
        };
        Rig *rig = rig_new_lent();

        for (size_t i = 0; i < ELEMENTS_OF(calls); i++) {
                rig_send(rig, calls[i].path, calls[i].member, calls[i].types, calls[i].first,
                         calls[i].second, 0);
                assert_int_equal(n_waiting(rig), i + 1);
                assert_false(rig->answered);
        }
        take_back(rig);
        assert_int_equal(n_waiting(rig), 0);
        assert_true(rig->answered);
        rig_free(rig);
}

/* Who waits for one answer waits for all that it asked later. */
static void test_callers_own_order(void **state) {
        Rig *rig = rig_new_lent();

        rig->sender = BORROWER;
        rig_send(rig, RIG_MEMORY, "AddressSpace.Find", "t", UINT64_C(1));
        assert_false(rig->answered);
        add(rig, OTHER, "a");
        rig_send(rig, RIG_MEMORY, "AddressSpace.GetFlatView", "");
        assert_false(rig->answered);
        assert_int_equal(n_waiting(rig), 3);
        rig->sender = THIRD;
        assert_string_equal(regions(rig), "3");
        /* Nor does what guestmapd asks wait for those. */
        rig->sender = NULL;
        assert_string_equal(regions(rig), "3");
        assert_string_equal(rig_call(rig, RIG_PRIVATE, "Private.Describe", ""),
                            "test 0123456789abcdef0123456789abcdef 1000 none running 2 ");
        rig->sender = OTHER;
        take_back(rig);
        assert_string_equal(rig->text, "3 [(0 4095 ram 0 ram 0)]");
        rig_free(rig);
}

/* Answers in the order of the calls, whoever made them, also when one of them lends it again. */
static void test_lent_again(void **state) {
        const char *patch = "{\"guestmap\": 1, \"edits\": [{\"add-region\": "
                            "{\"name\": \"b\", \"kind\": \"mmio\", \"size\": 1}}]}";
        Rig *rig = rig_new_lent();
        char text[70000];

        snprintf(text, sizeof(text), "%s%*s", patch, 69000, "");
        add(rig, OTHER, "a");
        rig->sender = THIRD;
        rig_send(rig, RIG_VM, "Map.Apply", "sa{sv}", text, 0);
        add(rig, OTHER, "c");
        add(rig, THIRD, "d");
        assert_int_equal(n_waiting(rig), 4);
        slow_jobs_begin(&rig->service->jobs);
        take_back(rig);
        assert_true(rig->service->gate.is_lent);
        assert_int_equal(n_waiting(rig), 2);
        add(rig, OTHER, "e");
        slow_jobs_end();
        rig_wait(rig);
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "Generation"), "7");
        assert_text(rig_log(rig), "reply\n"
                                  "InterfacesAdded /region/a\n"
                                  "Committed 3 2 [] {edits: 1, slot-operations: 0}\n"
                                  "reply\n"
                                  "InterfacesAdded /region/b\n"
                                  "Committed 4 3 [] {edits: 1, slot-operations: 0}\n"
                                  "reply\n"
                                  "InterfacesAdded /region/c\n"
                                  "Committed 5 4 [] {edits: 1, slot-operations: 0}\n"
                                  "reply\n"
                                  "InterfacesAdded /region/d\n"
                                  "Committed 6 5 [] {edits: 1, slot-operations: 0}\n"
                                  "reply\n"
                                  "InterfacesAdded /region/e\n"
                                  "Committed 7 6 [] {edits: 1, slot-operations: 0}\n"
                                  "reply\n");
        rig_free(rig);
}

/* What is lent twice before the line has passed once is not done twice. */
static void test_each_once(void **state) {
        Rig *rig = rig_new_lent();

        for (char name[] = "a"; *name <= 'e'; ++*name)
                add(rig, OTHER, name);
        for (int i = 0; i < 8; i++) {
                gate_take_back(&rig->service->gate);
                /* One message, or none. */
                assert_true(sd_event_run(rig->event, 0) >= 0);
                lend(rig);
        }
        take_back(rig);
        assert_string_equal(rig->text, "7");
        assert_string_equal(regions(rig), "8");
        rig_free(rig);
}

static void begin(Rig *rig, const char *sender, uint64_t timeout_usec) {
        rig->sender = sender;
        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", timeout_usec, 0);
}

static bool has_transaction(const Rig *rig) {
        return !cds_list_empty(&rig->service->transactions);
}

/* A caller's calls are done before it is gone, and its transactions go when the tree is back. */
static void test_caller_leaves(void **state) {
        Rig *rig = rig_new_lent();

        take_back(rig);
        begin(rig, OTHER, 0);
        lend(rig);
        add(rig, OTHER, "a");
        rig->sender = NULL;
        rig_send(rig, RIG_PRIVATE, "Private.CallerGone", "s", OTHER);
        assert_true(has_transaction(rig));
        take_back(rig);
        assert_false(has_transaction(rig));
        assert_string_equal(regions(rig), "4");
        rig_free(rig);
}

static void test_connection_ends(void **state) {
        Rig *rig = rig_new_lent();

        take_back(rig);
        begin(rig, OTHER, 0);
        lend(rig);
        add(rig, OTHER, "a");
        assert_int_equal(n_waiting(rig), 1);
        rig_reconnect(rig);
        assert_int_equal(n_waiting(rig), 0);
        assert_true(has_transaction(rig));
        take_back(rig);
        assert_false(has_transaction(rig));
        rig->sender = NULL;
        assert_string_equal(regions(rig), "3");
        rig_free(rig);
}

/* Nobody can use a transaction while the tree is lent: that time does not count. */
static void test_idle_transaction(void **state) {
        Rig *rig = rig_new_lent();

        take_back(rig);
        begin(rig, OTHER, 1000);
        lend(rig);
        for (int i = 0; i < 3; i++) {
                usleep(2000);
                rig_settle(rig);
        }
        assert_true(has_transaction(rig));
        take_back(rig);
        while (has_transaction(rig))
                assert_true(sd_event_run(rig->event, UINT64_MAX) >= 0);
        rig_free(rig);
}

static void test_limits(void **state) {
        Rig *rig = rig_new_lent();

        rig->sender = STRANGER;
        for (int i = 0; i < GATE_LINE_USER_MAX; i++)
                rig_send(rig, RIG_VM, "VM.GetRegion", "s", "ram");
        assert_int_equal(n_waiting(rig), GATE_LINE_USER_MAX);
        assert_string_equal(
                rig_call(rig, RIG_VM, "VM.GetRegion", "s", "ram"),
                "QuotaExceeded: VM \"test\": 1024 calls of uid 4711 wait for a long one "
                "to end, the limit is 1024");
        rig->sender = OTHER;
        while (n_waiting(rig) < GATE_LINE_MAX)
                rig_send(rig, RIG_VM, "VM.GetRegion", "s", "ram");
        assert_string_equal(
                rig_call(rig, RIG_VM, "VM.GetRegion", "s", "ram"),
                "QuotaExceeded: VM \"test\": 4096 calls wait for a long one to end, the "
                "limit is 4096");
        take_back(rig);
        assert_int_equal(n_waiting(rig), 0);
        rig_free(rig);
}

/* Lists regions whose name begins with a text of that many bytes: there is none. */
static void list(Rig *rig, size_t n) {
        char *prefix = malloc(n + 1);

        assert_non_null(prefix);
        memset(prefix, 'x', n);
        prefix[n] = '\0';
        rig_send(rig, RIG_VM, "VM.ListRegions", "su", prefix, 0);
        free(prefix);
}

/* A call is taken while there is room for any: the last one goes beyond it. */
static void test_bytes_in_line(void **state) {
        Rig *rig = rig_new_lent();

        rig->sender = STRANGER;
        list(rig, GATE_BYTES_USER_MAX - 1000);
        list(rig, 1000);
        assert_int_equal(n_waiting(rig), 2);
        list(rig, 0);
        assert_int_equal(n_waiting(rig), 2);
        assert_non_null(strstr(rig->text, "bytes of calls of uid 4711 wait for a long one to end, "
                                          "the limit is 16777216"));
        rig->sender = OTHER;
        for (size_t i = 3; i <= 5; i++) {
                list(rig, GATE_BYTES_USER_MAX);
                assert_int_equal(n_waiting(rig), i);
        }
        list(rig, 0);
        assert_int_equal(n_waiting(rig), 5);
        assert_non_null(strstr(rig->text, "bytes of calls wait for a long one to end, the limit is "
                                          "67108864"));
        take_back(rig);
        assert_int_equal(n_waiting(rig), 0);
        assert_string_equal(rig->text, "2 [] false");
        rig_free(rig);
}

static void test_descriptors_in_line(void **state) {
        Rig *rig = rig_new_lent();

        rig->sender = STRANGER;
        for (int i = 0; i < GATE_DESCRIPTORS_USER_MAX / 4; i++)
                rig_send(rig, RIG_VM, "VM.GetLayout", "hhhh", 0, 0, 0, 0);
        assert_int_equal(n_waiting(rig), GATE_DESCRIPTORS_USER_MAX / 4);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetLayout", "a{sv}", 0),
                            "QuotaExceeded: VM \"test\": 256 descriptors of calls of uid 4711 wait "
                            "for a long one to end, the limit is 256");
        rig->sender = OTHER;
        while (n_waiting(rig) < GATE_DESCRIPTORS_MAX / 4)
                rig_send(rig, RIG_VM, "VM.GetLayout", "hhhh", 0, 0, 0, 0);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetLayout", "a{sv}", 0),
                            "QuotaExceeded: VM \"test\": 1024 descriptors of calls wait for a long "
                            "one to end, the limit is 1024");
        take_back(rig);
        assert_int_equal(n_waiting(rig), 0);
        rig_free(rig);
}

/* The end does not wait for the tree: whoever has it gives it back. */
static void test_quit(void **state) {
        Rig *rig = rig_new_lent();
        int code;

        add(rig, OTHER, "a");
        rig->sender = NULL;
        rig_call(rig, RIG_PRIVATE, "Private.Describe", "");
        assert_true(sd_bus_detach_event(rig->bus) >= 0);
        rig_send(rig, RIG_PRIVATE, "Private.Quit", "");
        assert_true(sd_event_get_exit_code(rig->event, &code) >= 0);
        assert_int_equal(code, EXIT_SUCCESS);
        gate_take_back(&rig->service->gate);
        rig_free(rig);
}

UNIT_TESTS(cmocka_unit_test(test_published_is_told), cmocka_unit_test(test_tree_is_waited_for),
           cmocka_unit_test(test_callers_own_order), cmocka_unit_test(test_lent_again),
           cmocka_unit_test(test_each_once), cmocka_unit_test(test_caller_leaves),
           cmocka_unit_test(test_connection_ends), cmocka_unit_test(test_idle_transaction),
           cmocka_unit_test(test_limits), cmocka_unit_test(test_bytes_in_line),
           cmocka_unit_test(test_descriptors_in_line), cmocka_unit_test(test_quit));
