/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * guestmapd on a bus that behaves badly: test-forward-slow GUESTMAPD
 *
 * The test is the bus, on a socket of its own, and its only client. Asked for a client's uid it
 * says something else; the client must be answered all the same. While thousands of commits are
 * made it reads hardly anything, ten messages in a second; then what guestmapd has kept must be
 * little, and make an unbroken chain of Committed signals from the first commit to the last.
 */

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-id128.h>
#include <time.h>
#include <unistd.h>

#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/common/unit.h"

#define VM1       GUESTMAP_PATH_VM "/vm1"
#define CALLER    ":1.7"
#define NOBODY    ":1.8" /* of whom the bus says no uid, but something else */
#define BATCH     3000   /* calls that may wait for the VM's process at a time */
#define COMMITS   (3 * BATCH)
#define SECTIONS  60 /* that each commit changes; a socket holds 8 MiB, and is to overflow */
#define WAIT_USEC 10000000

static const char *program;
static char directory[] = "/tmp/guestmap-forward-XXXXXX";
static pid_t daemon_pid;
static sd_bus *bus;

static bool named, answered;
static uint64_t generation; /* the last that a reply or a signal has told */
static unsigned n_committed, n_truncated, n_gaps;

static int answer_who(sd_bus_message *m) {
        const char *unique;

        assert_true(sd_bus_message_read(m, "s", &unique) > 0);
        if (strcmp(unique, NOBODY) == 0)
                return sd_bus_reply_method_return(m, "s", "nobody");
        return sd_bus_reply_method_return(m, "u", 0);
}

static int answer_driver(sd_bus_message *m) {
        if (sd_bus_message_is_method_call(m, NULL, "Hello"))
                return sd_bus_reply_method_return(m, "s", ":1.1");
        if (sd_bus_message_is_method_call(m, NULL, "GetConnectionUnixUser"))
                return answer_who(m);
        if (!sd_bus_message_is_method_call(m, NULL, "RequestName"))
                return sd_bus_reply_method_return(m, NULL);
        named = true;
        return sd_bus_reply_method_return(m, "u", 1);
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
        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus", NULL))
                return answer_driver(m) < 0 ? -EIO : 1;
        if (sd_bus_message_is_signal(m, GUESTMAP_INTERFACE_VM, "Committed"))
                read_committed(m);
        return sd_bus_message_is_signal(m, NULL, NULL);
}

static int listen_at(const char *path) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(fd, 1), 0);
        return fd;
}

/* More calls at a time than a client may have under way. */
static void write_config(void) {
        _cleanup_(fclosep) FILE *file = NULL;
        char path[96];

        snprintf(path, sizeof(path), "%s/conf", directory);
        file = fopen(path, "we");
        assert_non_null(file);
        fprintf(file, "[User]\nCallsPerUser=%d\n[Client]\nCallsPerClient=%d\n", BATCH, BATCH);
}

static pid_t run_daemon(void) {
        char address[96], runtime_dir[96], config[96];
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid != 0)
                return pid;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        unsetenv("SYSTEMD_EXEC_PID");
        snprintf(address, sizeof(address), "--address=unix:path=%s/bus", directory);
        snprintf(runtime_dir, sizeof(runtime_dir), "--runtime-dir=%s/run", directory);
        snprintf(config, sizeof(config), "--config=%s/conf", directory);
        execl(program, program, "--system", address, runtime_dir, config, NULL);
        _exit(127);
}

static void process_until(const bool *done) {
        while (!*done) {
                int r = sd_bus_process(bus, NULL);

                assert_true(r >= 0);
                if (r == 0)
                        assert_true(sd_bus_wait(bus, WAIT_USEC) > 0);
        }
}

