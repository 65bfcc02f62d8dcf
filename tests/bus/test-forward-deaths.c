/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The death of any one process is told and harms no other: test-forward-deaths KIND GUESTMAPD
 */

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/errors.h"
#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/forward-scene.h"

static unsigned count_transactions(ForwardScene *scene) {
        unsigned n = 0;

        call(scene, VM1, GUESTMAP_INTERFACE_VM, "ListTransactions", NULL);
        assert_true(sd_bus_message_enter_container(scene->reply, 'a', "(otu)") >= 0);
        while (sd_bus_message_skip(scene->reply, "(otu)") > 0)
                n++;
        return n;
}

static void test_client_dies_with_transaction(void **state) {
        ForwardScene *scene = *state;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *begun = NULL;
        sd_bus *other = world_connect(&scene->world);
        const char *transaction;
        uint64_t before;

        must_create(scene->client, "vm1");
        before = must_get_generation(scene->client, VM1);
        assert_true(sd_bus_call_method(other, GUESTMAP_SERVICE, VM1, GUESTMAP_INTERFACE_VM, "Begin",
                                       NULL, &begun, "ta{sv}", 0ul, 0) >= 0);
        assert_true(sd_bus_message_read(begun, "o", &transaction) > 0);
        assert_true(sd_bus_call_method(other, GUESTMAP_SERVICE, transaction, GUESTMAP_INTERFACE_MAP,
                                       "AddRegion", NULL, NULL, "sststia{sv}", "a", "mmio",
                                       0x1000ul, "system", 0ul, 0, 0) >= 0);
        assert_int_equal(count_transactions(scene), 1);
        sd_bus_close_unref(other);
        for (unsigned tries = 0; count_transactions(scene) > 0; tries++)
                assert_true(tries < 1000);
        assert_int_equal(must_get_generation(scene->client, VM1), before);
}

static int on_failure(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        assert_string_equal(sd_bus_message_get_error(m)->name,
                            GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_VM_GONE);
        *(bool *)userdata = true;
        return 1;
}

static void test_vm_process_dies(void **state) {
        ForwardScene *scene = *state;
        sd_bus *watcher = world_connect(&scene->world);
        bool told = false;
        uint64_t before;
        const char *text;
        pid_t vm;

        must_create(scene->client, "vm2");
        must_create(scene->client, "vm1");
        vm = world_newest_vm(&scene->world);
        before = add_region(scene, VM1, "a", "mmio", 0x1000, 0);
        /* The commit's signals are out, too. */
        assert_int_equal(must_get_generation(scene->client, VM1), before);
        listen_on(watcher);
        assert_true(sd_bus_call_method_async(watcher, NULL, GUESTMAP_SERVICE, MEMORY,
                                             GUESTMAP_INTERFACE_ADDRESS_SPACE, "WaitChanges",
                                             on_failure, &told, "tt", before, 60000000ul) >= 0);
        /* A call on the same connection afterwards: the one that waits has been forwarded. */
        assert_true(sd_bus_call_method(watcher, GUESTMAP_SERVICE, VM1, PROPERTIES, "GetAll", NULL,
                                       NULL, "s", "") >= 0);
        kill(vm, SIGKILL);
        expect_signal(watcher, VM1, "PropertiesChanged");
        assert_true(told);
        expect_signal(watcher, VM1, "PropertiesChanged");

        assert_string_equal(text_of(scene, VM1, "State"), "running");
        assert_int_equal(must_get_generation(scene->client, VM1), before);
        text = output_of(scene, "introspect", VM1 "/region/a");
        assert_has(text, "\"mmio\"");
        assert_int_equal(add_region(scene, VM1, "b", "mmio", 0x1000, 0x1000), before + 1);
        expect_committed(watcher, before + 1, before);
        output_of(scene, "tree", "");
        before = add_region(scene, VM2, "a", "mmio", 0x1000, 0);
        assert_int_equal(must_get_generation(scene->client, VM2), before);

        must_destroy(scene->client, "vm1");
        expect_committed(watcher, before, before - 1);
        expect_signal(watcher, GUESTMAP_PATH, "VMRemoved");
        must_create(scene->client, "vm1");
        assert_string_equal(text_of(scene, VM1, "State"), "running");
        sd_bus_flush_close_unref(watcher);
}

/* A process that hangs is ended by force, also by a guestmapd that did not start it. */
static void test_vm_process_hangs(void **state) {
        ForwardScene *scene = *state;
        pid_t vm;

        must_create(scene->client, "vm1");
        vm = world_newest_vm(&scene->world);
        world_stop_daemon(&scene->world, SIGKILL);
        assert_true(world_start_daemon(&scene->world));
        kill(vm, SIGSTOP);
        must_destroy(scene->client, "vm1");
        assert_true(world_process_ends(vm));
}

