/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The line for `systemctl status`: who does not read it is not waited for */

#include <stdio.h>
#include <unistd.h>

#include "daemon/common/status.h"
#include "tests/common/deaf-manager.h"
#include "tests/common/unit.h"

static void print(char *text, size_t size, void *userdata) {
        snprintf(text, size, "%d", *(const int *)userdata);
}

static void test_told_later(void **state) {
        int fd = deaf_manager_new(), number = 1;
        sd_event *event;
        Status status;

        assert_true(sd_event_new(&event) >= 0);
        assert_true(status_init(&status, event, print, &number) >= 0);
        assert_true(sd_event_run(event, UINT64_MAX) > 0);
        assert_int_equal(deaf_manager_read(fd, "STATUS="), 0);
        number = 2;
        assert_true(sd_event_run(event, UINT64_MAX) > 0);
        assert_int_equal(deaf_manager_read(fd, "STATUS=2"), 1);
        status_deinit(&status);
        sd_event_unref(event);
        close(fd);
}

/* What is so in the end is told, and nothing that was so meanwhile. */
static void test_states(void **state) {
        int fd = deaf_manager_new(), number = 1;
        sd_event *event;
        Status status;

        assert_true(sd_event_new(&event) >= 0);
        assert_true(status_init(&status, event, print, &number) >= 0);
        status_say(&status, "RELOADING=1");
        status_say(&status, "READY=1");
        assert_int_equal(deaf_manager_read(fd, "RELOADING=1"), 0);
        assert_true(sd_event_run(event, UINT64_MAX) > 0);
        assert_int_equal(deaf_manager_read(fd, "READY=1\nSTATUS=1"), 1);
        status_say(&status, "STOPPING=1");
        assert_int_equal(deaf_manager_read(fd, "STOPPING=1\nSTATUS=1"), 1);
        status_deinit(&status);
        sd_event_unref(event);
        close(fd);
}

/* It is alive even if nobody hears of it. */
static void test_watchdog(void **state) {
        int fd = deaf_manager_new(), number = 1;
        unsigned n = 0;
        sd_event *event;
        Status status;

        assert_int_equal(setenv("WATCHDOG_USEC", "10000", true), 0);
        assert_true(sd_event_new(&event) >= 0);
        assert_true(status_init(&status, event, print, &number) >= 0);
        assert_int_equal(unsetenv("WATCHDOG_USEC"), 0);
        for (unsigned i = 0; i < 3; i++)
                assert_true(sd_event_run(event, UINT64_MAX) > 0);
        assert_int_equal(deaf_manager_read(fd, "WATCHDOG=1"), 0);
        while (n < 3) {
                assert_true(sd_event_run(event, UINT64_MAX) > 0);
                n += deaf_manager_read(fd, "WATCHDOG=1");
        }
        status_deinit(&status);
        sd_event_unref(event);
        close(fd);
}

UNIT_TESTS(cmocka_unit_test(test_told_later), cmocka_unit_test(test_states),
           cmocka_unit_test(test_watchdog));
