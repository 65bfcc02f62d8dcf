/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * GetMetrics of a VM: each number moves with what it counts, by as much, and no other does
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/vm/compaction.h"
#include "daemon/vm/journal-record.h"
#include "tests/bus/rig.h"
#include "tests/common/unit.h"

#define T1 RIG_VM "/transaction/1"

/* What of a sample is looked for. */
typedef struct Wanted {
        const char *family;
        const char *suffix;
        const char *label; /* the value of its only label; NULL: it has none */
} Wanted;

/* -1: there is none. */
static double find_sample(sd_bus_message *m, const Wanted *wanted, bool is_family) {
        const char *suffix, *label;
        double found = -1, value;

        while (sd_bus_message_enter_container(m, 'r', "sa{ss}d") > 0) {
                size_t n = 0;

                assert_true(sd_bus_message_read(m, "s", &suffix) > 0);
                assert_true(sd_bus_message_enter_container(m, 'a', "{ss}") > 0);
                while (sd_bus_message_read(m, "{ss}", NULL, &label) > 0)
                        n++;
                assert_true(sd_bus_message_exit_container(m) >= 0);
                assert_true(sd_bus_message_read(m, "d", &value) > 0);
                assert_true(sd_bus_message_exit_container(m) >= 0);
                if (is_family && strcmp(suffix, wanted->suffix) == 0 && n == !!wanted->label &&
                    (n == 0 || strcmp(label, wanted->label) == 0))
                        found = value;
        }
        return found;
}

static double metric(Rig *rig, const char *family, const char *suffix, const char *label) {
        const Wanted wanted = {family, suffix, label};
        const char *name, *type, *unit, *help;
        double found = -1;

        rig_call(rig, RIG_VM, "VM.GetMetrics", "");
        assert_true(sd_bus_message_rewind(rig->reply, true) >= 0);
        assert_true(sd_bus_message_enter_container(rig->reply, 'a', "(ssssa(sa{ss}d))") > 0);
        while (sd_bus_message_enter_container(rig->reply, 'r', "ssssa(sa{ss}d)") > 0) {
                double value;

                assert_true(sd_bus_message_read(rig->reply, "ssss", &name, &type, &unit, &help) >
                            0);
                assert_true(sd_bus_message_enter_container(rig->reply, 'a', "(sa{ss}d)") > 0);
                value = find_sample(rig->reply, &wanted, strcmp(name, family) == 0);
                found = value < 0 ? found : value;
                assert_true(sd_bus_message_exit_container(rig->reply) >= 0);
                assert_true(sd_bus_message_exit_container(rig->reply) >= 0);
        }
        return found;
}

static int count(Rig *rig, const char *family, const char *suffix, const char *label) {
        return (int)metric(rig, family, suffix, label);
}

#define COMMITS(rig)       count(rig, "guestmap_vm_commits", "_total", NULL)
#define GAUGE(rig, family) count(rig, "guestmap_vm_" family, "", NULL)

static void test_commits(void **state) {
        Rig *rig = rig_new_vm();

        assert_int_equal(COMMITS(rig), 0);
        rig_add(rig, RIG_VM, "ram", "ram", 0x4000, "system", 0);
        for (unsigned i = 0; i < 10; i++)
                rig_enable(rig, RIG_VM, "ram", i % 2);
        assert_int_equal(COMMITS(rig), 11);
        assert_int_equal(GAUGE(rig, "generation"), 12);
        /* Nothing is in force that was not before, or that is not yet. */
        rig_enable(rig, RIG_VM, "ram", true);
        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        rig_enable(rig, T1, "ram", false);
        rig_call(rig, T1, "Transaction.Preview", "");
        assert_int_equal(COMMITS(rig), 11);
        assert_int_equal(GAUGE(rig, "open_transactions"), 1);
        rig_call(rig, T1, "Transaction.Commit", "a{sv}", 0);
        assert_int_equal(COMMITS(rig), 12);
        assert_int_equal(GAUGE(rig, "open_transactions"), 0);
        rig_free(rig);
}

static void test_durations(void **state) {
        static const char family[] = "guestmap_vm_commit_duration_seconds";
        Rig *rig = rig_new_vm();
        Counters *counters = &rig->service->vm->counters;

        rig_add(rig, RIG_VM, "ram", "ram", 0x4000, "system", 0);
        assert_int_equal(count(rig, family, "_count", NULL), 1);
        assert_true(metric(rig, family, "_sum", NULL) > 0);
        assert_int_equal(count(rig, family, "_bucket", "+Inf"), 1);
        /* Two that have begun long ago, one of them longer than any bucket is for. */
        *counters = (Counters){};
        counters_note_commit(counters, counters_now() - UINT64_C(50000000));
        counters_note_commit(counters, counters_now() - UINT64_C(20000000000));
        assert_int_equal(count(rig, family, "_bucket", "0.03"), 0);
        assert_int_equal(count(rig, family, "_bucket", "0.1"), 1);
        assert_int_equal(count(rig, family, "_bucket", "10"), 1);
        assert_int_equal(count(rig, family, "_bucket", "+Inf"), 2);
        assert_int_equal((int)metric(rig, family, "_sum", NULL), 20);
        rig_free(rig);
}

