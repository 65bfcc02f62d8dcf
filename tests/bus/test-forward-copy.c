/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A copied message says what the first one says, whatever its signature
 */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/common/load-dbus.h"
#include "daemon/manager/copy-dbus.h"
#include "tests/common/unit.h"

static int setup(void **state) {
        sd_bus *bus = NULL;
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_fd(bus, pair[0], pair[0]) >= 0);
        assert_true(sd_bus_negotiate_fds(bus, true) >= 0);
        assert_true(sd_bus_start(bus) >= 0);
        close(pair[1]);
        *state = bus;
        return 0;
}

static int teardown(void **state) {
        sd_bus_close_unref(*state);
        return 0;
}

static sd_bus_message *message_new(sd_bus *bus) {
        sd_bus_message *m = NULL;

        assert_true(sd_bus_message_new_signal(bus, &m, "/a", "a.b", "C") >= 0);
        return m;
}

static char *body(sd_bus_message *m) {
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        assert_non_null(out);
        assert_true(sd_bus_message_rewind(m, true) >= 0);
        assert_true(sd_bus_message_dump(m, out, SD_BUS_MESSAGE_DUMP_SUBTREE_ONLY) >= 0);
        fclose(out);
        return text;
}

/* Takes over the message. */
static void check_copy(sd_bus *bus, sd_bus_message *m) {
        sd_bus_message *copy = message_new(bus);
        char *text;

        assert_true(sd_bus_message_seal(m, 1, 0) >= 0);
        assert_int_equal(message_copy(copy, m), 0);
        assert_true(sd_bus_message_seal(copy, 2, 0) >= 0);
        assert_string_equal(sd_bus_message_get_signature(copy, true),
                            sd_bus_message_get_signature(m, true));
        text = body(m);
        assert_true(strlen(text) > 0);
        assert_text(body(copy), text);
        free(text);
        sd_bus_message_unref(copy);
        sd_bus_message_unref(m);
}

#define CHECK_COPY(...)                                                                            \
        do {                                                                                       \
                sd_bus_message *m_ = message_new(*state);                                          \
                                                                                                   \
                assert_true(sd_bus_message_append(m_, __VA_ARGS__) >= 0);                          \
                check_copy(*state, m_);                                                            \
        } while (0)

static void test_rows(void **state) {
        CHECK_COPY("ta(ttstsu)b", UINT64_C(7), 2, UINT64_C(0), UINT64_MAX, "r1", UINT64_C(1), "ram",
                   UINT32_C(3), UINT64_C(1), UINT64_C(2), "", UINT64_C(3), "mmio", UINT32_C(0), 1);
        CHECK_COPY("a(ybnqiuxtdsog)", 1, 1, true, -2, 3, -4, UINT32_C(5), INT64_C(-6), UINT64_C(7),
                   8.5, "s", "/o", "a(g)");
        CHECK_COPY("a(tt)a(s)", 0, 1, "only");
}

static void test_numbers(void **state) {
        CHECK_COPY("tayab", UINT64_C(7), 3, 1, 2, 255, 2, true, false);
        CHECK_COPY("ayanaqaiauaxatad", 0, 1, -1, 1, 2, 1, -3, 1, 4, 1, INT64_C(-5), 2, UINT64_MAX,
                   UINT64_C(6), 1, 7.5);
        CHECK_COPY("s(say)aay", "x", "y", 2, 1, 2, 2, 1, 3, 0);
}

static void test_others(void **state) {
        CHECK_COPY("s", "text");
        CHECK_COPY("as(ss)a{sv}", 2, "x", "y", "p", "q", 1, "key", "(tas)", UINT64_C(1), 1, "z");
        CHECK_COPY("a(sas)a(s(t))a((s))", 1, "n", 2, "a", "b", 1, "m", UINT64_C(9), 1, "deep");
        CHECK_COPY("a(sa(ttstsu)a(ttstsu))", 1, "memory", 1, UINT64_C(0), UINT64_C(1), "r",
                   UINT64_C(0), "ram", UINT32_C(0), 0);
        CHECK_COPY("a(uuuuuuuuuuuuuuuuu)", 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
                   17);
}

static void test_many_rows(void **state) {
        sd_bus_message *m = message_new(*state);

        assert_true(sd_bus_message_open_container(m, 'a', "(ts)") >= 0);
        for (uint64_t i = 0; i < 10000; i++)
                assert_true(sd_bus_message_append(m, "(ts)", i, i % 2 ? "odd" : "even") >= 0);
        assert_true(sd_bus_message_close_container(m) >= 0);
        check_copy(*state, m);
}

/* Of a message that is to be kept, what says nothing takes room, too. */
static void test_empty_arrays_weigh(void **state) {
        sd_bus_message *m = message_new(*state);
        Load load;

        assert_true(sd_bus_message_open_container(m, 'a', "as") >= 0);
        for (int i = 0; i < 1000; i++)
                assert_true(sd_bus_message_append(m, "as", 0) >= 0);
        assert_true(sd_bus_message_close_container(m) >= 0);
        assert_true(sd_bus_message_seal(m, 1, 0) >= 0);
        assert_int_equal(load_measure(&load, m), 0);
        assert_true(load.bytes >= 4000);
        sd_bus_message_unref(m);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rows), cmocka_unit_test(test_numbers),
                cmocka_unit_test(test_others), cmocka_unit_test(test_many_rows),
                cmocka_unit_test(test_empty_arrays_weigh)};

        return cmocka_run_group_tests(tests, setup, teardown);
}
