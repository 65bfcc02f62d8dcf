/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * VMs that lose their guestmapd, or it and their process: test-recovery-daemon KIND GUESTMAPD
 */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/recovery-scene.h"

/* guestmapd's end is none of the VM's business, nor of a transaction that lives by time. */
static void test_daemon_restarts(void **state) {
        static const int signals[] = {SIGTERM, SIGKILL};
        static const char *const errors[] = {"VMGone: VM \"vm\": the connection to its process",
                                             "org.freedesktop.DBus.Error.NoReply"};
        RecoveryScene *scene = *state;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *begun = NULL;
        const char *transaction;
        char name[] = "a";
        uint64_t before;
        Ask asked;
        pid_t vm;

        create_vm(scene, false);
        vm = pid_of_vm(scene);
        before = generation_of_vm(scene);
        begun = must_call(scene->client, VM, GUESTMAP_INTERFACE_VM, "Begin", "ta{sv}",
                          UINT64_C(60000000), 0);
        assert_true(sd_bus_message_read(begun, "o", &transaction) > 0);
        for (size_t i = 0; i < ELEMENTS_OF(signals); i++, name[0]++) {
                assert_int_equal(add_region(scene, transaction, name, 0x1000 * i), 0);
                ask(scene, &asked, MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE, "WaitChanges", "tt",
                    before, UINT64_C(60000000));
                assert_int_equal(generation_of_vm(scene), before);
                restart_daemon(scene, signals[i]);
                await(scene, &asked);
                assert_non_null(strstr(asked.error, errors[i]));
        }
        assert_int_equal(kill(vm, 0), 0);
        ask(scene, &asked, transaction, GUESTMAP_INTERFACE_TRANSACTION, "Commit", "a{sv}", 0);
        await(scene, &asked);
        assert_string_equal(asked.error, "");
        assert_int_equal(asked.number, before + 1);
}

/* What is another's it does not touch, a durable VM that was stopped least of all. */
static void test_second_daemon(void **state) {
        RecoveryScene *scene = *state;
        uint64_t changes, before;
        Ask asked;
        pid_t vm;

        create_vm(scene, true);
        vm = pid_of_vm(scene);
        before = generation_of_vm(scene);
        changes = scene->n_changes;
        ask(scene, &asked, MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE, "WaitChanges", "tt", before,
            UINT64_C(60000000));
        assert_int_equal(generation_of_vm(scene), before);
        assert_true(world_daemon_ends(&scene->world, EXIT_FAILURE));
        assert_int_equal(pid_of_vm(scene), vm);
        assert_int_equal(add_region(scene, VM, "a", 0), before + 1);
        await(scene, &asked);
        assert_string_equal(asked.error, "");
        assert_int_equal(scene->n_changes, changes);
        must_destroy(scene->client, "vm");
}

/* On the bus that comes back after one that the first daemon had: until then that one sleeps. */
static pid_t become_second(RecoveryScene *scene) {
        pid_t first = scene->world.daemon;

        assert_int_equal(kill(first, SIGSTOP), 0);
        scene->client = sd_bus_close_unref(scene->client);
        world_stop_bus(&scene->world);
        assert_true(world_start_bus(&scene->world) && world_start_daemon(&scene->world));
        scene->client = world_connect(&scene->world);
        assert_non_null(scene->client);
        return first;
}

static void expect_failure(pid_t daemon) {
        int status = 0;

        for (unsigned waited = 0; waitpid(daemon, &status, WNOHANG) != daemon; waited += STEP) {
                assert_true(waited < PATIENCE);
                usleep(STEP);
        }
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE);
}

/* What it had before it lost the bus is another's now: it neither takes that nor makes it anew. */
static void test_first_daemon_comes_back(void **state) {
        RecoveryScene *scene = *state;
        uint64_t before;
        pid_t first, vm;
        char path[96];
        Ask asked;

        create_vm(scene, false);
        vm = pid_of_vm(scene);
        before = generation_of_vm(scene);
        first = become_second(scene);
        ask(scene, &asked, MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE, "WaitChanges", "tt", before,
            UINT64_C(60000000));
        assert_int_equal(generation_of_vm(scene), before);
        assert_int_equal(kill(first, SIGCONT), 0);
        expect_failure(first);
        assert_int_equal(kill(vm, 0), 0);
        assert_int_equal(add_region(scene, VM, "a", 0), before + 1);
        await(scene, &asked);
        assert_string_equal(asked.error, "");

        first = become_second(scene);
        assert_int_equal(count_vms(scene), 1);
        must_destroy(scene->client, "vm");
        assert_int_equal(kill(first, SIGCONT), 0);
        expect_failure(first);
        assert_int_equal(count_vms(scene), 0);
        snprintf(path, sizeof(path), "%s/run/vm", scene->world.directory);
        assert_int_not_equal(access(path, F_OK), 0);
}

