/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The log, with a journal of the test's own. */

#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "daemon/common/log.h"

typedef struct Journal Journal;

struct Journal {
        char directory[32];
        char path[64];
        int fd;
        char entry[8192]; /* the last that was taken */
        size_t n;
};

static int set_up(void **state) {
        static Journal journal;
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        journal = (Journal){.directory = "/tmp/test-log-XXXXXX"};
        assert_non_null(mkdtemp(journal.directory));
        snprintf(journal.path, sizeof(journal.path), "%s/socket", journal.directory);
        memcpy(address.sun_path, journal.path, sizeof(journal.path));
        journal.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(journal.fd >= 0);
        assert_int_equal(bind(journal.fd, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(log_open_journal(journal.path), 0);
        *state = &journal;
        return 0;
}

static int tear_down(void **state) {
        Journal *journal = *state;

        log_set_vm(NULL);
        safe_close(journal->fd);
        assert_int_equal(unlink(journal->path), 0);
        assert_int_equal(rmdir(journal->directory), 0);
        return 0;
}

static bool take(Journal *journal) {
        ssize_t n = recv(journal->fd, journal->entry, sizeof(journal->entry), 0);

        journal->n = n > 0 ? (size_t)n : 0;
        return n > 0;
}

/* The value of a field of the entry, in a buffer that the next call uses again; NULL: none. */
static const char *field(const Journal *journal, const char *key) {
        static char value[2048];
        const char *p = journal->entry, *end = p + journal->n;

        while (p < end) {
                const char *newline = memchr(p, '\n', (size_t)(end - p));
                uint64_t size;

                assert_non_null(newline);
                memcpy(&size, newline + 1, sizeof(size));
                size = le64toh(size);
                assert_true(size < sizeof(value));
                memcpy(value, newline + 1 + sizeof(size), size);
                value[size] = '\0';
                if ((size_t)(newline - p) == strlen(key) && memcmp(p, key, strlen(key)) == 0)
                        return value;
                p = newline + 1 + sizeof(size) + size;
                assert_int_equal(*p, '\n');
                p++;
        }
        return NULL;
}

static void test_fields(void **state) {
        Journal *journal = *state;

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
        Journal *journal = *state;

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
        Journal *journal = *state;

        log_set_vm("mine");
        log_info("it");
        assert_true(take(journal));
        assert_string_equal(field(journal, "GUESTMAP_VM"), "mine");
        assert_string_equal(field(journal, "MESSAGE"), "VM \"mine\": it");
        log_vm(LOG_INFO, "other", "it");
        assert_true(take(journal));
        assert_string_equal(field(journal, "GUESTMAP_VM"), "other");
}

/* Lines of a message, or what looks like fields in it, are nothing but its text. */
static void test_any_text(void **state) {
        Journal *journal = *state;
        char text[3000];

        log_info("%s", "one\nGUESTMAP_VM=forged\n");
        assert_true(take(journal));
        assert_string_equal(field(journal, "MESSAGE"), "one\nGUESTMAP_VM=forged\n");
        assert_null(field(journal, "GUESTMAP_VM"));
        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        log_info("%s", text);
        assert_true(take(journal));
        assert_int_equal(strlen(field(journal, "MESSAGE")), 1023);
}

/* A journal that sleeps costs entries, not time; they are counted. */
static void test_journal_sleeps(void **state) {
        Journal *journal = *state;
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
                TEST(test_fields),         TEST(test_no_fields),     TEST(test_vm_of_the_process),
                TEST(test_any_text),       TEST(test_journal_sleeps), TEST(test_no_such_journal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
