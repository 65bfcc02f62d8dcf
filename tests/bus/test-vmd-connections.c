/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Connections of somebody's own to a VM's process, beside guestmapd's
 */

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/private.h"
#include "daemon/common/log.h"
#include "tests/bus/rig.h"
#include "tests/common/unit.h"

#define OWNER    1000
#define STRANGER 4711
#define DRIVER   "/org/freedesktop/DBus"

/* Calls are made on `bus` until use() is called again; what it was before is returned. */
static sd_bus *use(Rig *rig, sd_bus *bus) {
        sd_bus *before = rig->bus;

        rig->bus = bus;
        return before;
}

static sd_bus *join(Rig *rig, int fd, bool is_bus) {
        sd_bus *bus;

        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_fd(bus, fd, fd) >= 0);
        assert_true(sd_bus_set_bus_client(bus, is_bus) >= 0);
        assert_true(sd_bus_start(bus) >= 0);
        assert_true(sd_bus_attach_event(bus, rig->event, 0) >= 0);
        return bus;
}

/* The other end that the last reply has. */
static int take_fd(Rig *rig) {
        int fd;

        assert_string_equal(rig->text, "fd");
        assert_true(sd_bus_message_read(rig->reply, "h", &fd) > 0);
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        assert_true(fd >= 0);
        rig->reply = sd_bus_message_unref(rig->reply);
        return fd;
}

static sd_bus *connect_as(Rig *rig, uint32_t uid, uint32_t rights) {
        rig_call(rig, RIG_PRIVATE, "Private.Connect", "uu", uid, rights);
        return join(rig, take_fd(rig), false);
}

static size_t n_connections(const Rig *rig) {
        struct cds_list_head *link;
        size_t n = 0;

        cds_list_for_each(link, &rig->service->connections) n++;
        return n;
}

static void leave(Rig *rig, sd_bus *bus) {
        sd_bus_close_unref(bus);
        rig_settle(rig);
}

static bool is_allowed(Rig *rig, const char *path, const char *member, const char *types) {
        return strncmp(rig_call(rig, path, member, types, UINT64_C(0), UINT64_C(1)), "AccessDenied",
                       12) != 0;
}

static void test_rights_are_those_it_was_opened_with(void **state) {
        Rig *rig = rig_new_vm();

        for (uint32_t rights = 0; rights <= GUESTMAP_RIGHTS_ALL; rights++) {
                sd_bus *own = connect_as(rig, STRANGER, rights), *guestmapd = use(rig, own);

                assert_int_equal(is_allowed(rig, RIG_VM, "VM.GetSlots", ""),
                                 (rights & GUESTMAP_RIGHT_INSPECT) != 0);
                assert_int_equal(is_allowed(rig, RIG_VM, "VM.Pause", ""),
                                 (rights & GUESTMAP_RIGHT_MODIFY) != 0);
                assert_int_equal(is_allowed(rig, RIG_MEMORY, "AddressSpace.Read", "tt"),
                                 (rights & GUESTMAP_RIGHT_ACCESS_MEMORY) != 0);
                assert_int_equal(is_allowed(rig, RIG_VM, "VM.Unheard", ""),
                                 (rights & GUESTMAP_RIGHT_ADMIN) != 0);
                assert_true(is_allowed(rig, RIG_VM, "Peer.Ping", ""));
                use(rig, guestmapd);
                leave(rig, own);
        }
        assert_int_equal(n_connections(rig), 1);
        rig_free(rig);
}

/* Whatever it says: neither another client, nor guestmapd. */
static void test_nobody_says_who_he_is(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus *own, *guestmapd;

        rig_announce(rig, ":1.1", OWNER);
        own = connect_as(rig, STRANGER, GUESTMAP_RIGHT_INSPECT | GUESTMAP_RIGHT_MODIFY);
        guestmapd = use(rig, own);
        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(60000000), 0);
        assert_string_equal(rig->text, "/transaction/1");
        rig->sender = ":1.1";
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListTransactions", ""),
                            "[(/transaction/1 1 0)]");
        rig_call(rig, RIG_PRIVATE, "Private.Describe", "");
        assert_int_equal(strncmp(rig->text, "AccessDenied", 12), 0);
        assert_ptr_not_equal(rig->service->bus, NULL);
        use(rig, guestmapd);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListTransactions", ""), "[]");
        rig->sender = NULL;
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListTransactions", ""),
                            "[(/transaction/1 1 0)]");
        leave(rig, own);
        rig_free(rig);
}

