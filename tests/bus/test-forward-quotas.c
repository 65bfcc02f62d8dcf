/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * guestmapd's limits, as its configuration sets them: test-forward-quotas KIND GUESTMAPD
 *
 * Each is made small, reached, and named by the refusal; those of one VM by its process.
 */

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api/errors.h"
#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/quota-scene.h"
#include "tests/common/deaf-manager.h"

static const char config[] = "[User]\n"
                             "VMsPerUser=2\n"
                             "CallsPerUser=8\n"
                             "BytesPerUser=64K\n"
                             "[Client]\n"
                             "CallsPerClient=5\n"
                             "MessageBytes=100K\n"
                             "[VM]\n"
                             "Regions=5\n"
                             "AddressSpaces=2\n"
                             "IOEventFDs=1\n"
                             "CoalescedZones=1\n"
                             "RAMBytes=8K\n"
                             "Transactions=2\n"
                             "Edits=2\n"
                             "DocumentBytes=20\n"
                             "JSONDepth=4\n";

static int set_up(void **state) {
        return quota_scene_open(state, config);
}

static void test_shown(void **state) {
        QuotaScene *scene = *state;

        assert_int_equal(limit(scene, "VMsPerUser"), 2);
        assert_int_equal(limit(scene, "RAMBytes"), 8192);
        assert_int_equal(limit(scene, "VMs"), 4096);
        assert_true(limit(scene, "MemoryMax") == UINT64_MAX);
}

static void test_vms(void **state) {
        QuotaScene *scene = *state;

        must_create(scene->client, "vm2");
        must_refuse(scene->client, QUOTA, "VMsPerUser: 2", GUESTMAP_PATH,
                    GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}", "vm3", 1, "accelerator", "s",
                    "none");
        must_destroy(scene->client, "vm2");
        must_create(scene->client, "vm3");
}

/* "system" and "io" are there. */
static void test_contents(void **state) {
        QuotaScene *scene = *state;

        add(scene, VM1, "a", "ram", 4096);
        refuse_add(scene, "RAMBytes: 4KiB", VM1, "b", "ram", 8192);
        add(scene, VM1, "b", "ram", 4096);
        add(scene, VM1, "dev", "mmio", 4096);
        refuse_add(scene, "Regions: 5", VM1, "c", "mmio", 4096);
        must_refuse(scene->client, QUOTA, "AddressSpaces: 2", VM1, GUESTMAP_INTERFACE_MAP,
                    "AddAddressSpace", "ssa{sv}", "x", "system", 0);
        sd_bus_message_unref(must_call(scene->client, VM1, GUESTMAP_INTERFACE_MAP, "AddIOEventFD",
                                       "stubta{sv}", "dev", UINT64_C(0), 4, 0, UINT64_C(0), 0));
        must_refuse(scene->client, QUOTA, "IOEventFDs: 1", VM1, GUESTMAP_INTERFACE_MAP,
                    "AddIOEventFD", "stubta{sv}", "dev", UINT64_C(8), 4, 0, UINT64_C(0), 0);
        sd_bus_message_unref(must_call(scene->client, VM1, GUESTMAP_INTERFACE_MAP, "AddCoalesced",
                                       "stta{sv}", "dev", UINT64_C(0), UINT64_C(4), 0));
        must_refuse(scene->client, QUOTA, "CoalescedZones: 1", VM1, GUESTMAP_INTERFACE_MAP,
                    "AddCoalesced", "stta{sv}", "dev", UINT64_C(8), UINT64_C(4), 0);
}

