/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A hostile client: test-forward-hostile KIND GUESTMAPD [--long]
 *
 * It has every right on its VM and uses them without measure: transactions, bytes, descriptors,
 * waiting calls, connections by the thousand, names and paths of every shape. What guestmapd and
 * the VM's process may have in memory and open at the worst is asserted and printed; afterwards
 * both live, have closed what came, and answer. With --long it sends a gigabyte, else an eighth.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/errors.h"
#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/forward-client.h"
#include "tests/bus/world.h"
#include "tests/common/unit.h"
#include "tests/property/random.h"

#define VM1          GUESTMAP_PATH_VM "/vm1"
#define MEMORY       VM1 "/space/memory"
#define QUOTA        GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_QUOTA_EXCEEDED
#define DOCUMENT     (8 << 20)
#define TRANSACTIONS 10000
#define IN_FLIGHT    100 /* fewer than any bus allows a client */
#define CONNECTIONS  50
#define FAILING      (CONNECTIONS * IN_FLIGHT - 1024) /* of their calls that wait, or more */
#define TRIES        2000
#define TRY_USEC     5000

/* At a time, that bring descriptors: dbus-broker ends who has more than 64 of them on their way. */
#define DESCRIPTOR_CALLS 4

typedef struct Flood Flood;

/* Calls of one kind, IN_FLIGHT at a time. */
struct Flood {
        sd_bus *bus;
        unsigned n_sent, n_answered;
        unsigned n_refused; /* for a limit of ours */
        unsigned n_failed;  /* for whatever reason */
};

static const char *bus_kind, *program;
static unsigned n_documents = 16;
static World world;
static sd_bus *client;
static pid_t vm;

static int set_up(void **state) {
        if (!world_open(&world, bus_kind, program, "--system"))
                return -1;
        client = world_connect(&world);
        if (!client)
                return -1;
        must_create(client, "vm1");
        vm = world_newest_vm(&world);
        (void)must_get_generation(client, VM1);
        process_forget_peak(world.daemon);
        process_forget_peak(vm);
        return 0;
}

static int tear_down(void **state) {
        client = sd_bus_flush_close_unref(client);
        return world_close(&world) ? 0 : -1;
}

/* Both daemons live and answer, and never had more than that. */
static void assert_bounded(const char *what, long daemon_mib, long vm_mib) {
        long daemon = process_peak(world.daemon), process = process_peak(vm);

        print_message("# %s: at the most guestmapd had %ld KiB, guestmap-vmd %ld KiB\n", what,
                      daemon / 1024, process / 1024);
        assert_true(daemon < daemon_mib << 20);
        assert_true(process < vm_mib << 20);
        assert_int_equal(must_get_generation(client, VM1), 1);
        assert_int_equal(world_newest_vm(&world), vm);
}

static int on_flooded(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *got = sd_bus_message_get_error(m);
        Flood *flood = userdata;

        flood->n_answered++;
        flood->n_failed += got != NULL;
        flood->n_refused += got && strcmp(got->name, QUOTA) == 0;
        return 1;
}

/* What a bus does not grant is its business. */
static int on_any(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return 1;
}

static void flood_send(Flood *flood, const char *path, const char *interface, const char *member,
                       const char *types, ...) {
        va_list arguments;

        while (flood->n_sent - flood->n_answered == IN_FLIGHT)
                must_process(flood->bus);
        va_start(arguments, types);
        assert_true(sd_bus_call_method_asyncv(flood->bus, NULL, GUESTMAP_SERVICE, path, interface,
                                              member, on_flooded, flood, types, arguments) >= 0);
        va_end(arguments);
        flood->n_sent++;
}

static void flood_finish(Flood *flood) {
        while (flood->n_answered < flood->n_sent)
                must_process(flood->bus);
}

static void test_transactions(void **state) {
        Flood flood = {.bus = client};

        for (unsigned i = 0; i < TRANSACTIONS; i++)
                flood_send(&flood, VM1, GUESTMAP_INTERFACE_VM, "Begin", "ta{sv}",
                           UINT64_C(60000000), 0);
        flood_finish(&flood);
        assert_int_equal(flood.n_refused, TRANSACTIONS - 64);
        assert_bounded("10,000 transactions", 64, 64);
}

