/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Clients that do not read their answers, on connections of their own
 */

#include <string.h>

#include "api/private.h"
#include "tests/bus/rig-own.h"
#include "tests/common/caught-journal.h"
#include "tests/common/unit.h"

enum {
        REGIONS = 5000,
        N_ENTRIES = 8, /* that a journal takes which nobody reads */
        N_CALLS = 100, /* whose answers are more than a socket's buffer takes */
};

/* What a client has been answered, by the number of its calls. */
typedef struct Reader {
        unsigned n_answers, n_errors;
        uint64_t last;
        bool in_order;
} Reader;

static sd_bus *connect_and_read_nothing(Rig *rig) {
        sd_bus *own = rig_connect_as(rig, STRANGER, GUESTMAP_RIGHT_INSPECT);

        while (!sd_bus_is_ready(own))
                assert_true(sd_event_run(rig->event, UINT64_C(10000000)) > 0);
        sd_bus_detach_event(own);
        return own;
}

static void ask(sd_bus *own, const char *path, const char *interface, const char *member,
                const char *text) {
        sd_bus_message *m;
        uint64_t cookie;

        assert_true(sd_bus_message_new_method_call(own, &m, NULL, path, interface, member) >= 0);
        if (text)
                assert_true(sd_bus_message_append(m, "su", text, 0) >= 0);
        /* Whoever does not ask for the cookie asks for no reply. */
        assert_true(sd_bus_send(own, m, &cookie) >= 0);
        sd_bus_message_unref(m);
}

static void ask_view(sd_bus *own) {
        ask(own, RIG_MEMORY, "org.guestmap1.AddressSpace", "GetFlatView", NULL);
}

static const Connection *last_connection(const Rig *rig) {
        return cds_list_entry(rig->service->connections.prev, Connection, link);
}

static uint64_t n_unread(const Rig *rig) {
        uint64_t n;

        assert_true(sd_bus_get_n_queued_write(last_connection(rig)->bus, &n) >= 0);
        return n;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Reader *reader = userdata;
        uint64_t cookie;

        if (sd_bus_message_get_reply_cookie(m, &cookie) < 0)
                return 0;
        reader->n_answers++;
        reader->n_errors += sd_bus_message_is_method_error(m, NULL) > 0;
        reader->in_order = reader->in_order && cookie > reader->last;
        reader->last = cookie;
        return 0;
}

/* From now on it reads, until it has that many answers. */
static Reader read_answers(Rig *rig, sd_bus *own, unsigned n) {
        Reader reader = {.in_order = true};

        assert_true(sd_bus_add_filter(own, NULL, on_answer, &reader) >= 0);
        assert_true(sd_bus_attach_event(own, rig->event, 0) >= 0);
        while (reader.n_answers < n)
                assert_true(sd_event_run(rig->event, UINT64_C(10000000)) > 0);
        return reader;
}

/* How many calls it has sent when it is disconnected, at most twice the bound. */
static unsigned ask_until_disconnected(Rig *rig) {
        sd_bus *own = connect_and_read_nothing(rig);
        unsigned n = 0;

        for (; n < 2 * BACKLOG_CALLS_MAX && rig_n_connections(rig) == 2; n++) {
                assert_true(n_unread(rig) <= 1);
                ask_view(own);
                rig_settle(rig);
        }
        sd_bus_close_unref(own);
        return n;
}

/* One answer lies there, and calls behind it, up to a bound; others notice nothing. */
static void test_who_reads_nothing_is_left(void **state) {
        Rig *rig = rig_new_vm();
        unsigned n;

        rig_add_many(rig, "r", REGIONS, 0);
        n = ask_until_disconnected(rig);
        print_message("# it went on for %u calls\n", n);
        assert_int_equal(rig_n_connections(rig), 1);
        assert_true(n > BACKLOG_CALLS_MAX);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetRegion", "s", "system"), "/region/system");
        rig_free(rig);
}

/* Whoever does that again and again fills no journal by it. */
static void test_the_journal_hears_of_it_so_often(void **state) {
        Rig *rig = rig_new_vm();
        CaughtJournal journal;
        unsigned n = 0;

        rig_add_many(rig, "r", REGIONS, 0);
        caught_journal_begin(&journal);
        rig->service->audit.limit.entries_max = 2;
        for (unsigned i = 0; i < 4; i++)
                ask_until_disconnected(rig);
        assert_int_equal(rig_n_connections(rig), 1);
        while (caught_journal_take(&journal))
                n += strstr(caught_journal_field(&journal, "MESSAGE"), ": disconnected: ") != NULL;
        assert_int_equal(n, 2);
        rig_free(rig);
        caught_journal_end(&journal);
}

