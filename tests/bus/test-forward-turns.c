/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Whose calls a VM's process gets first: test-forward-turns GUESTMAPD
 *
 * The test is the bus and all clients, each of them root's. While the process is stopped they call;
 * when it goes on it answers in the order in which it was sent the calls. No client has more under
 * way than may pass as they come, so that when guestmapd has answered one of its own all that came
 * before was looked at.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "api/errors.h"
#include "api/names.h"
#include "daemon/manager/link-dbus.h"
#include "daemon/manager/rota.h"
#include "lib/util/cleanup.h"
#include "tests/bus/own-bus.h"
#include "tests/common/unit.h"

#define VM1    GUESTMAP_PATH_VM "/vm1"
#define MEMORY VM1 "/space/memory"

#define STRANGER 100 /* a client */
#define SETTLER  200 /* the first of those that are called so */

typedef struct Answer {
        unsigned client;
        unsigned call; /* how many the client had sent before */
        char error[64];
} Answer;

static const char *program;
static OwnBus own;
static unsigned n_sent[SETTLER];
static Answer answers[256];
static size_t n_answers, n_wanted;
static bool is_settled, is_enough;

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus", "GetConnectionUnixUser"))
                return sd_bus_reply_method_return(m, "u", 0);
        return sd_bus_message_is_signal(m, NULL, NULL);
}

static sd_bus_message *new_call(unsigned client, const char *path, const char *interface,
                                const char *member) {
        sd_bus_message *m = NULL;
        char sender[32];

        snprintf(sender, sizeof(sender), ":1.%u", client);
        assert_true(sd_bus_message_new_method_call(own.bus, &m, GUESTMAP_SERVICE, path, interface,
                                                   member) >= 0);
        assert_true(sd_bus_message_set_sender(m, sender) >= 0);
        return m;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *got = sd_bus_message_get_error(m);
        Answer *answer = userdata;

        assert_true(n_answers < ELEMENTS_OF(answers));
        if (got)
                snprintf(answer->error, sizeof(answer->error), "%s", got->name);
        answers[n_answers++] = *answer;
        is_enough = n_answers >= n_wanted;
        free(answer);
        return 1;
}

/* Takes the message. */
static void send(unsigned client, sd_bus_message *m) {
        Answer *answer = calloc(1, sizeof(*answer));

        assert_non_null(answer);
        assert_true(n_sent[client] < ROTA_CALLS);
        *answer = (Answer){.client = client, .call = n_sent[client]++};
        assert_true(sd_bus_call_async(own.bus, NULL, m, on_answer, answer, UINT64_MAX) >= 0);
        sd_bus_message_unref(m);
}

static void get_slots(unsigned client) {
        send(client, new_call(client, VM1, GUESTMAP_INTERFACE_VM, "GetSlots"));
}

static void wait_for_answers(size_t n) {
        n_wanted = n;
        is_enough = n_answers >= n;
        own_bus_run_until(&own, &is_enough);
}

static int on_settled(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        assert_null(sd_bus_message_get_error(m));
        is_settled = true;
        return 1;
}

static void call_and_wait(sd_bus_message *m) {
        is_settled = false;
        assert_true(sd_bus_call_async(own.bus, NULL, m, on_settled, NULL, UINT64_MAX) >= 0);
        sd_bus_message_unref(m);
        own_bus_run_until(&own, &is_settled);
}

static unsigned settler(void) {
        static unsigned n;

        return SETTLER + n++;
}

/* What guestmapd answers itself, to a new client, of whom it asks behind all others who that is. */
static void settle(void) {
        call_and_wait(new_call(settler(), GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "ListVMs"));
}

static void manage(const char *member) {
        sd_bus_message *m = new_call(settler(), GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, member);

        assert_true(sd_bus_message_append(m, "sa{sv}", "vm1", strcmp(member, "CreateVM") == 0,
                                          "accelerator", "s", "none") >= 0);
        call_and_wait(m);
}

