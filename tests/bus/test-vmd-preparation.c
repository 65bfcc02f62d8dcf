/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Memory that is populated before it is in force: who is answered meanwhile, what ends it, and that
 * nothing is left of what was ended
 *
 * slow_jobs_begin() takes all places for such work, so that it begins when the test says so.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "api/private.h"
#include "daemon/vm/open-transaction.h"
#include "lib/util/rcu.h"
#include "tests/bus/rig.h"
#include "tests/bus/slow-jobs.h"
#include "tests/common/slow-unmap.h"
#include "tests/common/unit.h"

#define CALLER      ":1.1"
#define OTHER       ":1.2"
#define TRANSACTION RIG_VM "/transaction/1"
#define SIZE        UINT64_C(0x100000)
#define DIMM(name)                                                                                 \
        "{\"add-region\": {\"name\": \"" name "\", \"kind\": \"ram\", \"size\": \"1MiB\", "        \
        "\"prealloc\": true}}"

static void send_add(Rig *rig, const char *path, const char *name) {
        rig_send(rig, path, "Map.AddRegion", "sststia{sv}", name, "ram", SIZE, "system",
                 UINT64_C(0), 0, 1, "prealloc", "b", 1);
}

static void send_apply(Rig *rig, const char *document) {
        rig_send(rig, RIG_VM, "Map.Apply", "sa{sv}", document, 0);
}

/* The VM, and whoever calls it: preparations do not begin yet. */
static Rig *rig_new_slow(void) {
        Rig *rig = rig_new_vm();

        rig_announce(rig, CALLER, 1000);
        rig_announce(rig, OTHER, 1000);
        rig->sender = CALLER;
        slow_jobs_begin(&rig->service->preparing);
        free(rig_log(rig));
        return rig;
}

static const char *preparing(Rig *rig) {
        return rig_get(rig, RIG_VM, "org.guestmap1.VM", "Preparing");
}

static size_t n_preparations(const Rig *rig) {
        const struct cds_list_head *link;
        size_t n = 0;

        cds_list_for_each(link, &rig->service->preparations) n++;
        return n;
}

static Preparation *first_preparation(const Rig *rig) {
        return cds_list_first_entry(&rig->service->preparations, Preparation, link);
}

static void run(Rig *rig) {
        assert_true(sd_event_run(rig->event, UINT64_MAX) >= 0);
}

static void run_until_none(Rig *rig) {
        slow_jobs_end();
        while (n_preparations(rig) > 0)
                run(rig);
        rig_settle(rig);
}

static const char *generation(Rig *rig) {
        return rig_get(rig, RIG_VM, "org.guestmap1.VM", "Generation");
}

/* How much of a region's file is there. */
static uint64_t bytes_of(Rig *rig, const char *path) {
        struct stat status;
        int fd;

        rig_call(rig, path, "Region.GetMemory", "b", true);
        assert_true(sd_bus_message_read(rig->reply, "h", &fd) > 0);
        assert_int_equal(fstat(fd, &status), 0);
        return (uint64_t)status.st_blocks * 512;
}

