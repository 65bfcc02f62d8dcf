/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/errors.h"
#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/quota-scene.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"

static void configure(QuotaScene *scene, const char *text) {
        _cleanup_(fclosep) FILE *file = NULL;
        char path[128];

        snprintf(path, sizeof(path), "%s/guestmap/guestmapd.conf", scene->directory);
        file = fopen(path, "we");
        assert_non_null(file);
        fputs(text, file);
}

int quota_scene_open(void **state, const char *config) {
        static QuotaScene scene;
        char path[64];

        scene = (QuotaScene){.directory = "/tmp/guestmap-quotas-XXXXXX"};
        *state = &scene;
        if (!mkdtemp(scene.directory))
                return -1;
        snprintf(path, sizeof(path), "%s/guestmap", scene.directory);
        if (mkdir(path, 0700) < 0)
                return -1;
        setenv("XDG_CONFIG_HOME", scene.directory, 1);
        configure(&scene, config);
        if (!forward_open_world(&scene.world, "--user"))
                return -1;
        scene.client = world_connect(&scene.world);
        if (!scene.client)
                return -1;
        must_create(scene.client, "vm1");
        return 0;
}

int quota_scene_teardown(void **state) {
        QuotaScene *scene = *state;
        char path[128];

        sd_bus_flush_close_unref(scene->client);
        snprintf(path, sizeof(path), "%s/guestmap/guestmapd.conf", scene->directory);
        (void)unlink(path);
        *strrchr(path, '/') = '\0';
        (void)rmdir(path);
        (void)rmdir(scene->directory);
        return world_close(&scene->world) ? 0 : -1;
}

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        *(bool *)userdata = true;
        return 0;
}

void reload(QuotaScene *scene, const char *text) {
        sd_bus_slot *slot = NULL;
        bool changed = false;

        assert_true(sd_bus_match_signal(scene->client, &slot, GUESTMAP_SERVICE, GUESTMAP_PATH,
                                        PROPERTIES, "PropertiesChanged", on_changed,
                                        &changed) >= 0);
        configure(scene, text);
        assert_int_equal(kill(scene->world.daemon, SIGHUP), 0);
        while (!changed)
                must_process(scene->client);
        sd_bus_slot_unref(slot);
}

uint64_t limit(QuotaScene *scene, const char *wanted) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint64_t value, found = 0;
        const char *name;

        reply = must_call(scene->client, GUESTMAP_PATH, PROPERTIES, "Get", "ss",
                          GUESTMAP_INTERFACE_MANAGER, "Limits");
        assert_true(sd_bus_message_enter_container(reply, 'v', "a{st}") > 0);
        assert_true(sd_bus_message_enter_container(reply, 'a', "{st}") > 0);
        while (sd_bus_message_read(reply, "{st}", &name, &value) > 0)
                if (strcmp(name, wanted) == 0)
                        found = value;
        return found;
}

void add(QuotaScene *scene, const char *map, const char *name, const char *kind, uint64_t size) {
        sd_bus_message_unref(must_call(scene->client, map, GUESTMAP_INTERFACE_MAP, "AddRegion",
                                       "sststia{sv}", name, kind, size, "", UINT64_C(0), 0, 0));
}

void refuse_add(QuotaScene *scene, const char *quota, const char *map, const char *name,
                const char *kind, uint64_t size) {
        must_refuse(scene->client, QUOTA, quota, map, GUESTMAP_INTERFACE_MAP, "AddRegion",
                    "sststia{sv}", name, kind, size, "", UINT64_C(0), 0, 0);
}

int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *got = sd_bus_message_get_error(m);
        Answers *answers = userdata;

        answers->n++;
        answers->n_refused +=
                got && strcmp(got->name, QUOTA) == 0 && strstr(got->message, answers->quota);
        return 1;
}

void wait_for_answers(sd_bus *bus, const Answers *answers, unsigned n) {
        while (answers->n < n)
                must_process(bus);
}