static void test_what_lives_with_it_ends_with_it(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus *own = connect_as(rig, OWNER, GUESTMAP_RIGHTS_ALL), *guestmapd = use(rig, own);
        char *before = rig_state(rig), *after;

        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(60000000), 0);
        rig_add(rig, RIG_VM "/transaction/1", "ram", "ram", 0x1000, "system", 0);
        rig_send(rig, RIG_MEMORY, "AddressSpace.WaitChanges", "tt", UINT64_C(1), UINT64_MAX);
        assert_int_equal(rig->service->n_watches, 1);
        use(rig, guestmapd);
        leave(rig, own);
        assert_int_equal(n_connections(rig), 1);
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
        sd_bus *own = connect_as(rig, OWNER, GUESTMAP_RIGHTS_ALL), *guestmapd = use(rig, own);
        sd_bus *changer = NULL;

        rig_call(rig, RIG_VM, "VM.OpenConnection", "a{sv}", 0);
        changer = join(rig, take_fd(rig), false);
        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        rig_send(rig, RIG_MEMORY, "AddressSpace.WaitChanges", "tt", UINT64_C(1), UINT64_MAX);
        service_detach(rig->service);
        rig_settle(rig);
        assert_false(rig->answered);
        assert_int_equal(n_connections(rig), 2);
        /* It is answered without guestmapd. */
        use(rig, changer);
        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListTransactions", ""),
                            "[(/transaction/1 1 0)]");
        assert_int_equal(rig->service->n_watches, 0);
        leave(rig, own);
        leave(rig, changer);
        use(rig, guestmapd);
        assert_int_equal(n_connections(rig), 0);
        rig_free(rig);
}

static void lend(Rig *rig, const char *sender) {
        sd_bus_message *m;

        assert_true(sd_bus_message_new_method_call(rig->service->bus, &m, NULL, RIG_VM,
                                                   "org.guestmap1.Map", "ApplyFD") >= 0);
        assert_true(sd_bus_message_set_sender(m, sender) >= 0);
        assert_int_equal(gate_lend(&rig->service->gate, m), 0);
        sd_bus_message_unref(m);
}

/* Nothing looks at the tree meanwhile, and nothing is forgotten afterwards. */
static void test_leaves_while_the_tree_is_lent(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus *own = connect_as(rig, OWNER, GUESTMAP_RIGHTS_ALL), *guestmapd = use(rig, own);

        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        lend(rig, ":1.1");
        rig_send(rig, RIG_VM, "Map.EnableRegion", "sba{sv}", "system", 0, 0);
        assert_int_equal(rig->service->gate.n_line, 1);
        leave(rig, own);
        assert_int_equal(rig->service->gate.n_line, 0);
        assert_false(cds_list_empty(&rig->service->transactions));
        gate_take_back(&rig->service->gate);
        assert_true(cds_list_empty(&rig->service->transactions));
        use(rig, guestmapd);
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "Generation"), "1");
        rig_free(rig);
}

/* sd-bus says Hello, and takes nobody for a bus who does not answer as one. */
static void test_is_a_bus_for_a_library(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus *own, *guestmapd;

        rig_call(rig, RIG_PRIVATE, "Private.Connect", "uu", OWNER, GUESTMAP_RIGHTS_ALL);
        own = join(rig, take_fd(rig), true);
        guestmapd = use(rig, own);
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
        use(rig, guestmapd);
        leave(rig, own);
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
                fd = take_fd(rig);
                assert_int_equal(send(fd, bytes, early, 0), early);
                rig_settle(rig);
                assert_int_equal(send(fd, bytes + early, lates[i], 0), lates[i]);
                rig_settle(rig);
                assert_int_equal(count_replies(fd), CALLS);
                close(fd);
                rig_settle(rig);
                assert_int_equal(n_connections(rig), 1);
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
        fd = take_fd(rig);
        assert_int_equal(send(fd, bytes, size, 0), size);
        rig_settle(rig);
        assert_int_equal(n_connections(rig), 1);
        close(fd);
        rig_free(rig);
}

