/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * guestmapd with real VM processes on a real bus: test-forward KIND GUESTMAPD
 *
 * What clients see: that calls, replies, errors, descriptors, properties, introspection and signals
 * pass through as they are, and that the death of any one process is told and harms no other.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api/errors.h"
#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/test-forward-world.h"
#include "tests/common/unit.h"

#define VM1        GUESTMAP_PATH_VM "/vm1"
#define VM2        GUESTMAP_PATH_VM "/vm2"
#define MEMORY     VM1 "/space/memory"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define WAIT_USEC  10000000
#define PIPELINED  200
#define NOBODY     65534

static const char *bus_kind, *program;
static World world;
static sd_bus *client;

/* Calls; the reply is kept until the next call, so that what is read from it may be compared. */
static sd_bus_message *last_reply;
static sd_bus_error last_error;

static int call_on(sd_bus *bus, const char *path, const char *interface, const char *member,
                   const char *types, va_list arguments) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        last_reply = sd_bus_message_unref(last_reply);
        sd_bus_error_free(&last_error);
        assert_true(sd_bus_message_new_method_call(bus, &m, GUESTMAP_SERVICE, path, interface,
                                                   member) >= 0);
        if (types)
                assert_true(sd_bus_message_appendv(m, types, arguments) >= 0);
        return sd_bus_call(bus, m, WAIT_USEC, &last_error, &last_reply);
}

static sd_bus_message *call(const char *path, const char *interface, const char *member,
                            const char *types, ...) {
        va_list arguments;
        int r;

        va_start(arguments, types);
        r = call_on(client, path, interface, member, types, arguments);
        va_end(arguments);
        if (r < 0)
                fail_msg("%s: %s: %s", member, last_error.name, last_error.message);
        return last_reply;
}

/* The call fails with that error of the contract, and says so in its message. */
static void refused(const char *token, const char *path, const char *interface, const char *member,
                    const char *types, ...) {
        char name[128];
        va_list arguments;
        int r;

        va_start(arguments, types);
        r = call_on(client, path, interface, member, types, arguments);
        va_end(arguments);
        assert_true(r < 0);
        snprintf(name, sizeof(name), "%s%s", GUESTMAP_ERROR_PREFIX, token);
        if (strcmp(token, "AccessDenied") == 0 || strcmp(token, "InvalidArgs") == 0)
                snprintf(name, sizeof(name), "org.freedesktop.DBus.Error.%s", token);
        assert_string_equal(last_error.name, name);
        assert_int_equal(strncmp(last_error.message, token, strlen(token)), 0);
        assert_int_equal(last_error.message[strlen(token)], ':');
}

static void create(const char *name) {
        call(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}", name, 1,
             "accelerator", "s", "none");
}

static void destroy(const char *name) {
        call(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "DestroyVM", "sa{sv}", name, 0);
}

static uint64_t add_region(const char *vm, const char *name, const char *kind, uint64_t size,
                           uint64_t offset) {
        uint64_t generation;

        call(vm, GUESTMAP_INTERFACE_MAP, "AddRegion", "sststia{sv}", name, kind, size, "system",
             offset, 0, 0);
        assert_true(sd_bus_message_read(last_reply, "t", &generation) > 0);
        return generation;
}

static uint64_t generation_of(const char *vm) {
        uint64_t generation;

        call(vm, PROPERTIES, "Get", "ss", GUESTMAP_INTERFACE_VM, "Generation");
        assert_true(sd_bus_message_read(last_reply, "v", "t", &generation) > 0);
        return generation;
}

static const char *text_of(const char *vm, const char *property) {
        const char *text;

        call(vm, PROPERTIES, "Get", "ss", GUESTMAP_INTERFACE_VM, property);
        assert_true(sd_bus_message_read(last_reply, "v", "s", &text) > 0);
        return text;
}

/* Signals of guestmapd, in the order in which they come. */
static void listen_on(sd_bus *bus) {
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

static void expect_signal(sd_bus *bus, const char *path, const char *member) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = next_signal(bus);

        assert_string_equal(sd_bus_message_get_member(m), member);
        assert_string_equal(sd_bus_message_get_path(m), path);
}