static void test_transactions(void **state) {
        QuotaScene *scene = *state;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *begun = NULL;
        const char *path;

        begun = must_call(scene->client, VM1, GUESTMAP_INTERFACE_VM, "Begin", "ta{sv}", UINT64_C(0),
                          0);
        assert_true(sd_bus_message_read(begun, "o", &path) > 0);
        add(scene, path, "a", "mmio", 1);
        add(scene, path, "b", "mmio", 1);
        refuse_add(scene, "Edits: 2", path, "c", "mmio", 1);
        sd_bus_message_unref(must_call(scene->client, VM1, GUESTMAP_INTERFACE_VM, "Begin", "ta{sv}",
                                       UINT64_C(0), 0));
        must_refuse(scene->client, QUOTA, "Transactions", VM1, GUESTMAP_INTERFACE_VM, "Begin",
                    "ta{sv}", UINT64_C(0), 0);
}

static void test_documents(void **state) {
        static const char deep[] = "{\"guestmap\": 1, \"edits\": [[[[[]]]]]}";
        QuotaScene *scene = *state;
        _cleanup_(closep) int fd = memfd_create("document", MFD_CLOEXEC);

        must_refuse(scene->client, QUOTA, "JSONDepth", VM1, GUESTMAP_INTERFACE_MAP, "Apply",
                    "sa{sv}", deep, 0);
        assert_true(write(fd, deep, strlen(deep)) > 20);
        must_refuse(scene->client, QUOTA, "DocumentBytes", VM1, GUESTMAP_INTERFACE_MAP, "ApplyFD",
                    "ha{sv}", fd, 0);
}

/* A document as CreateVM takes it is under the same limits. */
static void test_layouts(void **state) {
        QuotaScene *scene = *state;

        must_refuse(scene->client, QUOTA, "JSONDepth", GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER,
                    "CreateVM", "sa{sv}", "vm2", 2, "accelerator", "s", "none", "layout", "s",
                    "{\"guestmap\": 1, \"regions\": [[[[[]]]]]}");
        must_create(scene->client, "vm2"); /* which has left no trace */
}

/* By guestmapd, and by the VM's process of whoever has a connection to it. */
static void test_messages(void **state) {
        QuotaScene *scene = *state;
        static char text[102401];
        sd_bus *own = must_open_connection(scene->client, VM1);

        memset(text, ' ', sizeof(text) - 1);
        must_refuse(scene->client, QUOTA, "MessageBytes", VM1, GUESTMAP_INTERFACE_MAP, "Apply",
                    "sa{sv}", text, 0);
        must_refuse(own, QUOTA, "MessageBytes", VM1, GUESTMAP_INTERFACE_MAP, "Apply", "sa{sv}",
                    text, 0);
        must_refuse(own, QUOTA, "DescriptorsPerCall", VM1, GUESTMAP_INTERFACE_MAP, "Apply", "hhhhh",
                    0, 0, 0, 0, 0);
        sd_bus_flush_close_unref(own);
}

static void expect_refusals(sd_bus *bus, const Answers *answers, unsigned n) {
        wait_for_answers(bus, answers, n);
        assert_int_equal(answers->n, n);
        assert_int_equal(answers->n_refused, n);
}

static void wait_in(sd_bus *bus, unsigned n, Answers *answers) {
        for (unsigned i = 0; i < n; i++)
                assert_true(sd_bus_call_method_async(
                                    bus, NULL, GUESTMAP_SERVICE, VM1 "/space/memory",
                                    GUESTMAP_INTERFACE_ADDRESS_SPACE, "WaitChanges", on_answer,
                                    answers, "tt", UINT64_C(1), UINT64_C(60000000)) >= 0);
}

/* Of seven calls that wait, five may; of the next five on another connection, three. */
static void test_calls(void **state) {
        QuotaScene *scene = *state;
        Answers first = {.quota = "CallsPerClient"}, second = {.quota = "CallsPerUser"};
        sd_bus *one = world_connect(&scene->world), *other = world_connect(&scene->world);

        wait_in(one, 7, &first);
        expect_refusals(one, &first, 2);
        wait_in(other, 5, &second);
        expect_refusals(other, &second, 2);
        sd_bus_flush_close_unref(one);
        sd_bus_flush_close_unref(other);
}