static int on_destroyed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        assert_string_equal(sd_bus_message_get_error(m)->message,
                            GUESTMAP_ERROR_VM_GONE ": VM \"vm1\" was destroyed during the call");
        ++*(unsigned *)userdata;
        return 1;
}

/* Who waits for memory, or for a change, is told that neither will come. */
static void test_vm_is_destroyed(void **state) {
        ForwardScene *scene = *state;
        sd_bus *waiting = world_connect(&scene->world);
        unsigned n_told = 0;

        must_create(scene->client, "vm1");
        kill(world_newest_vm(&scene->world), SIGSTOP);
        assert_true(sd_bus_call_method_async(waiting, NULL, GUESTMAP_SERVICE, VM1,
                                             GUESTMAP_INTERFACE_MAP, "AddRegion", on_destroyed,
                                             &n_told, "sststia{sv}", "a", "ram", 1ul << 30,
                                             "system", 0ul, 0, 1, "prealloc", "b", 1) >= 0);
        assert_true(sd_bus_call_method_async(waiting, NULL, GUESTMAP_SERVICE, MEMORY,
                                             GUESTMAP_INTERFACE_ADDRESS_SPACE, "WaitChanges",
                                             on_destroyed, &n_told, "tt", 1ul, 60000000ul) >= 0);
        /* guestmapd itself answers it, when it has forwarded those before. */
        assert_true(sd_bus_call_method(waiting, GUESTMAP_SERVICE, GUESTMAP_PATH,
                                       GUESTMAP_INTERFACE_MANAGER, "ListVMs", NULL, NULL, "") >= 0);
        must_destroy(scene->client, "vm1");
        while (n_told < 2)
                if (sd_bus_process(waiting, NULL) == 0)
                        assert_true(sd_bus_wait(waiting, 10000000) > 0);
        sd_bus_flush_close_unref(waiting);
}

static void test_daemon_dies(void **state) {
        ForwardScene *scene = *state;
        _cleanup_(freep) char *id = NULL;
        uint64_t before;
        pid_t dead;

        must_create(scene->client, "vm1");
        before = add_region(scene, VM1, "a", "mmio", 0x1000, 0);
        id = strdup(text_of(scene, VM1, "ID"));
        must_create(scene->client, "vm2");
        dead = world_newest_vm(&scene->world);

        world_stop_daemon(&scene->world, SIGKILL);
        kill(dead, SIGKILL);
        assert_true(world_process_ends(dead));
        assert_true(world_start_daemon(&scene->world));
        assert_int_equal(must_get_generation(scene->client, VM1), before);
        assert_string_equal(text_of(scene, VM1, "ID"), id);
        assert_int_equal(add_region(scene, VM1, "b", "mmio", 0x1000, 0x1000), before + 1);
        call(scene, VM2, GUESTMAP_INTERFACE_VM, "GetLayout", "a{sv}", 0);
        must_destroy(scene->client, "vm1");
}

static void test_bus_dies(void **state) {
        ForwardScene *scene = *state;
        uint64_t before;
        pid_t daemon = scene->world.daemon;
        const char *text;

        must_create(scene->client, "vm1");
        before = add_region(scene, VM1, "a", "mmio", 0x1000, 0);
        scene->reply = sd_bus_message_unref(scene->reply);
        scene->client = sd_bus_close_unref(scene->client);
        world_stop_bus(&scene->world);
        assert_true(world_start_bus(&scene->world));
        scene->client = world_connect(&scene->world);
        assert_non_null(scene->client);
        for (unsigned tries = 0; tries < 100; tries++) {
                if (sd_bus_call_method(scene->client, GUESTMAP_SERVICE, GUESTMAP_PATH,
                                       "org.freedesktop.DBus.Peer", "Ping", NULL, NULL, "") >= 0)
                        break;
                usleep(20000);
        }
        assert_int_equal(waitpid(daemon, NULL, WNOHANG), 0);
        assert_int_equal(must_get_generation(scene->client, VM1), before);
        assert_int_equal(add_region(scene, VM1, "b", "mmio", 0x1000, 0x1000), before + 1);
        text = output_of(scene, "introspect", VM1);
        assert_has(text, ".AddRegion");
}

FORWARD_TESTS(FORWARD_TEST(test_client_dies_with_transaction), FORWARD_TEST(test_vm_process_dies),
              FORWARD_TEST(test_vm_process_hangs), FORWARD_TEST(test_vm_is_destroyed),
              FORWARD_TEST(test_daemon_dies), FORWARD_TEST(test_bus_dies));
