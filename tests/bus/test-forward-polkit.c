/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What guestmapd asks polkit, and what it makes of the answer: test-forward-polkit GUESTMAPD
 */

#include <stdio.h>
#include <string.h>

#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/polkit-scene.h"

static void test_who_creates_owns(void **state) {
        sd_bus_message *m = manager_call(STRANGER, "CreateVM");

        forget();
        assert_true(sd_bus_message_append(m, "sa{sv}", "vm2", 1, "accelerator", "s", "none") >= 0);
        polkit.mood = MOOD_YES;
        expect("done", m);
        assert_string_equal(polkit.asked, "create 2000 vm2");
        polkit.mood = MOOD_NO;
        expect("done", with_name(manager_call(STRANGER, "DestroyVM"), "vm2"));
        expect("AccessDenied", with_name(manager_call(STRANGER, "CreateVM"), "vm2"));
        /* A name that no VM can have is none of polkit's business, but the right is. */
        forget();
        expect("AccessDenied", with_name(manager_call(STRANGER, "CreateVM"), "../vm"));
        assert_string_equal(polkit.asked, "create 2000 -");
}

static void test_owner_and_root_are_not_asked_about(void **state) {
        polkit.mood = MOOD_NO;
        enable("root", 0, "system");
        run();
        enable("owner", OWNER, "system");
        run();
        assert_string_equal(polkit.asked, "");
        assert_string_equal(polkit.ended, "root done, owner done");
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

                polkit.mood = cases[i].mood;
                forget();
                expect(cases[i].inspects, m);
                m = new_call(STRANGER, VM1, GUESTMAP_INTERFACE_MAP, "EnableRegion");
                assert_true(sd_bus_message_append(m, "sba{sv}", "system", 1, 0) >= 0);
                expect(cases[i].modifies, m);
                assert_string_equal(polkit.asked, "inspect 2000 vm1, modify 2000 vm1");
        }
}

static void test_the_user_is_asked_where_the_call_allows_it(void **state) {
        static const Mood moods[] = {MOOD_YES, MOOD_CHALLENGE};
        static const char *const results[] = {"done", "AccessDenied"};

        for (size_t i = 0; i < ELEMENTS_OF(moods); i++) {
                sd_bus_message *m = new_call(STRANGER, VM1, GUESTMAP_INTERFACE_VM, "GetSlots");

                polkit.mood = moods[i];
                forget();
                assert_true(sd_bus_message_set_allow_interactive_authorization(m, 1) >= 0);
                expect(results[i], m);
                assert_string_equal(polkit.asked, "inspect 2000 vm1 !");
        }
}

static void expect_asked(const char *right, const char *path, const char *interface,
                         const char *member, const char *types, const char *a, const char *b) {
        sd_bus_message *m = new_call(STRANGER, path, interface, member);
        char words[64] = "";

        if (types[0])
                assert_true(sd_bus_message_append(m, types, a, b) >= 0);
        polkit.mood = MOOD_NO;
        forget();
        send_as("it", m);
        run();
        if (right)
                snprintf(words, sizeof(words), "%s 2000 %s", right,
                         strncmp(path, VM1, strlen(VM1)) == 0 ? "vm1" : "-");
        assert_string_equal(polkit.asked, words);
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

        polkit.mood = MOOD_YES;
        assert_true(sd_bus_message_append(m, "ta{sv}", UINT64_C(60000000), 0) >= 0);
        expect("done", m);
        assert_string_equal(polkit.asked, "modify 2000 vm1");
        polkit.mood = MOOD_NO;
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
        assert_string_equal(polkit.asked, "modify 2000 vm1");
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

                polkit.mood = moods[i];
                forget();
                assert_true(sd_bus_message_set_allow_interactive_authorization(m, 1) >= 0);
                assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
                expect("done", m);
                assert_string_equal(polkit.asked, "inspect 2000 vm1 !, modify 2000 vm1, "
                                                  "access-memory 2000 vm1, admin 2000 vm1");
                polkit.mood = MOOD_NO;
                bus = join(polkit.passed_fd);
                assert_true(may(bus, GUESTMAP_INTERFACE_VM, "GetSlots", NULL, NULL));
                assert_int_equal(
                        may(bus, GUESTMAP_INTERFACE_MAP, "EnableRegion", "sba{sv}", "system"),
                        moods[i] == MOOD_YES);
                assert_int_equal(polkit.n_asked, 4);
                sd_bus_close_unref(bus);
        }
}

static void test_a_connection_is_for_who_may_look(void **state) {
        sd_bus_message *m = new_call(STRANGER, VM1, GUESTMAP_INTERFACE_VM, "OpenConnection");

        polkit.mood = MOOD_NO;
        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        expect("AccessDenied", m);
        assert_string_equal(polkit.asked, "inspect 2000 vm1");
        m = new_call(OWNER, VM1, GUESTMAP_INTERFACE_VM, "OpenConnection");
        assert_true(sd_bus_message_append(m, "a{sv}", 1, "rights", "u", 7) >= 0);
        expect("InvalidArgs", m);
}

POLKIT_TESTS(cmocka_unit_test(test_who_creates_owns),
             POLKIT_TEST(test_owner_and_root_are_not_asked_about),
             POLKIT_TEST(test_each_answer_is_obeyed),
             POLKIT_TEST(test_the_user_is_asked_where_the_call_allows_it),
             POLKIT_TEST(test_each_call_needs_its_right),
             POLKIT_TEST(test_a_transaction_is_asked_about_once),
             POLKIT_TEST(test_a_connection_has_the_rights_of_its_time),
             POLKIT_TEST(test_a_connection_is_for_who_may_look));