static void test_there_are_so_many(void **state) {
        sd_bus *own[CONNECTIONS_MAX];
        Rig *rig = rig_new_vm();
        size_t n = 0;

        for (; n < CONNECTIONS_USER_MAX; n++)
                own[n] = connect_as(rig, STRANGER, GUESTMAP_RIGHT_INSPECT);
        assert_string_equal(rig_call(rig, RIG_PRIVATE, "Private.Connect", "uu", STRANGER,
                                     GUESTMAP_RIGHT_INSPECT),
                            "QuotaExceeded: VM \"test\": uid 4711 has 16 connections of 16, no "
                            "more than 16 may be its, and 48 in all");
        for (; n < CONNECTIONS_MAX - CONNECTIONS_RESERVED; n++)
                own[n] = connect_as(rig, STRANGER + n / CONNECTIONS_USER_MAX, 0);
        rig_call(rig, RIG_PRIVATE, "Private.Connect", "uu", 5000, 0);
        assert_int_equal(strncmp(rig->text, "QuotaExceeded", 13), 0);
        for (; n < CONNECTIONS_MAX; n++)
                own[n] = connect_as(rig, OWNER, GUESTMAP_RIGHTS_ALL);
        rig_call(rig, RIG_PRIVATE, "Private.Connect", "uu", OWNER, 0);
        assert_int_equal(strncmp(rig->text, "QuotaExceeded", 13), 0);
        while (n > 0)
                leave(rig, own[--n]);
        assert_int_equal(n_connections(rig), 1);
        rig_free(rig);
}

static sd_bus *connect_and_read_nothing(Rig *rig) {
        sd_bus *own = connect_as(rig, STRANGER, GUESTMAP_RIGHT_INSPECT);

        while (!sd_bus_is_ready(own))
                assert_true(sd_event_run(rig->event, UINT64_C(10000000)) > 0);
        sd_bus_detach_event(own);
        return own;
}

static void ask(sd_bus *own, const char *path, const char *interface, const char *member,
                const char *types) {
        sd_bus_message *m;
        uint64_t cookie;

        assert_true(sd_bus_message_new_method_call(own, &m, NULL, path, interface, member) >= 0);
        assert_true(sd_bus_message_append(m, types, 0) >= 0);
        /* Whoever does not ask for the cookie asks for no reply. */
        assert_true(sd_bus_send(own, m, &cookie) >= 0);
        sd_bus_message_unref(m);
}

/* Answers pile up for a while, then calls are refused, then it is the end. */
static void test_who_reads_nothing_is_left(void **state) {
        Rig *rig = rig_new_vm();
        unsigned n = 0;
        sd_bus *own;

        rig_add_many(rig, "r", 5000, 0);
        own = connect_and_read_nothing(rig);
        for (; n < 100000 && n_connections(rig) == 2; n++) {
                ask(own, RIG_MEMORY, "org.guestmap1.AddressSpace", "GetFlatView", "");
                rig_settle(rig);
        }
        print_message("# it went on for %u calls\n", n);
        assert_int_equal(n_connections(rig), 1);
        assert_true(n >= CONNECTION_UNREAD_END);
        sd_bus_close_unref(own);
        rig_free(rig);
}

/* guestmapd sees none of these calls. */
static void test_a_call_is_no_larger_than_that(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus *own = connect_as(rig, STRANGER, GUESTMAP_RIGHT_INSPECT);
        sd_bus *guestmapd = use(rig, own);
        char prefix[2001];

        memset(prefix, 'x', sizeof(prefix) - 1);
        prefix[sizeof(prefix) - 1] = '\0';
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListRegions", "su", prefix, 0), "1 [] false");
        rig->service->vm->limits.message_bytes = 2000;
        rig->service->vm->limits.descriptors = 1;
        lend(rig, ":1.1");
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
        use(rig, guestmapd);
        leave(rig, own);
        rig_free(rig);
}