/* Documents of blanks: each is copied by guestmapd, and read by the process to its end. */
static void test_bytes(void **state) {
        char *document = malloc(DOCUMENT);
        Flood flood = {.bus = client};

        assert_non_null(document);
        memset(document, ' ', DOCUMENT - 1);
        document[DOCUMENT - 1] = '\0';
        for (unsigned i = 0; i < n_documents; i++) {
                flood_send(&flood, VM1, GUESTMAP_INTERFACE_MAP, "Apply", "sa{sv}", document, 0);
                while (flood.n_sent - flood.n_answered >= 8)
                        must_process(client);
        }
        flood_finish(&flood);
        free(document);
        print_message("# %u MiB sent, %u calls refused for a limit\n", n_documents * 8,
                      flood.n_refused);
        assert_bounded("bytes", 256, 256);
}

static void send_descriptors(Flood *flood, unsigned n) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        while (flood->n_sent - flood->n_answered == DESCRIPTOR_CALLS)
                must_process(flood->bus);
        assert_true(sd_bus_message_new_method_call(flood->bus, &m, GUESTMAP_SERVICE, VM1,
                                                   GUESTMAP_INTERFACE_MAP, "EnableRegion") >= 0);
        assert_true(sd_bus_message_append(m, "sb", "a", 1) >= 0);
        assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
        for (unsigned i = 0; i < n; i++)
                assert_true(sd_bus_message_append(m, "{sv}", "fd", "h", STDIN_FILENO) >= 0);
        assert_true(sd_bus_message_close_container(m) >= 0);
        assert_true(sd_bus_call_async(flood->bus, NULL, m, on_flooded, flood, 0) >= 0);
        flood->n_sent++;
}

static unsigned settled_descriptors(pid_t pid, unsigned wanted) {
        for (unsigned tries = 0; tries < TRIES && process_descriptors(pid) > wanted; tries++)
                usleep(TRY_USEC);
        return process_descriptors(pid);
}

static void test_descriptors(void **state) {
        unsigned daemon = process_descriptors(world.daemon), process = process_descriptors(vm);
        unsigned most = 0;
        Flood flood = {.bus = client};

        for (unsigned i = 0; i < 4000; i++) {
                send_descriptors(&flood, i % 16 + 1);
                if (i % 100 == 0)
                        most = MAX_OF(most, process_descriptors(world.daemon));
        }
        flood_finish(&flood);
        print_message("# 34,000 descriptors: guestmapd had %u open at the most, %u before\n", most,
                      daemon);
        assert_int_equal(flood.n_refused, 3000);
        assert_true(most < daemon + 200);
        assert_int_equal(settled_descriptors(world.daemon, daemon), daemon);
        assert_int_equal(settled_descriptors(vm, process), process);
        assert_bounded("descriptors", 64, 64);
}

/* All that have been answered: whoever waits is told nothing. */
static unsigned count_failed(Flood floods[static CONNECTIONS]) {
        unsigned n = 0;

        for (unsigned i = 0; i < CONNECTIONS; i++) {
                while (sd_bus_process(floods[i].bus, NULL) > 0)
                        ;
                n += floods[i].n_failed;
        }
        return n;
}

/* Connections that each wait for changes a hundred times, subscribe, and leave without a word. */
static void test_waiters(void **state) {
        unsigned n_failed = 0;
        Flood floods[CONNECTIONS] = {};

        for (unsigned i = 0; i < CONNECTIONS; i++) {
                floods[i].bus = world_connect(&world);
                assert_non_null(floods[i].bus);
                for (unsigned j = 0; j < IN_FLIGHT; j++) {
                        flood_send(&floods[i], MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE,
                                   "WaitChanges", "tt", UINT64_C(1), UINT64_C(600000000));
                        (void)sd_bus_match_signal_async(floods[i].bus, NULL, GUESTMAP_SERVICE, NULL,
                                                        NULL, NULL, on_any, on_any, NULL);
                }
        }
        for (unsigned tries = 0; tries < TRIES && n_failed < FAILING; tries++) {
                usleep(TRY_USEC);
                n_failed = count_failed(floods);
        }
        print_message("# %u of %u calls that wait were refused\n", n_failed,
                      CONNECTIONS * IN_FLIGHT);
        assert_true(n_failed >= FAILING);
        for (unsigned i = 0; i < CONNECTIONS; i++)
                sd_bus_close_unref(floods[i].bus);
        assert_bounded("waiting calls", 64, 64);
}