static int count_fds(void) {
        int n = 0;

        rcu_barrier_all();
        for (int fd = 0; fd < 1024; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

/* The answer to the call that waits, whatever was answered before. */
static const char *await_any(Rig *rig) {
        rig->answered = false;
        slow_jobs_end();
        return rig_wait(rig);
}

static void assert_report(const char *text, const char *begins, const char *words) {
        assert_int_equal(strncmp(text, begins, strlen(begins)), 0);
        assert_non_null(strstr(text, words));
}

static void await(Rig *rig, const char *answer) {
        assert_string_equal(await_any(rig), answer);
}

static void test_answered_when_done(void **state) {
        Rig *rig = rig_new_slow();
        char *log;

        send_add(rig, RIG_VM, "dimm0");
        assert_false(rig->answered);
        await(rig, "2");
        assert_int_equal(bytes_of(rig, RIG_VM "/region/dimm0"), SIZE);
        assert_string_equal(preparing(rig), "[]");
        assert_string_equal(rig_flat(rig, RIG_MEMORY), "2 [(0 1048575 dimm0 0 ram 0)]");
        log = rig_log(rig);
        assert_non_null(strstr(log, "PropertiesChanged org.guestmap1.VM {Preparing: "
                                    "[(dimm0 0 1048576)]} []\n"));
        assert_non_null(strstr(log, "Committed 2 1 "));
        free(log);
        rig_free(rig);
}

/* What has ended is told of, too. */
static void test_end_is_told(void **state) {
        Rig *rig = rig_new_slow();
        char *log = NULL;

        send_add(rig, RIG_VM, "dimm0");
        await(rig, "2");
        free(rig_log(rig));
        do {
                free(log);
                run(rig);
                rig_settle(rig);
                log = rig_log(rig);
        } while (!strstr(log, "{Preparing: []} []\n"));
        free(log);
        /* And then there is silence. */
        assert_int_equal(sd_event_run(rig->event, 3 * PREPARATIONS_TOLD_USEC), 0);
        rig_free(rig);
}

/* Edits of others, and what the caller itself asks. */
static void test_nobody_waits(void **state) {
        Rig *rig = rig_new_slow();

        send_add(rig, RIG_VM, "dimm0");
        assert_false(gate_is_busy(&rig->service->gate));
        assert_string_equal(preparing(rig), "[(dimm0 0 1048576)]");
        assert_string_equal(rig_add(rig, RIG_VM, "a", "mmio", 1, "", 0), "2");
        rig->sender = OTHER;
        assert_string_equal(rig_add(rig, RIG_VM, "b", "ram", SIZE, "system", SIZE), "3");
        assert_string_equal(rig_remove(rig, RIG_VM, "a"), "4");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetRegion", "s", "dimm0"),
                            "NoSuchRegion: VM \"test\" has no region \"dimm0\"");
        await(rig, "5");
        assert_string_equal(rig_flat(rig, RIG_MEMORY),
                            "5 [(0 1048575 dimm0 0 ram 0), (1048576 2097151 b 0 ram 0)]");
        rig_free(rig);
}

/* What the map does not allow is said at once, not when there is memory for it. */
static void test_refused_at_once(void **state) {
        Rig *rig = rig_new_slow();

        rig_add(rig, RIG_VM, "dimm0", "mmio", 1, "", 0);
        assert_string_equal(rig_call(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "dimm0", "ram",
                                     SIZE, "", UINT64_C(0), 0, 1, "prealloc", "b", 1),
                            "RegionExists: region \"dimm0\" exists");
        rig->service->vm->map->limits.ram_bytes = SIZE - 1;
        assert_string_equal(rig_call(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "dimm1", "ram",
                                     SIZE, "", UINT64_C(0), 0, 1, "prealloc", "b", 1),
                            "QuotaExceeded: RAMBytes: 0 in use, 1048576 more asked for, the limit "
                            "is 1048575");
        assert_int_equal(n_preparations(rig), 0);
        rig_free(rig);
}

static void add_and_cancel(Rig *rig) {
        rig->sender = CALLER;
        send_add(rig, RIG_VM, "dimm0");
        rig->sender = OTHER;
        assert_string_equal(rig_call(rig, RIG_VM, "VM.Cancel", "s", "dimm1"),
                            "NoSuchRegion: no region \"dimm1\" is being prepared");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.Cancel", "s", "dimm0"), "");
        await(rig, "Cancelled: region \"dimm0\": the preparation of its memory was cancelled");
        assert_int_equal(n_preparations(rig), 0);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.Cancel", "s", "dimm0"),
                            "NoSuchRegion: no region \"dimm0\" is being prepared");
        rig->reply = sd_bus_message_unref(rig->reply);
        while (rig->service->preparing.n_running > 0)
                run(rig);
}

static void test_cancel(void **state) {
        Rig *rig = rig_new_slow();
        char *before = rig_state(rig);
        int n_fds;

        add_and_cancel(rig);
        n_fds = count_fds();
        slow_jobs_begin(&rig->service->preparing);
        add_and_cancel(rig);
        assert_int_equal(count_fds(), n_fds);
        assert_text(rig_state(rig), before);
        free(before);
        rig_free(rig);
}

