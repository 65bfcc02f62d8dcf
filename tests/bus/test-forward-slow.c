/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * guestmapd on a bus that behaves badly: test-forward-slow GUESTMAPD
 *
 * The test is the bus, on a socket of its own, and its only client. Asked for a client's uid it
 * says something else; the client must be answered all the same. While thousands of commits are
 * made it reads hardly anything, ten messages in a second; then what guestmapd has kept must be
 * little, and make an unbroken chain of Committed signals from the first commit to the last.
 */

#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>

#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/own-bus.h"
#include "tests/common/unit.h"

#define VM1       GUESTMAP_PATH_VM "/vm1"
#define CALLER    ":1.7"
#define NOBODY    ":1.8" /* of whom the bus says no uid, but something else */
#define BATCH     3000   /* calls that may wait for the VM's process at a time */
#define COMMITS   (3 * BATCH)
#define SECTIONS  60 /* that each commit changes; a socket holds 8 MiB, and is to overflow */
#define WAIT_USEC 10000000

static const char *program;
static OwnBus own;
static bool answered;
static bool asked_rival;    /* who has the name that was refused */
static uint64_t generation; /* the last that a reply or a signal has told */
static unsigned n_committed, n_truncated, n_gaps;

static int answer_who(sd_bus_message *m) {
        const char *unique;

        assert_true(sd_bus_message_read(m, "s", &unique) > 0);
        if (strcmp(unique, NOBODY) == 0)
                return sd_bus_reply_method_return(m, "s", "nobody");
        return sd_bus_reply_method_return(m, "u", 0);
}

static int answer_rival(sd_bus_message *m) {
        asked_rival = true;
        return sd_bus_reply_method_return(m, "u", (uint32_t)own.daemon);
}

static void read_committed(sd_bus_message *m) {
        uint64_t now, previous;
        const char *key;

        assert_true(sd_bus_message_read(m, "tt", &now, &previous) > 0);
        n_committed++;
        n_gaps += previous != generation;
        generation = now;
        assert_true(sd_bus_message_skip(m, "a(sa(ttstsu)a(ttstsu))") > 0);
        assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") >= 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                assert_true(sd_bus_message_read(m, "s", &key) > 0);
                n_truncated += strcmp(key, "truncated") == 0;
                assert_true(sd_bus_message_skip(m, "v") > 0);
                assert_true(sd_bus_message_exit_container(m) >= 0);
        }
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus", "GetConnectionUnixUser"))
                return answer_who(m);
        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus", "GetConnectionUnixProcessID"))
                return answer_rival(m);
        if (sd_bus_message_is_signal(m, GUESTMAP_INTERFACE_VM, "Committed"))
                read_committed(m);
        return sd_bus_message_is_signal(m, NULL, NULL);
}

static int set_up(void **state) {
        char config[128];

        /* More calls at a time than a client may have under way. */
        snprintf(config, sizeof(config), "[User]\nCallsPerUser=%d\n[Client]\nCallsPerClient=%d\n",
                 BATCH, BATCH);
        own_bus_open(&own, program, config, on_message);
        return 0;
}

static sd_bus_message *new_call(const char *path, const char *interface, const char *member) {
        sd_bus_message *m = NULL;

        assert_true(sd_bus_message_new_method_call(own.bus, &m, GUESTMAP_SERVICE, path, interface,
                                                   member) >= 0);
        assert_true(sd_bus_message_set_sender(m, CALLER) >= 0);
        return m;
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        if (sd_bus_message_is_method_error(m, NULL))
                print_error("%s\n", sd_bus_message_get_error(m)->message);
        assert_false(sd_bus_message_is_method_error(m, NULL));
        answered = true;
        return sd_bus_message_has_signature(m, "t") ? sd_bus_message_read(m, "t", &generation) : 1;
}

static void call(sd_bus_message *m) {
        answered = false;
        assert_true(sd_bus_call_async(own.bus, NULL, m, on_reply, NULL, WAIT_USEC) >= 0);
        sd_bus_message_unref(m);
        own_bus_run_until(&own, &answered);
}

static void toggle_without_reading(unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                sd_bus_message *m = new_call(VM1, GUESTMAP_INTERFACE_MAP, "EnableRegion");

                assert_true(sd_bus_message_append(m, "sba{sv}", "window", i % 2, 0) >= 0);
                assert_true(sd_bus_message_set_expect_reply(m, 0) >= 0);
                assert_true(sd_bus_send(own.bus, m, NULL) >= 0);
                sd_bus_message_unref(m);
        }
        assert_true(sd_bus_flush(own.bus) >= 0);
}