/* Names of results in the order in which a journal of the test's own has got them. */
static void take_results(int journal, char *results, size_t size) {
        const char key[] = "GUESTMAP_RESULT\n";
        char entry[4096];
        ssize_t n;

        results[0] = '\0';
        while ((n = recv(journal, entry, sizeof(entry), MSG_DONTWAIT)) > 0) {
                /* A length of 8 bytes is before the value, a newline behind it. */
                const char *value = memmem(entry, (size_t)n, key, strlen(key));
                size_t used = strlen(results);

                assert_non_null(value);
                value += strlen(key) + 8;
                snprintf(results + used, size - used, "%.*s", (int)strcspn(value, "\n") + 1, value);
        }
}

static int listen_as_journal(void) {
        char directory[] = "/tmp/test-vmd-XXXXXX";
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd;

        assert_non_null(mkdtemp(directory));
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", directory);
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(log_open_journal(address.sun_path), 0);
        assert_int_equal(unlink(address.sun_path), 0);
        assert_int_equal(rmdir(directory), 0);
        return fd;
}

/* The journal tells who was refused what from who was let through. The last of all, for good. */
static void test_refusals_are_logged(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus *own = connect_as(rig, STRANGER, GUESTMAP_RIGHT_MODIFY), *guestmapd = use(rig, own);
        int journal = listen_as_journal();
        char results[1024];

        rig_call(rig, RIG_VM, "VM.Pause", "");
        rig_call(rig, RIG_VM, "VM.Destroy", "a{sv}", 0);
        rig_call(rig, DRIVER, "DBus.GetNameOwner", "s", "org.guestmap1");
        rig->service->vm->limits.descriptors = 0;
        rig_call(rig, RIG_VM, "Map.ApplyFD", "ha{sv}", 0, 0);
        rig->service->vm->limits.descriptors = 1;
        lend(rig, ":1.1");
        for (int i = 0; i <= GATE_LINE_USER_MAX; i++)
                rig_send(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        take_results(journal, results, sizeof(results));
        assert_string_equal(results, "called\n"
                                     "org.freedesktop.DBus.Error.AccessDenied\n"
                                     "org.guestmap1.Error.QuotaExceeded\n"
                                     "org.guestmap1.Error.QuotaExceeded\n");
        use(rig, guestmapd);
        leave(rig, own);
        gate_take_back(&rig->service->gate);
        safe_close(journal);
        rig_free(rig);
}

/* Calls that waited are refused as others are, and keep nobody waiting then. */
static void test_who_reads_nothing_leaves_the_line(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus *own;

        rig_add_many(rig, "r", 5000, 0);
        own = connect_and_read_nothing(rig);
        lend(rig, ":1.1");
        for (int i = 0; i < 2 * CONNECTION_UNREAD_MAX; i++)
                ask(own, RIG_VM, "org.guestmap1.VM", "GetLayout", "a{sv}");
        rig_settle(rig);
        assert_int_equal(rig->service->gate.n_line, 2 * CONNECTION_UNREAD_MAX);
        gate_take_back(&rig->service->gate);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetRegion", "s", "system"), "/region/system");
        assert_int_equal(rig->service->gate.n_line, 0);
        assert_int_equal(n_connections(rig), 2);
        sd_bus_close_unref(own);
        rig_settle(rig);
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
        own = join(rig, pair[1], true);
        guestmapd = use(rig, own);
        rig_add(rig, RIG_VM, "ram", "ram", 0x1000, "system", 0);
        assert_string_equal(rig->text, "2");
        use(rig, guestmapd);
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "Regions"), "3");
        assert_int_equal(n_connections(rig), 2);
        use(rig, own);
        rig_call(rig, RIG_PRIVATE, "Private.Describe", "");
        assert_string_equal(rig->text, "test 0123456789abcdef0123456789abcdef 1000 none running 2");
        assert_int_equal(n_connections(rig), 1);
        assert_ptr_equal(rig->service->bus, connection->bus);
        use(rig, guestmapd);
        rig_settle(rig);
        leave(rig, own);
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
                cmocka_unit_test(test_who_reads_nothing_is_left),
                cmocka_unit_test(test_who_reads_nothing_leaves_the_line),
                cmocka_unit_test(test_the_socket_is_for_others_too),
                cmocka_unit_test(test_a_call_is_no_larger_than_that),
                cmocka_unit_test(test_refusals_are_logged),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
