/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * guestmapd and clients that mean it no good, or know no better: test-forward-abuse KIND GUESTMAPD
 *
 * Whatever one client sends, leaves undone or has it run out of: the VMs live, other clients are
 * served, and every call is answered.
 */

#include <stdio.h>
#include <string.h>

#include "api/errors.h"
#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/test-forward-world.h"
#include "tests/common/unit.h"

#define VM1        GUESTMAP_PATH_VM "/vm1"
#define MEMORY     VM1 "/space/memory"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define DBUS       "org.freedesktop.DBus"

static const char *bus_kind, *program;
static World world;
static sd_bus *client;

static sd_bus_message *call(sd_bus *bus, const char *path, const char *interface,
                            const char *member, const char *types, ...) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        va_list arguments;
        int r;

        va_start(arguments, types);
        r = sd_bus_call_methodv(bus, GUESTMAP_SERVICE, path, interface, member, &error, &reply,
                                types, arguments);
        va_end(arguments);
        if (r < 0)
                fail_msg("%s: %s: %s", member, error.name, error.message);
        return reply;
}

/* The call fails with that error; what it says has the part. */
static void refused(const char *name, const char *part, const char *path, const char *interface,
                    const char *member, const char *types, ...) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        va_list arguments;
        int r;

        va_start(arguments, types);
        r = sd_bus_call_methodv(client, GUESTMAP_SERVICE, path, interface, member, &error, NULL,
                                types, arguments);
        va_end(arguments);
        assert_true(r < 0);
        assert_string_equal(error.name, name);
        if (!strstr(error.message, part))
                fail_msg("\"%s\" lacks \"%s\"", error.message, part);
}

static void create(const char *name) {
        sd_bus_message_unref(call(client, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM",
                                  "sa{sv}", name, 1, "accelerator", "s", "none"));
}

static int set_up(void **state) {
        if (!world_open(&world, bus_kind, program, "--system"))
                return -1;
        client = world_connect(&world);
        if (!client)
                return -1;
        create("vm1");
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

        begun = call(client, VM1, GUESTMAP_INTERFACE_VM, "Begin", "ta{sv}", 0ul, 0);
        assert_true(sd_bus_message_read(begun, "o", &transaction) > 0);
        assert_true(sd_bus_get_unique_name(client, &unique) >= 0);
        assert_true(sd_bus_message_new_signal(stranger, &signal, "/org/freedesktop/DBus", DBUS,
                                              "NameOwnerChanged") >= 0);
        assert_true(sd_bus_message_append(signal, "sss", unique, unique, "") >= 0);
        assert_true(sd_bus_message_set_destination(signal, GUESTMAP_SERVICE) >= 0);
        assert_true(sd_bus_send(stranger, signal, NULL) >= 0);
        /* An answer on the same connection afterwards: the forgery has arrived. */
        sd_bus_message_unref(call(stranger, VM1, DBUS ".Peer", "Ping", NULL));
        sd_bus_message_unref(call(client, transaction, GUESTMAP_INTERFACE_MAP, "AddRegion",
                                  "sststia{sv}", "a", "mmio", 0x1000ul, "system", 0ul, 0, 0));
        sd_bus_flush_close_unref(stranger);
}

/* A name that is quoted in part is not cut amid a character: no bus takes such a message. */
static void test_cut_names(void **state) {
        char name[256];

        for (int n = 197; n <= 201; n++) {
                snprintf(name, sizeof(name), "%0*d%s", n, 0, "éé");
                refused(GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_NO_SUCH_VM, "no VM", GUESTMAP_PATH,
                        GUESTMAP_INTERFACE_MANAGER, "GetVM", "s", name);
                refused(GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_INVALID_NAME, "letter", GUESTMAP_PATH,
                        GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}", name, 0);
        }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                TEST(test_forged_departure),
                TEST(test_cut_names),
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