static unsigned long ticks_used(pid_t pid) {
        unsigned long user = 0, system = 0;
        char path[64];
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        file = fopen(path, "re");
        assert_non_null(file);
        assert_int_equal(fscanf(file,
                                "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
                                "%lu %lu",
                                &user, &system),
                         2);
        fclose(file);
        return user + system;
}

/* Nothing more can be learned from outside without reading more: they have no more to do. */
static void wait_until_idle(void) {
        unsigned long before = 0, now;
        unsigned quiet = 0;

        for (unsigned tries = 0; quiet < 5 && tries < 200; tries++) {
                nanosleep(&(struct timespec){.tv_nsec = 100000000L}, NULL);
                assert_true(sd_bus_process(own.bus, NULL) >= 0);
                now = ticks_used(own.daemon) + ticks_used(own_bus_vm(&own));
                quiet = now == before ? quiet + 1 : 0;
                before = now;
        }
        assert_int_equal(quiet, 5);
}

static void add_region(const char *name, const char *kind, const char *parent, uint64_t size,
                       uint64_t offset) {
        sd_bus_message *m = new_call(VM1, GUESTMAP_INTERFACE_MAP, "AddRegion");

        assert_true(sd_bus_message_append(m, "sststia{sv}", name, kind, size, parent, offset, 0,
                                          0) >= 0);
        call(m);
}

static void go_on(void) {
        assert_true(sd_bus_process(own.bus, NULL) > 0 || sd_bus_wait(own.bus, WAIT_USEC) > 0);
}

static void read_until(uint64_t last) {
        while (generation < last)
                go_on();
}

static void test_commits_are_folded(void **state) {
        sd_bus_message *m = new_call(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM");
        char name[16];
        uint64_t last;

        assert_true(sd_bus_message_append(m, "sa{sv}", "vm1", 1, "accelerator", "s", "none") >= 0);
        call(m);
        add_region("window", "container", "system", SECTIONS * 0x2000, 0);
        for (unsigned i = 0; i < SECTIONS; i++) {
                snprintf(name, sizeof(name), "r%u", i);
                add_region(name, "mmio", "window", 0x1000, i * 0x2000);
        }
        last = generation + COMMITS;
        while (n_committed <= SECTIONS) /* those of the regions themselves */
                go_on();
        n_committed = n_gaps = 0;

        for (unsigned n = 0; n < COMMITS; n += BATCH) {
                toggle_without_reading(BATCH);
                wait_until_idle();
        }
        read_until(last);
        print_message("# %u commits, told by %u signals, %u of them folded\n", COMMITS, n_committed,
                      n_truncated);
        assert_int_equal(generation, last);
        assert_int_equal(n_gaps, 0);
        assert_true(n_truncated >= 1);
        assert_true(n_committed < COMMITS);

        m = new_call(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "DestroyVM");
        assert_true(sd_bus_message_append(m, "sa{sv}", "vm1", 0) >= 0);
        call(m);
}

static int on_refusal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        answered = true;
        assert_string_equal(sd_bus_message_get_error(m)->name, SD_BUS_ERROR_ACCESS_DENIED);
        return 1;
}

static void test_nobody_is_refused(void **state) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        assert_true(sd_bus_message_new_method_call(own.bus, &m, GUESTMAP_SERVICE, GUESTMAP_PATH,
                                                   GUESTMAP_INTERFACE_MANAGER, "ListVMs") >= 0);
        assert_true(sd_bus_message_set_sender(m, NOBODY) >= 0);
        answered = false;
        assert_true(sd_bus_call_async(own.bus, NULL, m, on_refusal, NULL, WAIT_USEC) >= 0);
        own_bus_run_until(&own, &answered);
        call(new_call(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "ListVMs"));
}

/* It still has the connection that guestmapd has left for another: it is no other guestmapd. */
static void test_late_bus(void **state) {
        own_bus_accept(&own, own_bus_listen_again(&own), on_message);
        own.n_refusals = 1;
        own_bus_run_until(&own, &asked_rival);
        assert_true(sd_bus_flush(own.bus) >= 0);
        own_bus_accept(&own, own_bus_listen_again(&own), on_message);
        own_bus_run_until(&own, &own.named);
        call(new_call(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "ListVMs"));
}

static int tear_down(void **state) {
        return own_bus_close(&own) ? 0 : -1;
}

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nobody_is_refused),
                cmocka_unit_test(test_commits_are_folded),
                cmocka_unit_test(test_late_bus),
        };

        if (argc != 2)
                return 2;
        program = argv[1];
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
