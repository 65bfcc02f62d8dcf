/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * guestmapd with real VM processes on a real bus: test-forward KIND GUESTMAPD
 *
 * What clients see: that calls, replies, errors, descriptors, properties, introspection and signals
 * pass through as they are.
 */

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/errors.h"
#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/forward-scene.h"

#define PIPELINED 200
#define NOBODY    65534

static void test_create_and_destroy(void **state) {
        ForwardScene *scene = *state;
        sd_bus *watcher = world_connect(&scene->world);
        const char *path, *name, *vm_state;
        uint64_t generation;

        listen_on(watcher);
        call(scene, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}", "vm1", 1,
             "accelerator", "s", "none");
        assert_true(sd_bus_message_read(scene->reply, "o", &path) > 0);
        assert_string_equal(path, VM1);
        expect_signal(watcher, GUESTMAP_PATH, "VMNew");
        expect_signal(watcher, GUESTMAP_PATH, "InterfacesAdded");

        call(scene, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "GetVM", "s", "vm1");
        assert_true(sd_bus_message_read(scene->reply, "o", &path) > 0);
        assert_string_equal(path, VM1);
        call(scene, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "ListVMs", NULL);
        assert_true(sd_bus_message_read(scene->reply, "a(sots)", 1, &name, &path, &generation,
                                        &vm_state) > 0);
        assert_string_equal(name, "vm1");
        assert_string_equal(vm_state, "running");

        pid_t vm = world_newest_vm(&scene->world);
        must_destroy(scene->client, "vm1");
        expect_signal(watcher, GUESTMAP_PATH, "VMRemoved");
        expect_signal(watcher, GUESTMAP_PATH, "InterfacesRemoved");
        assert_true(world_process_ends(vm));
        refused(scene, "NoSuchVM", GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "GetVM", "s", "vm1");

        must_create(scene->client, "vm1");
        call(scene, VM1, GUESTMAP_INTERFACE_VM, "Destroy", "a{sv}", 0);
        refused(scene, "NoSuchVM", VM1, GUESTMAP_INTERFACE_VM, "Destroy", "a{sv}", 0);
        sd_bus_flush_close_unref(watcher);
}

/* A name with dots and dashes, and one too long for a user name: sockets are named otherwise. */
static void test_names(void **state) {
        static const char *const names[] = {
                "a.b-c_d", "x", "0123456789012345678901234567890123456789012345678901234567890.2"};
        ForwardScene *scene = *state;

        for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
                char *path;

                must_create(scene->client, names[i]);
                assert_true(sd_bus_path_encode(GUESTMAP_PATH_VM, names[i], &path) >= 0);
                assert_string_equal(text_of(scene, path, "Name"), names[i]);
                free(path);
        }
        for (size_t i = 0; i < ELEMENTS_OF(names); i++)
                must_destroy(scene->client, names[i]);
}

static void test_manager_refuses(void **state) {
        ForwardScene *scene = *state;

        must_create(scene->client, "vm1");
#define REFUSED(token, ...)                                                                        \
        refused(scene, token, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}",     \
                __VA_ARGS__)
        REFUSED("VMExists", "vm1", 0);
        REFUSED("InvalidName", "", 0);
        REFUSED("InvalidName", "-a", 0);
        REFUSED("InvalidName", "a/b", 0);
        REFUSED("InvalidArgs", "vm2", 1, "colour", "s", "red");
        REFUSED("InvalidArgs", "vm2", 1, "accelerator", "u", 1);
        REFUSED("InvalidArgs", "vm2", 1, "owner", "u", UINT32_MAX);
#undef REFUSED
        refused(scene, "InvalidArgs", GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "DestroyVM",
                "sa{sv}", "vm1", 1, "softly", "b", 1);
        refused(scene, "NoSuchVM", VM2, GUESTMAP_INTERFACE_VM, "GetLayout", "a{sv}", 0);
        refused(scene, "NoSuchVM", VM2 "/region/a", PROPERTIES, "GetAll", "s", "");
        call(scene, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "ListVMs", NULL);
}