/* So do few calls that are large. */
static void test_what_waits_is_bounded_in_bytes(void **state) {
        Rig *rig = rig_new_vm();
        char *prefix = malloc(BACKLOG_BYTES_MAX / 4 + 1);
        unsigned n = 0;
        sd_bus *own;

        assert_non_null(prefix);
        memset(prefix, 'x', BACKLOG_BYTES_MAX / 4);
        prefix[BACKLOG_BYTES_MAX / 4] = '\0';
        rig_add_many(rig, "r", REGIONS, 0);
        own = connect_and_read_nothing(rig);
        for (; n_unread(rig) == 0; rig_settle(rig))
                ask_view(own);
        for (; n < 10 && rig_n_connections(rig) == 2; n++) {
                ask(own, RIG_VM, "org.guestmap1.VM", "ListRegions", prefix);
                rig_settle(rig);
        }
        assert_int_equal(n, 5);
        assert_int_equal(rig_n_connections(rig), 1);
        free(prefix);
        sd_bus_close_unref(own);
        rig_free(rig);
}

static size_t n_entries(CaughtJournal *journal, const char *result) {
        size_t n = 0;

        while (caught_journal_take(journal))
                n += strcmp(caught_journal_field(journal, "GUESTMAP_RESULT") ?: "", result) == 0;
        return n;
}

/* Calls that wait cost nobody else time, and have their entries all the same. */
static void test_what_waits_is_remembered_once(void **state) {
        CaughtJournal journal;
        Rig *rig = rig_new_vm();
        sd_bus *own;

        caught_journal_begin(&journal);
        rig_add_many(rig, "r", REGIONS, 0);
        own = connect_and_read_nothing(rig);
        for (; n_unread(rig) == 0; rig_settle(rig))
                ask_view(own);
        for (int i = 0; i < N_ENTRIES; i++)
                ask(own, RIG_VM, "org.guestmap1.VM", "Destroy", NULL);
        rig_settle(rig);
        assert_int_equal(last_connection(rig)->backlog.n_line, N_ENTRIES);
        assert_ptr_equal(last_connection(rig)->audited.next, &last_connection(rig)->audited);
        assert_int_equal(n_entries(&journal, SD_BUS_ERROR_DISCONNECTED), 0);
        rig_leave(rig, own);
        assert_int_equal(rig_n_connections(rig), 1);
        assert_int_equal(n_entries(&journal, SD_BUS_ERROR_DISCONNECTED), N_ENTRIES);
        rig_free(rig);
        caught_journal_end(&journal);
}

/* Nobody is refused who only reads late. */
static void test_who_reads_late_gets_all_in_order(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus *own;
        Reader got;

        rig_add_many(rig, "r", REGIONS, 0);
        own = connect_and_read_nothing(rig);
        for (unsigned i = 0; i < N_CALLS; i++) {
                ask_view(own);
                rig_settle(rig);
        }
        assert_true(last_connection(rig)->backlog.n_line > 0);
        got = read_answers(rig, own, N_CALLS);
        assert_int_equal(got.n_errors, 0);
        assert_true(got.in_order);
        assert_int_equal(last_connection(rig)->backlog.n_line, 0);
        rig_leave(rig, own);
        assert_int_equal(rig_n_connections(rig), 1);
        rig_free(rig);
}

/* Calls that stood in line for the tree do not lie in anybody's way there. */
static void test_who_reads_nothing_leaves_the_line(void **state) {
        Rig *rig = rig_new_vm();
        sd_bus *own;
        Reader got;

        rig_add_many(rig, "r", REGIONS, 0);
        own = connect_and_read_nothing(rig);
        rig_lend(rig, ":1.1");
        for (int i = 0; i < N_CALLS; i++)
                ask(own, RIG_VM, "org.guestmap1.VM", "ListRegions", "");
        rig_settle(rig);
        assert_int_equal(rig->service->gate.n_line, N_CALLS);
        gate_take_back(&rig->service->gate);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetRegion", "s", "system"), "/region/system");
        assert_int_equal(rig->service->gate.n_line, 0);
        assert_true(last_connection(rig)->backlog.n_line > 0);
        ask_view(own);
        got = read_answers(rig, own, N_CALLS + 1);
        assert_int_equal(got.n_errors, 0);
        assert_true(got.in_order);
        rig_leave(rig, own);
        rig_free(rig);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_who_reads_nothing_is_left),
                cmocka_unit_test(test_the_journal_hears_of_it_so_often),
                cmocka_unit_test(test_what_waits_is_bounded_in_bytes),
                cmocka_unit_test(test_what_waits_is_remembered_once),
                cmocka_unit_test(test_who_reads_late_gets_all_in_order),
                cmocka_unit_test(test_who_reads_nothing_leaves_the_line),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