/* A new guestmapd is given what the old one kept, before anybody else can need it. */
static void test_one_after_the_other(void **state) {
        RecoveryScene *scene = *state;
        uint64_t before;

        create_vm(scene, false);
        add_region(scene, VM, "a", 0);
        for (unsigned i = 0; i < 3; i++) {
                pid_t vm = pid_of_vm(scene);

                poke(scene, 0x10, (uint8_t)(i + 1));
                restart_daemon(scene, SIGKILL);
                before = scene->n_changes;
                kill(vm, SIGKILL);
                process_until_more_than(scene, &scene->n_changes, before + 1);
                assert_int_equal(peek(scene, 0x10), i + 1);
        }
}

/* Until what an earlier guestmapd has left of the VM is removed. */
static void await_room(RecoveryScene *scene) {
        Ask asked;

        for (unsigned waited = 0;; waited += STEP) {
                ask(scene, &asked, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}",
                    "vm", 1, "accelerator", "s", "none");
                await(scene, &asked);
                if (!asked.error[0])
                        return;
                if (!strstr(asked.error, "VMExists") || waited >= PATIENCE)
                        fail_msg("CreateVM: %s", asked.error);
                usleep(STEP);
        }
}

/* Nothing is left of a VM that was not set up. */
static void test_daemon_ends_within_creation(void **state) {
        RecoveryScene *scene = *state;
        Ask asked;

        for (int durable = 0; durable <= 1; durable++) {
                close_door(scene);
                ask(scene, &asked, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}",
                    "vm", 2, "accelerator", "s", "none", "durable", "b", durable);
                assert_int_equal(count_vms(scene), 0);
                world_stop_daemon(&scene->world, SIGTERM);
                await(scene, &asked);
                assert_non_null(strstr(asked.error, "VMGone: VM \"vm\": guestmapd ends; if its"));
                open_door(scene);
                assert_true(world_start_daemon(&scene->world));
                await_room(scene);
                must_destroy(scene->client, "vm");
        }
}

/* Both daemons ended within its creation: what its memory was kept for was never there. */
static void test_both_ended_within_creation(void **state) {
        RecoveryScene *scene = *state;
        char path[96];
        FILE *file;
        pid_t vm;

        create_vm(scene, true);
        add_region(scene, VM, "a", 0);
        close_door(scene);
        kill_vm(scene);
        snprintf(path, sizeof(path), "%s/state/vm/journal", scene->world.directory);
        assert_int_equal(unlink(path), 0);
        open_door(scene);
        expect_state(scene, "crashed");
        vm = pid_of_vm(scene);
        world_stop_daemon(&scene->world, SIGKILL);
        snprintf(path, sizeof(path), "%s/state/vm.vm", scene->world.directory);
        file = fopen(path, "r+");
        assert_non_null(file);
        assert_int_equal(fseek(file, -1, SEEK_END), 0);
        assert_true(fputs(" unmade\n", file) >= 0 && fclose(file) == 0);
        assert_true(world_start_daemon(&scene->world));
        assert_true(world_process_ends(vm));
        await_room(scene);
        must_destroy(scene->client, "vm");
}

/* It goes on, whether its process has heard of it or not. */
static void test_daemon_ends_within_destruction(void **state) {
        RecoveryScene *scene = *state;
        Ask asked;
        pid_t vm;

        for (int durable = 0; durable <= 1; durable++) {
                create_vm(scene, durable);
                vm = pid_of_vm(scene);
                kill(vm, SIGSTOP);
                ask(scene, &asked, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "DestroyVM", "sa{sv}",
                    "vm", 0);
                (void)count_vms(scene);
                world_stop_daemon(&scene->world, SIGTERM);
                await(scene, &asked);
                assert_non_null(strstr(asked.error, "VMGone: VM \"vm\": guestmapd ends; its"));
                kill(vm, SIGCONT);
                assert_true(world_process_ends(vm));
                assert_true(world_start_daemon(&scene->world));
                await_room(scene);
                must_destroy(scene->client, "vm");
        }
}