/* The last call has counted once, for that reason. */
static void check_abort(Rig *rig, const char *reason) {
        uint64_t *aborts = rig->service->vm->counters.aborts;
        uint64_t all = 0;

        for (size_t i = 0; i < N_ABORTS; i++)
                all += aborts[i];
        if (count(rig, "guestmap_vm_aborts", "_total", reason) != 1 || all != 1)
                fail_msg("%s: not counted once, but %d of %d", reason,
                         count(rig, "guestmap_vm_aborts", "_total", reason), (int)all);
        memset(aborts, 0, N_ABORTS * sizeof(*aborts));
}

static int refuse_slot(Accelerator *accelerator, const SlotOp *op) {
        return -EINVAL;
}

#define APPLY(rig, document)                                                                       \
        rig_call(rig, RIG_VM, "Map.Apply", "sa{sv}", "{\"guestmap\": 1, " document "}", 0)

/* What is wrong with one call. */
static void test_refused(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "ram", "ram", 0x4000, "system", 0);
        rig_add(rig, RIG_VM, "dev", "mmio", 0x4000, "system", 0x10000);
        rig_add(rig, RIG_VM, "dev", "mmio", 0x4000, "system", 0);
        check_abort(rig, "RegionExists");
        rig_remove(rig, RIG_VM, "none");
        check_abort(rig, "NoSuchRegion");
        rig_remove(rig, RIG_VM, "system");
        check_abort(rig, "InUse");
        rig_add(rig, RIG_VM, "", "mmio", 0x4000, "system", 0);
        check_abort(rig, "InvalidName");
        rig_add(rig, RIG_VM, "x", "ram", 0, "system", 0);
        check_abort(rig, "InvalidRange");
        rig_add(rig, RIG_VM, "x", "tape", 0x1000, "system", 0);
        check_abort(rig, "InvalidKind");
        rig_call(rig, RIG_VM, "Map.MoveRegion", "sstia{sv}", "system", "system", UINT64_C(0), 0, 0);
        check_abort(rig, "WouldLoop");
        rig_call(rig, RIG_VM, "Map.RemoveAddressSpace", "sa{sv}", "none", 0);
        check_abort(rig, "NoSuchAddressSpace");
        rig_call(rig, RIG_VM, "Map.AddAddressSpace", "ssa{sv}", "io", "system", 0);
        check_abort(rig, "AddressSpaceExists");
        rig_call(rig, RIG_VM, "Map.RemoveIOEventFD", "stubta{sv}", "dev", UINT64_C(0), UINT32_C(4),
                 false, UINT64_C(0), 0);
        check_abort(rig, "NoSuchIOEventFD");
        for (int i = 0; i < 2; i++)
                rig_call(rig, RIG_VM, "Map.AddIOEventFD", "stubta{sv}", "dev", UINT64_C(0),
                         UINT32_C(4), false, UINT64_C(0), 0);
        check_abort(rig, "IOEventFDExists");
        rig_call(rig, RIG_VM, "Map.EnableRegion", "sba{sv}", "ram", false, 1, "no-such", "b", 1);
        check_abort(rig, "InvalidArgs");
        rig_call(rig, RIG_VM, "Map.EnableRegion", "sba{sv}", "ram", false, 1, "expect-generation",
                 "t", UINT64_C(1));
        check_abort(rig, "Conflict");
        APPLY(rig, "\"edits\": [{\"remove-region\": {\"name\": \"none\"}}]");
        check_abort(rig, "NoSuchRegion");
        APPLY(rig, "\"edits\": [{}]");
        check_abort(rig, "InvalidDocument");
        rig_free(rig);
}

