/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * guestmapd whose VMs are units: what it asks of systemd, and how it ends meanwhile
 *
 * The test is systemd, which answers nothing, the client, and guestmapd itself.
 */

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "api/names.h"
#include "daemon/manager/manager.h"
#include "daemon/manager/unit-dbus.h"
#include "lib/util/cleanup.h"
#include "tests/common/caught-journal.h"
#include "tests/bus/world.h"
#include "tests/common/unit.h"

#define SYSTEMD   "org.freedesktop.systemd1"
#define UNIT      "guestmap-vm@vm0.service"
#define UNIT_PATH "/org/freedesktop/systemd1/unit/guestmap_2dvm_40vm0_2eservice"

enum { WAIT_USEC = 10000000 };

typedef struct Scene {
        World world;
        char runtime[80], state[80], config[80];
        sd_event *event;
        sd_bus *systemd;
        sd_bus *client;
        Manager *manager;
        unsigned n_asked;
        bool starts_fail, has_started;
        bool has_durable; /* vm0 */
        bool is_inactive; /* its unit; otherwise systemd says nothing of it */
        uint64_t memory_max, memory_max_at_start;
        /* Properties of a service that has failed. */
        const char *result, *status_text;
        int32_t exit_code, exit_status, status_errno;
        char error[512]; /* of the last reply */
        bool is_answered;
} Scene;

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Scene *scene = userdata;

        scene->n_asked++;
        return scene->starts_fail ? sd_bus_reply_method_return(m, NULL) : 1;
}

static int on_limit(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *unit, *name;
        Scene *scene = userdata;
        int runtime;

        assert_true(sd_bus_message_read(m, "sba(sv)", &unit, &runtime, 1, &name, "t",
                                        &scene->memory_max) > 0);
        assert_string_equal(name, "MemoryMax");
        assert_true(runtime);
        return on_call(m, userdata, error);
}

static int on_look(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const Scene *scene = userdata;

        if (!scene->is_inactive)
                return 1;
        assert_true(sd_bus_message_new_method_return(m, &reply) >= 0);
        assert_true(sd_bus_message_append(reply, "a(ssssssouso)", 1, UNIT, "", "loaded", "inactive",
                                          "dead", "", UNIT_PATH, 0, "", "/") >= 0);
        return sd_bus_send(NULL, reply, NULL);
}

/* A job, which ends at once: no start goes well. */
static int on_job(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *path = "/org/freedesktop/systemd1/job/1";
        bool is_start = sd_bus_message_is_method_call(m, NULL, "StartUnit");
        Scene *scene = userdata;
        const char *unit;

        scene->has_started = scene->has_started || is_start;
        if (is_start)
                scene->memory_max_at_start = scene->memory_max;
        assert_true(sd_bus_message_read(m, "s", &unit) > 0);
        assert_true(sd_bus_reply_method_return(m, "o", path) >= 0);
        return sd_bus_emit_signal(sd_bus_message_get_bus(m), "/org/freedesktop/systemd1",
                                  SYSTEMD ".Manager", "JobRemoved", "uoss", 1, path, unit,
                                  is_start ? "failed" : "done");
}

