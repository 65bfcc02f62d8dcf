/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What guestmapd asks polkit, and what it makes of the answer: test-forward-polkit GUESTMAPD
 *
 * The test is the bus, all clients, and polkit. The client ":1.N" is of uid N. Calls are written
 * down as they end, and polkit's questions as they come: "action subject vm", with a "!" behind
 * where the user may be asked.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "api/errors.h"
#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/own-bus.h"
#include "tests/common/unit.h"

#define VM1        GUESTMAP_PATH_VM "/vm1"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define POLKIT     "org.freedesktop.PolicyKit1.Authority"
#define WAIT_USEC  10000000

#define OWNER    1000
#define STRANGER 2000
#define OTHER    3000

typedef enum Mood {
        MOOD_YES,
        MOOD_NO,
        MOOD_CHALLENGE,
        MOOD_ABSENT,
        MOOD_DYING,
        MOOD_SLOW,
        MOOD_LOOK, /* yes to org.guestmap1.inspect, no to all else */
} Mood;

static const char *program;
static OwnBus own;
static Mood mood;
static sd_bus_message *question; /* the last, MOOD_SLOW */
static char asked[4096], ended[4096], cookie[64], taken_back[64];
static unsigned n_asked, n_ended, n_left; /* calls that have been sent and not ended */
static bool has_asked, is_idle, was_taken_back;
static int passed_fd; /* the last one */

static void write_down(char text[static 4096], const char *words) {
        size_t used = strlen(text);

        snprintf(text + used, 4096 - used, "%s%s", used > 0 ? ", " : "", words);
}

static void forget(void) {
        asked[0] = ended[0] = '\0';
        n_asked = n_ended = 0;
        has_asked = was_taken_back = false;
}

static int answer(sd_bus_message *m, Mood how) {
        switch (how) {
        case MOOD_YES:
                return sd_bus_reply_method_return(m, "(bba{ss})", 1, 0, 0);
        case MOOD_NO:
                return sd_bus_reply_method_return(m, "(bba{ss})", 0, 0, 0);
        case MOOD_CHALLENGE:
                return sd_bus_reply_method_return(m, "(bba{ss})", 0, 1, 0);
        case MOOD_ABSENT:
                return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_SERVICE_UNKNOWN, "no polkit");
        case MOOD_DYING:
                return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_NO_REPLY, "it has left");
        default:
                question = sd_bus_message_ref(m);
                return 1;
        }
}

static void answer_late(Mood how) {
        assert_true(answer(question, how) >= 0);
        question = sd_bus_message_unref(question);
}

static int on_question(sd_bus_message *m) {
        const char *kind, *subject, *action, *vm = "-", *text;
        uint32_t flags;
        char words[256];

        assert_true(sd_bus_message_read(m, "(sa{sv})s", &kind, 1, NULL, "s", &subject, &action) >
                    0);
        assert_string_equal(kind, "system-bus-name");
        assert_true(sd_bus_message_enter_container(m, 'a', "{ss}") >= 0);
        while (sd_bus_message_read(m, "{ss}", &text, &vm) > 0)
                assert_string_equal(text, "vm");
        assert_true(sd_bus_message_exit_container(m) >= 0);
        assert_true(sd_bus_message_read(m, "us", &flags, &text) > 0);
        /* Two questions at a time may not have one cookie. */
        assert_string_not_equal(text, cookie);
        snprintf(cookie, sizeof(cookie), "%s", text);
        snprintf(words, sizeof(words), "%s %s %s%s", action + strlen("org.guestmap1."),
                 subject + strlen(":1."), vm, flags & 1 ? " !" : "");
        write_down(asked, words);
        n_asked++;
        has_asked = true;
        if (mood == MOOD_LOOK)
                return answer(m, strcmp(action, "org.guestmap1.inspect") == 0 ? MOOD_YES : MOOD_NO);
        return answer(m, mood);
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *text;

        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus", "GetConnectionUnixUser")) {
                assert_true(sd_bus_message_read(m, "s", &text) > 0);
                return sd_bus_reply_method_return(m, "u", atoi(text + strlen(":1.")));
        }
        if (sd_bus_message_is_method_call(m, POLKIT, "CheckAuthorization"))
                return on_question(m);
        if (sd_bus_message_is_method_call(m, POLKIT, "CancelCheckAuthorization")) {
                assert_true(sd_bus_message_read(m, "s", &text) > 0);
                snprintf(taken_back, sizeof(taken_back), "%s", text);
                was_taken_back = true;
                return 1;
        }
        return sd_bus_message_is_signal(m, NULL, NULL);
}

