/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Memory that is populated before it is in force: who is answered meanwhile, and who is refused
 */

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/util/rcu.h"
#include "lib/util/size-words.h"
#include "tests/bus/preparation-rig.h"
#include "tests/common/slow-unmap.h"
#include "tests/common/unit.h"

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
                            "QuotaExceeded: RAMBytes: 1MiB asked for by region \"dimm1\", the "
                            "limit is 1048575B");
        assert_int_equal(n_preparations(rig), 0);
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
        await(rig, "Conflict: VM \"test\" has generation 2, not 1 as expected");
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
                            "QuotaExceeded: RAMBytes: 3MiB with what is being prepared, the "
                            "limit is 2MiB");
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
                 "NoMemory: memory of \"dimm0\": needs %s, ", size_words(size).text);
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
        assert_string_equal(
                rig_get(rig, RIG_VM "/region/dimm0", "org.guestmap1.Region", "Memory"), "fd");
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
           cmocka_unit_test(test_name_is_taken), cmocka_unit_test(test_freed_beside_calls),
           cmocka_unit_test(test_expected_generation), cmocka_unit_test(test_in_line),
           cmocka_unit_test(test_quotas), cmocka_unit_test(test_no_memory),
           cmocka_unit_test(test_passed), cmocka_unit_test(test_share));
