/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A VM with a journal, on the loop: commits that wait for the disk keep nobody waiting that does
 * not need the tree, and a journal that takes no more records is replaced
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/vm/compaction.h"
#include "daemon/vm/journal-record.h"
#include "tests/bus/rig.h"
#include "tests/bus/slow-jobs.h"
#include "tests/common/unit.h"

#define REGION RIG_VM "/region/m"

typedef struct World {
        Rig *rig;
        char directory[32];
} World;

/* Durable, with a region "m" that is hidden, and whose writes are not logged. */
static int setup(void **state) {
        static World world;
        Detail detail;

        world = (World){.rig = rig_new_vm(), .directory = "/tmp/test-vmd-journal-XXXXXX"};
        assert_non_null(mkdtemp(world.directory));
        assert_int_equal(
                compaction_begin_journal(world.rig->service->vm, world.directory, true, &detail),
                0);
        rig_add(world.rig, RIG_VM, "m", "ram", 0x1000, "system", 0);
        rig_enable(world.rig, RIG_VM, "m", false);
        free(rig_log(world.rig));
        *state = &world;
        return 0;
}

static int teardown(void **state) {
        World *world = *state;

        slow_jobs_end();
        rig_free(world->rig);
        recovery_forget(&(Places){.state = world->directory});
        return rmdir(world->directory);
}

/* The call was sent while no job could run, so it waits; others need not. */
static void must_wait(Rig *rig, const char *property) {
        rig_settle(rig);
        assert_false(rig->answered);
        assert_true(rig->service->gate.is_lent);
        slow_jobs_end();
        assert_string_equal(rig_wait(rig), "");
        rig_settle(rig);
        assert_false(rig->service->gate.is_lent);
        assert_string_equal(rig_get(rig, REGION, "org.guestmap1.Region", property), "true");
}

static void test_enabled_waits(void **state) {
        Rig *rig = ((World *)*state)->rig;

        slow_jobs_begin(&rig->service->jobs);
        rig_send(rig, REGION, "Properties.Set", "ssv", "org.guestmap1.Region", "Enabled", "b",
                 true);
        must_wait(rig, "Enabled");
}

static void test_dirty_log_waits(void **state) {
        Rig *rig = ((World *)*state)->rig;

        slow_jobs_begin(&rig->service->jobs);
        rig_send(rig, REGION, "Region.StartDirtyLog", "");
        must_wait(rig, "DirtyLog");
}

/* What is no call to set it is not taken for one. */
static void test_set_wrongly(void **state) {
        Rig *rig = ((World *)*state)->rig;
        uint64_t generation = rig->service->vm->map->generation;
        const char *region = "org.guestmap1.Region";

        rig_call(rig, REGION, "Properties.Set", "ssv", region, "Enabled", "s", "yes");
        assert_true(sd_bus_message_is_method_error(rig->reply, SD_BUS_ERROR_INVALID_ARGS));
        rig_call(rig, REGION, "Properties.Set", "ssv", region, "Size", "t", UINT64_C(1));
        assert_true(sd_bus_message_is_method_error(rig->reply, SD_BUS_ERROR_PROPERTY_READ_ONLY));
        rig_call(rig, RIG_VM "/region/none", "Properties.Set", "ssv", region, "Enabled", "b", 1);
        assert_string_equal(rig->text, "NoSuchRegion: VM \"test\" has no region \"none\"");
        rig_call(rig, RIG_VM, "Properties.Set", "ssv", region, "Enabled", "b", 1);
        assert_true(sd_bus_message_is_method_error(rig->reply, SD_BUS_ERROR_UNKNOWN_PROPERTY) ||
                    sd_bus_message_is_method_error(rig->reply, SD_BUS_ERROR_UNKNOWN_INTERFACE));
        assert_int_equal(rig->service->vm->map->generation, generation);
}

static void test_broken_is_replaced(void **state) {
        Rig *rig = ((World *)*state)->rig;
        Journal *journal = rig->service->vm->record->journal;

        journal->broken = -EIO;
        rig_enable(rig, RIG_VM, "m", true);
        assert_non_null(strstr(rig->text, "NoSpace: VM \"test\": no change can be written"));
        assert_string_equal(rig_enable(rig, RIG_VM, "m", true), "4");
        assert_int_equal(journal->broken, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

UNIT_TESTS(TEST(test_enabled_waits), TEST(test_dirty_log_waits), TEST(test_set_wrongly),
           TEST(test_broken_is_replaced));