static void expect_committed(sd_bus *bus, uint64_t generation, uint64_t previous) {
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

/* What busctl prints when it succeeds; good until the next time. */
static const char *output_of(const char *verb, const char *arguments) {
        static char text[65536];
        char command[512];
        size_t n;
        FILE *pipe;

        snprintf(command, sizeof(command), "busctl --address=%s %s %s %s", world.address, verb,
                 GUESTMAP_SERVICE, arguments);
        pipe = popen(command, "re");
        assert_non_null(pipe);
        n = fread(text, 1, sizeof(text) - 1, pipe);
        text[n] = '\0';
        assert_int_equal(pclose(pipe), 0);
        return text;
}

static void assert_has(const char *text, const char *part) {
        if (strstr(text, part))
                return;
        fputs(text, stderr);
        fputs("lacks: ", stderr);
        fputs(part, stderr);
        fail();
}

static int set_up(void **state) {
        if (!world_open(&world, bus_kind, program, "--system"))
                return -1;
        client = world_connect(&world);
        return client ? 0 : -1;
}

static int tear_down(void **state) {
        last_reply = sd_bus_message_unref(last_reply);
        sd_bus_error_free(&last_error);
        client = sd_bus_flush_close_unref(client);
        return world_close(&world) ? 0 : -1;
}

static void test_create_and_destroy(void **state) {
        sd_bus *watcher = world_connect(&world);
        const char *path, *name, *vm_state;
        uint64_t generation;

        listen_on(watcher);
        create("vm1");
        assert_true(sd_bus_message_read(last_reply, "o", &path) > 0);
        assert_string_equal(path, VM1);
        expect_signal(watcher, GUESTMAP_PATH, "VMNew");
        expect_signal(watcher, GUESTMAP_PATH, "InterfacesAdded");

        call(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "GetVM", "s", "vm1");
        assert_true(sd_bus_message_read(last_reply, "o", &path) > 0);
        assert_string_equal(path, VM1);
        call(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "ListVMs", NULL);
        assert_true(sd_bus_message_read(last_reply, "a(sots)", 1, &name, &path, &generation,
                                        &vm_state) > 0);
        assert_string_equal(name, "vm1");
        assert_string_equal(vm_state, "running");

        pid_t vm = world_newest_vm(&world);
        destroy("vm1");
        expect_signal(watcher, GUESTMAP_PATH, "VMRemoved");
        expect_signal(watcher, GUESTMAP_PATH, "InterfacesRemoved");
        assert_true(world_process_ends(vm));
        refused("NoSuchVM", GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "GetVM", "s", "vm1");

        create("vm1");
        call(VM1, GUESTMAP_INTERFACE_VM, "Destroy", "a{sv}", 0);
        refused("NoSuchVM", VM1, GUESTMAP_INTERFACE_VM, "Destroy", "a{sv}", 0);
        sd_bus_flush_close_unref(watcher);
}

/* A name with dots and dashes, and one too long for a user name: sockets are named otherwise. */
static void test_names(void **state) {
        static const char *const names[] = {
                "a.b-c_d", "x", "0123456789012345678901234567890123456789012345678901234567890.2"};

        for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
                char *path;

                create(names[i]);
                assert_true(sd_bus_path_encode(GUESTMAP_PATH_VM, names[i], &path) >= 0);
                assert_string_equal(text_of(path, "Name"), names[i]);
                free(path);
        }
        for (size_t i = 0; i < ELEMENTS_OF(names); i++)
                destroy(names[i]);
}

static void test_manager_refuses(void **state) {
        create("vm1");
#define REFUSED(token, ...)                                                                        \
        refused(token, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}", __VA_ARGS__)
        REFUSED("VMExists", "vm1", 0);
        REFUSED("InvalidName", "", 0);
        REFUSED("InvalidName", "-a", 0);
        REFUSED("InvalidName", "a/b", 0);
        REFUSED("InvalidArgs", "vm2", 1, "colour", "s", "red");
        REFUSED("InvalidArgs", "vm2", 1, "accelerator", "u", 1);
        REFUSED("InvalidArgs", "vm2", 1, "owner", "u", UINT32_MAX);
#undef REFUSED
        refused("InvalidArgs", GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "DestroyVM", "sa{sv}",
                "vm1", 1, "softly", "b", 1);
        refused("NoSuchVM", VM2, GUESTMAP_INTERFACE_VM, "GetLayout", "a{sv}", 0);
        refused("NoSuchVM", VM2 "/region/a", PROPERTIES, "GetAll", "s", "");
        call(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "ListVMs", NULL);
}

