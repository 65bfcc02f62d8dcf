/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Patches, layouts and transactions with memory that is populated before it is in force
 */

#include <string.h>
#include <unistd.h>

#include "daemon/vm/open-transaction.h"
#include "lib/memory/populate.h"
#include "tests/bus/preparation-rig.h"
#include "tests/common/unit.h"

#define TRANSACTION RIG_VM "/transaction/1"
#define DIMM(name)                                                                                 \
        "{\"add-region\": {\"name\": \"" name "\", \"kind\": \"ram\", \"size\": \"1MiB\", "        \
        "\"prealloc\": true}}"

static void send_apply(Rig *rig, const char *document) {
        rig_send(rig, RIG_VM, "Map.Apply", "sa{sv}", document, 0);
}

static void assert_report(const char *text, const char *begins, const char *words) {
        assert_int_equal(strncmp(text, begins, strlen(begins)), 0);
        assert_non_null(strstr(text, words));
}

/* A patch is made as a whole, when there is memory for all of it, on the map as it is then. */
static void test_patch(void **state) {
        Rig *rig = rig_new_slow();

        send_apply(rig, "{\"guestmap\": 1, \"edits\": [" DIMM("a") ", " DIMM("b") "]}");
        assert_string_equal(preparing(rig), "[(a 0 1048576), (b 0 1048576)]");
        assert_string_equal(rig_add(rig, RIG_VM, "c", "mmio", 1, "", 0), "2");
        assert_report(await_any(rig), "3 ", "\"edits\":2,");
        assert_int_equal(bytes_of(rig, RIG_VM "/region/a"), SIZE);
        assert_int_equal(bytes_of(rig, RIG_VM "/region/b"), SIZE);
        rig_free(rig);
}

/* A name may be added, removed and added again: the memory is that of the region which stays. */
static void assert_added_again(const char *size, const char *told, uint64_t bytes) {
        Rig *rig = rig_new_slow();
        char document[512];

        snprintf(document, sizeof(document),
                 "{\"guestmap\": 1, \"edits\": [" DIMM(
                         "a") ", "
                              "{\"remove-region\": {\"name\": \"a\"}}, "
                              "{\"add-region\": {\"name\": \"a\", \"kind\": \"ram\", \"size\": "
                              "\"%s\", "
                              "\"prealloc\": true}}]}",
                 size);
        send_apply(rig, document);
        assert_string_equal(preparing(rig), told);
        assert_report(await_any(rig), "2 ", "\"edits\":3,");
        assert_int_equal(bytes_of(rig, RIG_VM "/region/a"), bytes);
        rig_free(rig);
}

static void test_added_again(void **state) {
        assert_added_again("2MiB", "[(a 0 2097152)]", 2 * SIZE);
        assert_added_again("1MiB", "[(a 0 1048576)]", SIZE);
}

/* Regions "r00" and so on, the last one first, of a page each. */
static void send_many(Rig *rig, int n) {
        char text[16384] = "{\"guestmap\": 1, \"edits\": [";

        while (n-- > 0)
                sprintf(text + strlen(text),
                        "{\"add-region\": {\"name\": \"r%02d\", \"kind\": \"ram\", \"size\": 4096, "
                        "\"prealloc\": true}}%s",
                        n, n > 0 ? ", " : "]}");
        send_apply(rig, text);
}

/* As far as the job is when that many are populated. */
static void populate_some(Prealloc *memory, size_t n) {
        for (size_t i = 0; i < n; i++)
                assert_int_equal(
                        backing_populate(memory->items[i].backing, "dimm0", NULL, &(Detail){}), 0);
        memory->n_ready = n;
}

/* What fails is not counted as ready. */
static void fail_to_populate(Prealloc *memory) {
        const Cancel cancel = {.requested = true};

        assert_int_not_equal(prealloc_populate(memory, &cancel, &(Detail){}), 0);
        assert_int_equal(memory->n_ready, 0);
}

