/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Connections of somebody's own to a VM's process, beside guestmapd's
 */

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/private.h"
#include "tests/bus/rig-own.h"
#include "tests/common/unit.h"

#define DRIVER "/org/freedesktop/DBus"

static bool is_allowed(Rig *rig, const char *path, const char *member, const char *types) {
        return strncmp(rig_call(rig, path, member, types, UINT64_C(0), UINT64_C(1)), "AccessDenied",
                       12) != 0;
}

static void test_rights_are_those_it_was_opened_with(void **state) {
        Rig *rig = rig_new_vm();

        for (uint32_t rights = 0; rights <= GUESTMAP_RIGHTS_ALL; rights++) {
                sd_bus *own = rig_connect_as(rig, STRANGER, rights), *guestmapd = rig_use(rig, own);

                assert_int_equal(is_allowed(rig, RIG_VM, "VM.GetSlots", ""),
                                 (rights & GUESTMAP_RIGHT_INSPECT) != 0);
                assert_int_equal(is_allowed(rig, RIG_VM, "VM.Pause", ""),
                                 (rights & GUESTMAP_RIGHT_MODIFY) != 0);
                assert_int_equal(is_allowed(rig, RIG_MEMORY, "AddressSpace.Read", "tt"),
                                 (rights & GUESTMAP_RIGHT_ACCESS_MEMORY) != 0);
                assert_int_equal(is_allowed(rig, RIG_VM, "VM.Unheard", ""),
                                 (rights & GUESTMAP_RIGHT_ADMIN) != 0);
                assert_true(is_allowed(rig, RIG_VM, "Peer.Ping", ""));
                rig_use(rig, guestmapd);
                rig_leave(rig, own);
        }
        assert_int_equal(rig_n_connections(rig), 1);
        rig_free(rig);
}

/* Whatever it says: neither another client, nor guestmapd. */
static void test_nobody_says_who_he_is(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus *own, *guestmapd;

        rig_announce(rig, ":1.1", OWNER);
        own = rig_connect_as(rig, STRANGER, GUESTMAP_RIGHT_INSPECT | GUESTMAP_RIGHT_MODIFY);
        guestmapd = rig_use(rig, own);
        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(60000000), 0);
        assert_string_equal(rig->text, "/transaction/1");
        rig->sender = ":1.1";
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListTransactions", ""),
                            "[(/transaction/1 1 0)]");
        rig_call(rig, RIG_PRIVATE, "Private.Describe", "");
        assert_int_equal(strncmp(rig->text, "AccessDenied", 12), 0);
        assert_ptr_not_equal(rig->service->bus, NULL);
        rig_use(rig, guestmapd);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListTransactions", ""), "[]");
        rig->sender = NULL;
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListTransactions", ""),
                            "[(/transaction/1 1 0)]");
        rig_leave(rig, own);
        rig_free(rig);
}

static void test_what_lives_with_it_ends_with_it(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus *own = rig_connect_as(rig, OWNER, GUESTMAP_RIGHTS_ALL),
               *guestmapd = rig_use(rig, own);
        char *before = rig_state(rig), *after;

        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(60000000), 0);
        rig_add(rig, RIG_VM "/transaction/1", "ram", "ram", 0x1000, "system", 0);
        rig_send(rig, RIG_MEMORY, "AddressSpace.WaitChanges", "tt", UINT64_C(1), UINT64_MAX);
        assert_int_equal(rig->service->n_watches, 1);
        rig_use(rig, guestmapd);
        rig_leave(rig, own);
        assert_int_equal(rig_n_connections(rig), 1);
        assert_int_equal(rig->service->n_watches, 0);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListTransactions", ""),
                            "[(/transaction/2 1 0)]");
        after = rig_state(rig);
        assert_string_equal(before, after);
        free(after);
        free(before);
        rig_free(rig);
}

static void test_guestmapd_leaves_and_others_stay(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus *own = rig_connect_as(rig, OWNER, GUESTMAP_RIGHTS_ALL),
               *guestmapd = rig_use(rig, own);
        sd_bus *changer = NULL;

        rig_call(rig, RIG_VM, "VM.OpenConnection", "a{sv}", 0);
        changer = rig_join(rig, rig_take_fd(rig), false);
        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        rig_send(rig, RIG_MEMORY, "AddressSpace.WaitChanges", "tt", UINT64_C(1), UINT64_MAX);
        service_detach(rig->service);
        rig_settle(rig);
        assert_false(rig->answered);
        assert_int_equal(rig_n_connections(rig), 2);
        /* It is answered without guestmapd. */
        rig_use(rig, changer);
        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListTransactions", ""),
                            "[(/transaction/1 1 0)]");
        assert_int_equal(rig->service->n_watches, 0);
        rig_leave(rig, own);
        rig_leave(rig, changer);
        rig_use(rig, guestmapd);
        assert_int_equal(rig_n_connections(rig), 0);
        rig_free(rig);
}