/* What the process refuses is the error of CreateVM, and leaves nothing behind. */
static void test_setup_fails(void **state) {
        char socket[128];
        pid_t vm;

        create("vm1");
        vm = world_newest_vm(&world);
        refused("InvalidDocument", GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}",
                "vm2", 2, "accelerator", "s", "none", "layout", "s", "{");
        assert_int_equal(world_newest_vm(&world), vm);
        snprintf(socket, sizeof(socket), "%s/run/vm2", world.directory);
        assert_int_not_equal(access(socket, F_OK), 0);
        create("vm2");
}

static void test_calls_pass(void **state) {
        uint64_t generation, first, last, offset;
        const char *region, *kind;
        uint32_t flags;
        int enabled;

        create("vm1");
        generation = add_region(VM1, "pc.ram", "ram", 0x10000, 0x1000);
        assert_int_equal(generation_of(VM1), generation);
        call(MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetFlatView", NULL);
        assert_true(sd_bus_message_read(last_reply, "ta(ttstsu)", &generation, 1, &first, &last,
                                        &region, &offset, &kind, &flags) > 0);
        assert_int_equal(first, 0x1000);
        assert_int_equal(last, 0x10fff);
        assert_string_equal(region, "pc.ram");

        refused("RegionExists", VM1, GUESTMAP_INTERFACE_MAP, "AddRegion", "sststia{sv}", "pc.ram",
                "ram", 0x1000ul, "system", 0ul, 0, 0);
        assert_int_equal(generation_of(VM1), generation);

        call(VM1 "/region/pc_2eram", PROPERTIES, "Set", "ssv", GUESTMAP_INTERFACE_REGION, "Enabled",
             "b", 0);
        call(VM1 "/region/pc_2eram", PROPERTIES, "Get", "ss", GUESTMAP_INTERFACE_REGION, "Enabled");
        assert_true(sd_bus_message_read(last_reply, "v", "b", &enabled) > 0);
        assert_int_equal(enabled, 0);
        assert_int_equal(generation_of(VM1), generation + 1);
}

static void test_signals_pass(void **state) {
        sd_bus *watcher = world_connect(&world);
        uint64_t before;

        create("vm1");
        before = generation_of(VM1);
        listen_on(watcher);
        assert_int_equal(add_region(VM1, "a", "mmio", 0x1000, 0), before + 1);
        assert_int_equal(add_region(VM1, "b", "mmio", 0x1000, 0x1000), before + 2);
        expect_committed(watcher, before + 1, before);
        expect_committed(watcher, before + 2, before + 1);
        sd_bus_flush_close_unref(watcher);
}

static char *map_reply_fd(void) {
        uint64_t offset, size;
        char *memory;
        int fd;

        assert_true(sd_bus_message_read(last_reply, "htt", &fd, &offset, &size) > 0);
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
        assert_ptr_not_equal(memory, MAP_FAILED);
        return memory;
}

static void test_descriptors_pass(void **state) {
        uint64_t backing, size;
        char *memory, byte;
        int fd;

        create("vm1");
        add_region(VM1, "ram", "ram", 0x1000, 0);
        call(VM1 "/region/ram", GUESTMAP_INTERFACE_REGION, "GetMemory", "b", 1);
        memory = map_reply_fd();
        memory[17] = 'x';
        munmap(memory, 0x1000);

        call(VM1 "/region/ram", PROPERTIES, "Get", "ss", GUESTMAP_INTERFACE_REGION, "Backing");
        assert_true(sd_bus_message_read(last_reply, "v", "t", &backing) > 0);
        call(VM1, GUESTMAP_INTERFACE_VM, "GetBacking", "tb", backing, 0);
        assert_true(sd_bus_message_read(last_reply, "ht", &fd, &size) > 0);
        assert_int_equal(pread(fd, &byte, 1, 17), 1);
        assert_int_equal(byte, 'x');
        assert_true(pwrite(fd, &byte, 1, 17) < 0);
}

static void test_introspection(void **state) {
        const char *text;

        create("vm1");
        add_region(VM1, "pc.ram", "ram", 0x1000, 0);
        text = output_of("tree", "");
        assert_has(text, VM1 "/region/pc_2eram");
        assert_has(text, MEMORY);
        text = output_of("introspect", GUESTMAP_PATH);
        assert_has(text, ".CreateVM");
        assert_has(text, ".GetManagedObjects");
        text = output_of("introspect", VM1);
        assert_has(text, ".AddRegion");
        assert_has(text, ".Committed");
        text = output_of("introspect", GUESTMAP_PATH_VM);
        assert_has(text, "org.freedesktop.DBus.Introspectable");
        text = output_of("call", VM1 "/region/pc_2eram org.freedesktop.DBus.Peer Ping");
        assert_string_equal(text, "");
}

static void test_managed_objects(void **state) {
        const char *text;

        create("vm1");
        create("vm2");
        add_region(VM2, "pc.ram", "ram", 0x3000, 0);
        text = output_of("call",
                         GUESTMAP_PATH " org.freedesktop.DBus.ObjectManager GetManagedObjects");
        assert_has(text, "a{oa{sa{sv}}} 2 ");
        assert_has(text, "\"" VM1 "\" 6 ");
        assert_has(text, "\"RAMBytes\" t 12288");
        text = output_of("call", VM2 " org.freedesktop.DBus.ObjectManager GetManagedObjects");
        assert_has(text, "\"" VM2 "/region/pc_2eram\"");
}

static int on_generation(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        uint64_t *next = userdata, generation;

        assert_false(sd_bus_message_is_method_error(m, NULL));
        assert_true(sd_bus_message_read(m, "t", &generation) > 0);
        assert_int_equal(generation, *next);
        ++*next;
        return 1;
}

/* Whoever calls for the first time is asked after; what it sends meanwhile keeps its order. */
static void test_order(void **state) {
        uint64_t first, next;
        sd_bus *newcomer;
        char name[16];

        create("vm1");
        first = next = generation_of(VM1) + 1;
        newcomer = world_connect(&world);
        for (unsigned i = 0; i < PIPELINED; i++) {
                snprintf(name, sizeof(name), "r%u", i);
                assert_true(sd_bus_call_method_async(
                                    newcomer, NULL, GUESTMAP_SERVICE, VM1, GUESTMAP_INTERFACE_MAP,
                                    "AddRegion", on_generation, &next, "sststia{sv}", name, "mmio",
                                    0x1000ul, "system", i * 0x1000ul, 0, 0) >= 0);
        }
        while (next < first + PIPELINED) {
                int r = sd_bus_process(newcomer, NULL);

                assert_true(r >= 0);
                if (r == 0)
                        assert_true(sd_bus_wait(newcomer, WAIT_USEC) > 0);
        }
        assert_int_equal(generation_of(VM1), first + PIPELINED - 1);
        sd_bus_flush_close_unref(newcomer);
}

/* A call that wants no reply is carried out and gets none. */
static void test_no_reply(void **state) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        uint64_t before;

        create("vm1");
        before = generation_of(VM1);
        assert_true(sd_bus_message_new_method_call(client, &m, GUESTMAP_SERVICE, VM1,
                                                   GUESTMAP_INTERFACE_MAP, "AddRegion") >= 0);
        assert_true(sd_bus_message_append(m, "sststia{sv}", "a", "mmio", 0x1000ul, "system", 0ul, 0,
                                          0) >= 0);
        assert_true(sd_bus_message_set_expect_reply(m, 0) >= 0);
        assert_true(sd_bus_send(client, m, NULL) >= 0);
        assert_int_equal(generation_of(VM1), before + 1);
}

