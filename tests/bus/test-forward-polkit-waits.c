/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What happens while polkit takes its time: test-forward-polkit-waits GUESTMAPD
 */

#include <stdio.h>

#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/polkit-scene.h"

/* All of these are answered by the VM's process, in the order in which they come to it. */
static void test_calls_wait_in_order_and_only_for_themselves(void **state) {
        sd_bus_message *m =
                new_call(STRANGER, VM1 "/transaction/1", GUESTMAP_INTERFACE_TRANSACTION, "Preview");

        polkit.mood = MOOD_SLOW;
        enable("first", STRANGER, "system");
        run_until_asked();
        enable("second", STRANGER, "none");
        send_as("third", m);
        enable("other", 0, "system");
        run_until_one_ended();
        assert_string_equal(polkit.ended, "other done");
        assert_int_equal(polkit.n_asked, 1);

        answer_late(MOOD_YES);
        run_until_asked();
        answer_late(MOOD_YES);
        run();
        assert_string_equal(polkit.ended, "other done, first done, second NoSuchRegion, "
                                          "third TransactionClosed");
        assert_string_equal(polkit.asked, "modify 2000 vm1, modify 2000 vm1");
}

/* What polkit says of one call is not said of the next. */
static void test_no_answer_is_kept(void **state) {
        polkit.mood = MOOD_SLOW;
        enable("first", STRANGER, "system");
        run_until_asked();
        enable("second", STRANGER, "system");
        answer_late(MOOD_YES);
        run_until_asked();
        run_until_one_ended();
        answer_late(MOOD_NO);
        run();
        assert_string_equal(polkit.ended, "first done, second AccessDenied");
}

static void tell_gone(unsigned uid) {
        char name[32];

        snprintf(name, sizeof(name), ":1.%u", uid);
        own_bus_tell_gone(&polkit.own, name);
}

static void test_a_question_is_taken_back(void **state) {
        polkit.mood = MOOD_SLOW;
        enable("gone", STRANGER, "system");
        run_until_asked();
        enable("gone too", STRANGER, "system");
        tell_gone(STRANGER);
        own_bus_run_until(&polkit.own, &polkit.was_taken_back);
        assert_string_equal(polkit.taken_back, polkit.cookie);
        answer_late(MOOD_YES);
        enable("root", 0, "system");
        run_until_one_ended();
        assert_string_equal(polkit.ended, "root done");
        assert_int_equal(polkit.n_asked, 1);
        polkit.n_left = 0; /* nobody is told what became of the calls of who has left */
}

/* Another takes the place of the VM that the question was about: another question. */
static void test_an_answer_is_for_one_vm(void **state) {
        polkit.mood = MOOD_SLOW;
        enable("first", STRANGER, "system");
        run_until_asked();
        send_as("destroy", with_name(manager_call(0, "DestroyVM"), "vm1"));
        run_until_one_ended();
        polkit.n_left--;
        create(0, "vm1");
        polkit.n_left++;
        polkit.ended[0] = '\0';
        answer_late(MOOD_YES);
        polkit.is_idle = false;
        run_until_asked();
        answer_late(MOOD_NO);
        run();
        assert_string_equal(polkit.ended, "first AccessDenied");
        assert_string_equal(polkit.asked, "modify 2000 vm1, modify 2000 vm1");
}

static void test_what_has_gone_is_gone(void **state) {
        polkit.mood = MOOD_SLOW;
        enable("first", STRANGER, "system");
        run_until_asked();
        send_as("destroy", with_name(manager_call(0, "DestroyVM"), "vm1"));
        run_until_one_ended();
        answer_late(MOOD_YES);
        run();
        assert_string_equal(polkit.ended, "destroy done, first NoSuchVM");
        create(0, "vm1");
}

POLKIT_TESTS(POLKIT_TEST(test_calls_wait_in_order_and_only_for_themselves),
             POLKIT_TEST(test_no_answer_is_kept), POLKIT_TEST(test_a_question_is_taken_back),
             POLKIT_TEST(test_an_answer_is_for_one_vm), POLKIT_TEST(test_what_has_gone_is_gone));