static const char *last_part(const char *name) {
        return strrchr(name, '.') + 1;
}

static void take_fd(sd_bus_message *m) {
        assert_true(sd_bus_message_read(m, "h", &passed_fd) > 0);
        passed_fd = fcntl(passed_fd, F_DUPFD_CLOEXEC, 3);
        assert_true(passed_fd >= 0);
}

/* The client is known by what was written behind the call: nothing else comes back. */
static int on_end(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *failure = sd_bus_message_get_error(m);
        const char *what = userdata;
        char words[128];

        if (sd_bus_message_has_signature(m, "h"))
                take_fd(m);
        snprintf(words, sizeof(words), "%s %s", what, failure ? last_part(failure->name) : "done");
        write_down(ended, words);
        n_ended++;
        is_idle = --n_left == 0;
        return 1;
}

static sd_bus_message *new_call(unsigned uid, const char *path, const char *interface,
                                const char *member) {
        sd_bus_message *m = NULL;
        char sender[32];

        snprintf(sender, sizeof(sender), ":1.%u", uid);
        assert_true(sd_bus_message_new_method_call(own.bus, &m, GUESTMAP_SERVICE, path, interface,
                                                   member) >= 0);
        assert_true(sd_bus_message_set_sender(m, sender) >= 0);
        return m;
}

static void send_as(const char *what, sd_bus_message *m) {
        is_idle = false;
        n_left++;
        assert_true(sd_bus_call_async(own.bus, NULL, m, on_end, (void *)what, WAIT_USEC) >= 0);
        sd_bus_message_unref(m);
}

static void enable(const char *what, unsigned uid, const char *region) {
        sd_bus_message *m = new_call(uid, VM1, GUESTMAP_INTERFACE_MAP, "EnableRegion");

        assert_true(sd_bus_message_append(m, "sba{sv}", region, 1, 0) >= 0);
        send_as(what, m);
}

static void run(void) {
        own_bus_run_until(&own, &is_idle);
}

static void run_until_one_ended(void) {
        while (n_ended < 1)
                assert_true(sd_bus_process(own.bus, NULL) > 0 ||
                            sd_bus_wait(own.bus, WAIT_USEC) > 0);
}

static void run_until_asked(void) {
        own_bus_run_until(&own, &has_asked);
        has_asked = false;
}

/* Ends one call as expected. */
static void expect(const char *result, sd_bus_message *m) {
        char words[128];

        ended[0] = '\0';
        send_as("it", m);
        run();
        snprintf(words, sizeof(words), "it %s", result);
        assert_string_equal(ended, words);
}

static sd_bus_message *with_name(sd_bus_message *m, const char *name) {
        assert_true(sd_bus_message_append(m, "sa{sv}", name, 0) >= 0);
        return m;
}

static sd_bus_message *manager_call(unsigned uid, const char *member) {
        return new_call(uid, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, member);
}

static void create(unsigned uid, const char *name) {
        sd_bus_message *m = manager_call(uid, "CreateVM");

        assert_true(sd_bus_message_append(m, "sa{sv}", name, 1, "accelerator", "s", "none") >= 0);
        expect("done", m);
}

static int set_up(void **state) {
        own_bus_open(&own, program, "", on_message);
        return 0;
}

static int tear_down(void **state) {
        return own_bus_close(&own) ? 0 : -1;
}

/* OWNER's, made by him while polkit allowed it. */
static int set_up_vm(void **state) {
        mood = MOOD_YES;
        create(OWNER, "vm1");
        forget();
        return 0;
}

static int tear_down_vm(void **state) {
        mood = MOOD_NO;
        expect("done", with_name(manager_call(0, "DestroyVM"), "vm1"));
        return 0;
}

