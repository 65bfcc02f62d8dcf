/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * VMs that lose their process, their guestmapd, or both: test-recovery KIND GUESTMAPD
 *
 * The program that serves VMs is put behind a door that a test can close, so that what happens
 * while one is away does not depend on how long that takes.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/errors.h"
#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/test-forward-world.h"
#include "tests/common/unit.h"

#define VM         GUESTMAP_PATH_VM "/vm"
#define MEMORY     VM "/space/memory"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define PATIENCE   10000000 /* µs */
#define STEP       5000     /* µs */
#define N_HELD     20

static const char *bus_kind, *program;
static World world;
static sd_bus *client;
static char door[96], option[96];
static uint64_t n_changes; /* of the VM's State */

/* A call under way, and how it ended. */
typedef struct Ask Ask;
struct Ask {
        sd_bus_slot *slot;
        bool answered;
        uint64_t number; /* that the reply begins with */
        char error[512]; /* name and message; empty if there is none */
};

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

static void ask(Ask *asked, const char *path, const char *interface, const char *member,
                const char *types, ...) {
        va_list arguments;

        *asked = (Ask){};
        va_start(arguments, types);
        assert_true(sd_bus_call_method_asyncv(client, &asked->slot, GUESTMAP_SERVICE, path,
                                              interface, member, on_answer, asked, types,
                                              arguments) >= 0);
        va_end(arguments);
}

static void await(Ask *asked) {
        while (!asked->answered) {
                int r = sd_bus_process(client, NULL);

                assert_true(r >= 0);
                if (r == 0)
                        assert_true(sd_bus_wait(client, PATIENCE) > 0);
        }
        sd_bus_slot_unref(asked->slot);
}

static void ask_region(Ask *asked, const char *map, const char *name, uint64_t offset) {
        ask(asked, map, GUESTMAP_INTERFACE_MAP, "AddRegion", "sststia{sv}", name, "ram",
            UINT64_C(0x1000), "system", offset, 0, 0);
}

static uint64_t add_region(const char *map, const char *name, uint64_t offset) {
        Ask asked;

        ask_region(&asked, map, name, offset);
        await(&asked);
        assert_string_equal(asked.error, "");
        return asked.number;
}

static sd_bus_message *call(const char *path, const char *interface, const char *member,
                            const char *types, ...) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        va_list arguments;
        int r;

        va_start(arguments, types);
        r = sd_bus_call_methodv(client, GUESTMAP_SERVICE, path, interface, member, &error, &reply,
                                types, arguments);
        va_end(arguments);
        if (r < 0)
                fail_msg("%s: %s", member, error.message);
        return reply;
}

static void create(bool durable) {
        sd_bus_message_unref(call(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}",
                                  "vm", 2, "accelerator", "s", "none", "durable", "b", durable));
}

static void destroy(void) {
        sd_bus_message_unref(
                call(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "DestroyVM", "sa{sv}", "vm", 0));
}

static uint64_t generation(void) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint64_t value;

        reply = call(VM, PROPERTIES, "Get", "ss", GUESTMAP_INTERFACE_VM, "Generation");
        assert_true(sd_bus_message_read(reply, "v", "t", &value) > 0);
        return value;
}

static bool has_text(const char *property, const char *expected) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *text;

        reply = call(VM, PROPERTIES, "Get", "ss", GUESTMAP_INTERFACE_VM, property);
        assert_true(sd_bus_message_read(reply, "v", "s", &text) > 0);
        return strcmp(text, expected) == 0;
}

static void expect_state(const char *state) {
        for (unsigned waited = 0; !has_text("State", state); waited += STEP) {
                assert_true(waited < PATIENCE);
                usleep(STEP);
        }
}

static char *id_of_vm(void) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *text;

        reply = call(VM, PROPERTIES, "Get", "ss", GUESTMAP_INTERFACE_VM, "ID");
        assert_true(sd_bus_message_read(reply, "v", "s", &text) > 0);
        return strdup(text);
}

static unsigned count_vms(void) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        unsigned n = 0;

        reply = call(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "ListVMs", NULL);
        assert_true(sd_bus_message_enter_container(reply, 'a', "(sots)") > 0);
        while (sd_bus_message_skip(reply, "(sots)") > 0)
                n++;
        return n;
}

