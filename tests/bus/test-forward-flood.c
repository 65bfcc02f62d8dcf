/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How many questions guestmapd asks at a time, and whose: test-forward-flood GUESTMAPD
 *
 * The test is the bus, all clients, and polkit, which answers when it is told to. The client
 * ":1.UID.N" is of that uid. Root's calls come behind all others: when one is answered, everything
 * that came before was looked at.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "api/names.h"
#include "daemon/manager/question-dbus.h"
#include "lib/util/cleanup.h"
#include "tests/bus/own-bus.h"
#include "tests/common/unit.h"

#define VM1    GUESTMAP_PATH_VM "/vm1"
#define POLKIT "org.freedesktop.PolicyKit1.Authority"

#define FLOODER  2000
#define STRANGER 3000

typedef struct Asked {
        sd_bus_message *question; /* NULL: answered */
        unsigned uid;
} Asked;

static const char *program;
static OwnBus own;
static Asked asked[1024];
static size_t n_asked, n_ended, n_taken_back;
static bool root_is_answered;
static bool polkit_is_quick, is_flooding;

static unsigned uid_of(const char *unique) {
        return (unsigned)strtoul(unique + strlen(":1."), NULL, 10);
}

static int on_question(sd_bus_message *m) {
        const char *unique;

        if (polkit_is_quick)
                return sd_bus_reply_method_return(m, "(bba{ss})", 1, 0, 0);
        assert_true(sd_bus_message_read(m, "(sa{sv})", NULL, 1, NULL, "s", &unique) > 0);
        assert_true(n_asked < ELEMENTS_OF(asked));
        asked[n_asked++] = (Asked){.question = sd_bus_message_ref(m), .uid = uid_of(unique)};
        return 1;
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *text;

        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus", "GetConnectionUnixUser")) {
                assert_true(sd_bus_message_read(m, "s", &text) > 0);
                return sd_bus_reply_method_return(m, "u", uid_of(text));
        }
        if (sd_bus_message_is_method_call(m, POLKIT, "CheckAuthorization"))
                return on_question(m);
        if (sd_bus_message_is_method_call(m, POLKIT, "CancelCheckAuthorization")) {
                n_taken_back++;
                return 1;
        }
        return sd_bus_message_is_signal(m, NULL, NULL);
}

/* Of the questions that polkit has and has not answered. */
static size_t n_open(unsigned uid) {
        size_t n = 0;

        for (size_t i = 0; i < n_asked; i++)
                n += asked[i].question && (uid == 0 || asked[i].uid == uid);
        return n;
}

static void answer_one(unsigned uid) {
        size_t i = 0;

        while (!asked[i].question || asked[i].uid != uid)
                assert_true(++i < n_asked);
        assert_true(sd_bus_reply_method_return(asked[i].question, "(bba{ss})", 1, 0, 0) >= 0);
        asked[i].question = sd_bus_message_unref(asked[i].question);
}

static void list_vms(unsigned uid);

static int on_end(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        assert_null(sd_bus_message_get_error(m));
        n_ended++;
        if (userdata)
                root_is_answered = true;
        else if (is_flooding)
                list_vms(FLOODER);
        return 1;
}

static void call_as(unsigned uid, unsigned client, const char *path, const char *interface,
                    const char *member, const char *name) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        char sender[32];

        snprintf(sender, sizeof(sender), ":1.%u.%u", uid, client);
        assert_true(sd_bus_message_new_method_call(own.bus, &m, GUESTMAP_SERVICE, path, interface,
                                                   member) >= 0);
        assert_true(sd_bus_message_set_sender(m, sender) >= 0);
        if (name)
                assert_true(sd_bus_message_append(m, "sa{sv}", name,
                                                  strcmp(member, "CreateVM") == 0, "accelerator",
                                                  "s", "none") >= 0);
        assert_true(sd_bus_call_async(own.bus, NULL, m, on_end, uid == 0 ? "root" : NULL,
                                      UINT64_MAX) >= 0);
}

static void inspect(unsigned uid, unsigned client) {
        call_as(uid, client, VM1, GUESTMAP_INTERFACE_VM, "GetSlots", NULL);
}

/* What guestmapd answers itself, so that no other process has a say in the order. */
static void list_vms(unsigned uid) {
        call_as(uid, 0, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "ListVMs", NULL);
}

static void tell_gone(unsigned uid, unsigned client) {
        char name[32];

        snprintf(name, sizeof(name), ":1.%u.%u", uid, client);
        own_bus_tell_gone(&own, name);
}