/* What is wrong with the machine, or too much. */
static void test_limits(void **state) {
        Rig *rig = rig_new_vm();
        Accelerator *accelerator = rig->service->vm->accelerator;
        const AcceleratorOps *usual = accelerator->ops;
        AcceleratorOps failing = *usual;
        struct rlimit before, none;
        int next = dup(0);

        close(next);
        rig->service->vm->map->limits.regions = 3;
        rig_add(rig, RIG_VM, "ram", "ram", 0x4000, "system", 0);
        rig_add(rig, RIG_VM, "one", "ram", 0x4000, "system", 0);
        check_abort(rig, "QuotaExceeded");
        assert_true(metric(rig, "guestmap_vm_quota_use_ratio", "", "regions") == 1);
        rig->service->vm->map->limits.regions = 6;
        assert_true(metric(rig, "guestmap_vm_quota_use_ratio", "", "regions") == 0.5);

        accelerator->n_slots = 1;
        rig_add(rig, RIG_VM, "one", "ram", 0x4000, "system", 0x10000);
        check_abort(rig, "NoSlots");
        accelerator->n_slots = 10;
        failing.set_slot = refuse_slot;
        accelerator->ops = &failing;
        rig_add(rig, RIG_VM, "one", "ram", 0x4000, "system", 0x10000);
        check_abort(rig, "KVM");
        accelerator->ops = usual;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = (struct rlimit){(rlim_t)next, before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        rig_add(rig, RIG_VM, "one", "ram", 0x4000, "system", 0x10000);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        check_abort(rig, "NoMemory");
        rig_free(rig);
}

static void test_transactions_end(void **state) {
        Rig *rig = rig_new_vm();

        rig_announce(rig, ":1.1", 1000);
        rig->sender = ":1.1";
        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        rig->sender = NULL;
        rig_call(rig, RIG_PRIVATE, "Private.CallerGone", "s", ":1.1");
        check_abort(rig, "CallerLeft");
        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        rig_call(rig, RIG_VM "/transaction/2", "Transaction.Abort", "a{sv}", 0);
        check_abort(rig, "Abort");
        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(1000), 0);
        while (!cds_list_empty(&rig->service->transactions))
                assert_true(sd_event_run(rig->event, UINT64_C(10000000)) > 0);
        check_abort(rig, "Idle");
        /* A Preview is refused, and nothing was to change. */
        rig_add(rig, RIG_VM, "dev", "mmio", 0x4000, "system", 0);
        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        rig_remove(rig, RIG_VM "/transaction/4", "dev");
        rig_remove(rig, RIG_VM, "dev");
        rig_call(rig, RIG_VM "/transaction/4", "Transaction.Preview", "");
        rig_call(rig, RIG_VM "/transaction/4", "Transaction.Commit", "a{sv}", 0);
        check_abort(rig, "Conflict");
        rig_free(rig);
}

static void test_map(void **state) {
        Rig *rig = rig_new_vm();
        uint64_t before, after;

        rig_add(rig, RIG_VM, "ram", "ram", 0x100000, "system", 0);
        rig_add_many(rig, "dev", 20, 0x200000);
        assert_int_equal(GAUGE(rig, "regions"), 23);
        assert_int_equal(GAUGE(rig, "slots"), 1);
        assert_int_equal(count(rig, "guestmap_vm_sections", "", "memory"), 21);
        assert_int_equal(count(rig, "guestmap_vm_sections", "", "io"), 0);
        assert_int_equal(count(rig, "guestmap_vm_slot_operations", "_total", "create"), 1);
        rig_enable(rig, RIG_VM, "ram", false);
        assert_int_equal(count(rig, "guestmap_vm_slot_operations", "_total", "delete"), 1);
        assert_int_equal(count(rig, "guestmap_vm_remapped_bytes", "_total", NULL), 0x200000);
        rig_enable(rig, RIG_VM, "ram", true);
        assert_int_equal(GAUGE(rig, "ram_bytes"), 0x100000);
        before = (uint64_t)GAUGE(rig, "ram_resident_bytes");
        rig_call(rig, RIG_MEMORY, "AddressSpace.Write", "tay", UINT64_C(0x3000), 1, 1);
        after = (uint64_t)GAUGE(rig, "ram_resident_bytes");
        assert_int_equal(before, 0);
        assert_true(after >= 0x1000 && after < 0x100000);
        rig_remove(rig, RIG_VM, "ram");
        assert_int_equal(GAUGE(rig, "ram_resident_bytes"), 0);
        rig_free(rig);
}

/* However many there are: a name each for the first, and one for all others. */
static void test_many_spaces(void **state) {
        Rig *rig = rig_new_vm();
        char name[8];

        rig_add(rig, RIG_VM, "dev", "mmio", 0x1000, "system", 0);
        for (unsigned i = 0; i < 40; i++) {
                snprintf(name, sizeof(name), "s%02u", i);
                rig_call(rig, RIG_VM, "Map.AddAddressSpace", "ssa{sv}", name, "system", 0);
        }
        /* io, memory and 30 of these have their own. */
        assert_int_equal(count(rig, "guestmap_vm_sections", "", "s29"), 1);
        assert_int_equal(count(rig, "guestmap_vm_sections", "", "s30"), -1);
        assert_int_equal(count(rig, "guestmap_vm_sections", "", ""), 10);
        rig_free(rig);
}

