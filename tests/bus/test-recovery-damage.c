/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * VMs that lose their process, and whose files are damaged: test-recovery-damage KIND GUESTMAPD
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/recovery-scene.h"

static void path_of(RecoveryScene *scene, char path[static 128], const char *file) {
        snprintf(path, 128, "%s/run/vm.d/%s", scene->world.directory, file);
}

/* Changes one byte; a second time, back again. */
static void flip_at(const char *path, off_t at) {
        _cleanup_(closep) int fd = -1;
        char byte;

        fd = open(path, O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 1;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

static void flip(RecoveryScene *scene, const char *file, off_t at) {
        char path[128];

        path_of(scene, path, file);
        flip_at(path, at);
}

/* The first byte of a region's memory, whose number is 1. */
static void expect_salvaged(RecoveryScene *scene, char expected) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint64_t size;
        char byte;
        int fd;

        reply = must_call(scene->client, VM, GUESTMAP_INTERFACE_VM, "GetBacking", "tb", UINT64_C(1),
                          false);
        assert_true(sd_bus_message_read(reply, "ht", &fd, &size) > 0);
        assert_int_equal(size, 0x1000);
        assert_int_equal(pread(fd, &byte, 1, 0), 1);
        assert_int_equal(byte, expected);
        assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
}

static void expect_crashed(RecoveryScene *scene) {
        char directory[128];

        expect_state(scene, "crashed");
        snprintf(directory, sizeof(directory), "%s/run/vm.d", scene->world.directory);
        assert_true(has_text(scene, "Directory", directory));
        expect_salvaged(scene, 42);
        refused(scene, "VMGone", VM, GUESTMAP_INTERFACE_VM, "GetLayout", "a{sv}", 0);
        refused(scene, "InvalidRange", VM, GUESTMAP_INTERFACE_VM, "GetBacking", "tb", UINT64_C(7),
                false);
        refused(scene, "VMExists", GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}",
                "vm", 0);
}

static uint64_t create_with_memory(RecoveryScene *scene) {
        uint64_t generation;

        create_vm(scene, false);
        generation = add_region(scene, VM, "a", 0);
        poke(scene, 0, 42);
        return generation;
}

static void kill_behind_door(RecoveryScene *scene) {
        close_door(scene);
        kill_vm(scene);
        expect_state(scene, "recovering");
}

/* A VM whose process has died, and is followed by none yet. Its generation. */
static uint64_t create_and_kill(RecoveryScene *scene, char **ret_id) {
        uint64_t generation = create_with_memory(scene);

        *ret_id = must_get_text(scene->client, VM, "ID");
        kill_behind_door(scene);
        return generation;
}

/* Of a VM that cannot be made again its memory stays, and its name, whoever dies meanwhile. */
static void damage(RecoveryScene *scene, const char *file, off_t at) {
        _cleanup_(freep) char *id = NULL;
        uint64_t before, changes = scene->n_changes;

        before = create_and_kill(scene, &id);
        flip(scene, file, at);
        open_door(scene);
        process_until_more_than(scene, &scene->n_changes, changes + 1);
        expect_crashed(scene);
        assert_true(has_text(scene, "ID", id));
        assert_int_equal(generation_of_vm(scene), before);
        replace_process(scene);
        expect_crashed(scene);
        (void)pid_of_vm(scene);
        restart_daemon(scene, SIGKILL);
        expect_crashed(scene);

        /* Somebody has mended it. */
        flip(scene, file, at);
        kill_vm(scene);
        expect_state(scene, "running");
        assert_true(has_text(scene, "ID", id));
        assert_int_equal(generation_of_vm(scene), before);
        assert_int_equal(peek(scene, 0), 42);
        must_destroy(scene->client, "vm");
}

static void test_damaged_journal(void **state) {
        damage(*state, "journal", 60); /* who it is; whole records follow */
}

static void test_damaged_facts(void **state) {
        damage(*state, "facts", 60);
}

/* Nothing says whose the memory is that was kept: it is not dropped for that. */
static void test_missing_journal(void **state) {
        RecoveryScene *scene = *state;
        _cleanup_(freep) char *id = NULL;
        char journal[128], aside[128];

        create_and_kill(scene, &id);
        path_of(scene, journal, "journal");
        path_of(scene, aside, "aside");
        assert_int_equal(rename(journal, aside), 0);
        open_door(scene);
        expect_crashed(scene);
        replace_process(scene);
        expect_crashed(scene);
        refused(scene, "there is no journal in ", VM, GUESTMAP_INTERFACE_VM, "GetLayout", "a{sv}",
                0);
        assert_int_equal(rename(aside, journal), 0);
        kill_vm(scene);
        expect_state(scene, "running");
        assert_true(has_text(scene, "ID", id));
        assert_int_equal(peek(scene, 0), 42);
        must_destroy(scene->client, "vm");
}

/* Puts a directory where the journal is; a second time, the journal again. */
static void obstruct(RecoveryScene *scene, bool obstructed) {
        char journal[128], aside[128];

        path_of(scene, journal, "journal");
        path_of(scene, aside, "aside");
        if (!obstructed)
                assert_int_equal(rmdir(journal), 0);
        assert_int_equal(rename(obstructed ? journal : aside, obstructed ? aside : journal), 0);
        if (obstructed)
                assert_int_equal(mkdir(journal, 0700), 0);
}