static const sd_bus_vtable systemd_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("SetUnitProperties", "sba(sv)", "", on_limit, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ListUnitsByNames", "as", "a(ssssssouso)", on_look,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("StartUnit", "ss", "o", on_job, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("StopUnit", "ss", "o", on_job, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ResetFailedUnit", "s", "", on_call, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("CleanUnit", "sas", "", on_call, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL("JobRemoved", "uoss", 0),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable service_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Restart", "s", NULL, offsetof(Scene, result), 0),
        SD_BUS_PROPERTY("Result", "s", NULL, offsetof(Scene, result), 0),
        SD_BUS_PROPERTY("ExecMainCode", "i", NULL, offsetof(Scene, exit_code), 0),
        SD_BUS_PROPERTY("ExecMainStatus", "i", NULL, offsetof(Scene, exit_status), 0),
        SD_BUS_PROPERTY("StatusText", "s", NULL, offsetof(Scene, status_text), 0),
        SD_BUS_PROPERTY("StatusErrno", "i", NULL, offsetof(Scene, status_errno), 0),
        SD_BUS_VTABLE_END,
};

static void run_until(Scene *scene, const bool *is_done, unsigned n_asked) {
        while (is_done ? !*is_done : scene->n_asked < n_asked)
                assert_true(sd_event_run(scene->event, WAIT_USEC) > 0);
}

static void make_durable(const Scene *scene) {
        char path[96];
        FILE *file;

        assert_int_equal(mkdir(scene->state, 0700), 0);
        snprintf(path, sizeof(path), "%s/vm0.vm", scene->state);
        file = fopen(path, "we");
        assert_non_null(file);
        fprintf(file, "vm0 0123456789abcdef0123456789abcdef 0\n");
        assert_int_equal(fclose(file), 0);
}

static void write_config(const Scene *scene) {
        FILE *file = fopen(scene->config, "we");

        assert_non_null(file);
        fprintf(file, "[VM]\nMemoryMax=512M\n");
        assert_int_equal(fclose(file), 0);
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
        write_config(scene);
        if (scene->has_durable)
                make_durable(scene);
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
        assert_true(sd_bus_add_object_vtable(scene->systemd, NULL, UNIT_PATH, SYSTEMD ".Service",
                                             service_vtable, scene) >= 0);
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

static int on_created(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *failed = sd_bus_message_get_error(m);
        Scene *scene = userdata;

        snprintf(scene->error, sizeof(scene->error), "%s", failed ? failed->message : "");
        scene->is_answered = true;
        return 1;
}

static void create(Scene *scene, unsigned n) {
        char name[16];

        for (unsigned i = 0; i < n; i++) {
                snprintf(name, sizeof(name), "vm%u", i);
                assert_true(sd_bus_call_method_async(scene->client, NULL, GUESTMAP_SERVICE,
                                                     GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER,
                                                     "CreateVM", on_created, scene, "sa{sv}", name,
                                                     1, "accelerator", "s", "none") >= 0);
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

static void create_fails(Scene *scene, const char *why) {
        char expected[512];

        snprintf(expected, sizeof(expected),
                 "Failed: VM \"vm0\": its unit " UNIT ": %s; \"journalctl --unit=" UNIT
                 "\" may say more",
                 why);
        scene->is_answered = false;
        create(scene, 1);
        run_until(scene, &scene->is_answered, 0);
        assert_string_equal(scene->error, expected);
}

/* As much as systemd knows: what the process has said, which step it was, how it ended. */
static void test_says_why_a_unit_does_not_start(void **state) {
        Scene scene = {
                .starts_fail = true,
                .result = "exit-code",
                .status_text = "no VM yet",
                .exit_code = CLD_EXITED,
                .exit_status = 233,
        };

        setup(&scene);
        create_fails(&scene, "exit-code 233: its directory in /run cannot be made");
        scene.exit_status = 1;
        create_fails(&scene, "exit-code 1");
        scene.status_text = "No space left on device";
        scene.status_errno = ENOSPC;
        create_fails(&scene, "exit-code: No space left on device");
        scene.status_errno = 0;
        scene.result = "signal";
        scene.exit_code = CLD_KILLED;
        scene.exit_status = 9;
        create_fails(&scene, "signal 9");
        scene.result = "resources";
        scene.exit_code = scene.exit_status = 0;
        create_fails(&scene, "resources");
        scene.result = "success"; /* it was started once more */
        create_fails(&scene, "failed");
        manager_free(scene.manager);
        teardown(&scene);
}

static unsigned count_files(const char *path) {
        DIR *stream = opendir(path);
        unsigned n = 0;

        assert_non_null(stream);
        while (readdir(stream))
                n++;
        closedir(stream);
        return n - 2;
}

/* Which directory it is, and nothing is left in it. */
static void test_has_no_room_for_what_is_durable(void **state) {
        struct rlimit before, none;
        Scene scene = {};
        char expected[256];

        setup(&scene);
        (void)signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        none = (struct rlimit){.rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
        assert_true(sd_bus_call_method_async(scene.client, NULL, GUESTMAP_SERVICE, GUESTMAP_PATH,
                                             GUESTMAP_INTERFACE_MANAGER, "CreateVM", on_created,
                                             &scene, "sa{sv}", "vm0", 2, "durable", "b", true,
                                             "accelerator", "s", "none") >= 0);
        run_until(&scene, &scene.is_answered, 0);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        snprintf(expected, sizeof(expected), "NoSpace: VM \"vm0\": %s: File too large",
                 scene.state);
        assert_string_equal(scene.error, expected);
        assert_int_equal(count_files(scene.state), 0);
        assert_int_equal(scene.n_asked, 0);
        manager_free(scene.manager);
        teardown(&scene);
}

/* Whoever starts it, and however often. */
static void test_limits_memory_at_each_start(void **state) {
        Scene scene = {.has_durable = true, .is_inactive = true, .starts_fail = true};

        setup(&scene);
        run_until(&scene, &scene.has_started, 0);
        assert_int_equal(scene.memory_max_at_start, 512 << 20);
        manager_free(scene.manager);
        teardown(&scene);
}

static void must_have_entry(Scene *scene, CaughtJournal *journal, const char *member,
                            const char *result) {
        do
                while (!caught_journal_take(journal))
                        assert_true(sd_event_run(scene->event, WAIT_USEC) > 0);
        while (!caught_journal_field(journal, "GUESTMAP_MEMBER"));
        assert_string_equal(caught_journal_field(journal, "GUESTMAP_MEMBER"), member);
        assert_string_equal(caught_journal_field(journal, "GUESTMAP_RESULT"), result);
        assert_non_null(caught_journal_field(journal, "GUESTMAP_CALLER_UID"));
}

static void send_pause(Scene *scene, const char *path) {
        scene->is_answered = false;
        assert_true(sd_bus_call_method_async(scene->client, NULL, GUESTMAP_SERVICE, path,
                                             GUESTMAP_INTERFACE_VM, "Pause", on_created, scene,
                                             NULL) >= 0);
}

/* What no process of a VM sees has its entry, too: refused here, or held when its caller leaves. */
static void test_has_entries_of_what_goes_no_further(void **state) {
        Scene scene = {.has_durable = true};
        CaughtJournal journal;

        caught_journal_begin(&journal);
        setup(&scene);
        send_pause(&scene, GUESTMAP_PATH_VM "/none");
        run_until(&scene, &scene.is_answered, 0);
        must_have_entry(&scene, &journal, "Pause", "org.guestmap1.Error.VMGone");
        send_pause(&scene, GUESTMAP_PATH_VM "/vm0");
        while (registry_find(&scene.manager->registry, "vm0")->held.n == 0)
                assert_true(sd_event_run(scene.event, WAIT_USEC) > 0);
        scene.client = sd_bus_flush_close_unref(scene.client);
        must_have_entry(&scene, &journal, "Pause", SD_BUS_ERROR_DISCONNECTED);
        manager_free(scene.manager);
        teardown(&scene);
        caught_journal_end(&journal);
}

UNIT_TESTS(cmocka_unit_test(test_has_entries_of_what_goes_no_further),
           cmocka_unit_test(test_ends_while_a_unit_starts),
           cmocka_unit_test(test_says_why_a_unit_does_not_start),
           cmocka_unit_test(test_limits_memory_at_each_start),
           cmocka_unit_test(test_has_no_room_for_what_is_durable),
           cmocka_unit_test(test_asks_for_nothing_more_when_it_ends));