/* Each makes guestmapd ask who it is and tell the process, and that it has gone. */
static void test_connections(void **state) {
        for (unsigned i = 0; i < 20 * CONNECTIONS; i++) {
                sd_bus *bus = world_connect(&world);

                assert_non_null(bus);
                sd_bus_message_unref(must_call(bus, VM1, GUESTMAP_INTERFACE_VM, "Begin", "ta{sv}",
                                               UINT64_C(0), 0));
                sd_bus_close_unref(bus);
        }
        assert_bounded("1,000 connections", 64, 64);
}

/* A text of any bytes that a message may have: UTF-8, some of it long. */
static void any_name(Random *random, char *name, size_t size) {
        static const char *const pieces[] = {"a",   "_",    ".",  "/",       "\"", "\\", "%s",
                                             "\n",  "\x7f", "é",  "😀",       " ",  "..", "_2f",
                                             "vm1", "0",    "\t", "\x1b[2J", "Z",  "-"};
        size_t n = random_below(random, 8) == 0 ? size - 8 : random_below(random, 40);

        name[0] = '\0';
        while (strlen(name) < n)
                strcat(name, pieces[random_below(random, ELEMENTS_OF(pieces))]);
}

static void any_path(Random *random, char *path, size_t size) {
        static const char *const pieces[] = {"/a",    "/_",           "/_2f",
                                             "/vm1",  "/region",      "/space",
                                             "/_00",  "/transaction", "/18446744073709551616",
                                             "/vcpu", "/_e9",         "/memory",
                                             "/__",   "/_x"};
        size_t n = random_below(random, 8) == 0 ? size - 40 : random_below(random, 100);

        strcpy(path, random_below(random, 2) ? VM1 : GUESTMAP_PATH_VM);
        while (strlen(path) < n)
                strcat(path, pieces[random_below(random, ELEMENTS_OF(pieces))]);
}

/* None of these is anything's name: all are answered, by an error or with nothing done. */
static void test_names(void **state) {
        static const char *const looks[] = {"GetRegion", "GetAddressSpace", "ListIOEventFDs"};
        char *name = malloc(65536), *path = malloc(65536);
        Flood flood = {.bus = client};
        Random random = {.state = 1};

        for (unsigned i = 0; i < 2000; i++) {
                any_name(&random, name, 65536);
                any_path(&random, path, 32768);
                flood_send(&flood, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "GetVM", "s", name);
                flood_send(&flood, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "DestroyVM", "sa{sv}",
                           name[0] == 'v' ? "" : name, 0);
                flood_send(&flood, VM1, GUESTMAP_INTERFACE_VM, looks[i % 3], "s", name);
                flood_send(&flood, VM1, GUESTMAP_INTERFACE_MAP, "RemoveRegion", "sa{sv}", name, 0);
                flood_send(&flood, VM1, GUESTMAP_INTERFACE_MAP, "RemoveAddressSpace", "sa{sv}",
                           name, 0);
                flood_send(&flood, path, "org.freedesktop.DBus.Properties", "GetAll", "s", name);
                flood_send(&flood, path, "org.freedesktop.DBus.Introspectable", "Introspect", "");
                flood_send(&flood, path, NULL, "Frob", "v", "s", name);
        }
        flood_finish(&flood);
        free(name);
        free(path);
        assert_bounded("names and paths", 128, 64);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                TEST(test_transactions), TEST(test_bytes),       TEST(test_descriptors),
                TEST(test_waiters),      TEST(test_connections), TEST(test_names),
        };

        if (argc != 3 && (argc != 4 || strcmp(argv[3], "--long") != 0))
                return 2;
        bus_kind = argv[1];
        program = argv[2];
        processes_keep_no_freed_memory();
        if (argc == 4)
                n_documents = 128;
        if (!world_has(bus_kind)) {
                printf("1..0 # SKIP no %s here\n", bus_kind);
                return 0;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