/* What is in the way may go: the process stays, says what it is, and tries again. */
static void test_obstructed(void **state) {
        RecoveryScene *scene = *state;
        _cleanup_(freep) char *id = NULL;
        uint64_t before;
        pid_t vm;

        before = create_and_kill(scene, &id);
        obstruct(scene, true);
        open_door(scene);
        expect_crashed(scene);
        refused(scene,
                "has crashed: its process can't restore it, and has its memory: Is a directory", VM,
                GUESTMAP_INTERFACE_VM, "GetLayout", "a{sv}", 0);
        vm = pid_of_vm(scene);
        restart_daemon(scene, SIGKILL);
        expect_crashed(scene);
        obstruct(scene, false);
        expect_state(scene, "running");
        assert_int_equal(pid_of_vm(scene), vm);
        assert_true(has_text(scene, "ID", id));
        assert_int_equal(generation_of_vm(scene), before);
        assert_int_equal(peek(scene, 0), 42);
        add_region(scene, VM, "b", 0x10000);
        must_destroy(scene->client, "vm");
}

/* Nor can it be made on a file that has been cut off meanwhile, until that is as long again. */
static void test_file_cut_off(void **state) {
        _cleanup_(closep) int file = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        RecoveryScene *scene = *state;
        uint64_t before;

        assert_int_equal(ftruncate(file, 0x1000), 0);
        before = create_with_memory(scene);
        sd_bus_message_unref(must_call(scene->client, VM, GUESTMAP_INTERFACE_MAP, "AddRegion",
                                       "sststia{sv}", "file", "ram", UINT64_C(0x1000), "system",
                                       UINT64_C(0x10000), 0, 1, "fd", "h", file));
        poke(scene, 0x10fff, 43);
        kill_behind_door(scene);
        assert_int_equal(ftruncate(file, 0x800), 0);
        open_door(scene);
        expect_crashed(scene);
        refused(scene,
                "memory of \"file\": 4KiB at offset 0x0 reach beyond the end of the file "
                "(size 2KiB)",
                VM, GUESTMAP_INTERFACE_VM, "GetLayout", "a{sv}", 0);
        assert_int_equal(ftruncate(file, 0x1000), 0);
        assert_int_equal(pwrite(file, "x", 1, 0xfff), 1);
        expect_state(scene, "running");
        assert_int_equal(generation_of_vm(scene), before + 1);
        assert_int_equal(peek(scene, 0), 42);
        assert_int_equal(peek(scene, 0x10fff), 'x');
        must_destroy(scene->client, "vm");
}

static void test_damaged_and_destroyed(void **state) {
        RecoveryScene *scene = *state;
        pid_t vm;

        create_vm(scene, false);
        close_door(scene);
        kill_vm(scene);
        expect_state(scene, "recovering");
        flip(scene, "facts", 60);
        open_door(scene);
        expect_state(scene, "crashed");
        vm = pid_of_vm(scene);
        must_destroy(scene->client, "vm");
        assert_true(world_process_ends(vm));
        assert_int_equal(count_vms(scene), 0);
        create_vm(scene, false);
        assert_true(has_text(scene, "State", "running"));
}

/* A property of a VM of any name; NULL: there is none. */
static char *text_of(RecoveryScene *scene, const char *name, const char *property) {
        _cleanup_(freep) char *path = NULL;
        char *text = NULL;

        assert_true(sd_bus_path_encode(GUESTMAP_PATH_VM, name, &path) >= 0);
        (void)sd_bus_get_property_string(scene->client, GUESTMAP_SERVICE, path,
                                         GUESTMAP_INTERFACE_VM, property, NULL, &text);
        return text;
}

static void await_text(RecoveryScene *scene, const char *name, const char *property,
                       const char *expected) {
        for (unsigned waited = 0;; waited += STEP) {
                _cleanup_(freep) char *text = text_of(scene, name, property);

                if (text && strcmp(text, expected) == 0)
                        return;
                if (waited >= PATIENCE)
                        fail_msg("%s of VM \"%s\": %s", property, name, text ?: "(none)");
                usleep(STEP);
        }
}

/* What it was called is in the damaged record, and its socket is not called like that. */
static void test_damaged_without_a_name(void **state) {
        RecoveryScene *scene = *state;
        _cleanup_(freep) char *id = NULL, *gone = NULL;
        char instance[26], journal[160];
        pid_t vm;

        must_create(scene->client, "a.b");
        id = text_of(scene, "a.b", "ID");
        assert_non_null(id);
        snprintf(instance, sizeof(instance), "_%.24s", id);
        snprintf(journal, sizeof(journal), "%s/run/%s.d/journal", scene->world.directory, instance);
        vm = pid_of_vm(scene);
        world_stop_daemon(&scene->world, SIGKILL);
        kill(vm, SIGKILL);
        assert_true(world_process_ends(vm));
        flip_at(journal, 60);
        assert_true(world_start_daemon(&scene->world));
        await_text(scene, instance, "State", "crashed");
        assert_int_equal(count_vms(scene), 1);

        /* Somebody has mended it. */
        flip_at(journal, 60);
        kill_vm(scene);
        await_text(scene, "a.b", "State", "running");
        await_text(scene, "a.b", "ID", id);
        gone = text_of(scene, instance, "State");
        assert_null(gone);
        assert_int_equal(count_vms(scene), 1);

        flip_at(journal, 60);
        vm = pid_of_vm(scene);
        kill(vm, SIGKILL);
        await_text(scene, "a.b", "State", "crashed");
        restart_daemon(scene, SIGKILL);
        must_destroy(scene->client, instance);
        assert_int_equal(count_vms(scene), 0);
}

FORWARD_TESTS(RECOVERY_TEST(test_damaged_journal), RECOVERY_TEST(test_damaged_facts),
              RECOVERY_TEST(test_missing_journal), RECOVERY_TEST(test_obstructed),
              RECOVERY_TEST(test_file_cut_off), RECOVERY_TEST(test_damaged_and_destroyed),
              RECOVERY_TEST(test_damaged_without_a_name));
