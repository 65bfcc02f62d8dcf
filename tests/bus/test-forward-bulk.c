/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Large documents through guestmapd: test-forward-bulk KIND GUESTMAPD
 *
 * They pass as descriptors on a real bus of either kind; and whoever goes while a VM's process is
 * at work on one, the others are told.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api/errors.h"
#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/world.h"
#include "tests/common/unit.h"

#define VM        GUESTMAP_PATH_VM "/vm"
#define MEMORY    VM "/space/memory"
#define WAIT_USEC 60000000

enum { LARGE = 60000 }; /* regions: a document of more than 8 MiB, a third of a second of work */

static const char *bus_kind, *program;
static World world;
static sd_bus *client;

static int set_up(void **state) {
        if (!world_open(&world, bus_kind, program, "--system"))
                return -1;
        client = world_connect(&world);
        return client && sd_bus_set_method_call_timeout(client, WAIT_USEC) >= 0 ? 0 : -1;
}

static int tear_down(void **state) {
        client = sd_bus_flush_close_unref(client);
        return world_close(&world) ? 0 : -1;
}

/* A layout of n regions in a row, and what is behind it. */
static int make_layout(unsigned n, const char *end) {
        int fd = memfd_create("layout", MFD_CLOEXEC);
        FILE *out = fdopen(dup(fd), "w");

        assert_non_null(out);
        fputs("{\"guestmap\": 1, \"address-spaces\": [{\"name\": \"memory\", \"root\": \"root\"}],"
              "\n\"regions\": [{\"name\": \"root\", \"kind\": \"container\", \"size\": \"2^64\"}",
              out);
        for (unsigned i = 0; i < n; i++)
                fprintf(out,
                        ",\n{\"name\": \"region%07u\", \"kind\": \"mmio\", \"size\": \"0x1000\", "
                        "\"parent\": \"root\", \"offset\": \"0x%x\", \"priority\": 0, "
                        "\"enabled\": true, \"unmergeable\": false}",
                        i, i * 0x2000);
        fprintf(out, "]}%s\n", end);
        assert_int_equal(fclose(out), 0);
        return fd;
}

static int create(int layout, sd_bus_error *error) {
        return sd_bus_call_method(client, GUESTMAP_SERVICE, GUESTMAP_PATH,
                                  GUESTMAP_INTERFACE_MANAGER, "CreateVM", error, NULL, "sa{sv}",
                                  "vm", 2, "accelerator", "s", "none", "layout-fd", "h", layout);
}

static uint64_t number_of(const char *property) {
        uint64_t number;

        assert_true(sd_bus_get_property_trivial(client, GUESTMAP_SERVICE, VM, GUESTMAP_INTERFACE_VM,
                                                property, NULL, 't', &number) >= 0);
        return number;
}

static void create_empty(void) {
        int layout = make_layout(0, "");

        assert_true(create(layout, NULL) >= 0);
        close(layout);
}

static int apply_fd(int layout, sd_bus_error *error) {
        return sd_bus_call_method(client, GUESTMAP_SERVICE, VM, GUESTMAP_INTERFACE_MAP, "ApplyFD",
                                  error, NULL, "ha{sv}", layout, 0);
}

static int find(sd_bus *bus) {
        return sd_bus_call_method(bus, GUESTMAP_SERVICE, MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE,
                                  "Find", NULL, NULL, "t", UINT64_C(0));
}

static void test_create(void **state) {
        int layout = make_layout(LARGE, "");

        assert_true(lseek(layout, 0, SEEK_END) > (off_t)GUESTMAP_DOCUMENT_MAX);
        assert_true(create(layout, NULL) >= 0);
        close(layout);
        assert_int_equal(number_of("Generation"), 1);
        assert_int_equal(number_of("Regions"), LARGE + 1);
        assert_true(find(client) >= 0);
}

