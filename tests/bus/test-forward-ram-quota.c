/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The RAM that one user's VMs have in all: test-forward-ram-quota KIND GUESTMAPD
 */

#include <signal.h>

#include "api/errors.h"
#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/quota-scene.h"

static const char config[] = "[User]\nRAMBytesPerUser=32K\n";

static int set_up(void **state) {
        QuotaScene *scene;

        if (quota_scene_open(state, config) < 0)
                return -1;
        scene = *state;
        must_create(scene->client, "vm2");
        return 0;
}

static void remove_region(QuotaScene *scene, const char *vm, const char *name) {
        sd_bus_message_unref(must_call(scene->client, vm, GUESTMAP_INTERFACE_MAP, "RemoveRegion",
                                       "sa{sv}", name, 0));
}

/* What one has the other cannot have, and can when it is free again: region, or VM. */
static void test_ram_of_user(void **state) {
        QuotaScene *scene = *state;

        assert_int_equal(limit(scene, "RAMBytesPerUser"), 32768);
        add(scene, VM1, "a", "ram", 24576);
        refuse_add(scene, "RAMBytesPerUser: 24576", VM2, "a", "ram", 12288);
        add(scene, VM2, "a", "ram", 8192);
        refuse_add(scene, "the limit is 32768", VM2, "b", "ram", 1);
        remove_region(scene, VM1, "a");
        add(scene, VM2, "b", "ram", 24576);
        refuse_add(scene, "RAMBytesPerUser: 32768", VM1, "a", "ram", 1);
        must_destroy(scene->client, "vm2");
        add(scene, VM1, "a", "ram", 32768);
}

/* However memory comes: with a document, a transaction, a new VM. What is not made takes none. */
static void test_ram_of_commits(void **state) {
        static const char patch[] =
                "{\"guestmap\": 1, \"edits\": [{\"add-region\": {\"name\": \"b\","
                " \"kind\": \"ram\", \"size\": \"0x7000\"}}]}";
        static const char layout[] = "{\"guestmap\": 1, \"regions\": [{\"name\": \"b\","
                                     " \"kind\": \"ram\", \"size\": \"0x7000\"}]}";
        QuotaScene *scene = *state;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *begun = NULL;
        const char *path;

        add(scene, VM1, "a", "ram", 8192);
        must_refuse(scene->client, QUOTA, "RAMBytesPerUser", VM2, GUESTMAP_INTERFACE_MAP, "Apply",
                    "sa{sv}", patch, 0);
        must_refuse(scene->client, QUOTA, "RAMBytesPerUser", GUESTMAP_PATH,
                    GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}", "vm3", 2, "accelerator", "s",
                    "none", "layout", "s", layout);
        begun = must_call(scene->client, VM2, GUESTMAP_INTERFACE_VM, "Begin", "ta{sv}", UINT64_C(0),
                          0);
        assert_true(sd_bus_message_read(begun, "o", &path) > 0);
        add(scene, path, "b", "ram", 0x7000);
        must_refuse(scene->client, QUOTA, "RAMBytesPerUser", path, GUESTMAP_INTERFACE_TRANSACTION,
                    "Commit", "a{sv}", 0);
        remove_region(scene, VM1, "a");
        sd_bus_message_unref(must_call(scene->client, path, GUESTMAP_INTERFACE_TRANSACTION,
                                       "Commit", "a{sv}", 0));
        refuse_add(scene, "RAMBytesPerUser: 28672", VM1, "a", "ram", 8192);
        add(scene, VM1, "a", "ram", 4096);
}

