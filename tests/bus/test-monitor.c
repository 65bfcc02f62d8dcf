/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Nothing is missed by who watches: test-monitor KIND GUESTMAPD GUESTMAPCTL
 *
 * `guestmapctl monitor --json=short` watches while the map changes at random, and while signals are
 * lost, guestmapd or the VM's process dies and comes back, or the bus lets no signal through.
 * What it prints is replayed, and the replay compared with the views that there were.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api/names.h"
#include "client/section.h"
#include "lib/util/cleanup.h"
#include "tests/bus/forward-client.h"
#include "tests/bus/monitor-replay.h"

#define VM1        GUESTMAP_PATH_VM "/vm1"
#define REGIONS    12
#define STEPS      60
#define SOME       50 /* sections, all of which a signal has room for */
#define PROPERTIES "org.freedesktop.DBus.Properties"

static const char *bus_kind, *guestmapd, *guestmapctl;
static World world;
static sd_bus *client;
static uint64_t random_state;
static uint64_t generation;
static pid_t watcher; /* guestmapctl */
static FILE *lines;   /* that it has printed */
static Replay replay; /* of them */

static unsigned any(unsigned n) {
        random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
        return (unsigned)(random_state >> 33) % n;
}

static void pause_shortly(void) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000L}, NULL);
}

/* The VM as it is, after each commit. */

static json_object *fetch_view(sd_bus *bus, const char *space, uint64_t *ret_generation) {
        sd_bus_message *reply = NULL;
        json_object *view = json_object_new_object();
        char path[128];
        Section section;

        snprintf(path, sizeof(path), VM1 "/space/%s", space);
        assert_true(sd_bus_call_method(bus, GUESTMAP_SERVICE, path,
                                       GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetFlatView", NULL,
                                       &reply, NULL) >= 0);
        assert_true(sd_bus_message_read(reply, "t", ret_generation) > 0);
        assert_true(sd_bus_message_enter_container(reply, 'a', "(ttstsu)") > 0);
        while (section_read(reply, &section) > 0) {
                json_object *object = section_json(&section);

                json_object_object_add(
                        view, json_object_get_string(json_object_object_get(object, "first")),
                        object);
        }
        sd_bus_message_unref(reply);
        return view;
}

static void remember(sd_bus *bus) {
        json_object *views = json_object_new_object();
        sd_bus_message *reply = NULL;
        const char *space;

        assert_true(sd_bus_call_method(bus, GUESTMAP_SERVICE, VM1, GUESTMAP_INTERFACE_VM,
                                       "ListAddressSpaces", NULL, &reply, NULL) >= 0);
        assert_true(sd_bus_message_read(reply, "t", &generation) > 0);
        assert_true(sd_bus_message_enter_container(reply, 'a', "(sst)") > 0);
        while (sd_bus_message_read(reply, "(sst)", &space, NULL, NULL) > 0) {
                uint64_t at;

                json_object_object_add(views, space, fetch_view(bus, space, &at));
                assert_int_equal(at, generation);
        }
        sd_bus_message_unref(reply);
        replay_remember(&replay, generation, views);
}

/* Edits that may fail: what is there is there, what is not is not. */

static void edit(sd_bus *bus, const char *member, const char *types, ...) {
        sd_bus_message *m = NULL;
        va_list arguments;

        assert_true(sd_bus_message_new_method_call(bus, &m, GUESTMAP_SERVICE, VM1,
                                                   GUESTMAP_INTERFACE_MAP, member) >= 0);
        va_start(arguments, types);
        assert_true(sd_bus_message_appendv(m, types, arguments) >= 0);
        va_end(arguments);
        (void)sd_bus_call(bus, m, 0, NULL, NULL);
        sd_bus_message_unref(m);
}

