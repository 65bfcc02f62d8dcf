/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A client's own connection to its VM's process: test-forward-connections KIND GUESTMAPD
 */

#include <signal.h>
#include <time.h>

#include "api/names.h"
#include "tests/bus/forward-scene.h"

static bool has_transactions(ForwardScene *scene) {
        call(scene, VM1, GUESTMAP_INTERFACE_VM, "ListTransactions", NULL);
        assert_true(sd_bus_message_enter_container(scene->reply, 'a', "(otu)") > 0);
        return sd_bus_message_at_end(scene->reply, 0) == 0;
}

/* Needs neither guestmapd nor the bus once it is there, and ends with the VM. */
static void test_connections_of_ones_own(void **state) {
        ForwardScene *scene = *state;
        sd_bus *own, *before = scene->client;
        uint64_t generation;

        must_create(scene->client, "vm1");
        own = must_open_connection(scene->client, VM1);
        scene->client = own;
        generation = add_region(scene, VM1, "a", "mmio", 0x1000, 0);
        call(scene, VM1, GUESTMAP_INTERFACE_VM, "Begin", "ta{sv}", UINT64_C(0), 0);
        scene->client = before;
        assert_int_equal(must_get_generation(scene->client, VM1), generation);
        world_stop_daemon(&scene->world, SIGKILL);
        scene->client = own;
        assert_int_equal(add_region(scene, VM1, "b", "mmio", 0x1000, 0), generation + 1);
        scene->client = before;
        assert_true(world_start_daemon(&scene->world));
        assert_int_equal(must_get_generation(scene->client, VM1), generation + 1);
        assert_true(has_transactions(scene));
        sd_bus_close_unref(own);
        for (unsigned tries = 0; tries < 1000 && has_transactions(scene); tries++)
                nanosleep(&(struct timespec){.tv_nsec = 5000000L}, NULL);
        assert_false(has_transactions(scene));
        own = must_open_connection(scene->client, VM1);
        must_destroy(scene->client, "vm1");
        assert_true(sd_bus_call_method(own, GUESTMAP_SERVICE, VM1, GUESTMAP_INTERFACE_VM,
                                       "GetSlots", NULL, NULL, NULL) < 0);
        sd_bus_close_unref(own);
}

/* The VM goes as it does by the bus, and guestmapd does not take it for a crash. */
static void test_destroyed_by_ones_own_connection(void **state) {
        ForwardScene *scene = *state;
        sd_bus *own;

        listen_on(scene->client);
        must_create(scene->client, "vm1");
        expect_signal(scene->client, GUESTMAP_PATH, "VMNew");
        expect_signal(scene->client, GUESTMAP_PATH, "InterfacesAdded");
        own = must_open_connection(scene->client, VM1);
        assert_true(sd_bus_call_method(own, GUESTMAP_SERVICE, VM1, GUESTMAP_INTERFACE_VM, "Destroy",
                                       NULL, NULL, "a{sv}", 0) >= 0);
        sd_bus_close_unref(own);
        expect_signal(scene->client, GUESTMAP_PATH, "VMRemoved");
        must_create(scene->client, "vm1");
}

FORWARD_TESTS(FORWARD_TEST(test_connections_of_ones_own),
              FORWARD_TEST(test_destroyed_by_ones_own_connection));