static int set_up(void **state) {
        _cleanup_(closep) int listener = -1;
        char path[96];
        int fd;

        assert_non_null(mkdtemp(directory));
        snprintf(path, sizeof(path), "%s/bus", directory);
        listener = listen_at(path);
        write_config();
        daemon_pid = run_daemon();
        assert_int_equal(poll(&(struct pollfd){.fd = listener, .events = POLLIN}, 1, 10000), 1);
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        assert_true(fd >= 0);
        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_fd(bus, fd, fd) >= 0);
        assert_true(sd_bus_set_server(
                            bus, 1,
                            SD_ID128_MAKE(1, 2, 3, 4, 5, 6, 7, 8, 9, a, b, c, d, e, f, 0)) >= 0);
        assert_true(sd_bus_start(bus) >= 0);
        assert_true(sd_bus_add_filter(bus, NULL, on_message, NULL) >= 0);
        process_until(&named);
        return 0;
}

static sd_bus_message *new_call(const char *path, const char *interface, const char *member) {
        sd_bus_message *m = NULL;

        assert_true(sd_bus_message_new_method_call(bus, &m, GUESTMAP_SERVICE, path, interface,
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
        assert_true(sd_bus_call_async(bus, NULL, m, on_reply, NULL, WAIT_USEC) >= 0);
        sd_bus_message_unref(m);
        process_until(&answered);
}

static void toggle_without_reading(unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                sd_bus_message *m = new_call(VM1, GUESTMAP_INTERFACE_MAP, "EnableRegion");

                assert_true(sd_bus_message_append(m, "sba{sv}", "window", i % 2, 0) >= 0);
                assert_true(sd_bus_message_set_expect_reply(m, 0) >= 0);
                assert_true(sd_bus_send(bus, m, NULL) >= 0);
                sd_bus_message_unref(m);
        }
        assert_true(sd_bus_flush(bus) >= 0);
}

/* The VM's process, there being one VM; 0 if there is none. */
static pid_t child_of(pid_t pid) {
        char path[64];
        pid_t child = 0;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
        file = fopen(path, "re");
        assert_non_null(file);
        if (fscanf(file, "%d", &child) != 1)
                child = 0;
        fclose(file);
        return child;
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
                assert_true(sd_bus_process(bus, NULL) >= 0);
                now = ticks_used(daemon_pid) + ticks_used(child_of(daemon_pid));
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

static void read_until(uint64_t last) {
        while (generation < last)
                assert_true(sd_bus_process(bus, NULL) > 0 || sd_bus_wait(bus, WAIT_USEC) > 0);
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
                assert_true(sd_bus_process(bus, NULL) > 0 || sd_bus_wait(bus, WAIT_USEC) > 0);
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

        assert_true(sd_bus_message_new_method_call(bus, &m, GUESTMAP_SERVICE, GUESTMAP_PATH,
                                                   GUESTMAP_INTERFACE_MANAGER, "ListVMs") >= 0);
        assert_true(sd_bus_message_set_sender(m, NOBODY) >= 0);
        answered = false;
        assert_true(sd_bus_call_async(bus, NULL, m, on_refusal, NULL, WAIT_USEC) >= 0);
        process_until(&answered);
        call(new_call(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "ListVMs"));
}

/* guestmapd has nothing in its directory by now but the directory itself. */
static int tear_down(void **state) {
        pid_t vm = child_of(daemon_pid);
        char path[96];
        int status;

        if (vm > 0)
                kill(vm, SIGKILL);
        kill(daemon_pid, SIGTERM);
        waitpid(daemon_pid, &status, 0);
        sd_bus_close_unref(bus);
        snprintf(path, sizeof(path), "%s/bus", directory);
        unlink(path);
        snprintf(path, sizeof(path), "%s/conf", directory);
        unlink(path);
        snprintf(path, sizeof(path), "%s/run", directory);
        rmdir(path);
        return rmdir(directory) < 0 || status != 0 ? -1 : 0;
}

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nobody_is_refused),
                cmocka_unit_test(test_commits_are_folded),
        };

        if (argc != 2)
                return 2;
        program = argv[1];
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