static void test_owner_and_root_are_not_asked_about(void **state) {
        mood = MOOD_NO;
        enable("root", 0, "system");
        run();
        enable("owner", OWNER, "system");
        run();
        assert_string_equal(asked, "");
        assert_string_equal(ended, "root done, owner done");
}

static void test_who_creates_owns(void **state) {
        sd_bus_message *m = manager_call(STRANGER, "CreateVM");

        forget();
        assert_true(sd_bus_message_append(m, "sa{sv}", "vm2", 1, "accelerator", "s", "none") >= 0);
        mood = MOOD_YES;
        expect("done", m);
        assert_string_equal(asked, "create 2000 vm2");
        mood = MOOD_NO;
        expect("done", with_name(manager_call(STRANGER, "DestroyVM"), "vm2"));
        expect("AccessDenied", with_name(manager_call(STRANGER, "CreateVM"), "vm2"));
        /* A name that no VM can have is none of polkit's business, but the right is. */
        forget();
        expect("AccessDenied", with_name(manager_call(STRANGER, "CreateVM"), "../vm"));
        assert_string_equal(asked, "create 2000 -");
}

static void test_each_answer_is_obeyed(void **state) {
        static const struct {
                Mood mood;
                const char *inspects, *modifies;
        } cases[] = {
                {MOOD_YES, "done", "done"},
                {MOOD_NO, "AccessDenied", "AccessDenied"},
                {MOOD_CHALLENGE, "AccessDenied", "AccessDenied"},
                {MOOD_ABSENT, "done", "AccessDenied"},
                {MOOD_DYING, "AccessDenied", "AccessDenied"},
        };

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                sd_bus_message *m = new_call(STRANGER, VM1, GUESTMAP_INTERFACE_VM, "GetSlots");

                mood = cases[i].mood;
                forget();
                expect(cases[i].inspects, m);
                m = new_call(STRANGER, VM1, GUESTMAP_INTERFACE_MAP, "EnableRegion");
                assert_true(sd_bus_message_append(m, "sba{sv}", "system", 1, 0) >= 0);
                expect(cases[i].modifies, m);
                assert_string_equal(asked, "inspect 2000 vm1, modify 2000 vm1");
        }
}

static void test_the_user_is_asked_where_the_call_allows_it(void **state) {
        static const Mood moods[] = {MOOD_YES, MOOD_CHALLENGE};
        static const char *const results[] = {"done", "AccessDenied"};

        for (size_t i = 0; i < ELEMENTS_OF(moods); i++) {
                sd_bus_message *m = new_call(STRANGER, VM1, GUESTMAP_INTERFACE_VM, "GetSlots");

                mood = moods[i];
                forget();
                assert_true(sd_bus_message_set_allow_interactive_authorization(m, 1) >= 0);
                expect(results[i], m);
                assert_string_equal(asked, "inspect 2000 vm1 !");
        }
}

static void expect_asked(const char *right, const char *path, const char *interface,
                         const char *member, const char *types, const char *a, const char *b) {
        sd_bus_message *m = new_call(STRANGER, path, interface, member);
        char words[64] = "";

        if (types[0])
                assert_true(sd_bus_message_append(m, types, a, b) >= 0);
        mood = MOOD_NO;
        forget();
        send_as("it", m);
        run();
        if (right)
                snprintf(words, sizeof(words), "%s 2000 %s", right,
                         strncmp(path, VM1, strlen(VM1)) == 0 ? "vm1" : "-");
        assert_string_equal(asked, words);
}

static void test_each_call_needs_its_right(void **state) {
        expect_asked("inspect", VM1, PROPERTIES, "Get", "ss", GUESTMAP_INTERFACE_VM, "Name");
        expect_asked("inspect", GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "ListVMs", "", "", "");
        expect_asked("modify", VM1 "/region/a", PROPERTIES, "Set", "ss", "", "");
        expect_asked("modify", VM1, NULL, "Apply", "s", "", "");
        expect_asked("access-memory", VM1, GUESTMAP_INTERFACE_VM, "GetBacking", "", "", "");
        expect_asked("access-memory", VM1 "/space/memory", GUESTMAP_INTERFACE_ADDRESS_SPACE, "Read",
                     "", "", "");
        expect_asked("admin", VM1, GUESTMAP_INTERFACE_VM, "Destroy", "", "", "");
        expect_asked("admin", VM1, GUESTMAP_INTERFACE_VM, "Unheard", "", "", "");
        expect_asked(NULL, VM1, "org.freedesktop.DBus.Peer", "Ping", "", "", "");
}