static void test_caller_leaves(void **state) {
        Rig *rig = rig_new_slow();

        send_add(rig, RIG_VM, "dimm0");
        rig->sender = NULL;
        rig_call(rig, RIG_PRIVATE, "Private.CallerGone", "s", OTHER);
        assert_false(first_preparation(rig)->cancelled);
        rig_send(rig, RIG_PRIVATE, "Private.CallerGone", "s", CALLER);
        assert_true(first_preparation(rig)->cancelled);
        run_until_none(rig);
        assert_string_equal(generation(rig), "1");
        rig_free(rig);
}

/* All its memory is there, and the call has not come again yet. */
static Rig *rig_new_ready(void) {
        Rig *rig = rig_new_slow();

        send_add(rig, RIG_VM, "dimm0");
        slow_jobs_end();
        while (first_preparation(rig)->job)
                run(rig);
        assert_int_equal(n_preparations(rig), 1);
        return rig;
}

static void test_too_late(void **state) {
        Rig *rig = rig_new_ready();
        Detail detail;

        assert_int_equal(preparation_cancel(rig->service, "dimm0", &detail), MAP_E_NO_SUCH_REGION);
        await(rig, "2");
        rig_free(rig);
}

static void test_caller_leaves_late(void **state) {
        Rig *rig = rig_new_ready();

        service_caller_gone(rig->service, CALLER);
        assert_int_equal(n_preparations(rig), 0);
        rig_settle(rig);
        assert_int_equal(n_preparations(rig), 0);
        rig->sender = NULL;
        assert_string_equal(generation(rig), "1");
        rig_free(rig);
}

static void test_guestmapd_leaves(void **state) {
        Rig *rig = rig_new_slow();

        send_add(rig, RIG_VM, "dimm0");
        rig_reconnect(rig);
        rig->sender = NULL;
        run_until_none(rig);
        assert_string_equal(generation(rig), "1");
        rig_free(rig);
}

static void test_own_connection_ends(void **state) {
        Rig *rig = rig_new_slow();
        sd_bus *guestmapd = rig->bus;
        int fd;

        rig->sender = NULL;
        rig_call(rig, RIG_PRIVATE, "Private.Connect", "uu", 1000, GUESTMAP_RIGHTS_ALL);
        assert_true(sd_bus_message_read(rig->reply, "h", &fd) > 0);
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        rig->reply = sd_bus_message_unref(rig->reply);
        assert_true(sd_bus_new(&rig->bus) >= 0);
        assert_true(sd_bus_set_fd(rig->bus, fd, fd) >= 0);
        assert_true(sd_bus_start(rig->bus) >= 0);
        assert_true(sd_bus_attach_event(rig->bus, rig->event, 0) >= 0);
        send_add(rig, RIG_VM, "dimm0");
        assert_int_equal(n_preparations(rig), 1);
        assert_string_equal(preparing(rig), "[(dimm0 0 1048576)]");
        sd_bus_close_unref(rig->bus);
        rig->bus = guestmapd;
        rig_settle(rig);
        assert_true(first_preparation(rig)->cancelled);
        run_until_none(rig);
        assert_string_equal(generation(rig), "1");
        rig_free(rig);
}

static void test_service_ends(void **state) {
        Rig *rig = rig_new_slow();

        send_add(rig, RIG_VM, "dimm0");
        rig_free(rig);
        rig_free(rig_new_ready());
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

/* However many there are: each gets its memory, and the first ones are told of. */
static void test_many(void **state) {
        const int n = PREPARATIONS_TOLD_MAX + 6;
        Rig *rig = rig_new_slow();
        char expected[4096] = "[";

        for (int i = 0; i < PREPARATIONS_TOLD_MAX; i++)
                sprintf(expected + strlen(expected), "%s(r%02d 0 4096)", i > 0 ? ", " : "", i);
        strcat(expected, "]");
        send_many(rig, n);
        assert_int_equal(first_preparation(rig)->memory.n, n);
        assert_string_equal(preparing(rig), expected);
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

/* Whoever comes first has it; memory for one that is not added is not kept. */
static void test_name_is_taken(void **state) {
        Rig *rig = rig_new_slow();

        send_add(rig, RIG_VM, "dimm0");
        rig->sender = OTHER;
        assert_string_equal(rig_call(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "dimm0", "ram",
                                     SIZE, "", UINT64_C(0), 0, 1, "prealloc", "b", 1),
                            "RegionExists: region \"dimm0\" is being prepared by another call");
        assert_string_equal(rig_add(rig, RIG_VM, "dimm0", "mmio", 1, "", 0), "2");
        await(rig, "RegionExists: region \"dimm0\" exists");
        assert_int_equal(n_preparations(rig), 0);
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "RAMBytes"), "0");
        rig_free(rig);
}

