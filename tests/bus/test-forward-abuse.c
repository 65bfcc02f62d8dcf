/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * guestmapd and clients that mean it no good, or know no better: test-forward-abuse KIND GUESTMAPD
 *
 * Whatever one client sends, leaves undone or has it run out of: the VMs live, other clients are
 * served, and every call is answered.
 */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/errors.h"
#include "api/names.h"
#include "daemon/manager/link-dbus.h"
#include "lib/util/cleanup.h"
#include "tests/bus/forward-client.h"
#include "tests/bus/world.h"
#include "tests/common/unit.h"

#define VM1        GUESTMAP_PATH_VM "/vm1"
#define MEMORY     VM1 "/space/memory"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define DBUS       "org.freedesktop.DBus"
#define CALLS      100 /* that wait; fewer than any bus allows a client */
#define DOCUMENT   (8 << 20)
#define TRIES      400
#define TRY_USEC   5000

static const char *bus_kind, *program;
static World world;
static sd_bus *client;

static int set_up(void **state) {
        if (!world_open(&world, bus_kind, program, "--system"))
                return -1;
        client = world_connect(&world);
        if (!client)
                return -1;
        must_create(client, "vm1");
        return 0;
}

static int tear_down(void **state) {
        client = sd_bus_flush_close_unref(client);
        return world_close(&world) ? 0 : -1;
}

/* A transaction that lives as long as its owner does not outlive the news that the owner left. */
static void test_forged_departure(void **state) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *begun = NULL, *signal = NULL;
        sd_bus *stranger = world_connect(&world);
        const char *transaction, *unique;

        begun = must_call(client, VM1, GUESTMAP_INTERFACE_VM, "Begin", "ta{sv}", 0ul, 0);
        assert_true(sd_bus_message_read(begun, "o", &transaction) > 0);
        assert_true(sd_bus_get_unique_name(client, &unique) >= 0);
        assert_true(sd_bus_message_new_signal(stranger, &signal, "/org/freedesktop/DBus", DBUS,
                                              "NameOwnerChanged") >= 0);
        assert_true(sd_bus_message_append(signal, "sss", unique, unique, "") >= 0);
        assert_true(sd_bus_message_set_destination(signal, GUESTMAP_SERVICE) >= 0);
        assert_true(sd_bus_send(stranger, signal, NULL) >= 0);
        /* An answer on the same connection afterwards: the forgery has arrived. */
        sd_bus_message_unref(must_call(stranger, VM1, DBUS ".Peer", "Ping", NULL));
        sd_bus_message_unref(must_call(client, transaction, GUESTMAP_INTERFACE_MAP, "AddRegion",
                                       "sststia{sv}", "a", "mmio", 0x1000ul, "system", 0ul, 0, 0));
        sd_bus_flush_close_unref(stranger);
}

/* A name that is quoted in part is not cut amid a character: no bus takes such a message. */
static void test_cut_names(void **state) {
        char name[256];

        for (int n = 197; n <= 201; n++) {
                snprintf(name, sizeof(name), "%0*d%s", n, 0, "éé");
                must_refuse(client, GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_NO_SUCH_VM, "no VM",
                            GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "GetVM", "s", name);
                must_refuse(client, GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_INVALID_NAME, "letter",
                            GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}", name,
                            0);
        }
}

static void expect_descriptors(unsigned n) {
        for (unsigned tries = 0; tries < TRIES && process_descriptors(world.daemon) != n; tries++)
                usleep(TRY_USEC);
        assert_int_equal(process_descriptors(world.daemon), n);
}

static int on_any(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return 1;
}

static void send_call(sd_bus *bus, const char *path, const char *interface, const char *member,
                      const char *types, ...) {
        va_list arguments;
        int r;

        va_start(arguments, types);
        r = sd_bus_call_method_asyncv(bus, NULL, GUESTMAP_SERVICE, path, interface, member, on_any,
                                      NULL, types, arguments);
        va_end(arguments);
        assert_true(r >= 0);
}

/* What was sent on this connection before has arrived. */
static void ping(sd_bus *bus) {
        sd_bus_message_unref(must_call(bus, GUESTMAP_PATH, DBUS ".Peer", "Ping", NULL));
}