static unsigned count_transactions(void) {
        unsigned n = 0;

        call(VM1, GUESTMAP_INTERFACE_VM, "ListTransactions", NULL);
        assert_true(sd_bus_message_enter_container(last_reply, 'a', "(otu)") >= 0);
        while (sd_bus_message_skip(last_reply, "(otu)") > 0)
                n++;
        return n;
}

static void test_client_dies_with_transaction(void **state) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *begun = NULL;
        sd_bus *other = world_connect(&world);
        const char *transaction;
        uint64_t before;

        create("vm1");
        before = generation_of(VM1);
        assert_true(sd_bus_call_method(other, GUESTMAP_SERVICE, VM1, GUESTMAP_INTERFACE_VM, "Begin",
                                       NULL, &begun, "ta{sv}", 0ul, 0) >= 0);
        assert_true(sd_bus_message_read(begun, "o", &transaction) > 0);
        assert_true(sd_bus_call_method(other, GUESTMAP_SERVICE, transaction, GUESTMAP_INTERFACE_MAP,
                                       "AddRegion", NULL, NULL, "sststia{sv}", "a", "mmio",
                                       0x1000ul, "system", 0ul, 0, 0) >= 0);
        assert_int_equal(count_transactions(), 1);
        sd_bus_close_unref(other);
        for (unsigned tries = 0; count_transactions() > 0; tries++)
                assert_true(tries < 1000);
        assert_int_equal(generation_of(VM1), before);
}