static void send_large(Rig *rig) {
        rig_send(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "large", "ram", BACKING_LARGE, "",
                 UINT64_C(0), 0, 1, "prealloc", "b", 1);
}

static void assert_freed_beside_calls(Rig *rig) {
        rcu_barrier_all();
        assert_true(memory_is_mapped("large"));
        rig->sender = OTHER;
        assert_non_null(strstr(rig_call(rig, RIG_MEMORY, "AddressSpace.Find", "t", UINT64_C(0)),
                               " (0 1048575 dimm0 0 ram 0)"));
        slow_unmap_end("large");
}

/* Much memory that was prepared for nothing takes the loop no time. */
static void test_freed_beside_calls(void **state) {
        Rig *rig = rig_new_slow();

        rig_add(rig, RIG_VM, "dimm0", "ram", SIZE, "system", 0);
        send_large(rig);
        assert_string_equal(rig_add(rig, RIG_VM, "large", "mmio", 1, "", 0), "3");
        slow_unmap_begin();
        await(rig, "RegionExists: region \"large\" exists");
        assert_freed_beside_calls(rig);
        rig_remove(rig, RIG_VM, "large");

        slow_jobs_begin(&rig->service->preparing);
        send_large(rig);
        rig_call(rig, RIG_VM, "VM.Cancel", "s", "large");
        slow_unmap_begin();
        await(rig, "Cancelled: region \"large\": the preparation of its memory was cancelled");
        assert_freed_beside_calls(rig);
        rig_free(rig);
}

/* What is expected is expected of the map that the region is added to. */
static void test_expected_generation(void **state) {
        Rig *rig = rig_new_slow();

        rig_send(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "dimm0", "ram", SIZE, "", UINT64_C(0),
                 0, 2, "prealloc", "b", 1, "expect-generation", "t", UINT64_C(1));
        assert_string_equal(rig_add(rig, RIG_VM, "a", "mmio", 1, "", 0), "2");
        await(rig, "Conflict: " RIG_VM " has generation 2, not 1 as expected");
        rig_free(rig);
}

/* While the tree is lent the call stands in line as others do. */
static void test_in_line(void **state) {
        Rig *rig = rig_new_slow();

        send_add(rig, RIG_VM, "dimm0");
        assert_int_equal(gate_lend(&rig->service->gate, NULL), 0);
        slow_jobs_end();
        while (rig->service->gate.n_line == 0)
                run(rig);
        assert_false(rig->answered);
        assert_int_equal(n_preparations(rig), 1);
        gate_take_back(&rig->service->gate);
        await(rig, "2");
        rig_free(rig);
}

static void test_quotas(void **state) {
        Rig *rig = rig_new_slow();
        char name[16];

        rig->service->vm->limits.map.ram_bytes = 2 * SIZE;
        rig->service->vm->map->limits.ram_bytes = 2 * SIZE;
        send_add(rig, RIG_VM, "a");
        send_add(rig, RIG_VM, "b");
        assert_int_equal(n_preparations(rig), 2);
        assert_string_equal(rig_call(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "c", "ram", SIZE,
                                     "", UINT64_C(0), 0, 1, "prealloc", "b", 1),
                            "QuotaExceeded: RAMBytes: 3145728 with what is being prepared, the "
                            "limit is 2097152");
        rig->service->vm->limits.map.ram_bytes = UINT64_MAX;
        rig->service->vm->map->limits.ram_bytes = UINT64_MAX;
        for (int i = 2; i < PREPARATIONS_MAX; i++) {
                snprintf(name, sizeof(name), "d%d", i);
                send_add(rig, RIG_VM, name);
        }
        assert_string_equal(rig_call(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "c", "ram", SIZE,
                                     "", UINT64_C(0), 0, 1, "prealloc", "b", 1),
                            "QuotaExceeded: VM \"test\": 16 calls wait for memory, the limit is "
                            "16");
        rig_free(rig);
}