static void enable_with_descriptors(sd_bus *bus, unsigned n, sd_bus_message_handler_t done,
                                    void *userdata) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        assert_true(sd_bus_message_new_method_call(bus, &m, GUESTMAP_SERVICE, VM1,
                                                   GUESTMAP_INTERFACE_MAP, "EnableRegion") >= 0);
        assert_true(sd_bus_message_append(m, "sb", "a", 1) >= 0);
        assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
        for (unsigned i = 0; i < n; i++)
                assert_true(sd_bus_message_append(m, "{sv}", "fd", "h", STDIN_FILENO) >= 0);
        assert_true(sd_bus_message_close_container(m) >= 0);
        assert_true(sd_bus_call_async(bus, NULL, m, done, userdata, 0) >= 0);
}

/*
 * Calls that were passed on hold none of the descriptors that came with them; those that the
 * process has no room for hold theirs as long as their client is there.
 */
static void test_descriptors_of_waiting(void **state) {
        enum { N = LINK_CALLS_MAX + 10 };
        pid_t vm = world_newest_vm(&world);
        sd_bus *bus = world_connect(&world);
        unsigned before;

        ping(bus);
        before = process_descriptors(world.daemon);
        assert_int_equal(kill(vm, SIGSTOP), 0);
        for (unsigned i = 0; i < N; i++)
                enable_with_descriptors(bus, 1, on_any, NULL);
        ping(bus);
        expect_descriptors(before + N - LINK_CALLS_MAX);
        sd_bus_close_unref(bus);
        expect_descriptors(before);
        assert_int_equal(kill(vm, SIGCONT), 0);
}

static void test_wrong_arguments(void **state) {
        must_refuse(client, SD_BUS_ERROR_INVALID_ARGS, "GetSlots", VM1, GUESTMAP_INTERFACE_VM,
                    "GetSlots", "as", 1, "x");
        must_refuse(client, SD_BUS_ERROR_INVALID_ARGS, "GetSlots", VM1, NULL, "GetSlots", "h",
                    STDIN_FILENO);
        must_refuse(client, SD_BUS_ERROR_UNKNOWN_METHOD, "Of", VM1, "org.guestmap1.Unheard", "Of",
                    "s", "x");
}

static int on_quota(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *got = sd_bus_message_get_error(m);
        const char **named = userdata;

        if (got && strcmp(got->name, GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_QUOTA_EXCEEDED) == 0 &&
            strstr(got->message, *named))
                *named = NULL;
        return 1;
}

static void process_until_null(sd_bus *bus, const char *const *named) {
        while (*named)
                must_process(bus);
}

static void test_too_many_descriptors(void **state) {
        const char *quota = "DescriptorsPerCall";

        enable_with_descriptors(client, 5, on_quota, &quota);
        process_until_null(client, &quota);
}

/* A process that takes nothing makes guestmapd keep something, but not everything. */
static void test_too_many_bytes(void **state) {
        const char *quota = "BytesPerUser";
        sd_bus *bus = world_connect(&world);
        char *document = malloc(DOCUMENT);

        assert_non_null(document);
        memset(document, ' ', DOCUMENT - 1);
        document[DOCUMENT - 1] = '\0';
        assert_int_equal(kill(world_newest_vm(&world), SIGSTOP), 0);
        for (unsigned i = 0; i < 20; i++)
                assert_true(sd_bus_call_method_async(bus, NULL, GUESTMAP_SERVICE, VM1,
                                                     GUESTMAP_INTERFACE_MAP, "Apply", on_quota,
                                                     &quota, "sa{sv}", document, 0) >= 0);
        free(document);
        process_until_null(bus, &quota);
        sd_bus_close_unref(bus);
}

static void wait_and_leave(unsigned n) {
        sd_bus *bus = world_connect(&world);
        uint64_t now = must_get_generation(client, VM1);

        for (unsigned i = 0; i < n; i++)
                send_call(bus, MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE, "WaitChanges", "tt", now,
                          UINT64_C(60000000));
        ping(bus);
        sd_bus_close_unref(bus);
}