static void poke(uint64_t address, uint8_t byte) {
        sd_bus_message_unref(
                call(MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE, "Write", "tay", address, 1, byte));
}

static uint8_t peek(uint64_t address) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const void *bytes;
        size_t n;

        reply = call(MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE, "Read", "tt", address, UINT64_C(1));
        assert_true(sd_bus_message_read_array(reply, 'y', &bytes, &n) > 0);
        assert_int_equal(n, 1);
        return *(const uint8_t *)bytes;
}

static void close_door(void) {
        int fd = open(door, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        close(fd);
}

static void open_door(void) {
        assert_int_equal(unlink(door), 0);
}

/* What serves VMs, once the door is open. */
static bool make_door(void) {
        char path[80];
        FILE *file;

        snprintf(door, sizeof(door), "%s/closed", world.directory);
        snprintf(path, sizeof(path), "%s/vmd", world.directory);
        snprintf(option, sizeof(option), "--vmd=%s", path);
        file = fopen(path, "we");
        if (!file)
                return false;
        fprintf(file, "#!/bin/sh\nwhile [ -e '%s' ]; do sleep 0.01; done\nexec '%.*s-vmd'\n", door,
                (int)strlen(program) - 1, program);
        return fclose(file) == 0 && chmod(path, 0700) == 0;
}

static int on_change(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        n_changes++;
        return 0;
}

static int set_up(void **state) {
        if (!world_open(&world, bus_kind, program, "--system") || !make_door())
                return -1;
        world.option = option;
        world_stop_daemon(&world, SIGTERM);
        if (!world_start_daemon(&world))
                return -1;
        client = world_connect(&world);
        if (!client)
                return -1;
        return sd_bus_match_signal(client, NULL, GUESTMAP_SERVICE, VM, PROPERTIES,
                                   "PropertiesChanged", on_change, NULL) < 0;
}

static int tear_down(void **state) {
        client = sd_bus_flush_close_unref(client);
        return world_close(&world) ? 0 : -1;
}

static void process_until_more_than(const uint64_t *n, uint64_t limit) {
        while (*n <= limit) {
                int r = sd_bus_process(client, NULL);

                assert_true(r >= 0);
                if (r == 0)
                        assert_true(sd_bus_wait(client, PATIENCE) > 0);
        }
}

/* Of a guestmapd that has found it its process is no child. */
static pid_t pid_of_vm(void) {
        static pid_t last;
        pid_t pid = world_newest_vm(&world);

        if (pid > 0)
                last = pid;
        assert_true(last > 0);
        return last;
}

static void kill_vm(void) {
        kill(pid_of_vm(), SIGKILL);
}

/* Returns when another process has taken its place. */
static void replace_process(void) {
        uint64_t before = n_changes;

        kill_vm();
        process_until_more_than(&n_changes, before + 1);
}

static void replace_vm(void) {
        replace_process();
        assert_true(has_text("State", "running"));
}

static void restart_daemon(int signal) {
        world_stop_daemon(&world, signal);
        assert_true(world_start_daemon(&world));
}

/* The same VM, and all that was acknowledged. */
static void test_comes_back(void **state) {
        _cleanup_(freep) char *id = NULL;
        uint64_t before;

        create(false);
        id = id_of_vm();
        before = add_region(VM, "a", 0);
        poke(0x123, 42);
        for (unsigned i = 0; i < 3; i++) {
                replace_vm();
                assert_true(has_text("ID", id));
                assert_int_equal(generation(), before);
                assert_int_equal(peek(0x123), 42);
        }
        assert_int_equal(add_region(VM, "b", 0x1000), before + 1);
        destroy();
        create(false);
        assert_false(has_text("ID", id));
}

/* Of what was on its way nobody knows what became; what comes meanwhile waits, in order. */
static void test_calls(void **state) {
        Ask in_flight, held[N_HELD];
        uint64_t before;
        char name[8];

        create(false);
        before = add_region(VM, "a", 0);
        ask(&in_flight, MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE, "WaitChanges", "tt", before,
            UINT64_C(60000000));
        assert_int_equal(generation(), before); /* it has been forwarded */
        close_door();
        kill_vm();
        await(&in_flight);
        assert_non_null(strstr(in_flight.error, "not known: read Generation"));
        expect_state("recovering");
        for (unsigned i = 0; i < N_HELD; i++) {
                snprintf(name, sizeof(name), "r%u", i);
                ask_region(&held[i], VM, name, 0x1000 * (i + 1));
        }
        assert_true(has_text("State", "recovering"));
        assert_int_equal(count_vms(), 1);
        open_door();
        for (unsigned i = 0; i < N_HELD; i++) {
                await(&held[i]);
                assert_string_equal(held[i].error, "");
                assert_int_equal(held[i].number, before + i + 1);
        }
}

/* It need not be back for that. */
static void test_destroyed_meanwhile(void **state) {
        Ask held;

        create(false);
        close_door();
        kill_vm();
        expect_state("recovering");
        ask_region(&held, VM, "a", 0);
        destroy();
        await(&held);
        assert_non_null(strstr(held.error, "had no effect"));
        assert_int_equal(count_vms(), 0);
        open_door();
        create(false);
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
        uint64_t told;

        daemon_died = false;
        create(false);
        told = generation();
        assert_true(sd_bus_add_match(client, NULL, "type='signal',sender='" GUESTMAP_SERVICE "'",
                                     on_signal, &told) >= 0);
        for (unsigned i = 0; i < 4; i++) {
                char name[] = {'a' + (char)i, '\0'};

                add_region(VM, name, 0x1000 * i);
                (void)pid_of_vm();
                if (i < 2) {
                        replace_vm();
                        continue;
                }
                daemon_died = true;
                restart_daemon(SIGKILL);
        }
        process_until_more_than(&told, add_region(VM, "e", 0x8000) - 1);
}

/* guestmapd's end is none of the VM's business, nor of a transaction that lives by time. */
static void test_daemon_restarts(void **state) {
        static const int signals[] = {SIGTERM, SIGKILL};
        static const char *const errors[] = {"VMGone: VM \"vm\": the connection to its process",
                                             "org.freedesktop.DBus.Error.NoReply"};
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *begun = NULL;
        const char *transaction;
        char name[] = "a";
        uint64_t before;
        Ask asked;
        pid_t vm;

        create(false);
        vm = pid_of_vm();
        before = generation();
        begun = call(VM, GUESTMAP_INTERFACE_VM, "Begin", "ta{sv}", UINT64_C(60000000), 0);
        assert_true(sd_bus_message_read(begun, "o", &transaction) > 0);
        for (size_t i = 0; i < ELEMENTS_OF(signals); i++, name[0]++) {
                assert_int_equal(add_region(transaction, name, 0x1000 * i), 0);
                ask(&asked, MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE, "WaitChanges", "tt", before,
                    UINT64_C(60000000));
                assert_int_equal(generation(), before);
                restart_daemon(signals[i]);
                await(&asked);
                assert_non_null(strstr(asked.error, errors[i]));
        }
        assert_int_equal(kill(vm, 0), 0);
        ask(&asked, transaction, GUESTMAP_INTERFACE_TRANSACTION, "Commit", "a{sv}", 0);
        await(&asked);
        assert_string_equal(asked.error, "");
        assert_int_equal(asked.number, before + 1);
}

/* Until what an earlier guestmapd has left of the VM is removed. */
static void await_room(void) {
        Ask asked;

        for (unsigned waited = 0;; waited += STEP) {
                ask(&asked, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}", "vm",
                    1, "accelerator", "s", "none");
                await(&asked);
                if (!asked.error[0])
                        return;
                if (!strstr(asked.error, "VMExists") || waited >= PATIENCE)
                        fail_msg("CreateVM: %s", asked.error);
                usleep(STEP);
        }
}