/* Nothing looks at the tree meanwhile, and nothing is forgotten afterwards. */
static void test_leaves_while_the_tree_is_lent(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus *own = rig_connect_as(rig, OWNER, GUESTMAP_RIGHTS_ALL),
               *guestmapd = rig_use(rig, own);

        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        rig_lend(rig, ":1.1");
        rig_send(rig, RIG_VM, "Map.EnableRegion", "sba{sv}", "system", 0, 0);
        assert_int_equal(rig->service->gate.n_line, 1);
        rig_leave(rig, own);
        assert_int_equal(rig->service->gate.n_line, 0);
        assert_false(cds_list_empty(&rig->service->transactions));
        gate_take_back(&rig->service->gate);
        assert_true(cds_list_empty(&rig->service->transactions));
        rig_use(rig, guestmapd);
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "Generation"), "1");
        rig_free(rig);
}

/* sd-bus says Hello, and takes nobody for a bus who does not answer as one. */
static void test_is_a_bus_for_a_library(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus *own, *guestmapd;

        rig_call(rig, RIG_PRIVATE, "Private.Connect", "uu", OWNER, GUESTMAP_RIGHTS_ALL);
        own = rig_join(rig, rig_take_fd(rig), true);
        guestmapd = rig_use(rig, own);
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "Name"), "test");
        assert_true(sd_bus_is_ready(own));
        assert_string_equal(rig_call(rig, DRIVER, "DBus.GetNameOwner", "s", "org.guestmap1"),
                            "org.guestmap1");
        assert_string_equal(rig_call(rig, DRIVER, "DBus.NameHasOwner", "s", "org.example"),
                            "false");
        assert_string_equal(rig_call(rig, DRIVER, "DBus.GetNameOwner", "s", "org.example"),
                            "nobody is called that here");
        assert_string_equal(rig_call(rig, DRIVER, "DBus.StartServiceByName", "su", "org.guestmap1",
                                     UINT32_C(0)),
                            "2");
        assert_string_equal(rig_call(rig, DRIVER, "DBus.AddMatch", "s", "type='signal'"), "");
        assert_string_equal(rig_call(rig, DRIVER, "DBus.RemoveMatch", "s", "type='signal'"), "");
        assert_string_equal(rig_call(rig, DRIVER, "DBus.ListNames", ""),
                            "[org.freedesktop.DBus, org.guestmap1, :1.1]");
        rig_use(rig, guestmapd);
        rig_leave(rig, own);
        rig_free(rig);
}

/* D-Bus' first words, and calls behind them; of "Ping" on "/", as they are on the wire. */
static size_t write_greeting(uint8_t bytes[static 512], uint8_t n_calls) {
        static const char greeting[] = "\0AUTH ANONYMOUS\r\nDATA\r\nBEGIN\r\n";
        static const uint8_t call[48] = "l\1\0\1\0\0\0\0\0\0\0\0\35\0\0\0"
                                        "\1\1o\0\1\0\0\0/\0\0\0\0\0\0\0"
                                        "\3\1s\0\4\0\0\0Ping";
        size_t used = sizeof(greeting) - 1;

        memcpy(bytes, greeting, used);
        for (uint8_t serial = 1; serial <= n_calls; serial++, used += sizeof(call)) {
                memcpy(bytes + used, call, sizeof(call));
                bytes[used + 8] = serial;
        }
        return used;
}

static size_t count_replies(int fd) {
        uint8_t bytes[4096];
        ssize_t size = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        size_t n = 0, at = sizeof("DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n") - 1;
        uint32_t body, fields;

        assert_true(size >= (ssize_t)at);
        for (; at < (size_t)size; at += 16 + (fields + 7) / 8 * 8 + body, n++) {
                memcpy(&body, bytes + at + 4, sizeof(body));
                memcpy(&fields, bytes + at + 12, sizeof(fields));
        }
        assert_int_equal(at, size);
        return n;
}

/* Not all libraries wait for the greeting's end; what comes with it need not end with a call. */
static void test_the_greeting_and_calls_come_together(void **state) {
        enum { CALLS = 3 };
        static const size_t lates[] = {0, 20, 90};
        uint8_t bytes[512];

        for (size_t i = 0; i < ELEMENTS_OF(lates); i++) {
                size_t size = write_greeting(bytes, CALLS), early = size - lates[i];
                Rig *rig = rig_new_vm();
                int fd;

                rig_call(rig, RIG_PRIVATE, "Private.Connect", "uu", OWNER, GUESTMAP_RIGHTS_ALL);
                fd = rig_take_fd(rig);
                assert_int_equal(send(fd, bytes, early, 0), early);
                rig_settle(rig);
                assert_int_equal(send(fd, bytes + early, lates[i], 0), lates[i]);
                rig_settle(rig);
                assert_int_equal(count_replies(fd), CALLS);
                close(fd);
                rig_settle(rig);
                assert_int_equal(rig_n_connections(rig), 1);
                rig_free(rig);
        }
}