/* What the process refuses is the error of CreateVM, and leaves nothing behind. */
static void test_setup_fails(void **state) {
        ForwardScene *scene = *state;
        char socket[128];
        pid_t vm;

        must_create(scene->client, "vm1");
        vm = world_newest_vm(&scene->world);
        refused(scene, "InvalidDocument", GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM",
                "sa{sv}", "vm2", 2, "accelerator", "s", "none", "layout", "s", "{");
        assert_int_equal(world_newest_vm(&scene->world), vm);
        snprintf(socket, sizeof(socket), "%s/run/vm2", scene->world.directory);
        assert_int_not_equal(access(socket, F_OK), 0);
        must_create(scene->client, "vm2");
}

static void test_calls_pass(void **state) {
        ForwardScene *scene = *state;
        uint64_t generation, first, last, offset;
        const char *region, *kind;
        uint32_t flags;
        int enabled;

        must_create(scene->client, "vm1");
        generation = add_region(scene, VM1, "pc.ram", "ram", 0x10000, 0x1000);
        assert_int_equal(must_get_generation(scene->client, VM1), generation);
        call(scene, MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetFlatView", NULL);
        assert_true(sd_bus_message_read(scene->reply, "ta(ttstsu)", &generation, 1, &first, &last,
                                        &region, &offset, &kind, &flags) > 0);
        assert_int_equal(first, 0x1000);
        assert_int_equal(last, 0x10fff);
        assert_string_equal(region, "pc.ram");

        refused(scene, "RegionExists", VM1, GUESTMAP_INTERFACE_MAP, "AddRegion", "sststia{sv}",
                "pc.ram", "ram", 0x1000ul, "system", 0ul, 0, 0);
        assert_int_equal(must_get_generation(scene->client, VM1), generation);

        call(scene, VM1 "/region/pc_2eram", PROPERTIES, "Set", "ssv", GUESTMAP_INTERFACE_REGION,
             "Enabled", "b", 0);
        call(scene, VM1 "/region/pc_2eram", PROPERTIES, "Get", "ss", GUESTMAP_INTERFACE_REGION,
             "Enabled");
        assert_true(sd_bus_message_read(scene->reply, "v", "b", &enabled) > 0);
        assert_int_equal(enabled, 0);
        assert_int_equal(must_get_generation(scene->client, VM1), generation + 1);
}

static void test_signals_pass(void **state) {
        ForwardScene *scene = *state;
        sd_bus *watcher = world_connect(&scene->world);
        uint64_t before;

        must_create(scene->client, "vm1");
        before = must_get_generation(scene->client, VM1);
        listen_on(watcher);
        assert_int_equal(add_region(scene, VM1, "a", "mmio", 0x1000, 0), before + 1);
        assert_int_equal(add_region(scene, VM1, "b", "mmio", 0x1000, 0x1000), before + 2);
        expect_committed(watcher, before + 1, before);
        expect_committed(watcher, before + 2, before + 1);
        sd_bus_flush_close_unref(watcher);
}

static char *map_reply_fd(ForwardScene *scene) {
        uint64_t offset, size;
        char *memory;
        int fd;

        assert_true(sd_bus_message_read(scene->reply, "htt", &fd, &offset, &size) > 0);
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
        assert_ptr_not_equal(memory, MAP_FAILED);
        return memory;
}

static void test_descriptors_pass(void **state) {
        ForwardScene *scene = *state;
        uint64_t backing, size;
        char *memory, byte;
        int fd;

        must_create(scene->client, "vm1");
        add_region(scene, VM1, "ram", "ram", 0x1000, 0);
        call(scene, VM1 "/region/ram", GUESTMAP_INTERFACE_REGION, "GetMemory", "b", 1);
        memory = map_reply_fd(scene);
        memory[17] = 'x';
        munmap(memory, 0x1000);

        call(scene, VM1 "/region/ram", PROPERTIES, "Get", "ss", GUESTMAP_INTERFACE_REGION,
             "Backing");
        assert_true(sd_bus_message_read(scene->reply, "v", "t", &backing) > 0);
        call(scene, VM1, GUESTMAP_INTERFACE_VM, "GetBacking", "tb", backing, 0);
        assert_true(sd_bus_message_read(scene->reply, "ht", &fd, &size) > 0);
        assert_int_equal(pread(fd, &byte, 1, 17), 1);
        assert_int_equal(byte, 'x');
        assert_true(pwrite(fd, &byte, 1, 17) < 0);
}

static void test_introspection(void **state) {
        ForwardScene *scene = *state;
        const char *text;

        must_create(scene->client, "vm1");
        add_region(scene, VM1, "pc.ram", "ram", 0x1000, 0);
        text = output_of(scene, "tree", "");
        assert_has(text, VM1 "/region/pc_2eram");
        assert_has(text, MEMORY);
        text = output_of(scene, "introspect", GUESTMAP_PATH);
        assert_has(text, ".CreateVM");
        assert_has(text, ".GetManagedObjects");
        text = output_of(scene, "introspect", VM1);
        assert_has(text, ".AddRegion");
        assert_has(text, ".Committed");
        text = output_of(scene, "introspect", GUESTMAP_PATH_VM);
        assert_has(text, "org.freedesktop.DBus.Introspectable");
        text = output_of(scene, "call", VM1 "/region/pc_2eram org.freedesktop.DBus.Peer Ping");
        assert_string_equal(text, "");
}

static void test_managed_objects(void **state) {
        ForwardScene *scene = *state;
        const char *text;

        must_create(scene->client, "vm1");
        must_create(scene->client, "vm2");
        add_region(scene, VM2, "pc.ram", "ram", 0x3000, 0);
        text = output_of(scene, "call",
                         GUESTMAP_PATH " org.freedesktop.DBus.ObjectManager GetManagedObjects");
        assert_has(text, "a{oa{sa{sv}}} 2 ");
        assert_has(text, "\"" VM1 "\" 6 ");
        assert_has(text, "\"RAMBytes\" t 12288");
        text = output_of(scene, "call",
                         VM2 " org.freedesktop.DBus.ObjectManager GetManagedObjects");
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
        ForwardScene *scene = *state;
        uint64_t first, next;
        sd_bus *newcomer;
        char name[16];

        must_create(scene->client, "vm1");
        first = next = must_get_generation(scene->client, VM1) + 1;
        newcomer = world_connect(&scene->world);
        for (unsigned i = 0; i < PIPELINED; i++) {
                snprintf(name, sizeof(name), "r%u", i);
                assert_true(sd_bus_call_method_async(
                                    newcomer, NULL, GUESTMAP_SERVICE, VM1, GUESTMAP_INTERFACE_MAP,
                                    "AddRegion", on_generation, &next, "sststia{sv}", name, "mmio",
                                    0x1000ul, "system", i * 0x1000ul, 0, 0) >= 0);
        }
        while (next < first + PIPELINED)
                must_process(newcomer);
        assert_int_equal(must_get_generation(scene->client, VM1), first + PIPELINED - 1);
        sd_bus_flush_close_unref(newcomer);
}

/* A call that wants no reply is carried out and gets none. */
static void test_no_reply(void **state) {
        ForwardScene *scene = *state;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        uint64_t before;

        must_create(scene->client, "vm1");
        before = must_get_generation(scene->client, VM1);
        assert_true(sd_bus_message_new_method_call(scene->client, &m, GUESTMAP_SERVICE, VM1,
                                                   GUESTMAP_INTERFACE_MAP, "AddRegion") >= 0);
        assert_true(sd_bus_message_append(m, "sststia{sv}", "a", "mmio", 0x1000ul, "system", 0ul, 0,
                                          0) >= 0);
        assert_true(sd_bus_message_set_expect_reply(m, 0) >= 0);
        assert_true(sd_bus_send(scene->client, m, NULL) >= 0);
        assert_int_equal(must_get_generation(scene->client, VM1), before + 1);
}

/* Runs as another user; the exit status is the number of the first wrong answer. */
static int as_nobody(ForwardScene *scene) {
        scene->client = world_connect(&scene->world);
        if (!scene->client)
                return 1;
        call(scene, VM1, GUESTMAP_INTERFACE_VM, "GetLayout", "a{sv}", 0);
        call(scene, VM1, PROPERTIES, "GetAll", "s", GUESTMAP_INTERFACE_VM);
        call(scene, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "ListVMs", NULL);
        refused(scene, "AccessDenied", VM1, GUESTMAP_INTERFACE_MAP, "RemoveRegion", "sa{sv}", "a",
                0);
        refused(scene, "AccessDenied", VM1, GUESTMAP_INTERFACE_VM, "GetBacking", "tb", 1ul, 0);
        refused(scene, "AccessDenied", VM1, GUESTMAP_INTERFACE_VM, "Destroy", "a{sv}", 0);
        refused(scene, "AccessDenied", VM1, "org.guestmap1.Unheard", "Of", NULL);
        refused(scene, "AccessDenied", VM1 "/region/a", PROPERTIES, "Set", "ssv",
                GUESTMAP_INTERFACE_REGION, "Enabled", "b", 0);
        refused(scene, "AccessDenied", GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "DestroyVM",
                "sa{sv}", "vm1", 0);
        refused(scene, "AccessDenied", GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM",
                "sa{sv}", "vm3", 0);
        refused(scene, "NoSuchVM", GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "DestroyVM", "sa{sv}",
                "vm3", 0);
        /* Its own, which root gave to it. */
        add_region(scene, VM2, "a", "mmio", 0x1000, 0);
        must_destroy(scene->client, "vm2");
        return 0;
}

static void test_rights(void **state) {
        ForwardScene *scene = *state;
        int status;
        pid_t pid;

        if (geteuid() != 0) {
                print_message("# only root can be two users\n");
                skip();
        }
        must_create(scene->client, "vm1");
        add_region(scene, VM1, "a", "mmio", 0x1000, 0);
        call(scene, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}", "vm2", 2,
             "accelerator", "s", "none", "owner", "u", NOBODY);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                if (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
                        _exit(2);
                _exit(as_nobody(scene));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        refused(scene, "NoSuchVM", VM2, GUESTMAP_INTERFACE_VM, "Destroy", "a{sv}", 0);
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
        ForwardScene *scene = *state;
        sd_bus *greedy = world_connect(&scene->world);
        unsigned n = 0;
        uint64_t before;

        must_create(scene->client, "vm1");
        before = must_get_generation(scene->client, VM1);
        for (unsigned i = 0; i < 600; i++)
                assert_true(sd_bus_call_method_async(greedy, NULL, GUESTMAP_SERVICE, MEMORY,
                                                     GUESTMAP_INTERFACE_ADDRESS_SPACE,
                                                     "WaitChanges", on_quota, &n, "tt", before,
                                                     60000000ul) >= 0);
        while (n < 600 - 512)
                must_process(greedy);
        assert_int_equal(n, 600 - 512);
        /* Others are served. */
        assert_int_equal(add_region(scene, VM1, "a", "mmio", 0x1000, 0), before + 1);
        sd_bus_close_unref(greedy);
}

FORWARD_TESTS(FORWARD_TEST(test_create_and_destroy), FORWARD_TEST(test_names),
              FORWARD_TEST(test_manager_refuses), FORWARD_TEST(test_setup_fails),
              FORWARD_TEST(test_calls_pass), FORWARD_TEST(test_signals_pass),
              FORWARD_TEST(test_descriptors_pass), FORWARD_TEST(test_introspection),
              FORWARD_TEST(test_managed_objects), FORWARD_TEST(test_order),
              FORWARD_TEST(test_no_reply), FORWARD_TEST(test_rights),
              FORWARD_TEST(test_calls_in_flight));