/* Nothing is left of a VM that was not set up. */
static void test_daemon_ends_within_creation(void **state) {
        Ask asked;

        for (int durable = 0; durable <= 1; durable++) {
                close_door();
                ask(&asked, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}", "vm",
                    2, "accelerator", "s", "none", "durable", "b", durable);
                assert_int_equal(count_vms(), 0);
                world_stop_daemon(&world, SIGTERM);
                await(&asked);
                assert_non_null(strstr(asked.error, "VMGone: VM \"vm\": guestmapd ends; if its"));
                open_door();
                assert_true(world_start_daemon(&world));
                await_room();
                destroy();
        }
}

/* It goes on, whether its process has heard of it or not. */
static void test_daemon_ends_within_destruction(void **state) {
        Ask asked;
        pid_t vm;

        for (int durable = 0; durable <= 1; durable++) {
                create(durable);
                vm = pid_of_vm();
                kill(vm, SIGSTOP);
                ask(&asked, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "DestroyVM", "sa{sv}", "vm",
                    0);
                (void)count_vms();
                world_stop_daemon(&world, SIGTERM);
                await(&asked);
                assert_non_null(strstr(asked.error, "VMGone: VM \"vm\": guestmapd ends; its"));
                kill(vm, SIGCONT);
                assert_true(world_process_ends(vm));
                assert_true(world_start_daemon(&world));
                await_room();
                destroy();
        }
}