/* Documents that wait for a process that takes nothing: the last ones are refused. */
static void fill(QuotaScene *scene, const char *quota, unsigned n, size_t size,
                 unsigned n_refused) {
        Answers answers = {.quota = quota};
        sd_bus *bus = world_connect(&scene->world);
        pid_t vm = world_newest_vm(&scene->world);
        static char text[40001];

        memset(text, ' ', size);
        text[size] = '\0';
        assert_int_equal(kill(vm, SIGSTOP), 0);
        for (unsigned i = 0; i < n; i++)
                assert_true(sd_bus_call_method_async(bus, NULL, GUESTMAP_SERVICE, VM1,
                                                     GUESTMAP_INTERFACE_MAP, "Apply", on_answer,
                                                     &answers, "sa{sv}", text, 0) >= 0);
        expect_refusals(bus, &answers, n_refused);
        assert_int_equal(kill(vm, SIGCONT), 0);
        wait_for_answers(bus, &answers, n);
        assert_int_equal(answers.n_refused, n_refused);
        sd_bus_flush_close_unref(bus);
}

/* There is room again when they are taken. */
static void test_bytes(void **state) {
        QuotaScene *scene = *state;

        fill(scene, "BytesPerUser: ", 3, 40000, 1);
        add(scene, VM1, "a", "mmio", 1);
}

/* Whoever's they are. */
static void test_what_waits_for_a_vm(void **state) {
        QuotaScene *scene = *state;

        reload(scene, "[VM]\nCallsPerVM=3\n");
        fill(scene, "VM \"vm1\": CallsPerVM: ", 5, 100, 2);
        reload(scene, "[VM]\nBytesPerVM=64K\n");
        fill(scene, "VM \"vm1\": BytesPerVM: ", 4, 40000, 2);
        add(scene, VM1, "a", "mmio", 1);
}

/* What comes is under the new limits; a VM that is there keeps its own. */
static void test_reload(void **state) {
        QuotaScene *scene = *state;

        reload(scene, "[VM]\nRAMBytes=4K\nNonsense=1\n");
        assert_int_equal(limit(scene, "RAMBytes"), 4096);
        assert_int_equal(limit(scene, "VMsPerUser"), 2048);
        add(scene, VM1, "a", "ram", 8192);
        must_create(scene->client, "vm2");
        must_create(scene->client, "vm3");
        refuse_add(scene, "RAMBytes", GUESTMAP_PATH_VM "/vm2", "a", "ram", 8192);
        add(scene, GUESTMAP_PATH_VM "/vm2", "a", "ram", 4096);
}

/* The service manager hears of its beginning and of its end, and how many VMs may be is new. */
static void test_reload_is_told(void **state) {
        QuotaScene *scene = *state;
        int fd;

        world_stop_daemon(&scene->world, SIGTERM);
        fd = deaf_manager_new();
        (void)deaf_manager_read(fd, "");
        assert_true(world_start_daemon(&scene->world));
        reload(scene, "[Service]\nVMs=1\n");
        must_refuse(scene->client, QUOTA, "VMs: 1", GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER,
                    "CreateVM", "sa{sv}", "vm2", 1, "accelerator", "s", "none");
        assert_int_equal(deaf_manager_read(fd, "RELOADING=1\nMONOTONIC_USEC="), 1);
        reload(scene, "[Service]\nVMs=2\n");
        must_create(scene->client, "vm2");
        assert_int_equal(deaf_manager_read(fd, "READY=1\n"), 1);
        close(fd);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, quota_scene_teardown)

FORWARD_TESTS(TEST(test_shown), TEST(test_vms), TEST(test_contents), TEST(test_transactions),
              TEST(test_documents), TEST(test_layouts), TEST(test_messages), TEST(test_calls),
              TEST(test_bytes), TEST(test_what_waits_for_a_vm), TEST(test_reload),
              TEST(test_reload_is_told));