static int on_failure(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        assert_string_equal(sd_bus_message_get_error(m)->name,
                            GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_VM_GONE);
        *(bool *)userdata = true;
        return 1;
}

static void test_vm_process_dies(void **state) {
        sd_bus *watcher = world_connect(&world);
        bool told = false;
        uint64_t before;
        const char *text;
        pid_t vm;

        create("vm2");
        create("vm1");
        vm = world_newest_vm(&world);
        before = add_region(VM1, "a", "mmio", 0x1000, 0);
        assert_int_equal(generation_of(VM1), before); /* the commit's signals are out, too */
        listen_on(watcher);
        assert_true(sd_bus_call_method_async(watcher, NULL, GUESTMAP_SERVICE, MEMORY,
                                             GUESTMAP_INTERFACE_ADDRESS_SPACE, "WaitChanges",
                                             on_failure, &told, "tt", before, 60000000ul) >= 0);
        /* A call on the same connection afterwards: the one that waits has been forwarded. */
        assert_true(sd_bus_call_method(watcher, GUESTMAP_SERVICE, VM1, PROPERTIES, "GetAll", NULL,
                                       NULL, "s", "") >= 0);
        kill(vm, SIGKILL);
        expect_signal(watcher, VM1, "PropertiesChanged");
        assert_true(told);
        expect_signal(watcher, VM1, "PropertiesChanged");

        assert_string_equal(text_of(VM1, "State"), "running");
        assert_int_equal(generation_of(VM1), before);
        text = output_of("introspect", VM1 "/region/a");
        assert_has(text, "\"mmio\"");
        assert_int_equal(add_region(VM1, "b", "mmio", 0x1000, 0x1000), before + 1);
        expect_committed(watcher, before + 1, before);
        output_of("tree", "");
        before = add_region(VM2, "a", "mmio", 0x1000, 0);
        assert_int_equal(generation_of(VM2), before);

        destroy("vm1");
        expect_committed(watcher, before, before - 1);
        expect_signal(watcher, GUESTMAP_PATH, "VMRemoved");
        create("vm1");
        assert_string_equal(text_of(VM1, "State"), "running");
        sd_bus_flush_close_unref(watcher);
}

/* A process that hangs is ended by force, also by a guestmapd that did not start it. */
static void test_vm_process_hangs(void **state) {
        pid_t vm;

        create("vm1");
        vm = world_newest_vm(&world);
        world_stop_daemon(&world, SIGKILL);
        assert_true(world_start_daemon(&world));
        kill(vm, SIGSTOP);
        destroy("vm1");
        assert_true(world_process_ends(vm));
}

static void test_daemon_dies(void **state) {
        _cleanup_(freep) char *id = NULL;
        uint64_t before;
        pid_t dead;

        create("vm1");
        before = add_region(VM1, "a", "mmio", 0x1000, 0);
        id = strdup(text_of(VM1, "ID"));
        create("vm2");
        dead = world_newest_vm(&world);

        world_stop_daemon(&world, SIGKILL);
        kill(dead, SIGKILL);
        assert_true(world_process_ends(dead));
        assert_true(world_start_daemon(&world));
        assert_int_equal(generation_of(VM1), before);
        assert_string_equal(text_of(VM1, "ID"), id);
        assert_int_equal(add_region(VM1, "b", "mmio", 0x1000, 0x1000), before + 1);
        call(VM2, GUESTMAP_INTERFACE_VM, "GetLayout", "a{sv}", 0);
        destroy("vm1");
}