/* Root is another client each time: also who that is gets asked behind all others. */
static void call_as_root(const char *path, const char *interface, const char *member,
                         const char *name) {
        static unsigned client;

        root_is_answered = false;
        call_as(0, ++client, path, interface, member, name);
        own_bus_run_until(&own, &root_is_answered);
}

static void settle(void) {
        call_as_root(VM1, GUESTMAP_INTERFACE_VM, "GetSlots", NULL);
        n_ended--;
}

static int set_up(void **state) {
        own_bus_open(&own, program, "", on_message);
        call_as_root(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "vm1");
        n_asked = n_ended = n_taken_back = 0;
        return 0;
}

static int tear_down(void **state) {
        for (size_t i = 0; i < n_asked; i++)
                sd_bus_message_unref(asked[i].question);
        call_as_root(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "DestroyVM", "vm1");
        return own_bus_close(&own) ? 0 : -1;
}

static void test_one_uid_asks_so_much_at_a_time(void **state) {
        enum { CLIENTS = 240 };

        for (unsigned i = 0; i < CLIENTS; i++)
                inspect(FLOODER, i);
        settle();
        assert_int_equal(n_open(FLOODER), QUESTIONS_USER_MAX);
        inspect(STRANGER, 0);
        settle();
        assert_int_equal(n_open(STRANGER), 1);
        answer_one(STRANGER);
        settle();
        assert_int_equal(n_ended, 1);
        while (n_open(0) > 0) {
                assert_true(n_open(FLOODER) <= QUESTIONS_USER_MAX);
                answer_one(FLOODER);
                settle();
        }
        assert_int_equal(n_ended, CLIENTS + 1);
}

static void test_uids_take_turns(void **state) {
        enum { UIDS = QUESTIONS_MAX / QUESTIONS_USER_MAX, CLIENTS = QUESTIONS_USER_MAX + 10 };

        for (unsigned uid = FLOODER; uid < FLOODER + UIDS; uid++)
                for (unsigned i = 0; i < CLIENTS; i++)
                        inspect(uid, i);
        for (unsigned i = 0; i < 4; i++)
                inspect(STRANGER, i);
        settle();
        assert_int_equal(n_open(0), QUESTIONS_MAX);
        assert_int_equal(n_open(STRANGER), 0);
        for (unsigned i = 0; i < 4; i++) {
                answer_one(FLOODER);
                settle();
        }
        assert_int_equal(n_open(0), QUESTIONS_MAX);
        assert_true(n_open(STRANGER) >= 2);
        while (n_open(0) > 0) {
                for (unsigned uid = FLOODER; uid < FLOODER + UIDS; uid++)
                        if (n_open(uid) > 0)
                                answer_one(uid);
                if (n_open(STRANGER) > 0)
                        answer_one(STRANGER);
                settle();
                assert_true(n_open(0) <= QUESTIONS_MAX);
        }
        assert_int_equal(n_ended, UIDS * CLIENTS + 4);
}

/* For the bus a question that was taken back is one that polkit has not answered. */
static void test_who_leaves_leaves_no_place(void **state) {
        for (unsigned i = 0; i < 100; i++) {
                inspect(FLOODER, i);
                settle();
                tell_gone(FLOODER, i);
        }
        inspect(FLOODER, 100);
        settle();
        assert_int_equal(n_asked, QUESTIONS_USER_MAX);
        assert_int_equal(n_taken_back, QUESTIONS_USER_MAX);
        answer_one(FLOODER);
        settle();
        assert_int_equal(n_asked, QUESTIONS_USER_MAX + 1);
        while (n_open(0) > 0)
                answer_one(FLOODER);
        settle();
        assert_int_equal(n_ended, 1);
}

/* What is counted is how many calls of a flood, each with a question of its own, go before one. */
static void test_questions_win_no_turns(void **state) {
        enum { IN_FLIGHT = 400, CALLS = 64, MOST = 16 };
        size_t before;

        polkit_is_quick = is_flooding = true;
        for (unsigned i = 0; i < IN_FLIGHT; i++)
                list_vms(FLOODER);
        settle();
        for (unsigned i = 0; i < CALLS; i++) {
                before = n_ended;
                root_is_answered = false;
                list_vms(0);
                own_bus_run_until(&own, &root_is_answered);
                assert_in_range(n_ended - before, 1, MOST);
        }
        is_flooding = false;
        before = n_ended;
        while (n_ended < before + IN_FLIGHT)
                settle();
        polkit_is_quick = false;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                TEST(test_one_uid_asks_so_much_at_a_time),
                TEST(test_uids_take_turns),
                TEST(test_who_leaves_leaves_no_place),
                TEST(test_questions_win_no_turns),
        };

        if (argc != 2)
                return 2;
        program = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
