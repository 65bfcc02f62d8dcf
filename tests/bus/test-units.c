/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * guestmapd whose VMs are units: what it asks of systemd, and how it ends meanwhile
 *
 * The test is systemd, which answers nothing, the client, and guestmapd itself.
 */

#include <stdio.h>

#include "api/names.h"
#include "daemon/manager/manager.h"
#include "daemon/manager/unit-dbus.h"
#include "lib/util/cleanup.h"
#include "tests/bus/world.h"
#include "tests/common/unit.h"

#define SYSTEMD "org.freedesktop.systemd1"

enum { WAIT_USEC = 10000000 };

typedef struct Scene {
        World world;
        char runtime[80], state[80], config[80];
        sd_event *event;
        sd_bus *systemd;
        sd_bus *client;
        Manager *manager;
        unsigned n_asked;
} Scene;

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Scene *scene = userdata;

        scene->n_asked++;
        return 1;
}

static const sd_bus_vtable systemd_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("SetUnitProperties", "sba(sv)", "", on_call, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static void run_until(Scene *scene, const bool *is_done, unsigned n_asked) {
        while (is_done ? !*is_done : scene->n_asked < n_asked)
                assert_true(sd_event_run(scene->event, WAIT_USEC) > 0);
}

static void start_guestmapd(Scene *scene) {
        const char *directory = scene->world.directory;
        const Settings settings = {
                .user = true, /* who may create VMs without a polkit */
                .units = true,
                .address = scene->world.address,
                .runtime_dir = scene->runtime,
                .state_dir = scene->state,
                .config = scene->config,
                .vmd = "/nonexistent",
        };

        snprintf(scene->runtime, sizeof(scene->runtime), "%s/run", directory);
        snprintf(scene->state, sizeof(scene->state), "%s/state", directory);
        snprintf(scene->config, sizeof(scene->config), "%s/guestmapd.conf", directory);
        assert_true(manager_new(&scene->manager, &settings) >= 0);
        assert_true(manager_start(scene->manager) >= 0);
        run_until(scene, &scene->manager->named, 0);
}

static void setup(Scene *scene) {
        assert_true(sd_event_default(&scene->event) >= 0);
        scene->world.kind = "dbus-daemon";
        assert_true(world_open_bus(&scene->world));
        scene->systemd = world_connect(&scene->world);
        scene->client = world_connect(&scene->world);
        assert_true(scene->systemd && scene->client);
        assert_true(sd_bus_add_object_vtable(scene->systemd, NULL, "/org/freedesktop/systemd1",
                                             SYSTEMD ".Manager", systemd_vtable, scene) >= 0);
        assert_true(sd_bus_request_name(scene->systemd, SYSTEMD, 0) >= 0);
        assert_true(sd_bus_attach_event(scene->systemd, scene->event, 0) >= 0);
        assert_true(sd_bus_attach_event(scene->client, scene->event, 0) >= 0);
        start_guestmapd(scene);
}

static void teardown(Scene *scene) {
        sd_bus_flush_close_unref(scene->client);
        sd_bus_flush_close_unref(scene->systemd);
        sd_event_unref(scene->event);
        assert_true(world_close(&scene->world));
}

static void create(Scene *scene, unsigned n) {
        char name[16];

        for (unsigned i = 0; i < n; i++) {
                snprintf(name, sizeof(name), "vm%u", i);
                assert_true(sd_bus_call_method_async(scene->client, NULL, GUESTMAP_SERVICE,
                                                     GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER,
                                                     "CreateVM", NULL, NULL, "sa{sv}", name, 1,
                                                     "accelerator", "s", "none") >= 0);
        }
}

static int on_pong(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        *(bool *)userdata = true;
        return 1;
}

/* Until all that was sent before has come. */
static void settle(Scene *scene) {
        bool is_done = false;

        assert_true(sd_bus_call_method_async(scene->client, NULL, SYSTEMD, "/",
                                             "org.freedesktop.DBus.Peer", "Ping", on_pong, &is_done,
                                             NULL) >= 0);
        run_until(scene, &is_done, 0);
}

static void test_ends_while_a_unit_starts(void **state) {
        Scene scene = {};

        setup(&scene);
        create(&scene, 1);
        run_until(&scene, NULL, 1);
        manager_free(scene.manager);
        teardown(&scene);
}

/* What nobody would hear of any more is not begun. */
static void test_asks_for_nothing_more_when_it_ends(void **state) {
        Scene scene = {};

        setup(&scene);
        create(&scene, UNIT_CALLS_MAX + 2);
        run_until(&scene, NULL, UNIT_CALLS_MAX);
        settle(&scene);
        assert_int_equal(scene.n_asked, UNIT_CALLS_MAX);
        manager_free(scene.manager);
        settle(&scene);
        assert_int_equal(scene.n_asked, UNIT_CALLS_MAX);
        teardown(&scene);
}

UNIT_TESTS(cmocka_unit_test(test_ends_while_a_unit_starts),
           cmocka_unit_test(test_asks_for_nothing_more_when_it_ends));