static void test_bus_dies(void **state) {
        uint64_t before;
        pid_t daemon = world.daemon;
        const char *text;

        create("vm1");
        before = add_region(VM1, "a", "mmio", 0x1000, 0);
        last_reply = sd_bus_message_unref(last_reply);
        client = sd_bus_close_unref(client);
        world_stop_bus(&world);
        assert_true(world_start_bus(&world));
        client = world_connect(&world);
        assert_non_null(client);
        for (unsigned tries = 0; tries < 100; tries++) {
                if (sd_bus_call_method(client, GUESTMAP_SERVICE, GUESTMAP_PATH,
                                       "org.freedesktop.DBus.Peer", "Ping", NULL, NULL, "") >= 0)
                        break;
                usleep(20000);
        }
        assert_int_equal(waitpid(daemon, NULL, WNOHANG), 0);
        assert_int_equal(generation_of(VM1), before);
        assert_int_equal(add_region(VM1, "b", "mmio", 0x1000, 0x1000), before + 1);
        text = output_of("introspect", VM1);
        assert_has(text, ".AddRegion");
}

/* Runs as another user; the exit status is the number of the first wrong answer. */
static int as_nobody(void) {
        client = world_connect(&world);
        if (!client)
                return 1;
        call(VM1, GUESTMAP_INTERFACE_VM, "GetLayout", "a{sv}", 0);
        call(VM1, PROPERTIES, "GetAll", "s", GUESTMAP_INTERFACE_VM);
        call(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "ListVMs", NULL);
        refused("AccessDenied", VM1, GUESTMAP_INTERFACE_MAP, "RemoveRegion", "sa{sv}", "a", 0);
        refused("AccessDenied", VM1, GUESTMAP_INTERFACE_VM, "GetBacking", "tb", 1ul, 0);
        refused("AccessDenied", VM1, GUESTMAP_INTERFACE_VM, "Destroy", "a{sv}", 0);
        refused("AccessDenied", VM1, "org.guestmap1.Unheard", "Of", NULL);
        refused("AccessDenied", VM1 "/region/a", PROPERTIES, "Set", "ssv",
                GUESTMAP_INTERFACE_REGION, "Enabled", "b", 0);
        refused("AccessDenied", GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "DestroyVM", "sa{sv}",
                "vm1", 0);
        refused("AccessDenied", GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}",
                "vm3", 0);
        refused("NoSuchVM", GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "DestroyVM", "sa{sv}", "vm3",
                0);
        /* Its own, which root gave to it. */
        add_region(VM2, "a", "mmio", 0x1000, 0);
        destroy("vm2");
        return 0;
}

static void test_rights(void **state) {
        int status;
        pid_t pid;

        if (geteuid() != 0) {
                print_message("# only root can be two users\n");
                skip();
        }
        create("vm1");
        add_region(VM1, "a", "mmio", 0x1000, 0);
        call(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}", "vm2", 2,
             "accelerator", "s", "none", "owner", "u", NOBODY);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                if (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
                        _exit(2);
                _exit(as_nobody());
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        refused("NoSuchVM", VM2, GUESTMAP_INTERFACE_VM, "Destroy", "a{sv}", 0);
}

static int on_quota(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *got = sd_bus_message_get_error(m);

        if (got && strcmp(got->name, GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_QUOTA_EXCEEDED) == 0) {
                assert_non_null(strstr(got->message, "CallsPerClient"));
                ++*(unsigned *)userdata;
        }
        return 1;
}

static void test_calls_in_flight(void **state) {
        sd_bus *greedy = world_connect(&world);
        unsigned n = 0;
        uint64_t before;

        create("vm1");
        before = generation_of(VM1);
        for (unsigned i = 0; i < 600; i++)
                assert_true(sd_bus_call_method_async(greedy, NULL, GUESTMAP_SERVICE, MEMORY,
                                                     GUESTMAP_INTERFACE_ADDRESS_SPACE,
                                                     "WaitChanges", on_quota, &n, "tt", before,
                                                     60000000ul) >= 0);
        while (n < 600 - 512) {
                int r = sd_bus_process(greedy, NULL);

                assert_true(r >= 0);
                if (r == 0)
                        assert_true(sd_bus_wait(greedy, WAIT_USEC) > 0);
        }
        assert_int_equal(n, 600 - 512);
        /* Others are served. */
        assert_int_equal(add_region(VM1, "a", "mmio", 0x1000, 0), before + 1);
        sd_bus_close_unref(greedy);
}