/* A new guestmapd is given what the old one kept, before anybody else can need it. */
static void test_one_after_the_other(void **state) {
        uint64_t before;

        create(false);
        add_region(VM, "a", 0);
        for (unsigned i = 0; i < 3; i++) {
                pid_t vm = pid_of_vm();

                poke(0x10, (uint8_t)(i + 1));
                restart_daemon(SIGKILL);
                before = n_changes;
                kill(vm, SIGKILL);
                process_until_more_than(&n_changes, before + 1);
                assert_int_equal(peek(0x10), i + 1);
        }
}

/* The map is there; memory that only the two had is not, and nobody is told otherwise. */
static void test_both_die(void **state) {
        uint64_t before;
        pid_t vm;

        create(false);
        before = add_region(VM, "a", 0);
        poke(0x10, 1);
        vm = pid_of_vm();
        world_stop_daemon(&world, SIGKILL);
        kill(vm, SIGKILL);
        assert_true(world_process_ends(vm));
        assert_true(world_start_daemon(&world));
        expect_state("running");
        assert_int_equal(generation(), before);
        assert_int_equal(peek(0x10), 0);
}

/* A reboot: no process, no runtime directory. */
static void test_durable(void **state) {
        _cleanup_(freep) char *id = NULL;
        char command[160], path[96];
        uint64_t before;
        pid_t vm;

        create(true);
        id = id_of_vm();
        before = add_region(VM, "a", 0);
        vm = pid_of_vm();
        world_stop_daemon(&world, SIGTERM);
        kill(vm, SIGTERM);
        assert_true(world_process_ends(vm));
        snprintf(command, sizeof(command), "rm -r %s/run", world.directory);
        assert_int_equal(system(command), 0);

        close_door();
        assert_true(world_start_daemon(&world));
        assert_true(has_text("State", "recovering"));
        open_door();
        expect_state("running");
        assert_true(has_text("ID", id));
        assert_int_equal(generation(), before);
        destroy();
        restart_daemon(SIGTERM);
        assert_int_equal(count_vms(), 0);
        snprintf(path, sizeof(path), "%s/state/vm", world.directory);
        assert_int_not_equal(access(path, F_OK), 0);
}

/* Nobody knows who has sent that, so it is no order to destroy anything. */
static void test_signals_to_the_process(void **state) {
        static const int signals[] = {SIGTERM, SIGINT, SIGHUP};

        for (unsigned durable = 0; durable < 2; durable++) {
                _cleanup_(freep) char *id = NULL;

                create(durable);
                id = id_of_vm();
                add_region(VM, "a", 0);
                poke(0x123, 42);
                for (size_t i = 0; i < ELEMENTS_OF(signals); i++) {
                        kill(pid_of_vm(), signals[i]);
                        if (signals[i] != SIGHUP)
                                assert_true(world_process_ends(pid_of_vm()));
                        expect_state("running");
                        assert_true(has_text("ID", id));
                        assert_int_equal(peek(0x123), 42);
                }
                destroy();
        }
}

static void path_of(char path[static 128], const char *file) {
        snprintf(path, 128, "%s/run/vm.d/%s", world.directory, file);
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

static void flip(const char *file, off_t at) {
        char path[128];

        path_of(path, file);
        flip_at(path, at);
}

static void refused(const char *expected, const char *path, const char *interface,
                    const char *member, const char *types, ...) {
        Ask asked = {};
        va_list arguments;

        va_start(arguments, types);
        assert_true(sd_bus_call_method_asyncv(client, &asked.slot, GUESTMAP_SERVICE, path,
                                              interface, member, on_answer, &asked, types,
                                              arguments) >= 0);
        va_end(arguments);
        await(&asked);
        if (!strstr(asked.error, expected))
                fail_msg("%s: \"%s\", not %s", member, asked.error, expected);
}

/* The first byte of a region's memory, whose number is 1. */
static void expect_salvaged(char expected) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint64_t size;
        char byte;
        int fd;

        reply = call(VM, GUESTMAP_INTERFACE_VM, "GetBacking", "tb", UINT64_C(1), false);
        assert_true(sd_bus_message_read(reply, "ht", &fd, &size) > 0);
        assert_int_equal(size, 0x1000);
        assert_int_equal(pread(fd, &byte, 1, 0), 1);
        assert_int_equal(byte, expected);
        assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
}

