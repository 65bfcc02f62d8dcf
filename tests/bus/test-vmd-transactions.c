/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Transactions: whose they are, when they end, and that they are made as one or not at all
 */

#include <string.h>
#include <unistd.h>

#include "tests/bus/rig.h"
#include "tests/common/unit.h"

#define T1     RIG_VM "/transaction/1"
#define CLOSED "TransactionClosed: transaction 1 of VM \"test\" is not open"

static const char *begin(Rig *rig, uint64_t timeout_usec) {
        return rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", timeout_usec, 0);
}

static const char *commit(Rig *rig, const char *path) {
        return rig_call(rig, path, "Transaction.Commit", "a{sv}", 0);
}

static const char *n_edits(Rig *rig) {
        return rig_get(rig, T1, "org.guestmap1.Transaction", "Edits");
}

static void test_atomic(void **state) {
        Rig *rig = rig_new_vm();

        assert_string_equal(begin(rig, 0), "/transaction/1");
        assert_string_equal(rig_add(rig, T1, "ram", "ram", 0x1000, "", 0), "0");
        assert_string_equal(rig_alias(rig, T1, "low", "ram", 0, 0x1000, "system", 0), "0");
        assert_string_equal(rig_enable(rig, T1, "low", false), "0");
        assert_string_equal(rig_enable(rig, T1, "low", true), "0");
        assert_string_equal(n_edits(rig), "4");
        /* Nothing of it is to be seen. */
        assert_string_equal(rig_flat(rig, RIG_MEMORY), "1 []");
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "Regions"), "2");
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "RAMBytes"), "0");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetRegion", "s", "ram"),
                            "NoSuchRegion: VM \"test\" has no region \"ram\"");
        free(rig_log(rig));
        assert_string_equal(commit(rig, T1), "2");
        assert_text(rig_log(rig), "reply\n"
                                  "InterfacesAdded /region/ram\n"
                                  "InterfacesAdded /region/low\n"
                                  "Committed 2 1 [(memory [] [(0 4095 ram 0 ram 0)])] {edits: 4, "
                                  "slot-operations: 1, transaction: /transaction/1}\n");
        assert_string_equal(n_edits(rig), CLOSED);
        assert_string_equal(begin(rig, 0), "/transaction/2");
        rig_free(rig);
}

static void test_nothing_to_commit(void **state) {
        Rig *rig = rig_new_vm();

        begin(rig, 0);
        assert_string_equal(commit(rig, T1), "1");
        assert_text(rig_log(rig), "reply\nreply\n");
        /* What is taken back again is no change either. */
        begin(rig, 0);
        rig_enable(rig, RIG_VM "/transaction/2", "system", false);
        rig_enable(rig, RIG_VM "/transaction/2", "system", true);
        assert_string_equal(commit(rig, RIG_VM "/transaction/2"), "1");
        rig_free(rig);
}

static void test_abort(void **state) {
        Rig *rig = rig_new_vm();
        char *before = rig_state(rig), *after;

        begin(rig, 0);
        rig_add(rig, T1, "ram", "ram", 0x1000, "system", 0);
        assert_string_equal(rig_call(rig, T1, "Transaction.Abort", "a{sv}", 0), "");
        assert_string_equal(rig_call(rig, T1, "Transaction.Abort", "a{sv}", 0), CLOSED);
        after = rig_state(rig);
        assert_string_equal(after, before);
        assert_text(rig_log(rig), "reply\nreply\nreply\nreply\n");
        free(after);
        free(before);
        rig_free(rig);
}

static void test_preview(void **state) {
        Rig *rig = rig_new_vm();
        char *before = rig_state(rig), *after;

        begin(rig, 0);
        rig_add(rig, T1, "ram", "ram", 0x1000, "system", 0);
        rig_call(rig, T1, "Transaction.Preview", "");
        assert_non_null(strstr(rig->text, "\"ram\""));
        after = rig_state(rig);
        assert_string_equal(after, before);
        assert_string_equal(n_edits(rig), "1");
        assert_string_equal(commit(rig, T1), "2");
        free(after);
        free(before);
        rig_free(rig);
}