static void signal_process(int signal) {
        assert_int_equal(kill(own_bus_vm(&own), signal), 0);
}

/* After calls of others the stranger calls, too, and the process sees all of them. */
static void go_on(size_t n_flood) {
        settle();
        get_slots(STRANGER);
        settle();
        assert_int_equal(n_answers, 0);
        signal_process(SIGCONT);
        wait_for_answers(n_flood + 1);
}

static size_t n_before_stranger(void) {
        size_t n = 0;

        while (answers[n].client != STRANGER)
                assert_true(++n < n_answers);
        return n;
}

static int set_up(void **state) {
        own_bus_open(&own, program, "", on_message);
        manage("CreateVM");
        memset(n_sent, 0, sizeof(n_sent));
        n_answers = 0;
        return 0;
}

static int tear_down(void **state) {
        manage("DestroyVM");
        return own_bus_close(&own) ? 0 : -1;
}

static void test_callers_take_turns(void **state) {
        enum { FLOODERS = 5, EACH = LINK_CALLS_MAX, REST = FLOODERS - 1 };

        signal_process(SIGSTOP);
        for (unsigned client = 0; client < FLOODERS; client++)
                for (unsigned i = 0; i < EACH; i++)
                        get_slots(client);
        go_on(FLOODERS * EACH);
        assert_int_equal(n_before_stranger(), EACH + REST);
        for (unsigned i = 0; i < EACH; i++)
                assert_int_equal(answers[i].client, 0);
        for (unsigned i = 0; i < EACH; i++)
                for (unsigned client = 1; client < FLOODERS; client++) {
                        size_t place = EACH + (i > 0) + REST * i + client - 1;

                        assert_int_equal(answers[place].client, client);
                        assert_int_equal(answers[place].call, i);
                }
}

/* They need not be many. */
static void test_large_calls(void **state) {
        enum { CALLS = 8, SIZE = LINK_BYTES_MAX - 1000 };
        static char name[SIZE + 1];

        memset(name, 'x', SIZE);
        signal_process(SIGSTOP);
        for (unsigned i = 0; i < CALLS; i++) {
                sd_bus_message *m = new_call(0, VM1, GUESTMAP_INTERFACE_VM, "GetAddressSpace");

                assert_true(sd_bus_message_append(m, "s", name) >= 0);
                send(0, m);
        }
        go_on(CALLS);
        assert_int_equal(n_before_stranger(), 3);
}

/* What waits for something to happen was taken, and is in nobody's way. */
static void test_calls_that_wait(void **state) {
        enum { WAITERS = 3 };

        for (unsigned client = 0; client < WAITERS; client++)
                for (unsigned i = 0; i < LINK_CALLS_MAX; i++) {
                        sd_bus_message *m = new_call(
                                client, MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE, "WaitChanges");

                        assert_true(sd_bus_message_append(m, "tt", UINT64_C(1), UINT64_MAX) >= 0);
                        send(client, m);
                }
        get_slots(STRANGER);
        wait_for_answers(1);
        assert_int_equal(answers[0].client, STRANGER);
}

/* The process has what it was sent; the rest is for the one that comes after it. */
static void test_process_dies(void **state) {
        enum { CALLERS = 3 };

        signal_process(SIGSTOP);
        for (unsigned client = 0; client < CALLERS; client++)
                for (unsigned i = 0; i < LINK_CALLS_MAX; i++)
                        get_slots(client);
        settle();
        signal_process(SIGKILL);
        wait_for_answers(CALLERS * LINK_CALLS_MAX);
        for (unsigned i = 0; i < n_answers; i++)
                assert_string_equal(
                        answers[i].error,
                        answers[i].client > 0 ? "" : GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_VM_GONE);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                TEST(test_callers_take_turns),
                TEST(test_large_calls),
                TEST(test_calls_that_wait),
                TEST(test_process_dies),
        };

        if (argc != 2)
                return 2;
        program = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
