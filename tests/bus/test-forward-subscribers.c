/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Subscribers that sleep: test-forward-subscribers KIND GUESTMAPD [--long]
 *
 * Three subscribers are stopped before the first of many commits and read nothing of them, while a
 * client commits and follows the map by signals. Neither daemon keeps what the sleepers do not
 * take; whoever loses a signal sees it in the next one's `previous`, and learns of the change from
 * GetChanges. With --long two million commits on a bus with the limits of a system bus, else fewer
 * on one whose limits are small.
 */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/forward-client.h"
#include "tests/bus/world.h"
#include "tests/common/unit.h"

#define VM1          GUESTMAP_PATH_VM "/vm1"
#define MEMORY       VM1 "/space/memory"
#define SLEEPERS     3
#define IN_FLIGHT    64
#define SHORT        20000
#define LONG         2000000
#define SMALL_BYTES  (1u << 20)
#define NOBODY       65534
#define GROWTH_BYTES (16l << 20)

typedef struct Follower Follower;

/* Who commits, and follows by signals what is committed. */
struct Follower {
        unsigned n_sent, n_answered;
        unsigned n_lost; /* calls under way when guestmapd's connection ended */
        unsigned n_signals, n_gaps;
        uint64_t generation; /* up to which all changes are known */
        bool asking;         /* for those since */
};

static const char *bus_kind, *program;
static unsigned n_commits = SHORT;
static World world;
static sd_bus *client;
static pid_t sleepers[SLEEPERS];

static int on_nothing(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return 0;
}

/* Of another uid, where that is to be had: brokers count what a uid leaves lying about. */
static void sleep_as_subscriber(int ready) {
        sd_bus *bus;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) < 0)
                _exit(1);
        bus = world_connect(&world);
        if (!bus || sd_bus_match_signal(bus, NULL, GUESTMAP_SERVICE, NULL, NULL, NULL, on_nothing,
                                        NULL) < 0)
                _exit(1);
        if (write(ready, "r", 1) != 1)
                _exit(1);
        for (;;)
                pause();
}

static pid_t start_sleeper(void) {
        int pair[2];
        char ready;
        pid_t pid;

        assert_int_equal(pipe(pair), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                sleep_as_subscriber(pair[1]);
        close(pair[1]);
        assert_int_equal(read(pair[0], &ready, 1), 1);
        close(pair[0]);
        assert_int_equal(kill(pid, SIGSTOP), 0);
        return pid;
}

static int set_up(void **state) {
        world = (World){.kind = bus_kind, .guestmapd = program, .mode = "--system"};
        world.bus_bytes = n_commits == LONG ? 0 : SMALL_BYTES;
        if (!world_open_as_it_says(&world))
                return -1;
        client = world_connect(&world);
        if (!client)
                return -1;
        must_create(client, "vm1");
        sd_bus_message_unref(must_call(client, VM1, GUESTMAP_INTERFACE_MAP, "AddRegion",
                                       "sststia{sv}", "a", "mmio", 0x1000ul, "system", 0ul, 0, 0));
        for (unsigned i = 0; i < SLEEPERS; i++)
                sleepers[i] = start_sleeper();
        return 0;
}

static int tear_down(void **state) {
        for (unsigned i = 0; i < SLEEPERS; i++) {
                kill(sleepers[i], SIGKILL);
                waitpid(sleepers[i], NULL, 0);
        }
        client = sd_bus_close_unref(client);
        return world_close(&world) ? 0 : -1;
}

/* What was lost is in the net change; its generation is the last that it tells of. */
static int on_changes(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Follower *follower = userdata;
        int complete;

        follower->asking = false;
        if (!sd_bus_message_is_method_error(m, NULL))
                assert_true(sd_bus_message_read(m, "tb", &follower->generation, &complete) > 0);
        return 1;
}

static void ask_for_changes(Follower *follower) {
        if (follower->asking)
                return;
        follower->asking = true;
        assert_true(sd_bus_call_method_async(client, NULL, GUESTMAP_SERVICE, MEMORY,
                                             GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetChanges",
                                             on_changes, follower, "t", follower->generation) >= 0);
}

static int on_committed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Follower *follower = userdata;
        uint64_t generation, previous;

        assert_true(sd_bus_message_read(m, "tt", &generation, &previous) > 0);
        follower->n_signals++;
        if (generation <= follower->generation)
                return 0;
        if (previous <= follower->generation)
                follower->generation = generation;
        else {
                follower->n_gaps++;
                ask_for_changes(follower);
        }
        return 0;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *got = sd_bus_message_get_error(m);
        Follower *follower = userdata;

        follower->n_answered++;
        follower->n_lost += got != NULL;
        if (got && strcmp(got->name, SD_BUS_ERROR_NO_REPLY) != 0 &&
            strcmp(got->name, SD_BUS_ERROR_SERVICE_UNKNOWN) != 0 &&
            strcmp(got->name, SD_BUS_ERROR_NAME_HAS_NO_OWNER) != 0)
                fail_msg("%s: %s", got->name, got->message);
        /* Its successor finds guestmapd back on the bus. */
        if (got)
                usleep(10000);
        return 1;
}