/* Two clients with a user each, and root. */
static void test_whose(void **state) {
        Rig *rig = rig_new_vm();

        rig_announce(rig, ":1.1", 1001);
        rig_announce(rig, ":1.2", 1002);
        rig_announce(rig, ":1.3", 1001);
        rig_announce(rig, ":1.9", 0);
        rig->sender = ":1.1";
        assert_string_equal(begin(rig, 0), "/transaction/1");
        rig_add(rig, T1, "ram", "ram", 0x1000, "system", 0);
        rig->sender = ":1.2";
        assert_string_equal(n_edits(rig), CLOSED);
        assert_string_equal(rig_add(rig, T1, "x", "ram", 0x1000, "system", 0), CLOSED);
        assert_string_equal(commit(rig, T1), CLOSED);
        assert_string_equal(rig_call(rig, T1, "Introspectable.Introspect", ""), CLOSED);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListTransactions", ""), "[]");
        rig_call(rig, RIG_VM "/transaction", "Introspectable.Introspect", "");
        assert_null(strstr(rig->text, "node name=\"1\""));
        rig_call(rig, RIG_VM, "ObjectManager.GetManagedObjects", "");
        assert_null(strstr(rig->text, "/transaction/1"));
        /* The same user from another connection, and root. */
        rig->sender = ":1.3";
        assert_string_equal(n_edits(rig), "1");
        rig_call(rig, RIG_VM "/transaction", "Introspectable.Introspect", "");
        assert_non_null(strstr(rig->text, "node name=\"1\""));
        rig->sender = ":1.9";
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListTransactions", ""),
                            "[(/transaction/1 1 1)]");
        assert_string_equal(commit(rig, T1), "2");
        rig_free(rig);
}

static void test_ends_with_caller(void **state) {
        Rig *rig = rig_new_vm();
        char *before, *after;

        rig_announce(rig, ":1.1", 1000);
        rig_announce(rig, ":1.2", 1000);
        before = rig_state(rig);
        rig->sender = ":1.1";
        begin(rig, 0);
        rig_add(rig, T1, "ram", "ram", 0x1000, "system", 0);
        begin(rig, 10000000);
        assert_string_equal(rig_get(rig, T1, "org.guestmap1.Transaction", "DeadlineUSec"), "0");
        rig->sender = NULL;
        rig_call(rig, RIG_PRIVATE, "Private.CallerGone", "s", ":1.1");
        rig->sender = ":1.2";
        assert_string_equal(n_edits(rig), CLOSED);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListTransactions", ""),
                            "[(/transaction/2 1 0)]");
        after = rig_state(rig);
        assert_string_equal(after, before);
        /* And who has gone is no longer known. */
        rig->sender = ":1.1";
        assert_string_equal(begin(rig, 0), "AccessDenied: caller :1.1 may not call " RIG_VM);
        free(after);
        free(before);
        rig_free(rig);
}

static void test_ends_with_connection(void **state) {
        Rig *rig = rig_new_vm();
        VM *vm = rig->service->vm;

        begin(rig, 0);
        begin(rig, 10000000);
        rig_add(rig, T1, "ram", "ram", 0x1000, "system", 0);
        service_detach(rig->service);
        assert_null(vm->map->checked_out);
        assert_int_equal(vm->map->n_regions, 2);
        assert_false(cds_list_empty(&rig->service->transactions));
        assert_true(rig->service->transactions.next->next == &rig->service->transactions);
        rig_free(rig);
}

/* The same when the client goes without a word. */
static void test_ends_with_client(void **state) {
        Rig *rig = rig_new_vm();

        begin(rig, 0);
        rig_add(rig, T1, "ram", "ram", 0x1000, "system", 0);
        rig->bus = sd_bus_close_unref(rig->bus);
        rig_settle(rig);
        assert_null(rig->service->bus);
        assert_true(cds_list_empty(&rig->service->transactions));
        assert_int_equal(rig->service->vm->map->n_regions, 2);
        rig_free(rig);
}

static uint64_t deadline(Rig *rig) {
        uint64_t value;

        rig_get(rig, T1, "org.guestmap1.Transaction", "DeadlineUSec");
        assert_true(sd_bus_message_read(rig->reply, "v", "t", &value) > 0);
        return value;
}

static void test_idle_timeout(void **state) {
        Rig *rig = rig_new_vm();
        uint64_t before, limit = 200000;

        begin(rig, limit);
        before = deadline(rig);
        usleep(10000);
        rig_add(rig, T1, "ram", "ram", 0x1000, "system", 0);
        /* A call moves the deadline, reading a property does not. */
        assert_true(deadline(rig) >= before + 10000);
        before = deadline(rig);
        usleep(1000);
        assert_true(deadline(rig) == before);
        while (!cds_list_empty(&rig->service->transactions))
                assert_true(sd_event_run(rig->event, 10 * limit) > 0);
        assert_string_equal(n_edits(rig), CLOSED);
        assert_int_equal(rig->service->vm->map->n_regions, 2);
        rig_free(rig);
}