/* The map is there; memory that only the two had is not, and nobody is told otherwise. */
static void test_both_die(void **state) {
        RecoveryScene *scene = *state;
        uint64_t before;
        pid_t vm;

        create_vm(scene, false);
        before = add_region(scene, VM, "a", 0);
        poke(scene, 0x10, 1);
        vm = pid_of_vm(scene);
        world_stop_daemon(&scene->world, SIGKILL);
        kill(vm, SIGKILL);
        assert_true(world_process_ends(vm));
        assert_true(world_start_daemon(&scene->world));
        expect_state(scene, "running");
        assert_int_equal(generation_of_vm(scene), before);
        assert_int_equal(peek(scene, 0x10), 0);
}

/* A reboot: no process, no runtime directory. */
static void test_durable(void **state) {
        RecoveryScene *scene = *state;
        _cleanup_(freep) char *id = NULL;
        char command[160], path[96];
        uint64_t before;
        pid_t vm;

        create_vm(scene, true);
        id = must_get_text(scene->client, VM, "ID");
        before = add_region(scene, VM, "a", 0);
        vm = pid_of_vm(scene);
        world_stop_daemon(&scene->world, SIGTERM);
        kill(vm, SIGTERM);
        assert_true(world_process_ends(vm));
        snprintf(command, sizeof(command), "rm -r %s/run", scene->world.directory);
        assert_int_equal(system(command), 0);

        close_door(scene);
        assert_true(world_start_daemon(&scene->world));
        assert_true(has_text(scene, "State", "recovering"));
        open_door(scene);
        expect_state(scene, "running");
        assert_true(has_text(scene, "ID", id));
        assert_int_equal(generation_of_vm(scene), before);
        must_destroy(scene->client, "vm");
        restart_daemon(scene, SIGTERM);
        assert_int_equal(count_vms(scene), 0);
        snprintf(path, sizeof(path), "%s/state/vm", scene->world.directory);
        assert_int_not_equal(access(path, F_OK), 0);
}

/* Over the owner's own connection: it has not crashed, whenever guestmapd hears of it. */
static void test_durable_destroyed_without_daemon(void **state) {
        RecoveryScene *scene = *state;
        char path[96];

        snprintf(path, sizeof(path), "%s/state/vm", scene->world.directory);
        for (int reboot = 0; reboot <= 1; reboot++) {
                _cleanup_(sd_bus_flush_close_unrefp) sd_bus *own = NULL;
                char command[160];
                pid_t vm;

                create_vm(scene, true);
                add_region(scene, VM, "a", 0);
                own = must_open_connection(scene->client, VM);
                vm = pid_of_vm(scene);
                world_stop_daemon(&scene->world, SIGTERM);
                sd_bus_message_unref(
                        must_call(own, VM, GUESTMAP_INTERFACE_VM, "Destroy", "a{sv}", 0));
                assert_true(world_process_ends(vm));
                snprintf(command, sizeof(command), "rm -r %s/run", scene->world.directory);
                assert_int_equal(reboot ? system(command) : 0, 0);
                assert_true(world_start_daemon(&scene->world));
                for (unsigned waited = 0; count_vms(scene) > 0; waited += STEP) {
                        assert_true(waited < PATIENCE);
                        usleep(STEP);
                }
                assert_int_not_equal(access(path, F_OK), 0);
        }
}

FORWARD_TESTS(RECOVERY_TEST(test_daemon_restarts), RECOVERY_TEST(test_second_daemon),
              RECOVERY_TEST(test_first_daemon_comes_back), RECOVERY_TEST(test_one_after_the_other),
              RECOVERY_TEST(test_daemon_ends_within_creation),
              RECOVERY_TEST(test_both_ended_within_creation),
              RECOVERY_TEST(test_daemon_ends_within_destruction), RECOVERY_TEST(test_both_die),
              RECOVERY_TEST(test_durable), RECOVERY_TEST(test_durable_destroyed_without_daemon));