/* However many there are: each gets its memory, and all but the first ones are told of as one. */
static void test_many(void **state) {
        const int n = PREPARATIONS_TOLD_MAX + 6;
        Rig *rig = rig_new_slow();
        char expected[4096] = "[";

        for (int i = 0; i < PREPARATIONS_TOLD_MAX; i++)
                sprintf(expected + strlen(expected), "%s(r%02d 0 4096)", i > 0 ? ", " : "", i);
        strcat(expected, ", ( 0 24576)]");
        send_many(rig, n);
        assert_int_equal(first_preparation(rig)->memory.n, n);
        assert_string_equal(preparing(rig), expected);
        fail_to_populate(&first_preparation(rig)->memory);
        populate_some(&first_preparation(rig)->memory, PREPARATIONS_TOLD_MAX + 2);
        assert_memory_equal(preparing(rig), "[(r00 4096 4096), ", 18);
        assert_non_null(strstr(rig->text, "(r63 4096 4096), ( 8192 24576)]"));
        populate_some(&first_preparation(rig)->memory, 0);
        assert_string_equal(rig_call(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "r69", "ram",
                                     SIZE, "", UINT64_C(0), 0, 1, "prealloc", "b", 1),
                            "RegionExists: region \"r69\" is being prepared by another call");
        assert_report(await_any(rig), "2 ", "\"edits\":70,");
        assert_int_equal(bytes_of(rig, RIG_VM "/region/r69"), 4096);
        rig_free(rig);
}

/* One of them is enough to cancel the call. */
static void test_patch_is_cancelled(void **state) {
        Rig *rig = rig_new_slow();
        char *before = rig_state(rig);

        send_apply(rig, "{\"guestmap\": 1, \"edits\": [" DIMM("a") ", " DIMM("b") "]}");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.Cancel", "s", "b"), "");
        await(rig, "Cancelled: region \"a\": the preparation of its memory was cancelled");
        assert_text(rig_state(rig), before);
        free(before);
        rig_free(rig);
}

static void test_layout(void **state) {
        const char *layout = "{\"guestmap\": 1, \"regions\": [{\"name\": \"dimm0\", \"kind\": "
                             "\"ram\", \"size\": \"1MiB\", \"prealloc\": true}]}";
        Rig *rig = rig_new_slow();

        assert_non_null(
                strstr(rig_call(rig, RIG_VM, "Map.Apply", "sa{sv}", layout, 1, "dry-run", "b", 1),
                       "\"edits\":"));
        assert_int_equal(n_preparations(rig), 0);
        send_apply(rig, layout);
        assert_int_equal(n_preparations(rig), 1);
        await_any(rig);
        assert_int_equal(bytes_of(rig, RIG_VM "/region/dimm0"), SIZE);
        assert_non_null(
                strstr(rig_call(rig, RIG_VM, "VM.GetLayout", "a{sv}", 0), "\"prealloc\":true"));
        /* It is there: to ask for it again is to ask for nothing. */
        assert_report(rig_call(rig, RIG_VM, "Map.Apply", "sa{sv}", layout, 0), "2 ",
                      "\"edits\":0,");
        rig_free(rig);
}

/* A document that is large is read by a job, and waits as small ones do. */
static void test_large_document(void **state) {
        Rig *rig = rig_new_slow();
        char text[70000];

        snprintf(text, sizeof(text), "{\"guestmap\": 1, \"edits\": [" DIMM("a") "]}%*s", 69000, "");
        send_apply(rig, text);
        while (n_preparations(rig) == 0)
                run(rig);
        rig_settle(rig);
        assert_false(gate_is_busy(&rig->service->gate));
        assert_string_equal(rig_add(rig, RIG_VM, "b", "mmio", 1, "", 0), "2");
        assert_report(await_any(rig), "3 ", "\"edits\":1,");
        rig_free(rig);
}

static void begin(Rig *rig, uint64_t timeout_usec) {
        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", timeout_usec, 0);
}