static void toggle(Follower *follower) {
        assert_true(sd_bus_call_method_async(client, NULL, GUESTMAP_SERVICE, VM1,
                                             GUESTMAP_INTERFACE_MAP, "EnableRegion", on_answer,
                                             follower, "sba{sv}", "a", follower->n_sent % 2,
                                             0) >= 0);
        follower->n_sent++;
}

static void commit_all(Follower *follower) {
        while (follower->n_answered < n_commits)
                if (follower->n_sent < n_commits &&
                    follower->n_sent - follower->n_answered < IN_FLIGHT)
                        toggle(follower);
                else
                        must_process(client);
}

/* The last signals may be on their way yet, or have been lost with none behind them. */
static void catch_up(Follower *follower) {
        uint64_t last = must_get_generation(client, VM1);

        while (follower->generation < last) {
                ask_for_changes(follower);
                must_process(client);
        }
        assert_int_equal(follower->generation, last);
}

static void test_sleepers(void **state) {
        pid_t vm = world_newest_vm(&world), daemon = world.daemon;
        Follower follower = {.generation = must_get_generation(client, VM1)};
        long before[] = {process_memory(daemon), process_memory(vm)}, grown[2];

        assert_true(sd_bus_match_signal(client, NULL, GUESTMAP_SERVICE, VM1, GUESTMAP_INTERFACE_VM,
                                        "Committed", on_committed, &follower) >= 0);
        commit_all(&follower);
        grown[0] = process_memory(daemon) - before[0];
        grown[1] = process_memory(vm) - before[1];
        print_message("# %u commits, %u calls lost with a connection; %u signals, %u gaps; "
                      "guestmapd grew by %ld KiB, guestmap-vmd by %ld\n",
                      n_commits, follower.n_lost, follower.n_signals, follower.n_gaps,
                      grown[0] / 1024, grown[1] / 1024);
        assert_true(grown[0] < GROWTH_BYTES);
        assert_true(grown[1] < GROWTH_BYTES);
        assert_true(follower.n_lost <= 3 * IN_FLIGHT);
        catch_up(&follower);
        assert_int_equal(waitpid(daemon, NULL, WNOHANG), 0);
        assert_int_equal(world_newest_vm(&world), vm);
}

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_sleepers, set_up, tear_down),
        };

        if (argc != 3 && (argc != 4 || strcmp(argv[3], "--long") != 0))
                return 2;
        bus_kind = argv[1];
        program = argv[2];
        processes_keep_no_freed_memory();
        if (argc == 4)
                n_commits = LONG;
        if (!world_has(bus_kind)) {
                printf("1..0 # SKIP no %s here\n", bus_kind);
                return 0;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