/* There is no VM that was not loaded. */
static void test_create_fails(void **state) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int layout = make_layout(LARGE, "\nx");

        assert_true(create(layout, &error) < 0);
        close(layout);
        assert_string_equal(error.message, "InvalidDocument: text behind the document's end (line "
                                           "60003, byte 1)");
        assert_true(sd_bus_call_method(client, GUESTMAP_SERVICE, GUESTMAP_PATH,
                                       GUESTMAP_INTERFACE_MANAGER, "GetVM", NULL, NULL, "s",
                                       "vm") < 0);
        create_empty();
}

static void test_apply(void **state) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int layout = make_layout(LARGE, "");

        create_empty();
        assert_true(find(client) < 0);
        assert_true(apply_fd(layout, NULL) >= 0);
        close(layout);
        assert_true(find(client) >= 0);
        assert_int_equal(number_of("Generation"), 2);

        layout = make_layout(LARGE, "]");
        assert_true(apply_fd(layout, &error) < 0);
        close(layout);
        assert_true(sd_bus_error_has_name(&error,
                                          GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_INVALID_DOCUMENT));
        assert_int_equal(number_of("Generation"), 2);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *got = sd_bus_message_get_error(m);

        assert_true(!got ||
                    sd_bus_error_has_name(got, GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_VM_GONE));
        *(int *)userdata = got ? -1 : 1;
        return 1;
}

/* Sends the call, and comes back when the VM's process has begun with it, most likely. */
static void begin_apply(sd_bus *bus, int *answer) {
        int layout = make_layout(LARGE, "");

        assert_true(sd_bus_call_method_async(bus, NULL, GUESTMAP_SERVICE, VM,
                                             GUESTMAP_INTERFACE_MAP, "ApplyFD", on_answer, answer,
                                             "ha{sv}", layout, 0) >= 0);
        assert_true(sd_bus_flush(bus) >= 0);
        close(layout);
        /* Of the same caller, on another object: comes back when the call was forwarded. */
        assert_true(sd_bus_call_method(bus, GUESTMAP_SERVICE, GUESTMAP_PATH,
                                       "org.freedesktop.DBus.Peer", "Ping", NULL, NULL, NULL) >= 0);
}

static void wait_for(sd_bus *bus, const int *answer) {
        while (*answer == 0) {
                int r = sd_bus_process(bus, NULL);

                assert_true(r >= 0);
                if (r == 0)
                        assert_true(sd_bus_wait(bus, WAIT_USEC) > 0);
        }
}

static void test_destroyed_meanwhile(void **state) {
        sd_bus *other = world_connect(&world);
        int answer = 0;

        create_empty();
        begin_apply(other, &answer);
        assert_true(sd_bus_call_method(client, GUESTMAP_SERVICE, GUESTMAP_PATH,
                                       GUESTMAP_INTERFACE_MANAGER, "DestroyVM", NULL, NULL,
                                       "sa{sv}", "vm", 0) >= 0);
        wait_for(other, &answer);
        sd_bus_flush_close_unref(other);
        create_empty();
}

static void test_killed_meanwhile(void **state) {
        sd_bus *other = world_connect(&world);
        int answer = 0;

        create_empty();
        begin_apply(other, &answer);
        assert_int_equal(kill(world_newest_vm(&world), SIGKILL), 0);
        wait_for(other, &answer);
        sd_bus_flush_close_unref(other);
}

/* Carried out although its caller has left; calls of others that need the tree stand behind it. */
static void test_caller_leaves(void **state) {
        sd_bus *other = world_connect(&world);
        int answer = 0;

        create_empty();
        begin_apply(other, &answer);
        sd_bus_close_unref(other);
        assert_true(sd_bus_call_method(client, GUESTMAP_SERVICE, VM, GUESTMAP_INTERFACE_VM,
                                       "GetRegion", NULL, NULL, "s", "region0000001") >= 0);
        assert_int_equal(number_of("Generation"), 2);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                TEST(test_create),
                TEST(test_create_fails),
                TEST(test_apply),
                TEST(test_destroyed_meanwhile),
                TEST(test_killed_meanwhile),
                TEST(test_caller_leaves),
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