/* What others did meanwhile matters only where it meets the staged edits. */
static void test_conflict(void **state) {
        Rig *rig = rig_new_vm();
        char *before, *after;

        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0);
        rig_add(rig, RIG_VM, "dev", "mmio", 0x1000, "system", 0x1000);
        begin(rig, 0);
        rig_enable(rig, T1, "ram", false);
        rig_call(rig, T1, "Map.MoveRegion", "sstia{sv}", "dev", "system", UINT64_C(0x8000), 0, 0);
        rig_add(rig, RIG_VM, "other", "mmio", 0x1000, "system", 0x2000);
        rig_enable(rig, RIG_VM, "dev", false);
        rig_call(rig, T1, "Transaction.Preview", "");
        assert_false(sd_bus_message_is_method_error(rig->reply, NULL));
        rig_call(rig, RIG_VM, "Map.MoveRegion", "sstia{sv}", "dev", "system", UINT64_C(0x9000), 0,
                 0);
        before = rig_state(rig);
        free(rig_log(rig));
        commit(rig, T1);
        assert_int_equal(strncmp(rig->text, "Conflict: edit 2: region \"dev\"", 30), 0);
        after = rig_state(rig);
        assert_string_equal(after, before);
        assert_text(rig_log(rig), "reply\n");
        /* It stays open. */
        assert_string_equal(n_edits(rig), "2");
        rig_remove(rig, RIG_VM, "dev");
        commit(rig, T1);
        assert_int_equal(strncmp(rig->text, "Conflict: edit 2: region \"dev\"", 30), 0);
        free(after);
        free(before);
        rig_free(rig);
}

static void test_no_conflict(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0);
        begin(rig, 0);
        rig_enable(rig, T1, "ram", false);
        rig_add(rig, RIG_VM, "other", "mmio", 0x1000, "system", 0x2000);
        rig_call(rig, RIG_VM, "Map.MoveRegion", "sstia{sv}", "ram", "system", UINT64_C(0x8000), 0,
                 0);
        assert_string_equal(commit(rig, T1), "5");
        assert_string_equal(rig_flat(rig, RIG_MEMORY), "5 [(8192 12287 other 0 mmio 0)]");
        rig_free(rig);
}

/* Clients that stage in turn see each their own state. */
static void test_side_by_side(void **state) {
        Rig *rig = rig_new_vm();

        begin(rig, 0);
        begin(rig, 0);
        rig_add(rig, T1, "a", "container", 0x1000, "system", 0);
        rig_add(rig, RIG_VM "/transaction/2", "a", "mmio", 0x1000, "system", 0);
        assert_string_equal(rig_add(rig, T1, "b", "mmio", 0x10, "a", 0), "0");
        assert_string_equal(rig_remove(rig, RIG_VM "/transaction/2", "b"),
                            "NoSuchRegion: there is no region \"b\"");
        assert_string_equal(commit(rig, T1), "2");
        commit(rig, RIG_VM "/transaction/2");
        assert_int_equal(strncmp(rig->text, "Conflict: edit 1: ", 18), 0);
        rig_free(rig);
}

static void test_quota(void **state) {
        Rig *rig = rig_new_vm();

        for (unsigned i = 0; i < 64; i++)
                begin(rig, 0);
        assert_string_equal(begin(rig, 0), "QuotaExceeded: VM \"test\": uid 1000 has 64 open "
                                           "transactions, the limit Transactions is 64");
        rig_announce(rig, ":1.1", 1001);
        rig->sender = ":1.1";
        assert_string_equal(begin(rig, 0), "/transaction/65");
        rig_free(rig);
}

static void test_apply(void **state) {
        Rig *rig = rig_new_vm();
        const char *patch = "{\"guestmap\": 1, \"edits\": [{\"add-region\": {\"name\": \"ram\","
                            "\"kind\": \"ram\", \"size\": \"4KiB\", \"parent\": \"system\"}}]}";

        begin(rig, 0);
        rig_call(rig, T1, "Map.Apply", "sa{sv}", patch, 1, "dry-run", "b", true);
        assert_false(sd_bus_message_is_method_error(rig->reply, NULL));
        assert_string_equal(n_edits(rig), "0");
        rig_call(rig, T1, "Map.Apply", "sa{sv}", patch, 0);
        assert_int_equal(strncmp(rig->text, "0 {", 3), 0);
        assert_string_equal(n_edits(rig), "1");
        assert_string_equal(rig_flat(rig, RIG_MEMORY), "1 []");
        assert_string_equal(commit(rig, T1), "2");
        assert_string_equal(rig_flat(rig, RIG_MEMORY), "2 [(0 4095 ram 0 ram 0)]");
        rig_free(rig);
}

UNIT_TESTS(cmocka_unit_test(test_atomic), cmocka_unit_test(test_nothing_to_commit),
           cmocka_unit_test(test_abort), cmocka_unit_test(test_preview),
           cmocka_unit_test(test_whose), cmocka_unit_test(test_ends_with_caller),
           cmocka_unit_test(test_ends_with_connection), cmocka_unit_test(test_ends_with_client),
           cmocka_unit_test(test_idle_timeout), cmocka_unit_test(test_conflict),
           cmocka_unit_test(test_no_conflict), cmocka_unit_test(test_side_by_side),
           cmocka_unit_test(test_quota), cmocka_unit_test(test_apply));
