/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* guestmapd's store of descriptors, as a process sees it that notifies with libsystemd */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>

#include "daemon/manager/fd-store.h"
#include "tests/common/unit.h"

#define BARRIER_USEC 5000000

static char directory[] = "/tmp/guestmap-fd-keeper-XXXXXX", path[64];
static sd_event *event;
static FDStore *store;

static int set_up(void **state) {
        return sd_event_new(&event) < 0 || fd_store_new(&store, event, path) < 0;
}

static int tear_down(void **state) {
        store = fd_store_free(store);
        event = sd_event_unref(event);
        return unlink(path);
}

static int new_file(char content) {
        int fd = memfd_create("kept", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, &content, 1, 0), 1);
        return fd;
}

static void notify(const char *message, const int *fds, unsigned n) {
        assert_true(sd_pid_notify_with_fds(0, false, message, fds, n) > 0);
}

/* "NAME=CONTENT NAME=CONTENT …"; good until the next time. */
static const char *kept(void) {
        static char text[256];
        const NamedFD *list;
        size_t n, used = 0;

        fd_store_drain(store);
        list = fd_store_list(store, &n);
        text[0] = '\0';
        for (size_t i = 0; i < n; i++) {
                char content;

                assert_int_equal(pread(list[i].fd, &content, 1, 0), 1);
                used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s=%c",
                                         i > 0 ? " " : "", list[i].name, content);
        }
        return text;
}

static void test_kept_and_removed(void **state) {
        int fds[] = {new_file('a'), new_file('b'), new_file('c')};

        notify("FDSTORE=1\nFDNAME=one\nFDPOLL=0", &fds[0], 1);
        notify("FDSTORE=1\nFDNAME=two", &fds[1], 2);
        for (size_t i = 0; i < ELEMENTS_OF(fds); i++)
                close(fds[i]);
        assert_string_equal(kept(), "one=a two=b two=c");
        notify("FDSTOREREMOVE=1\nFDNAME=two", NULL, 0);
        assert_string_equal(kept(), "one=a");
        notify("FDSTOREREMOVE=1\nFDNAME=none", NULL, 0);
        assert_string_equal(kept(), "one=a");
}

/* However often it is offered, and under whatever names. */
static void test_one_of_each_file(void **state) {
        int fd = new_file('a'), same = dup(fd);

        notify("FDSTORE=1\nFDNAME=one", &fd, 1);
        notify("FDSTORE=1\nFDNAME=one", &fd, 1);
        notify("FDSTORE=1\nFDNAME=other", &same, 1);
        assert_string_equal(kept(), "one=a");
        close(fd);
        close(same);
}

static void test_ignored(void **state) {
        int fd = new_file('a');

        notify("READY=1\nSTATUS=FDSTORE=1", NULL, 0);
        notify("FDSTORE=1", &fd, 1);
        notify("FDSTORE=1\nFDNAME=", &fd, 1);
        notify("FDSTORE=1\nFDNAME=a:b", &fd, 1);
        notify("FDSTORE=0\nFDNAME=a", &fd, 1);
        notify("FDNAME=a", &fd, 1);
        assert_string_equal(kept(), "");
        close(fd);
}

/* A process that waits behind a barrier goes on when all before it was looked at. */
static void test_barrier(void **state) {
        int fd = new_file('a'), status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                (void)sd_pid_notify_with_fds(0, false, "FDSTORE=1\nFDNAME=one", &fd, 1);
                _exit(sd_notify_barrier(false, BARRIER_USEC) > 0 ? 0 : 1);
        }
        while (waitpid(pid, &status, WNOHANG) == 0)
                assert_true(sd_event_run(event, 10000) >= 0);
        assert_int_equal(status, 0);
        assert_string_equal(kept(), "one=a");
        close(fd);
}

/* As few descriptors as there are; the next is the first that is free. */
static struct rlimit no_descriptors_left(void) {
        struct rlimit before, none;
        int next = dup(0);

        assert_true(next >= 0);
        close(next);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        assert_true(dup(0) < 0);
        return before;
}

/* What is said through a barrier, once all is looked at; 0: nothing. */
static int answer(int ours) {
        unsigned char error = 0;

        fd_store_drain(store);
        assert_true(recv(ours, &error, sizeof(error), MSG_DONTWAIT) >= 0);
        return error;
}

/* Nobody takes for kept what this process had no descriptor for. */
static void test_no_descriptors(void **state) {
        int fd = new_file('a'), barrier[2], next[2];
        struct rlimit before;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, barrier), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, next), 0);
        notify("FDSTORE=1\nFDNAME=one", &fd, 1);
        notify("BARRIER=1", &barrier[1], 1);
        close(barrier[1]);
        before = no_descriptors_left();
        assert_int_equal(answer(barrier[0]), EMFILE);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        close(barrier[0]);
        notify("FDSTORE=1\nFDNAME=one", &fd, 1);
        notify("BARRIER=1", &next[1], 1);
        close(next[1]);
        assert_int_equal(answer(next[0]), 0);
        assert_string_equal(kept(), "one=a");
        close(next[0]);
        close(fd);
}

/* A guestmapd that was killed has left the socket's name. */
static void test_begun_again(void **state) {
        int fd = new_file('a');

        store = fd_store_free(store);
        assert_true(sd_pid_notify_with_fds(0, false, "FDSTORE=1\nFDNAME=one", &fd, 1) < 0);
        assert_int_equal(fd_store_new(&store, event, path), 0);
        notify("FDSTORE=1\nFDNAME=one", &fd, 1);
        assert_string_equal(kept(), "one=a");
        close(fd);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_kept_and_removed), TEST(test_one_of_each_file), TEST(test_ignored),
                TEST(test_barrier),          TEST(test_no_descriptors),   TEST(test_begun_again),
        };
        int failed;

        if (!mkdtemp(directory))
                return 1;
        snprintf(path, sizeof(path), "%s/notify", directory);
        setenv("NOTIFY_SOCKET", path, 1);
        failed = cmocka_run_group_tests(tests, NULL, NULL);
        (void)rmdir(directory);
        return failed;
}