/* More than any host has: which limit it was, and nothing is left. */
static void test_no_memory(void **state) {
        /* All that the host has, of which some is used. */
        uint64_t size = (uint64_t)sysconf(_SC_PHYS_PAGES) * 4096;
        char *before, begins[128];
        Rig *rig;

        if (access("/sys/devices/system/node/node0/meminfo", R_OK) < 0) {
                print_message("# the kernel does not say how much memory there is\n");
                skip();
        }
        rig = rig_new_slow();
        before = rig_state(rig);
        snprintf(begins, sizeof(begins),
                 "NoMemory: memory of \"dimm0\": needs %#" PRIx64 " bytes, ", size);
        rig_send(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "dimm0", "ram", size, "", UINT64_C(0),
                 0, 1, "prealloc", "b", 1);
        slow_jobs_end();
        assert_int_equal(strncmp(rig_wait(rig), begins, strlen(begins)), 0);
        assert_text(rig_state(rig), before);
        free(before);
        rig_free(rig);
}

static void test_passed(void **state) {
        Rig *rig = rig_new_slow();
        _cleanup_(closep) int fd = memfd_create("passed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        struct stat status;

        assert_int_equal(ftruncate(fd, (off_t)SIZE + 4096), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
        rig_send(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "dimm0", "ram", SIZE, "system",
                 UINT64_C(0), 0, 3, "prealloc", "b", 1, "fd", "h", fd, "fd-offset", "t",
                 UINT64_C(4096));
        await(rig, "2");
        assert_int_equal(fstat(fd, &status), 0);
        assert_int_equal(status.st_blocks * 512, SIZE);
        assert_string_equal(rig_call(rig, RIG_VM "/region/dimm0", "Region.GetMemory", "b", false),
                            "fd 4096 1048576");
        rig_free(rig);
}

/* The user's share is taken before there is memory, stays taken meanwhile, and is given back. */
static void test_share(void **state) {
        Rig *rig = rig_new_slow();
        Ration *ration = rig->service->vm->ration;

        send_add(rig, RIG_VM, "dimm0");
        assert_int_equal(ration_limit(ration, true), SIZE);
        assert_false(ration_waits(ration, 0));
        assert_true(ration_waits(ration, 1));
        assert_string_equal(rig_add(rig, RIG_VM, "a", "mmio", 1, "", 0), "2");
        assert_int_equal(ration_limit(ration, true), SIZE);
        rig_call(rig, RIG_VM, "VM.Cancel", "s", "dimm0");
        run_until_none(rig);
        assert_int_equal(ration_limit(ration, false), 0);

        slow_jobs_begin(&rig->service->preparing);
        send_add(rig, RIG_VM, "dimm0");
        await(rig, "3");
        assert_int_equal(ration_limit(ration, true), SIZE);
        rig_free(rig);
}

UNIT_TESTS(cmocka_unit_test(test_answered_when_done), cmocka_unit_test(test_end_is_told),
           cmocka_unit_test(test_nobody_waits), cmocka_unit_test(test_refused_at_once),
           cmocka_unit_test(test_cancel), cmocka_unit_test(test_caller_leaves),
           cmocka_unit_test(test_too_late), cmocka_unit_test(test_caller_leaves_late),
           cmocka_unit_test(test_guestmapd_leaves), cmocka_unit_test(test_own_connection_ends),
           cmocka_unit_test(test_service_ends), cmocka_unit_test(test_patch),
           cmocka_unit_test(test_added_again), cmocka_unit_test(test_many),
           cmocka_unit_test(test_patch_is_cancelled), cmocka_unit_test(test_layout),
           cmocka_unit_test(test_large_document), cmocka_unit_test(test_transaction),
           cmocka_unit_test(test_commit_is_cancelled), cmocka_unit_test(test_aborted),
           cmocka_unit_test(test_aborted_late), cmocka_unit_test(test_idle_transaction),
           cmocka_unit_test(test_name_is_taken), cmocka_unit_test(test_freed_beside_calls),
           cmocka_unit_test(test_expected_generation), cmocka_unit_test(test_in_line),
           cmocka_unit_test(test_quotas), cmocka_unit_test(test_no_memory),
           cmocka_unit_test(test_passed), cmocka_unit_test(test_share));