/* Nobody waits for the tree, and what is told of that is what was told last. */
static void test_lent(void **state) {
        Rig *rig = rig_new_vm();
        Gate *gate = &rig->service->gate;

        rig_add(rig, RIG_VM, "ram", "ram", 0x100000, "system", 0);
        rig_call(rig, RIG_MEMORY, "AddressSpace.Write", "tay", UINT64_C(0x3000), 1, 1);
        assert_true(GAUGE(rig, "ram_resident_bytes") > 0);
        assert_int_equal(gate_lend(gate, NULL), 0);
        rig_call(rig, RIG_MEMORY, "AddressSpace.Write", "tay", UINT64_C(0x90000), 1, 1);
        rig_announce(rig, ":1.1", 1000);
        rig->sender = ":1.1";
        rig_send(rig, RIG_VM, "VM.GetLayout", "a{sv}", 0);
        rig_settle(rig);
        rig->sender = NULL;
        assert_int_equal(count(rig, "guestmap_vm_waiting_calls", "", "tree"), 1);
        assert_int_equal(GAUGE(rig, "ram_resident_bytes"), 0x1000);
        gate_take_back(gate);
        rig_settle(rig);
        assert_int_equal(count(rig, "guestmap_vm_waiting_calls", "", "tree"), 0);
        assert_int_equal(GAUGE(rig, "ram_resident_bytes"), 0x2000);
        rig_free(rig);
}

static void test_waits(void **state) {
        Rig *rig = rig_new_vm();

        rig_announce(rig, ":1.1", 1000);
        rig->sender = ":1.1";
        rig_send(rig, RIG_MEMORY, "AddressSpace.WaitChanges", "tt", UINT64_C(1),
                 UINT64_C(60000000));
        rig_settle(rig);
        rig->sender = NULL;
        assert_int_equal(count(rig, "guestmap_vm_waiting_calls", "", "changes"), 1);
        rig_free(rig);
}

static void test_journal(void **state) {
        char directory[] = "/tmp/test-vmd-metrics-XXXXXX";
        Rig *rig = rig_new_vm();
        VM *vm = rig->service->vm;
        int written, syncs;
        Detail detail;

        assert_int_equal(GAUGE(rig, "journal_bytes"), 0);
        assert_non_null(mkdtemp(directory));
        assert_int_equal(compaction_begin_journal(vm, directory, true, &detail), 0);
        written = count(rig, "guestmap_vm_journal_written_bytes", "_total", NULL);
        syncs = count(rig, "guestmap_vm_journal_syncs", "_total", NULL);
        assert_true(written > 0 && syncs > 0);
        rig_add(rig, RIG_VM, "dev", "mmio", 0x1000, "system", 0);
        assert_int_equal(GAUGE(rig, "journal_bytes"), vm->record->journal->end);
        assert_true(count(rig, "guestmap_vm_journal_written_bytes", "_total", NULL) > written);
        assert_int_equal(count(rig, "guestmap_vm_journal_syncs", "_total", NULL), syncs + 1);
        assert_int_equal(count(rig, "guestmap_vm_journal_compactions", "_total", NULL), 0);
        written = count(rig, "guestmap_vm_journal_written_bytes", "_total", NULL);
        assert_int_equal(compaction_run(vm, &detail), 0);
        assert_int_equal(count(rig, "guestmap_vm_journal_compactions", "_total", NULL), 1);
        assert_true(count(rig, "guestmap_vm_journal_written_bytes", "_total", NULL) > written);
        vm->record->journal->broken = -EIO;
        rig_remove(rig, RIG_VM, "dev");
        check_abort(rig, "NoSpace");
        rig_free(rig);
        recovery_forget(&(Places){.state = directory});
        assert_int_equal(rmdir(directory), 0);
}

/* A connection that is not read: commits after the first wait for it, and are told together. */
static void test_folded(void **state) {
        Rig *rig = rig_new_vm();
        Service *service = rig->service;
        Announcement announcement = {.generation = 2};

        announcer_put(service, &announcement);
        assert_int_equal(service->announcer.n_folded, 0);
        announcement = (Announcement){.generation = 3};
        announcer_put(service, &announcement);
        assert_int_equal(count(rig, "guestmap_vm_folded_commits", "_total", NULL), 1);
        rig_free(rig);
}

UNIT_TESTS(cmocka_unit_test(test_commits), cmocka_unit_test(test_durations),
           cmocka_unit_test(test_refused), cmocka_unit_test(test_limits),
           cmocka_unit_test(test_transactions_end), cmocka_unit_test(test_map),
           cmocka_unit_test(test_many_spaces), cmocka_unit_test(test_lent),
           cmocka_unit_test(test_waits), cmocka_unit_test(test_journal),
           cmocka_unit_test(test_folded));