static void test_a_transaction_is_asked_about_once(void **state) {
        static const char object[] = VM1 "/transaction/1";
        sd_bus_message *m = new_call(STRANGER, VM1, GUESTMAP_INTERFACE_VM, "Begin");

        mood = MOOD_YES;
        assert_true(sd_bus_message_append(m, "ta{sv}", UINT64_C(60000000), 0) >= 0);
        expect("done", m);
        assert_string_equal(asked, "modify 2000 vm1");
        mood = MOOD_NO;
        m = new_call(STRANGER, object, GUESTMAP_INTERFACE_MAP, "EnableRegion");
        assert_true(sd_bus_message_append(m, "sba{sv}", "system", 0, 0) >= 0);
        expect("done", m);
        /* Another's transaction cannot be told from one that has ended. */
        m = new_call(OTHER, object, GUESTMAP_INTERFACE_TRANSACTION, "Commit");
        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        expect("TransactionClosed", m);
        m = new_call(STRANGER, object, GUESTMAP_INTERFACE_TRANSACTION, "Commit");
        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        expect("done", m);
        assert_string_equal(asked, "modify 2000 vm1");
}

/* All of these are answered by the VM's process, in the order in which they come to it. */
static void test_calls_wait_in_order_and_only_for_themselves(void **state) {
        sd_bus_message *m =
                new_call(STRANGER, VM1 "/transaction/1", GUESTMAP_INTERFACE_TRANSACTION, "Preview");

        mood = MOOD_SLOW;
        enable("first", STRANGER, "system");
        run_until_asked();
        enable("second", STRANGER, "none");
        send_as("third", m);
        enable("other", 0, "system");
        run_until_one_ended();
        assert_string_equal(ended, "other done");
        assert_int_equal(n_asked, 1);

        answer_late(MOOD_YES);
        run_until_asked();
        answer_late(MOOD_YES);
        run();
        assert_string_equal(ended, "other done, first done, second NoSuchRegion, "
                                   "third TransactionClosed");
        assert_string_equal(asked, "modify 2000 vm1, modify 2000 vm1");
}

/* What polkit says of one call is not said of the next. */
static void test_no_answer_is_kept(void **state) {
        mood = MOOD_SLOW;
        enable("first", STRANGER, "system");
        run_until_asked();
        enable("second", STRANGER, "system");
        answer_late(MOOD_YES);
        run_until_asked();
        run_until_one_ended();
        answer_late(MOOD_NO);
        run();
        assert_string_equal(ended, "first done, second AccessDenied");
}

static void tell_gone(unsigned uid) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        char name[32];

        snprintf(name, sizeof(name), ":1.%u", uid);
        assert_true(sd_bus_message_new_signal(own.bus, &m, "/org/freedesktop/DBus",
                                              "org.freedesktop.DBus", "NameOwnerChanged") >= 0);
        assert_true(sd_bus_message_set_sender(m, "org.freedesktop.DBus") >= 0);
        assert_true(sd_bus_message_append(m, "sss", name, name, "") >= 0);
        assert_true(sd_bus_send(own.bus, m, NULL) >= 0);
}

static void test_a_question_is_taken_back(void **state) {
        mood = MOOD_SLOW;
        enable("gone", STRANGER, "system");
        run_until_asked();
        enable("gone too", STRANGER, "system");
        tell_gone(STRANGER);
        own_bus_run_until(&own, &was_taken_back);
        assert_string_equal(taken_back, cookie);
        answer_late(MOOD_YES);
        enable("root", 0, "system");
        run_until_one_ended();
        assert_string_equal(ended, "root done");
        assert_int_equal(n_asked, 1);
        n_left = 0; /* nobody is told what became of the calls of who has left */
}

