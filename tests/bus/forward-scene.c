/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <string.h>

#include "api/errors.h"
#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/forward-scene.h"

#define WAIT_USEC 25000000

int forward_scene_setup(void **state) {
        static ForwardScene scene;

        scene = (ForwardScene){};
        *state = &scene;
        if (!forward_open_world(&scene.world, "--system"))
                return -1;
        scene.client = world_connect(&scene.world);
        return scene.client ? 0 : -1;
}

int forward_scene_teardown(void **state) {
        ForwardScene *scene = *state;

        sd_bus_message_unref(scene->reply);
        sd_bus_error_free(&scene->error);
        sd_bus_flush_close_unref(scene->client);
        return world_close(&scene->world) ? 0 : -1;
}

static int call_v(ForwardScene *scene, const char *path, const char *interface, const char *member,
                  const char *types, va_list arguments) {
        scene->reply = sd_bus_message_unref(scene->reply);
        sd_bus_error_free(&scene->error);
        return sd_bus_call_methodv(scene->client, GUESTMAP_SERVICE, path, interface, member,
                                   &scene->error, &scene->reply, types, arguments);
}

sd_bus_message *call(ForwardScene *scene, const char *path, const char *interface,
                     const char *member, const char *types, ...) {
        va_list arguments;
        int r;

        va_start(arguments, types);
        r = call_v(scene, path, interface, member, types, arguments);
        va_end(arguments);
        if (r < 0)
                fail_msg("%s: %s: %s", member, scene->error.name, scene->error.message);
        return scene->reply;
}

void refused(ForwardScene *scene, const char *token, const char *path, const char *interface,
             const char *member, const char *types, ...) {
        const char *prefix = GUESTMAP_ERROR_PREFIX;
        char name[128];
        va_list arguments;
        int r;

        va_start(arguments, types);
        r = call_v(scene, path, interface, member, types, arguments);
        va_end(arguments);
        assert_true(r < 0);
        if (strcmp(token, "AccessDenied") == 0 || strcmp(token, "InvalidArgs") == 0)
                prefix = "org.freedesktop.DBus.Error.";
        snprintf(name, sizeof(name), "%s%s", prefix, token);
        assert_string_equal(scene->error.name, name);
        assert_int_equal(strncmp(scene->error.message, token, strlen(token)), 0);
        assert_int_equal(scene->error.message[strlen(token)], ':');
}

uint64_t add_region(ForwardScene *scene, const char *vm, const char *name, const char *kind,
                    uint64_t size, uint64_t offset) {
        uint64_t generation;

        call(scene, vm, GUESTMAP_INTERFACE_MAP, "AddRegion", "sststia{sv}", name, kind, size,
             "system", offset, 0, 0);
        assert_true(sd_bus_message_read(scene->reply, "t", &generation) > 0);
        return generation;
}

const char *text_of(ForwardScene *scene, const char *vm, const char *property) {
        const char *text;

        call(scene, vm, PROPERTIES, "Get", "ss", GUESTMAP_INTERFACE_VM, property);
        assert_true(sd_bus_message_read(scene->reply, "v", "s", &text) > 0);
        return text;
}

void listen_on(sd_bus *bus) {
        assert_true(sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                       "org.freedesktop.DBus", "AddMatch", NULL, NULL, "s",
                                       "type='signal',sender='" GUESTMAP_SERVICE "'") >= 0);
}

static sd_bus_message *next_signal(sd_bus *bus) {
        sd_bus_message *m = NULL;

        for (;;) {
                int r = sd_bus_process(bus, &m);

                assert_true(r >= 0);
                if (m && sd_bus_message_is_signal(m, NULL, NULL) &&
                    strncmp(sd_bus_message_get_path(m), GUESTMAP_PATH, strlen(GUESTMAP_PATH)) == 0)
                        return m;
                m = sd_bus_message_unref(m);
                if (r == 0)
                        assert_true(sd_bus_wait(bus, WAIT_USEC) > 0);
        }
}

void expect_signal(sd_bus *bus, const char *path, const char *member) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = next_signal(bus);

        assert_string_equal(sd_bus_message_get_member(m), member);
        assert_string_equal(sd_bus_message_get_path(m), path);
}

void expect_committed(sd_bus *bus, uint64_t generation, uint64_t previous) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        uint64_t got, before;

        do {
                sd_bus_message_unref(m);
                m = next_signal(bus);
        } while (strcmp(sd_bus_message_get_member(m), "Committed") != 0);
        assert_true(sd_bus_message_read(m, "tt", &got, &before) > 0);
        assert_int_equal(got, generation);
        assert_int_equal(before, previous);
}

const char *output_of(ForwardScene *scene, const char *verb, const char *arguments) {
        static char text[65536];
        char command[512];
        size_t n;
        FILE *pipe;

        snprintf(command, sizeof(command), "busctl --address=%s %s %s %s", scene->world.address,
                 verb, GUESTMAP_SERVICE, arguments);
        pipe = popen(command, "re");
        assert_non_null(pipe);
        n = fread(text, 1, sizeof(text) - 1, pipe);
        text[n] = '\0';
        assert_int_equal(pclose(pipe), 0);
        return text;
}

void assert_has(const char *text, const char *part) {
        if (strstr(text, part))
                return;
        fputs(text, stderr);
        fputs("lacks: ", stderr);
        fputs(part, stderr);
        fail();
}
