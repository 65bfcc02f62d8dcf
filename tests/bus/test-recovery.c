/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * VMs that lose their process: test-recovery KIND GUESTMAPD
 */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/recovery-scene.h"

#define N_HELD 20

/* The same VM, and all that was acknowledged. */
static void test_comes_back(void **state) {
        RecoveryScene *scene = *state;
        _cleanup_(freep) char *id = NULL;
        uint64_t before;

        create_vm(scene, false);
        id = must_get_text(scene->client, VM, "ID");
        before = add_region(scene, VM, "a", 0);
        poke(scene, 0x123, 42);
        for (unsigned i = 0; i < 3; i++) {
                replace_vm(scene);
                assert_true(has_text(scene, "ID", id));
                assert_int_equal(generation_of_vm(scene), before);
                assert_int_equal(peek(scene, 0x123), 42);
        }
        assert_int_equal(add_region(scene, VM, "b", 0x1000), before + 1);
        must_destroy(scene->client, "vm");
        create_vm(scene, false);
        assert_false(has_text(scene, "ID", id));
}

/* Of what was on its way nobody knows what became; what comes meanwhile waits, in order. */
static void test_calls(void **state) {
        RecoveryScene *scene = *state;
        Ask in_flight, held[N_HELD];
        uint64_t before;
        char name[8];

        create_vm(scene, false);
        before = add_region(scene, VM, "a", 0);
        ask(scene, &in_flight, MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE, "WaitChanges", "tt",
            before, UINT64_C(60000000));
        assert_int_equal(generation_of_vm(scene), before); /* it has been forwarded */
        close_door(scene);
        kill_vm(scene);
        await(scene, &in_flight);
        assert_non_null(strstr(in_flight.error, "not known: read Generation"));
        expect_state(scene, "recovering");
        for (unsigned i = 0; i < N_HELD; i++) {
                snprintf(name, sizeof(name), "r%u", i);
                ask_region(scene, &held[i], VM, name, 0x1000 * (i + 1));
        }
        assert_true(has_text(scene, "State", "recovering"));
        assert_int_equal(count_vms(scene), 1);
        open_door(scene);
        for (unsigned i = 0; i < N_HELD; i++) {
                await(scene, &held[i]);
                assert_string_equal(held[i].error, "");
                assert_int_equal(held[i].number, before + i + 1);
        }
}

/* It need not be back for that. */
static void test_destroyed_meanwhile(void **state) {
        RecoveryScene *scene = *state;
        Ask held;

        create_vm(scene, false);
        close_door(scene);
        kill_vm(scene);
        expect_state(scene, "recovering");
        ask_region(scene, &held, VM, "a", 0);
        must_destroy(scene->client, "vm");
        await(scene, &held);
        assert_non_null(strstr(held.error, "had no effect"));
        assert_int_equal(count_vms(scene), 0);
        open_door(scene);
        create_vm(scene, false);
}

static bool daemon_died;

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        uint64_t *told = userdata, previous, number;

        if (!sd_bus_message_is_signal(m, GUESTMAP_INTERFACE_VM, "Committed"))
                return 0;
        assert_true(sd_bus_message_read(m, "tt", &number, &previous) > 0);
        /* A guestmapd that is killed takes what it has not told yet along: that is seen by this. */
        assert_true(previous == *told || (previous > *told && daemon_died));
        *told = number;
        return 0;
}

/* One chain of generations, whatever dies. */
static void test_signals(void **state) {
        RecoveryScene *scene = *state;
        uint64_t told;

        daemon_died = false;
        create_vm(scene, false);
        told = generation_of_vm(scene);
        assert_true(sd_bus_add_match(scene->client, NULL,
                                     "type='signal',sender='" GUESTMAP_SERVICE "'", on_signal,
                                     &told) >= 0);
        for (unsigned i = 0; i < 4; i++) {
                char name[] = {'a' + (char)i, '\0'};

                add_region(scene, VM, name, 0x1000 * i);
                (void)pid_of_vm(scene);
                if (i < 2) {
                        replace_vm(scene);
                        continue;
                }
                daemon_died = true;
                restart_daemon(scene, SIGKILL);
        }
        process_until_more_than(scene, &told, add_region(scene, VM, "e", 0x8000) - 1);
}

/* Nobody knows who has sent that, so it is no order to destroy anything. */
static void test_signals_to_the_process(void **state) {
        static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
        RecoveryScene *scene = *state;

        for (unsigned durable = 0; durable < 2; durable++) {
                _cleanup_(freep) char *id = NULL;

                create_vm(scene, durable);
                id = must_get_text(scene->client, VM, "ID");
                add_region(scene, VM, "a", 0);
                poke(scene, 0x123, 42);
                for (size_t i = 0; i < ELEMENTS_OF(signals); i++) {
                        kill(pid_of_vm(scene), signals[i]);
                        if (signals[i] != SIGHUP)
                                assert_true(world_process_ends(pid_of_vm(scene)));
                        expect_state(scene, "running");
                        assert_true(has_text(scene, "ID", id));
                        assert_int_equal(peek(scene, 0x123), 42);
                }
                must_destroy(scene->client, "vm");
        }
}

/* A process that is stopped keeps nobody waiting; when it goes on it is there again. */
static void test_stopped_process(void **state) {
        RecoveryScene *scene = *state;
        char directory[128];
        pid_t vm;
        Ask asked;

        create_vm(scene, false);
        vm = pid_of_vm(scene);
        kill(vm, SIGSTOP);
        snprintf(directory, sizeof(directory), "%s/run/vm.d", scene->world.directory);
        assert_true(has_text(scene, "Directory", directory));
        restart_daemon(scene, SIGKILL);
        assert_int_equal(count_vms(scene), 0);
        ask_region(scene, &asked, VM, "a", 0);
        await(scene, &asked);
        assert_non_null(strstr(asked.error, "VMGone"));
        ask(scene, &asked, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}", "vm",
            0);
        await(scene, &asked);
        assert_non_null(strstr(asked.error, "VMExists"));
        kill(vm, SIGCONT);
        for (unsigned waited = 0; count_vms(scene) == 0; waited += STEP) {
                assert_true(waited < PATIENCE);
                usleep(STEP);
        }
        assert_true(has_text(scene, "State", "running"));
}

FORWARD_TESTS(RECOVERY_TEST(test_comes_back), RECOVERY_TEST(test_calls),
              RECOVERY_TEST(test_destroyed_meanwhile), RECOVERY_TEST(test_signals),
              RECOVERY_TEST(test_signals_to_the_process), RECOVERY_TEST(test_stopped_process));
