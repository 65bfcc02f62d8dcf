/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/recovery-scene.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *unused) {
        const sd_bus_error *error = sd_bus_message_get_error(m);
        Ask *ask = userdata;

        if (error)
                snprintf(ask->error, sizeof(ask->error), "%s %s", error->name, error->message);
        else if (sd_bus_message_has_signature(m, "t"))
                assert_true(sd_bus_message_read(m, "t", &ask->number) > 0);
        ask->answered = true;
        return 1;
}

static void ask_v(RecoveryScene *scene, Ask *asked, const char *path, const char *interface,
                  const char *member, const char *types, va_list arguments) {
        *asked = (Ask){};
        assert_true(sd_bus_call_method_asyncv(scene->client, &asked->slot, GUESTMAP_SERVICE, path,
                                              interface, member, on_answer, asked, types,
                                              arguments) >= 0);
}

void ask(RecoveryScene *scene, Ask *asked, const char *path, const char *interface,
         const char *member, const char *types, ...) {
        va_list arguments;

        va_start(arguments, types);
        ask_v(scene, asked, path, interface, member, types, arguments);
        va_end(arguments);
}

void await(RecoveryScene *scene, Ask *asked) {
        while (!asked->answered)
                must_process(scene->client);
        sd_bus_slot_unref(asked->slot);
}

void refused(RecoveryScene *scene, const char *part, const char *path, const char *interface,
             const char *member, const char *types, ...) {
        va_list arguments;
        Ask asked;

        va_start(arguments, types);
        ask_v(scene, &asked, path, interface, member, types, arguments);
        va_end(arguments);
        await(scene, &asked);
        if (!strstr(asked.error, part))
                fail_msg("%s: \"%s\", not %s", member, asked.error, part);
}

void ask_region(RecoveryScene *scene, Ask *asked, const char *map, const char *name,
                uint64_t offset) {
        ask(scene, asked, map, GUESTMAP_INTERFACE_MAP, "AddRegion", "sststia{sv}", name, "ram",
            UINT64_C(0x1000), "system", offset, 0, 0);
}

uint64_t add_region(RecoveryScene *scene, const char *map, const char *name, uint64_t offset) {
        Ask asked;

        ask_region(scene, &asked, map, name, offset);
        await(scene, &asked);
        assert_string_equal(asked.error, "");
        return asked.number;
}

void create_vm(RecoveryScene *scene, bool durable) {
        sd_bus_message_unref(must_call(scene->client, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER,
                                       "CreateVM", "sa{sv}", "vm", 2, "accelerator", "s", "none",
                                       "durable", "b", durable));
}

uint64_t generation_of_vm(RecoveryScene *scene) {
        return must_get_generation(scene->client, VM);
}

bool has_text(RecoveryScene *scene, const char *property, const char *expected) {
        _cleanup_(freep) char *text = must_get_text(scene->client, VM, property);

        return strcmp(text, expected) == 0;
}

void expect_state(RecoveryScene *scene, const char *state) {
        for (unsigned waited = 0; !has_text(scene, "State", state); waited += STEP) {
                assert_true(waited < PATIENCE);
                usleep(STEP);
        }
}

unsigned count_vms(RecoveryScene *scene) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        unsigned n = 0;

        reply = must_call(scene->client, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "ListVMs",
                          NULL);
        assert_true(sd_bus_message_enter_container(reply, 'a', "(sots)") > 0);
        while (sd_bus_message_skip(reply, "(sots)") > 0)
                n++;
        return n;
}

void poke(RecoveryScene *scene, uint64_t address, uint8_t byte) {
        sd_bus_message_unref(must_call(scene->client, MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE,
                                       "Write", "tay", address, 1, byte));
}

uint8_t peek(RecoveryScene *scene, uint64_t address) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const void *bytes;
        size_t n;

        reply = must_call(scene->client, MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE, "Read", "tt",
                          address, UINT64_C(1));
        assert_true(sd_bus_message_read_array(reply, 'y', &bytes, &n) > 0);
        assert_int_equal(n, 1);
        return *(const uint8_t *)bytes;
}

void close_door(RecoveryScene *scene) {
        int fd = open(scene->door, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        close(fd);
}

void open_door(RecoveryScene *scene) {
        assert_int_equal(unlink(scene->door), 0);
}

/* What serves VMs, once the door is open. */
static bool make_door(RecoveryScene *scene) {
        const char *program = scene->world.guestmapd;
        char path[80];
        FILE *file;

        snprintf(scene->door, sizeof(scene->door), "%s/closed", scene->world.directory);
        snprintf(path, sizeof(path), "%s/vmd", scene->world.directory);
        snprintf(scene->option, sizeof(scene->option), "--vmd=%s", path);
        file = fopen(path, "we");
        if (!file)
                return false;
        fprintf(file, "#!/bin/sh\nwhile [ -e '%s' ]; do sleep 0.01; done\nexec '%.*s-vmd'\n",
                scene->door, (int)strlen(program) - 1, program);
        return fclose(file) == 0 && chmod(path, 0700) == 0;
}

static int on_change(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        RecoveryScene *scene = userdata;

        scene->n_changes++;
        return 0;
}

int recovery_scene_setup(void **state) {
        static RecoveryScene scene;

        scene = (RecoveryScene){};
        *state = &scene;
        if (!forward_open_world(&scene.world, "--system") || !make_door(&scene))
                return -1;
        scene.world.option = scene.option;
        world_stop_daemon(&scene.world, SIGTERM);
        if (!world_start_daemon(&scene.world))
                return -1;
        scene.client = world_connect(&scene.world);
        if (!scene.client)
                return -1;
        return sd_bus_match_signal(scene.client, NULL, GUESTMAP_SERVICE, VM, PROPERTIES,
                                   "PropertiesChanged", on_change, &scene) < 0;
}

int recovery_scene_teardown(void **state) {
        RecoveryScene *scene = *state;

        sd_bus_flush_close_unref(scene->client);
        return world_close(&scene->world) ? 0 : -1;
}

void process_until_more_than(RecoveryScene *scene, const uint64_t *n, uint64_t limit) {
        while (*n <= limit)
                must_process(scene->client);
}

/* Of a guestmapd that has found it its process is no child. */
pid_t pid_of_vm(RecoveryScene *scene) {
        pid_t pid = world_newest_vm(&scene->world);

        if (pid > 0)
                scene->vm = pid;
        assert_true(scene->vm > 0);
        return scene->vm;
}

void kill_vm(RecoveryScene *scene) {
        kill(pid_of_vm(scene), SIGKILL);
}

void replace_process(RecoveryScene *scene) {
        uint64_t before = scene->n_changes;

        kill_vm(scene);
        process_until_more_than(scene, &scene->n_changes, before + 1);
}

void replace_vm(RecoveryScene *scene) {
        replace_process(scene);
        assert_true(has_text(scene, "State", "running"));
}

void restart_daemon(RecoveryScene *scene, int signal) {
        world_stop_daemon(&scene->world, signal);
        assert_true(world_start_daemon(&scene->world));
}