static void step(sd_bus *bus) {
        unsigned kind = any(16);
        char name[16];

        snprintf(name, sizeof(name), "r%u", any(REGIONS));
        if (kind < 6)
                edit(bus, "AddRegion", "sststia{sv}", name, "mmio", UINT64_C(1) << (8 + any(8)),
                     any(4) ? "system" : "", (uint64_t)any(64) << 10, any(3), 0);
        else if (kind < 10)
                edit(bus, "RemoveRegion", "sa{sv}", name, 0);
        else if (kind < 12)
                edit(bus, "MoveRegion", "sstia{sv}", name, any(2) ? "system" : "io",
                     (uint64_t)any(64) << 10, any(3), 0);
        else if (kind == 12) /* more sections than a signal has room for */
                edit(bus, "EnableRegion", "sba{sv}", "many", any(2), 0);
        else if (kind == 13)
                edit(bus, "RemoveAddressSpace", "sa{sv}", "dma", 0);
        else
                edit(bus, "AddAddressSpace", "ssa{sv}", "dma", any(2) ? "system" : "io", 0);
        remember(bus);
}

static void steps(sd_bus *bus) {
        for (unsigned i = 0; i < STEPS; i++)
                step(bus);
}

static void create_vm(void) {
        char patch[16384] = "{\"guestmap\": 1, \"edits\": [{\"add-region\": {\"name\": \"many\", "
                            "\"kind\": \"container\", \"size\": \"1MiB\", \"parent\": \"system\", "
                            "\"offset\": \"1GiB\"}}, "
                            "{\"add-region\": {\"name\": \"some\", \"kind\": \"container\", "
                            "\"size\": \"1MiB\", \"parent\": \"many\", \"offset\": 0}}";

        for (unsigned i = 0; i < 70; i++)
                sprintf(patch + strlen(patch),
                        ", {\"add-region\": {\"name\": \"many%u\", \"kind\": \"mmio\", "
                        "\"size\": 256, \"parent\": \"%s\", \"offset\": %u}}",
                        i, i < SOME ? "some" : "many", i * 4096);
        strcat(patch, "]}");
        must_create(client, "vm1");
        assert_true(sd_bus_call_method(client, GUESTMAP_SERVICE, VM1, GUESTMAP_INTERFACE_MAP,
                                       "Apply", NULL, NULL, "sa{sv}", patch, 0) >= 0);
        remember(client);
}

static bool is_up_to_date(void) {
        replay_take_lines(&replay, lines);
        return replay_is_at(&replay, generation);
}

static void catch_up(void) {
        for (unsigned tries = 0; tries < 6000 && !is_up_to_date(); tries++)
                pause_shortly();
        assert_true(is_up_to_date());
}

/* What is printed goes on being there for who comes later. */
static void start_watcher(void) {
        char address[160], path[96];

        snprintf(path, sizeof(path), "%s/lines", world.directory);
        snprintf(address, sizeof(address), "--address=%s", world.address);
        lines = fopen(path, "w+e");
        assert_non_null(lines);
        watcher = fork();
        assert_true(watcher >= 0);
        if (watcher == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void)dup2(open(path, O_WRONLY | O_APPEND | O_CLOEXEC), STDOUT_FILENO);
                execl(guestmapctl, guestmapctl, address, "--json=short", "monitor", "vm1", NULL);
                _exit(127);
        }
        catch_up();
        assert_int_equal(replay.n_checked, 2);
}

static void stop_watcher(void) {
        int status;

        kill(watcher, SIGTERM);
        waitpid(watcher, &status, 0);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
        fclose(lines);
}

static int set_up(void **state) {
        random_state = 1;
        replay_init(&replay);
        client = world_open_as_it_says(&world) ? world_connect(&world) : NULL;
        if (!client)
                return -1;
        create_vm();
        start_watcher();
        return 0;
}

static int tear_down(void **state) {
        stop_watcher();
        sd_bus_flush_close_unref(client);
        replay_deinit(&replay);
        return world_close(&world) ? 0 : -1;
}

static int set_up_heard(void **state) {
        world = (World){.kind = bus_kind, .guestmapd = guestmapd, .mode = "--user"};
        return set_up(state);
}

static int set_up_frugal(void **state) {
        world = (World){
                .kind = bus_kind, .guestmapd = guestmapd, .mode = "--user", .unread_bytes = 100000};
        return set_up(state);
}