/* One that starts again finds what there is. VMs take no more while it is not there. */
static void test_ram_without_guestmapd(void **state) {
        QuotaScene *scene = *state;
        sd_bus *own, *bus = scene->client;

        add(scene, VM1, "a", "ram", 16384);
        add(scene, VM1, "b", "ram", 8192);
        own = must_open_connection(scene->client, VM1);
        world_stop_daemon(&scene->world, SIGKILL);
        scene->client = own;
        refuse_add(scene, "RAMBytesPerUser: guestmapd", VM1, "c", "ram", 4096);
        remove_region(scene, VM1, "b");
        scene->client = bus;
        assert_true(world_start_daemon(&scene->world));
        refuse_add(scene, "RAMBytesPerUser: 16384", VM2, "a", "ram", 20480);
        add(scene, VM2, "a", "ram", 16384);
        refuse_add(scene, "RAMBytesPerUser: 16384", VM1, "c", "ram", 1);
        sd_bus_flush_close_unref(own);
}

/* A VM's process that comes back has what it had. */
static void test_ram_of_lost_process(void **state) {
        QuotaScene *scene = *state;
        pid_t vm;

        add(scene, VM2, "a", "ram", 24576);
        vm = world_newest_vm(&scene->world);
        assert_int_equal(kill(vm, SIGKILL), 0);
        assert_true(world_process_ends(vm));
        refuse_add(scene, "RAMBytesPerUser: 24576", VM1, "a", "ram", 12288);
        refuse_add(scene, "RAMBytesPerUser: 0", VM2, "b", "ram", 12288);
        add(scene, VM2, "b", "ram", 8192);
        refuse_add(scene, "RAMBytesPerUser: 32768", VM1, "a", "ram", 1);
}

/* Nobody is refused, and nothing granted, before the others have said what they have. */
static void test_ram_of_silent_process(void **state) {
        QuotaScene *scene = *state;
        Answers answers = {.quota = "RAMBytesPerUser"};
        pid_t vm = world_newest_vm(&scene->world);

        add(scene, VM2, "a", "ram", 24576);
        remove_region(scene, VM2, "a");
        assert_int_equal(kill(vm, SIGSTOP), 0);
        assert_true(sd_bus_call_method_async(scene->client, NULL, GUESTMAP_SERVICE, VM1,
                                             GUESTMAP_INTERFACE_MAP, "AddRegion", on_answer,
                                             &answers, "sststia{sv}", "a", "ram", UINT64_C(24576),
                                             "", UINT64_C(0), 0, 0) >= 0);
        assert_int_equal(limit(scene, "RAMBytesPerUser"), 32768);
        assert_int_equal(answers.n, 0);
        assert_int_equal(kill(vm, SIGCONT), 0);
        wait_for_answers(scene->client, &answers, 1);
        assert_int_equal(answers.n_refused, 0);
        refuse_add(scene, "RAMBytesPerUser: 24576", VM2, "a", "ram", 12288);
}

/* A limit that comes counts what there is, also what is beyond it; and one may go. */
static void test_ram_reload(void **state) {
        QuotaScene *scene = *state;

        reload(scene, "");
        add(scene, VM1, "a", "ram", 65536);
        add(scene, VM2, "a", "ram", 4096);
        reload(scene, config);
        refuse_add(scene, "RAMBytesPerUser: 65536", VM2, "b", "ram", 1);
        refuse_add(scene, "RAMBytesPerUser: 4096", VM1, "b", "ram", 1);
        remove_region(scene, VM1, "a");
        refuse_add(scene, "RAMBytesPerUser: 4096", VM1, "a", "ram", 65536);
        add(scene, VM2, "b", "ram", 28672);
        reload(scene, "[User]\nRAMBytesPerUser=40K\n");
        refuse_add(scene, "RAMBytesPerUser: 32768", VM1, "a", "ram", 12288);
        add(scene, VM1, "a", "ram", 8192);
        reload(scene, "");
        assert_true(limit(scene, "RAMBytesPerUser") == UINT64_MAX);
        add(scene, VM1, "b", "ram", 65536);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, quota_scene_teardown)

FORWARD_TESTS(TEST(test_ram_of_user), TEST(test_ram_of_commits), TEST(test_ram_without_guestmapd),
              TEST(test_ram_of_lost_process), TEST(test_ram_of_silent_process),
              TEST(test_ram_reload));