/* Another takes the place of the VM that the question was about: another question. */
static void test_an_answer_is_for_one_vm(void **state) {
        mood = MOOD_SLOW;
        enable("first", STRANGER, "system");
        run_until_asked();
        send_as("destroy", with_name(manager_call(0, "DestroyVM"), "vm1"));
        run_until_one_ended();
        n_left--;
        create(0, "vm1");
        n_left++;
        ended[0] = '\0';
        answer_late(MOOD_YES);
        is_idle = false;
        run_until_asked();
        answer_late(MOOD_NO);
        run();
        assert_string_equal(ended, "first AccessDenied");
        assert_string_equal(asked, "modify 2000 vm1, modify 2000 vm1");
}

static void test_what_has_gone_is_gone(void **state) {
        mood = MOOD_SLOW;
        enable("first", STRANGER, "system");
        run_until_asked();
        send_as("destroy", with_name(manager_call(0, "DestroyVM"), "vm1"));
        run_until_one_ended();
        answer_late(MOOD_YES);
        run();
        assert_string_equal(ended, "destroy done, first NoSuchVM");
        create(0, "vm1");
}

static sd_bus *join(int fd) {
        sd_bus *bus;

        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_fd(bus, fd, fd) >= 0);
        assert_true(sd_bus_set_bus_client(bus, 1) >= 0);
        assert_true(sd_bus_start(bus) >= 0);
        return bus;
}

static bool may(sd_bus *bus, const char *interface, const char *member, const char *types,
                const char *text) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_call_method(bus, GUESTMAP_SERVICE, VM1, interface, member, &error, NULL, types,
                               text, 1, 0);
        if (r < 0)
                assert_string_equal(error.name, SD_BUS_ERROR_ACCESS_DENIED);
        return r >= 0;
}

/* Nobody is asked for a password but for what the call itself needs. */
static void test_a_connection_has_the_rights_of_its_time(void **state) {
        static const Mood moods[] = {MOOD_LOOK, MOOD_YES};

        for (size_t i = 0; i < ELEMENTS_OF(moods); i++) {
                sd_bus_message *m =
                        new_call(STRANGER, VM1, GUESTMAP_INTERFACE_VM, "OpenConnection");
                sd_bus *bus;

                mood = moods[i];
                forget();
                assert_true(sd_bus_message_set_allow_interactive_authorization(m, 1) >= 0);
                assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
                expect("done", m);
                assert_string_equal(asked, "inspect 2000 vm1 !, modify 2000 vm1, "
                                           "access-memory 2000 vm1, admin 2000 vm1");
                mood = MOOD_NO;
                bus = join(passed_fd);
                assert_true(may(bus, GUESTMAP_INTERFACE_VM, "GetSlots", NULL, NULL));
                assert_int_equal(
                        may(bus, GUESTMAP_INTERFACE_MAP, "EnableRegion", "sba{sv}", "system"),
                        moods[i] == MOOD_YES);
                assert_int_equal(n_asked, 4);
                sd_bus_close_unref(bus);
        }
}

static void test_a_connection_is_for_who_may_look(void **state) {
        sd_bus_message *m = new_call(STRANGER, VM1, GUESTMAP_INTERFACE_VM, "OpenConnection");

        mood = MOOD_NO;
        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        expect("AccessDenied", m);
        assert_string_equal(asked, "inspect 2000 vm1");
        m = new_call(OWNER, VM1, GUESTMAP_INTERFACE_VM, "OpenConnection");
        assert_true(sd_bus_message_append(m, "a{sv}", 1, "rights", "u", 7) >= 0);
        expect("InvalidArgs", m);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up_vm, tear_down_vm)

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_who_creates_owns),
                TEST(test_owner_and_root_are_not_asked_about),
                TEST(test_each_answer_is_obeyed),
                TEST(test_the_user_is_asked_where_the_call_allows_it),
                TEST(test_each_call_needs_its_right),
                TEST(test_a_transaction_is_asked_about_once),
                TEST(test_calls_wait_in_order_and_only_for_themselves),
                TEST(test_no_answer_is_kept),
                TEST(test_a_question_is_taken_back),
                TEST(test_an_answer_is_for_one_vm),
                TEST(test_what_has_gone_is_gone),
                TEST(test_a_connection_has_the_rights_of_its_time),
                TEST(test_a_connection_is_for_who_may_look),
        };

        if (argc != 2)
                return 2;
        program = argv[1];
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