/* Calls that would wait for long yet leave nothing behind when their callers have left. */
static void test_leaving_while_waiting(void **state) {
        long before;

        for (unsigned i = 0; i < 4; i++)
                wait_and_leave(CALLS);
        before = process_memory(world.daemon);
        for (unsigned i = 0; i < 40; i++)
                wait_and_leave(CALLS);
        print_message("# %d calls left %ld bytes\n", 40 * CALLS,
                      process_memory(world.daemon) - before);
        assert_true(process_memory(world.daemon) - before < 40 * CALLS * 100L);
}

/* What guestmapd knows is answered also when the process does not. */
static void test_stopped_process(void **state) {
        static const char *const texts[][2] = {
                {"Name", "vm1"}, {"State", "running"}, {"Accelerator", "none"}};
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *text;
        uint32_t owner;

        assert_int_equal(kill(world_newest_vm(&world), SIGSTOP), 0);
        for (size_t i = 0; i < ELEMENTS_OF(texts); i++) {
                sd_bus_message_unref(reply);
                reply = must_call(client, VM1, PROPERTIES, "Get", "ss", GUESTMAP_INTERFACE_VM,
                                  texts[i][0]);
                assert_true(sd_bus_message_read(reply, "v", "s", &text) > 0);
                assert_string_equal(text, texts[i][1]);
        }
        sd_bus_message_unref(reply);
        reply = must_call(client, VM1, PROPERTIES, "Get", "ss", GUESTMAP_INTERFACE_VM, "Owner");
        assert_true(sd_bus_message_read(reply, "v", "u", &owner) > 0);
        assert_int_equal(owner, geteuid());
}

/* What guestmapd may have open becomes what it has, or all that it may have. */
static void limit_descriptors(bool enough) {
        struct rlimit limit;
        struct stat st;
        char path[64];

        assert_int_equal(prlimit(world.daemon, RLIMIT_NOFILE, NULL, &limit), 0);
        limit.rlim_cur = enough ? limit.rlim_max : 0;
        while (!enough) {
                snprintf(path, sizeof(path), "/proc/%d/fd/%ju", world.daemon,
                         (uintmax_t)limit.rlim_cur);
                if (lstat(path, &st) < 0)
                        break;
                limit.rlim_cur++;
        }
        assert_int_equal(prlimit(world.daemon, RLIMIT_NOFILE, &limit, NULL), 0);
}

/* A descriptor without room costs guestmapd the connection; the VM is none the worse. */
static void test_no_room_for_descriptor(void **state) {
        uint64_t before;

        sd_bus_message_unref(must_call(client, VM1, GUESTMAP_INTERFACE_MAP, "AddRegion",
                                       "sststia{sv}", "a", "ram", 0x1000ul, "system", 0ul, 0, 0));
        before = must_get_generation(client, VM1);
        limit_descriptors(false);
        must_refuse(client, GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_VM_GONE, "connection",
                    VM1 "/region/a", GUESTMAP_INTERFACE_REGION, "GetMemory", "b", 0);
        limit_descriptors(true);
        assert_int_equal(must_get_generation(client, VM1), before);
        sd_bus_message_unref(
                must_call(client, VM1 "/region/a", GUESTMAP_INTERFACE_REGION, "GetMemory", "b", 0));
}

/* guestmapd runs it in another directory. */
static void test_relative_program(void **state) {
        _cleanup_(freep) char *directory = realpath(program, NULL), *here = getcwd(NULL, 0);

        assert_non_null(directory);
        *strrchr(directory, '/') = '\0';
        world_stop_daemon(&world, SIGTERM);
        world.guestmapd = "./guestmapd";
        world.option = "--vmd=./guestmap-vmd";
        assert_int_equal(chdir(directory), 0);
        assert_true(world_start_daemon(&world));
        assert_int_equal(chdir(here), 0);
        must_create(client, "vm2");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                TEST(test_forged_departure),       TEST(test_cut_names),
                TEST(test_descriptors_of_waiting), TEST(test_leaving_while_waiting),
                TEST(test_wrong_arguments),        TEST(test_too_many_descriptors),
                TEST(test_too_many_bytes),         TEST(test_stopped_process),
                TEST(test_no_room_for_descriptor), TEST(test_relative_program),
        };

        if (argc != 3)
                return 2;
        bus_kind = argv[1];
        program = argv[2];
        processes_keep_no_freed_memory();
        if (!world_has(bus_kind)) {
                printf("1..0 # SKIP no %s here\n", bus_kind);
                return 0;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