static sd_bus *open_connection(const char *vm) {
        sd_bus *own;
        int fd;

        call(vm, GUESTMAP_INTERFACE_VM, "OpenConnection", "a{sv}", 0);
        assert_true(sd_bus_message_read(last_reply, "h", &fd) > 0);
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        assert_true(fd >= 0);
        assert_true(sd_bus_new(&own) >= 0);
        assert_true(sd_bus_set_fd(own, fd, fd) >= 0);
        assert_true(sd_bus_set_bus_client(own, 1) >= 0);
        assert_true(sd_bus_start(own) >= 0);
        return own;
}

static bool has_transactions(void) {
        call(VM1, GUESTMAP_INTERFACE_VM, "ListTransactions", NULL);
        assert_true(sd_bus_message_enter_container(last_reply, 'a', "(otu)") > 0);
        return sd_bus_message_at_end(last_reply, 0) == 0;
}

/* Needs neither guestmapd nor the bus once it is there, and ends with the VM. */
static void test_connections_of_ones_own(void **state) {
        sd_bus *own, *before = client;
        uint64_t generation;

        create("vm1");
        own = open_connection(VM1);
        client = own;
        generation = add_region(VM1, "a", "mmio", 0x1000, 0);
        call(VM1, GUESTMAP_INTERFACE_VM, "Begin", "ta{sv}", UINT64_C(0), 0);
        client = before;
        assert_int_equal(generation_of(VM1), generation);
        world_stop_daemon(&world, SIGKILL);
        client = own;
        assert_int_equal(add_region(VM1, "b", "mmio", 0x1000, 0), generation + 1);
        client = before;
        assert_true(world_start_daemon(&world));
        assert_int_equal(generation_of(VM1), generation + 1);
        assert_true(has_transactions());
        sd_bus_close_unref(own);
        for (unsigned tries = 0; tries < 1000 && has_transactions(); tries++)
                nanosleep(&(struct timespec){.tv_nsec = 5000000L}, NULL);
        assert_false(has_transactions());
        own = open_connection(VM1);
        destroy("vm1");
        assert_true(sd_bus_call_method(own, GUESTMAP_SERVICE, VM1, GUESTMAP_INTERFACE_VM,
                                       "GetSlots", NULL, NULL, NULL) < 0);
        sd_bus_close_unref(own);
}

/* The VM goes as it does by the bus, and guestmapd does not take it for a crash. */
static void test_destroyed_by_ones_own_connection(void **state) {
        sd_bus *own;

        listen_on(client);
        create("vm1");
        expect_signal(client, GUESTMAP_PATH, "VMNew");
        expect_signal(client, GUESTMAP_PATH, "InterfacesAdded");
        own = open_connection(VM1);
        assert_true(sd_bus_call_method(own, GUESTMAP_SERVICE, VM1, GUESTMAP_INTERFACE_VM, "Destroy",
                                       NULL, NULL, "a{sv}", 0) >= 0);
        sd_bus_close_unref(own);
        expect_signal(client, GUESTMAP_PATH, "VMRemoved");
        create("vm1");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                TEST(test_create_and_destroy),
                TEST(test_names),
                TEST(test_manager_refuses),
                TEST(test_setup_fails),
                TEST(test_calls_pass),
                TEST(test_signals_pass),
                TEST(test_descriptors_pass),
                TEST(test_introspection),
                TEST(test_managed_objects),
                TEST(test_order),
                TEST(test_no_reply),
                TEST(test_client_dies_with_transaction),
                TEST(test_vm_process_dies),
                TEST(test_vm_process_hangs),
                TEST(test_daemon_dies),
                TEST(test_bus_dies),
                TEST(test_rights),
                TEST(test_calls_in_flight),
                TEST(test_connections_of_ones_own),
                TEST(test_destroyed_by_ones_own_connection),
        };

        if (argc != 3)
                return 2;
        bus_kind = argv[1];
        program = argv[2];
        if (!world_has(bus_kind)) {
                printf("1..0 # SKIP no %s here\n", bus_kind);
                return 0;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