static void expect_crashed(void) {
        char directory[128];

        expect_state("crashed");
        path_of(directory, "");
        directory[strlen(directory) - 1] = '\0';
        assert_true(has_text("Directory", directory));
        expect_salvaged(42);
        refused("VMGone", VM, GUESTMAP_INTERFACE_VM, "GetLayout", "a{sv}", 0);
        refused("InvalidRange", VM, GUESTMAP_INTERFACE_VM, "GetBacking", "tb", UINT64_C(7), false);
        refused("VMExists", GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}", "vm",
                0);
}

/* A VM whose process has died, and is followed by none yet. Its generation. */
static uint64_t create_and_kill(char **ret_id) {
        uint64_t before;

        create(false);
        *ret_id = id_of_vm();
        before = add_region(VM, "a", 0);
        poke(0, 42);
        close_door();
        kill_vm();
        expect_state("recovering");
        return before;
}

/* Of a VM that cannot be made again its memory stays, and its name, whoever dies meanwhile. */
static void damage(const char *file, off_t at) {
        _cleanup_(freep) char *id = NULL;
        uint64_t before, changes = n_changes;

        before = create_and_kill(&id);
        flip(file, at);
        open_door();
        process_until_more_than(&n_changes, changes + 1);
        expect_crashed();
        assert_true(has_text("ID", id));
        assert_int_equal(generation(), before);
        replace_process();
        expect_crashed();
        (void)pid_of_vm();
        restart_daemon(SIGKILL);
        expect_crashed();

        /* Somebody has mended it. */
        flip(file, at);
        kill_vm();
        expect_state("running");
        assert_true(has_text("ID", id));
        assert_int_equal(generation(), before);
        assert_int_equal(peek(0), 42);
        destroy();
}

static void test_damaged_journal(void **state) {
        damage("journal", 60); /* who it is; whole records follow */
}

static void test_damaged_facts(void **state) {
        damage("facts", 60);
}

/* Puts a directory where the journal is; a second time, the journal again. */
static void obstruct(bool obstructed) {
        char journal[128], aside[128];

        path_of(journal, "journal");
        path_of(aside, "aside");
        if (!obstructed)
                assert_int_equal(rmdir(journal), 0);
        assert_int_equal(rename(obstructed ? journal : aside, obstructed ? aside : journal), 0);
        if (obstructed)
                assert_int_equal(mkdir(journal, 0700), 0);
}

/* What is in the way may go: the process stays, says what it is, and tries again. */
static void test_obstructed(void **state) {
        _cleanup_(freep) char *id = NULL;
        uint64_t before;
        pid_t vm;

        before = create_and_kill(&id);
        obstruct(true);
        open_door();
        expect_crashed();
        refused("has crashed: its process can't restore it, and has its memory: Is a directory",
                VM, GUESTMAP_INTERFACE_VM, "GetLayout", "a{sv}", 0);
        vm = pid_of_vm();
        restart_daemon(SIGKILL);
        expect_crashed();
        obstruct(false);
        expect_state("running");
        assert_int_equal(pid_of_vm(), vm);
        assert_true(has_text("ID", id));
        assert_int_equal(generation(), before);
        assert_int_equal(peek(0), 42);
        add_region(VM, "b", 0x10000);
        destroy();
}

static void test_damaged_and_destroyed(void **state) {
        pid_t vm;

        create(false);
        close_door();
        kill_vm();
        expect_state("recovering");
        flip("facts", 60);
        open_door();
        expect_state("crashed");
        vm = pid_of_vm();
        destroy();
        assert_true(world_process_ends(vm));
        assert_int_equal(count_vms(), 0);
        create(false);
        assert_true(has_text("State", "running"));
}