static int set_up_mute(void **state) {
        world = (World){
                .kind = bus_kind, .guestmapd = guestmapd, .mode = "--user", .is_mute = true};
        return set_up(state);
}

static void test_each_commit_is_told(void **state) {
        steps(client);
        catch_up();
        assert_true(replay.n_commits > STEPS / 3);
        assert_int_equal(replay.n_gaps, 0);
        assert_true(replay.n_changes > 0); /* of truncated signals */
}

static void enable_some(bool enabled) {
        edit(client, "EnableRegion", "sba{sv}", "some", enabled, 0);
        remember(client);
}

/* What a client leaves lying is dropped; by a dbus-broker the client would be. */
static void test_lost_signals(void **state) {
        if (strcmp(bus_kind, "dbus-daemon") != 0) {
                print_message("# no signals are lost on a %s\n", bus_kind);
                return;
        }
        enable_some(false);
        catch_up();
        assert_int_equal(replay.n_commits, 1);
        kill(watcher, SIGSTOP);
        for (unsigned i = 0; i < 301; i++)
                enable_some(i % 2 == 0);
        kill(watcher, SIGCONT);
        catch_up();
        steps(client);
        catch_up();
}

static void test_guestmapd_dies(void **state) {
        sd_bus *own = must_open_connection(client, VM1); /* needs no guestmapd to commit */

        for (unsigned i = 0; i < 3; i++) {
                unsigned n_gaps = replay.n_gaps;

                world_stop_daemon(&world, i % 2 ? SIGTERM : SIGKILL);
                steps(own);
                assert_true(world_start_daemon(&world));
                catch_up();
                assert_true(replay.n_gaps > n_gaps || world.is_mute);
                steps(client);
                catch_up();
        }
        sd_bus_close_unref(own);
}

/* Its history goes with it: what was missed is found by comparing the views. */
static void test_the_process_dies(void **state) {
        for (unsigned i = 0; i < 3; i++) {
                pid_t pid = world_newest_vm(&world);

                assert_true(pid > 0);
                kill(watcher, SIGSTOP);
                step(client);
                kill(pid, SIGKILL);
                assert_true(world_process_ends(pid));
                steps(client);
                kill(watcher, SIGCONT);
                catch_up();
        }
}

/* Another VM of the name: nothing of the old one is mixed with it. */
static void test_another_vm_of_the_name(void **state) {
        steps(client);
        catch_up();
        must_destroy(client, "vm1");
        replay_forget(&replay);
        kill(watcher, SIGSTOP);
        create_vm();
        steps(client);
        steps(client);
        kill(watcher, SIGCONT);
        catch_up();
        steps(client);
        catch_up();
}

static void test_no_signal_comes(void **state) {
        steps(client);
        catch_up();
        assert_int_equal(replay.n_commits, 0);
        assert_true(replay.n_changes > 0);
}

#define HEARD(test)  cmocka_unit_test_setup_teardown(test, set_up_heard, tear_down)
#define FRUGAL(test) cmocka_unit_test_setup_teardown(test, set_up_frugal, tear_down)
#define MUTE(test)                                                                                 \
        { "mute: " #test, test, set_up_mute, tear_down, NULL }

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                HEARD(test_each_commit_is_told),    FRUGAL(test_lost_signals),
                HEARD(test_guestmapd_dies),         HEARD(test_the_process_dies),
                HEARD(test_another_vm_of_the_name), MUTE(test_no_signal_comes),
                MUTE(test_guestmapd_dies),          MUTE(test_the_process_dies),
                MUTE(test_another_vm_of_the_name),
        };

        if (argc != 4) {
                fprintf(stderr, "test-monitor KIND GUESTMAPD GUESTMAPCTL\n");
                return 2;
        }
        bus_kind = argv[1];
        guestmapd = argv[2];
        guestmapctl = argv[3];
        if (!world_has(bus_kind)) {
                printf("1..0 # SKIP there is no %s\n", bus_kind);
                return 0;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
