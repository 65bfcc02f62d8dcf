/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The log, with a journal of the test's own. */

#include <errno.h>
#include <string.h>

#include "daemon/common/log.h"
#include "tests/common/caught-journal.h"
#include "tests/common/unit.h"

/* As in log.c. */
enum { TEXT_MAX = 2048, VALUE_MAX = 512 };

static const char *const long_fields[] = {
        "GUESTMAP_VM",     "GUESTMAP_REGION",    "GUESTMAP_CALLER", "GUESTMAP_MEMBER",
        "GUESTMAP_OBJECT", "GUESTMAP_ARGUMENTS", "GUESTMAP_RESULT",
};

static int set_up(void **state) {
        static CaughtJournal journal;

        caught_journal_begin(&journal);
        *state = &journal;
        return 0;
}

static int tear_down(void **state) {
        log_set_vm(NULL);
        caught_journal_end(*state);
        return 0;
}

static bool take(CaughtJournal *journal) {
        return caught_journal_take(journal);
}

static const char *field(const CaughtJournal *journal, const char *key) {
        return caught_journal_field(journal, key);
}

static void test_fields(void **state) {
        CaughtJournal *journal = *state;

        assert_true(log_is_journal());
        log_entry(LOG_NOTICE,
                  &(const LogFields){.message_id = MESSAGE_CALL,
                                     .vm = "a",
                                     .region = "pc.ram",
                                     .caller = ":1.7",
                                     .member = "AddRegion",
                                     .result = "done",
                                     .has_uid = true,
                                     .uid = 0,
                                     .has_generation = true,
                                     .generation = UINT64_MAX},
                  "uid %d", 0);
        assert_true(take(journal));
        assert_string_equal(field(journal, "MESSAGE"), "VM \"a\": uid 0");
        assert_string_equal(field(journal, "PRIORITY"), "5");
        assert_string_equal(field(journal, "MESSAGE_ID"), MESSAGE_CALL);
        assert_string_equal(field(journal, "GUESTMAP_VM"), "a");
        assert_string_equal(field(journal, "GUESTMAP_REGION"), "pc.ram");
        assert_string_equal(field(journal, "GUESTMAP_CALLER"), ":1.7");
        assert_string_equal(field(journal, "GUESTMAP_CALLER_UID"), "0");
        assert_string_equal(field(journal, "GUESTMAP_MEMBER"), "AddRegion");
        assert_string_equal(field(journal, "GUESTMAP_RESULT"), "done");
        assert_string_equal(field(journal, "GUESTMAP_GENERATION"), "18446744073709551615");
        assert_false(take(journal));
}

static void test_no_fields(void **state) {
        CaughtJournal *journal = *state;

        log_error("nothing");
        assert_true(take(journal));
        assert_string_equal(field(journal, "MESSAGE"), "nothing");
        assert_string_equal(field(journal, "PRIORITY"), "3");
        assert_string_equal(field(journal, "SYSLOG_IDENTIFIER"), "test-log");
        assert_null(field(journal, "MESSAGE_ID"));
        assert_null(field(journal, "GUESTMAP_VM"));
        assert_null(field(journal, "GUESTMAP_CALLER_UID"));
        assert_null(field(journal, "GUESTMAP_GENERATION"));
}

static void test_vm_of_the_process(void **state) {
        CaughtJournal *journal = *state;

        log_set_vm("mine");
        log_info("it");
        assert_true(take(journal));
        assert_string_equal(field(journal, "GUESTMAP_VM"), "mine");
        assert_string_equal(field(journal, "MESSAGE"), "VM \"mine\": it");
        log_vm(LOG_INFO, "other", "it");
        assert_true(take(journal));
        assert_string_equal(field(journal, "GUESTMAP_VM"), "other");
}

/* Nobody forges an entry, a field or a colour by what he says. */
static void test_any_text(void **state) {
        CaughtJournal *journal = *state;
        char text[TEXT_MAX + 1000];

        log_info("%s", "one\nGUESTMAP_VM=forged\x1b[31m");
        assert_true(take(journal));
        assert_string_equal(field(journal, "MESSAGE"), "one\\x0aGUESTMAP_VM=forged\\x1b[31m");
        assert_null(field(journal, "GUESTMAP_VM"));
        log_vm(LOG_INFO, "a\n", "it");
        assert_true(take(journal));
        assert_string_equal(field(journal, "MESSAGE"), "VM \"a\\x0a\": it");
        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        log_info("%s", text);
        assert_true(take(journal));
        assert_int_equal(strlen(field(journal, "MESSAGE")), TEXT_MAX - 1);
}

/* None is left out for another, whoever chose it; and half a character is none. */
static void test_long_fields(void **state) {
        CaughtJournal *journal = *state;
        char text[3000];

        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        memcpy(text + VALUE_MAX - 1, "\u00e9", 2);
        log_entry(LOG_INFO,
                  &(const LogFields){.message_id = MESSAGE_CALL,
                                     .vm = text,
                                     .region = text,
                                     .caller = text,
                                     .member = text,
                                     .object = text,
                                     .arguments = text,
                                     .result = text,
                                     .has_uid = true,
                                     .uid = UINT32_MAX - 1,
                                     .has_generation = true,
                                     .generation = UINT64_MAX},
                  "%s", text);
        assert_true(take(journal));
        assert_string_equal(field(journal, "MESSAGE_ID"), MESSAGE_CALL);
        assert_string_equal(field(journal, "GUESTMAP_CALLER_UID"), "4294967294");
        assert_string_equal(field(journal, "GUESTMAP_GENERATION"), "18446744073709551615");
        for (size_t i = 0; i < ELEMENTS_OF(long_fields); i++)
                assert_int_equal(strlen(field(journal, long_fields[i])), VALUE_MAX - 1);
        assert_int_equal(strlen(field(journal, "MESSAGE")), TEXT_MAX - 1);
        assert_int_equal(strncmp(field(journal, "MESSAGE"), "VM \"xxx", 7), 0);
        assert_true(strstr(field(journal, "MESSAGE"), "xxx\": xxx"));
}

/* A journal that sleeps costs entries, not time; they are counted. */
static void test_journal_sleeps(void **state) {
        CaughtJournal *journal = *state;
        unsigned long sent = 0, taken = 0, lost;

        for (; sent < 2000; sent++)
                log_info("entry %lu", sent);
        while (take(journal))
                taken++;
        assert_in_range(taken, 1, sent - 1);
        log_info("awake");
        assert_true(take(journal));
        assert_int_equal(sscanf(field(journal, "MESSAGE"), "%lu log entries", &lost), 1);
        assert_int_equal(lost, sent - taken);
        assert_string_equal(field(journal, "PRIORITY"), "4");
        assert_true(take(journal));
        assert_string_equal(field(journal, "MESSAGE"), "awake");
        log_info("once");
        assert_true(take(journal));
        assert_string_equal(field(journal, "MESSAGE"), "once");
}

static void test_no_such_journal(void **state) {
        char path[200];

        assert_int_equal(log_open_journal("/nowhere/at/all"), -ENOENT);
        memset(path, 'x', sizeof(path) - 1);
        path[sizeof(path) - 1] = '\0';
        assert_int_equal(log_open_journal(path), -ENAMETOOLONG);
        assert_true(log_is_journal());
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_fields),          TEST(test_no_fields),   TEST(test_vm_of_the_process),
                TEST(test_any_text),        TEST(test_long_fields), TEST(test_journal_sleeps),
                TEST(test_no_such_journal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