/* A property of a VM of any name; NULL: there is none. */
static char *text_of(const char *name, const char *property) {
        _cleanup_(freep) char *path = NULL;
        char *text = NULL;

        assert_true(sd_bus_path_encode(GUESTMAP_PATH_VM, name, &path) >= 0);
        (void)sd_bus_get_property_string(client, GUESTMAP_SERVICE, path, GUESTMAP_INTERFACE_VM,
                                         property, NULL, &text);
        return text;
}

static void await_text(const char *name, const char *property, const char *expected) {
        for (unsigned waited = 0;; waited += STEP) {
                _cleanup_(freep) char *text = text_of(name, property);

                if (text && strcmp(text, expected) == 0)
                        return;
                if (waited >= PATIENCE)
                        fail_msg("%s of VM \"%s\": %s", property, name, text ?: "(none)");
                usleep(STEP);
        }
}

/* What it was called is in the damaged record, and its socket is not called like that. */
static void test_damaged_without_a_name(void **state) {
        _cleanup_(freep) char *id = NULL, *gone = NULL;
        char instance[26], journal[160];
        pid_t vm;

        sd_bus_message_unref(call(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}",
                                  "a.b", 1, "accelerator", "s", "none"));
        id = text_of("a.b", "ID");
        assert_non_null(id);
        snprintf(instance, sizeof(instance), "_%.24s", id);
        snprintf(journal, sizeof(journal), "%s/run/%s.d/journal", world.directory, instance);
        vm = pid_of_vm();
        world_stop_daemon(&world, SIGKILL);
        kill(vm, SIGKILL);
        assert_true(world_process_ends(vm));
        flip_at(journal, 60);
        assert_true(world_start_daemon(&world));
        await_text(instance, "State", "crashed");
        assert_int_equal(count_vms(), 1);

        /* Somebody has mended it. */
        flip_at(journal, 60);
        kill_vm();
        await_text("a.b", "State", "running");
        await_text("a.b", "ID", id);
        gone = text_of(instance, "State");
        assert_null(gone);
        assert_int_equal(count_vms(), 1);

        flip_at(journal, 60);
        vm = pid_of_vm();
        kill(vm, SIGKILL);
        await_text("a.b", "State", "crashed");
        restart_daemon(SIGKILL);
        sd_bus_message_unref(call(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "DestroyVM", "sa{sv}",
                                  instance, 0));
        assert_int_equal(count_vms(), 0);
}

/* A process that is stopped keeps nobody waiting; when it goes on it is there again. */
static void test_stopped_process(void **state) {
        char directory[128];
        pid_t vm;
        Ask asked;

        create(false);
        vm = pid_of_vm();
        kill(vm, SIGSTOP);
        path_of(directory, "");
        directory[strlen(directory) - 1] = '\0';
        assert_true(has_text("Directory", directory));
        restart_daemon(SIGKILL);
        assert_int_equal(count_vms(), 0);
        ask_region(&asked, VM, "a", 0);
        await(&asked);
        assert_non_null(strstr(asked.error, "VMGone"));
        ask(&asked, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}", "vm", 0);
        await(&asked);
        assert_non_null(strstr(asked.error, "VMExists"));
        kill(vm, SIGCONT);
        for (unsigned waited = 0; count_vms() == 0; waited += STEP) {
                assert_true(waited < PATIENCE);
                usleep(STEP);
        }
        assert_true(has_text("State", "running"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                TEST(test_comes_back),
                TEST(test_calls),
                TEST(test_signals),
                TEST(test_destroyed_meanwhile),
                TEST(test_daemon_restarts),
                TEST(test_one_after_the_other),
                TEST(test_daemon_ends_within_creation),
                TEST(test_daemon_ends_within_destruction),
                TEST(test_both_die),
                TEST(test_durable),
                TEST(test_signals_to_the_process),
                TEST(test_damaged_journal),
                TEST(test_damaged_facts),
                TEST(test_obstructed),
                TEST(test_damaged_and_destroyed),
                TEST(test_damaged_without_a_name),
                TEST(test_stopped_process),
        };

        if (argc != 3)
                return 2;
        bus_kind = argv[1];
        program = realpath(argv[2], NULL);
        if (!world_has(bus_kind)) {
                printf("1..0 # SKIP no %s here\n", bus_kind);
                return 0;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