/* A message of another protocol behind the greeting ends the connection, as it does later. */
static void test_nonsense_behind_the_greeting_is_the_end(void **state) {
        Rig *rig = rig_new_vm();
        uint8_t bytes[512];
        size_t size = write_greeting(bytes, 2);
        int fd;

        bytes[size - 48 + 3] = 9; /* the version */
        memset(bytes + size - 48 + 4, 0xff, 12);
        rig_call(rig, RIG_PRIVATE, "Private.Connect", "uu", OWNER, GUESTMAP_RIGHTS_ALL);
        fd = rig_take_fd(rig);
        assert_int_equal(send(fd, bytes, size, 0), size);
        rig_settle(rig);
        assert_int_equal(rig_n_connections(rig), 1);
        close(fd);
        rig_free(rig);
}

static void test_there_are_so_many(void **state) {
        sd_bus *own[CONNECTIONS_MAX];
        Rig *rig = rig_new_vm();
        size_t n = 0;

        for (; n < CONNECTIONS_USER_MAX; n++)
                own[n] = rig_connect_as(rig, STRANGER, GUESTMAP_RIGHT_INSPECT);
        assert_string_equal(rig_call(rig, RIG_PRIVATE, "Private.Connect", "uu", STRANGER,
                                     GUESTMAP_RIGHT_INSPECT),
                            "QuotaExceeded: VM \"test\": uid 4711 has 16 connections of 16, no "
                            "more than 16 may be its, and 48 in all");
        for (; n < CONNECTIONS_MAX - CONNECTIONS_RESERVED; n++)
                own[n] = rig_connect_as(rig, STRANGER + n / CONNECTIONS_USER_MAX, 0);
        rig_call(rig, RIG_PRIVATE, "Private.Connect", "uu", 5000, 0);
        assert_int_equal(strncmp(rig->text, "QuotaExceeded", 13), 0);
        for (; n < CONNECTIONS_MAX; n++)
                own[n] = rig_connect_as(rig, OWNER, GUESTMAP_RIGHTS_ALL);
        rig_call(rig, RIG_PRIVATE, "Private.Connect", "uu", OWNER, 0);
        assert_int_equal(strncmp(rig->text, "QuotaExceeded", 13), 0);
        while (n > 0)
                rig_leave(rig, own[--n]);
        assert_int_equal(rig_n_connections(rig), 1);
        rig_free(rig);
}

/* guestmapd sees none of these calls. */
static void test_a_call_is_no_larger_than_that(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus *own = rig_connect_as(rig, STRANGER, GUESTMAP_RIGHT_INSPECT);
        sd_bus *guestmapd = rig_use(rig, own);
        char prefix[2001];

        memset(prefix, 'x', sizeof(prefix) - 1);
        prefix[sizeof(prefix) - 1] = '\0';
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListRegions", "su", prefix, 0), "1 [] false");
        rig->service->vm->limits.message_bytes = 2000;
        rig->service->vm->limits.descriptors = 1;
        rig_lend(rig, ":1.1");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListRegions", "su", prefix, 0),
                            "QuotaExceeded: VM \"test\": MessageBytes: the call has 2038, 2000 "
                            "allowed");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetLayout", "hh", 0, 0),
                            "QuotaExceeded: VM \"test\": DescriptorsPerCall: the call has 2, 1 "
                            "allowed");
        assert_int_equal(rig->service->gate.n_line, 0);
        rig_send(rig, RIG_VM, "VM.GetLayout", "h", 0);
        assert_int_equal(rig->service->gate.n_line, 1);
        gate_take_back(&rig->service->gate);
        rig_use(rig, guestmapd);
        rig_leave(rig, own);
        rig_free(rig);
}

/* Whoever may open the socket is not guestmapd for that. */
static void test_the_socket_is_for_others_too(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus *own, *guestmapd;
        Connection *connection;
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
                         0);
        assert_int_equal(connection_accept(&connection, rig->service, pair[0]), 0);
        own = rig_join(rig, pair[1], true);
        guestmapd = rig_use(rig, own);
        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0);
        assert_string_equal(rig->text, "2");
        rig_use(rig, guestmapd);
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "Regions"), "3");
        assert_int_equal(rig_n_connections(rig), 2);
        rig_use(rig, own);
        rig_call(rig, RIG_PRIVATE, "Private.Describe", "");
        assert_string_equal(rig->text,
                            "test 0123456789abcdef0123456789abcdef 1000 none running 2 ");
        assert_int_equal(rig_n_connections(rig), 1);
        assert_ptr_equal(rig->service->bus, connection->bus);
        rig_use(rig, guestmapd);
        rig_settle(rig);
        rig_leave(rig, own);
        assert_null(rig->service->bus);
        rig_free(rig);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rights_are_those_it_was_opened_with),
                cmocka_unit_test(test_nobody_says_who_he_is),
                cmocka_unit_test(test_what_lives_with_it_ends_with_it),
                cmocka_unit_test(test_guestmapd_leaves_and_others_stay),
                cmocka_unit_test(test_leaves_while_the_tree_is_lent),
                cmocka_unit_test(test_is_a_bus_for_a_library),
                cmocka_unit_test(test_the_greeting_and_calls_come_together),
                cmocka_unit_test(test_nonsense_behind_the_greeting_is_the_end),
                cmocka_unit_test(test_there_are_so_many),
                cmocka_unit_test(test_the_socket_is_for_others_too),
                cmocka_unit_test(test_a_call_is_no_larger_than_that),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