/* With Commit: what is staged may still be changed. */
static void test_transaction(void **state) {
        Rig *rig = rig_new_slow();

        begin(rig, 0);
        send_add(rig, TRANSACTION, "dimm0");
        assert_string_equal(rig_wait(rig), "0");
        assert_string_equal(rig_call(rig, TRANSACTION, "Transaction.Preview", "") ? "" : "", "");
        assert_int_equal(n_preparations(rig), 0);
        rig_send(rig, TRANSACTION, "Transaction.Commit", "a{sv}", 0);
        assert_string_equal(preparing(rig), "[(dimm0 0 1048576)]");
        assert_string_equal(rig_add(rig, TRANSACTION, "late", "mmio", 1, "", 0), "0");
        await(rig, "2");
        assert_int_equal(bytes_of(rig, RIG_VM "/region/dimm0"), SIZE);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetRegion", "s", "late"), "/region/late");
        rig_free(rig);
}

/* The transaction stays: it may be committed once more. */
static void test_commit_is_cancelled(void **state) {
        Rig *rig = rig_new_slow();

        begin(rig, 0);
        send_add(rig, TRANSACTION, "dimm0");
        rig_wait(rig);
        rig_send(rig, TRANSACTION, "Transaction.Commit", "a{sv}", 0);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.Cancel", "s", "dimm0"), "");
        await(rig, "Cancelled: region \"dimm0\": the preparation of its memory was cancelled");
        assert_string_equal(rig_call(rig, TRANSACTION, "Transaction.Commit", "a{sv}", 0), "2");
        assert_int_equal(bytes_of(rig, RIG_VM "/region/dimm0"), SIZE);
        rig_free(rig);
}

static void test_aborted(void **state) {
        Rig *rig = rig_new_slow();

        begin(rig, 0);
        send_add(rig, TRANSACTION, "dimm0");
        rig_wait(rig);
        rig_send(rig, TRANSACTION, "Transaction.Commit", "a{sv}", 0);
        rig_call(rig, TRANSACTION, "Transaction.Abort", "a{sv}", 0);
        await(rig, "Cancelled: region \"dimm0\": the preparation of its memory was cancelled");
        assert_string_equal(generation(rig), "1");
        rig_free(rig);
}

/* The Commit finds no transaction when it comes again, and what was made for it goes. */
static void test_aborted_late(void **state) {
        Rig *rig = rig_new_slow();

        begin(rig, 0);
        send_add(rig, TRANSACTION, "dimm0");
        rig_wait(rig);
        rig_send(rig, TRANSACTION, "Transaction.Commit", "a{sv}", 0);
        slow_jobs_end();
        while (first_preparation(rig)->job)
                run(rig);
        open_transaction_free(open_transaction_find(rig->service, 1));
        assert_string_equal(await_any(rig),
                            "TransactionClosed: transaction 1 of VM \"test\" is not open");
        run_until_none(rig);
        rig_free(rig);
}

static void test_idle_transaction(void **state) {
        Rig *rig = rig_new_slow();

        begin(rig, 1000);
        send_add(rig, TRANSACTION, "dimm0");
        rig_wait(rig);
        rig_send(rig, TRANSACTION, "Transaction.Commit", "a{sv}", 0);
        for (int i = 0; i < 3; i++) {
                usleep(2000);
                rig_settle(rig);
        }
        await(rig, "2");
        rig_free(rig);
}

UNIT_TESTS(cmocka_unit_test(test_patch), cmocka_unit_test(test_added_again),
           cmocka_unit_test(test_many), cmocka_unit_test(test_patch_is_cancelled),
           cmocka_unit_test(test_layout), cmocka_unit_test(test_large_document),
           cmocka_unit_test(test_transaction), cmocka_unit_test(test_commit_is_cancelled),
           cmocka_unit_test(test_aborted), cmocka_unit_test(test_aborted_late),
           cmocka_unit_test(test_idle_transaction));
