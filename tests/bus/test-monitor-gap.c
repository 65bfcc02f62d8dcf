/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a monitor makes of signals that do not come: test-monitor-gap GUESTMAPCTL
 *
 * The test is the bus, and the service on it: its one VM shows region "gN" at 0x1000 in generation
 * N. So it decides which commits are told, what is known of those before, and how much comes
 * between two pages of a view.
 */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

#include "api/errors.h"
#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/common/unit.h"

#define VM      GUESTMAP_PATH_VM "/vm"
#define SPACE   VM "/space/memory"
#define VM_GONE GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_VM_GONE
#define DUMP                                                                                       \
        "{\"generation\": %lu, \"address-spaces\": {\"memory\": ["                                 \
        "{\"first\": \"0x0\", \"last\": \"0xfff\", \"region\": \"low\", \"offset\": \"0x0\", "     \
        "\"kind\": \"mmio\", \"flags\": []}, "                                                     \
        "{\"first\": \"0x1000\", \"last\": \"0x1fff\", \"region\": \"g%lu\", \"offset\": \"0x0\"," \
        " \"kind\": \"mmio\", \"flags\": []}]}}"

enum { PAGES_MAX = 100 };

typedef int (*Answer)(sd_bus_message *call, sd_bus_message *reply);

static const char *guestmapctl;
static pid_t watcher;
static sd_bus *bus;
static int said_fd;
static char said[65536];
static uint64_t generation;
static bool knows_no_changes; /* GetChanges tells neither them nor the view, as of large ones */
static bool is_going;         /* the VM: its views are not to be had any more */
static bool never_rests;      /* until there is a dump, there is a commit before each page */
static unsigned n_pages;

/* The VM */

static int append_low(sd_bus_message *m) {
        return sd_bus_message_append(m, "(ttstsu)", UINT64_C(0), UINT64_C(0xfff), "low",
                                     UINT64_C(0), "mmio", 0);
}

static int append_section(sd_bus_message *m, uint64_t of) {
        char region[24];

        snprintf(region, sizeof(region), "g%lu", of);
        return sd_bus_message_append(m, "(ttstsu)", UINT64_C(0x1000), UINT64_C(0x1fff), region,
                                     UINT64_C(0), "mmio", 0);
}

static int answer_list(sd_bus_message *call, sd_bus_message *m) {
        return sd_bus_message_append(m, "a(sots)", 1, "vm", VM, generation, "running");
}

static int answer_vm(sd_bus_message *call, sd_bus_message *m) {
        return sd_bus_message_append(m, "o", VM);
}

static int answer_space(sd_bus_message *call, sd_bus_message *m) {
        return sd_bus_message_append(m, "o", SPACE);
}

static int answer_id(sd_bus_message *call, sd_bus_message *m) {
        return sd_bus_message_append(m, "v", "s", "0123456789abcdef0123456789abcdef");
}

static int answer_spaces(sd_bus_message *call, sd_bus_message *m) {
        return sd_bus_message_append(m, "ta(sst)", generation, 1, "memory", "system", generation);
}

/* A section a page. */
static int answer_page(sd_bus_message *call, sd_bus_message *m) {
        uint64_t first;

        assert_true(++n_pages < PAGES_MAX);
        assert_true(sd_bus_message_read(call, "tu", &first, NULL) > 0);
        generation += never_rests;
        assert_true(sd_bus_message_append(m, "t", generation) >= 0);
        assert_true(sd_bus_message_open_container(m, 'a', "(ttstsu)") >= 0);
        assert_true((first ? append_section(m, generation) : append_low(m)) >= 0);
        assert_true(sd_bus_message_close_container(m) >= 0);
        return sd_bus_message_append(m, "b", first == 0);
}

static int answer_dump(sd_bus_message *call, sd_bus_message *m) {
        _cleanup_(closep) int fd = memfd_create("flat", MFD_CLOEXEC);

        never_rests = false;
        assert_true(dprintf(fd, DUMP, generation, generation) > 0);
        return sd_bus_message_append(m, "h", fd);
}

/* From one generation to another; of none there is nothing to tell. */
static int append_lists(sd_bus_message *m, uint64_t from, uint64_t to) {
        for (unsigned i = 0; i < 2; i++) {
                assert_true(sd_bus_message_open_container(m, 'a', "(ttstsu)") >= 0);
                assert_true(from == to || append_section(m, i ? to : from) >= 0);
                assert_true(sd_bus_message_close_container(m) >= 0);
        }
        return 0;
}

static int answer_changes(sd_bus_message *call, sd_bus_message *m) {
        uint64_t since;

        assert_true(sd_bus_message_read(call, "t", &since) > 0);
        assert_true(sd_bus_message_append(m, "tb", generation, !knows_no_changes) >= 0);
        return append_lists(m, knows_no_changes ? generation : since, generation);
}

static void tell(uint64_t previous, uint64_t reached) {
        sd_bus_message *m = NULL;

        generation = reached;
        assert_true(sd_bus_message_new_signal(bus, &m, VM, GUESTMAP_INTERFACE_VM, "Committed") >=
                    0);
        assert_true(sd_bus_message_set_sender(m, GUESTMAP_SERVICE) >= 0);
        assert_true(sd_bus_message_append(m, "tt", reached, previous) >= 0);
        assert_true(sd_bus_message_open_container(m, 'a', "(sa(ttstsu)a(ttstsu))") >= 0);
        assert_true(sd_bus_message_open_container(m, 'r', "sa(ttstsu)a(ttstsu)") >= 0);
        assert_true(sd_bus_message_append(m, "s", "memory") >= 0);
        assert_true(append_lists(m, previous, reached) >= 0);
        assert_true(sd_bus_message_close_container(m) >= 0);
        assert_true(sd_bus_message_close_container(m) >= 0);
        assert_true(sd_bus_message_append(m, "a{sv}", 2, "edits", "u", 1, "slot-operations", "u",
                                          0) >= 0);
        assert_true(sd_bus_send(bus, m, NULL) >= 0);
        sd_bus_message_unref(m);
}

/* The bus */

static int answer_hello(sd_bus_message *call, sd_bus_message *m) {
        return sd_bus_message_append(m, "s", ":1.1");
}

static int answer_nothing(sd_bus_message *call, sd_bus_message *m) {
        return 0;
}

static const struct {
        const char *member;
        Answer answer; /* NULL: none comes, as long as nothing happens */
} answers[] = {
        {"Hello", answer_hello},
        {"AddMatch", answer_nothing},
        {"ListVMs", answer_list},
        {"GetVM", answer_vm},
        {"GetAddressSpace", answer_space},
        {"Get", answer_id},
        {"ListAddressSpaces", answer_spaces},
        {"GetFlatViewFrom", answer_page},
        {"GetChanges", answer_changes},
        {"WaitChanges", NULL},
        {"Dump", answer_dump},
};

static int on_call(sd_bus_message *call, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *member = sd_bus_message_get_member(call);

        for (size_t i = 0; member && i < ELEMENTS_OF(answers); i++) {
                if (strcmp(answers[i].member, member) != 0)
                        continue;
                if (!answers[i].answer)
                        return 1;
                if (is_going && strcmp(member, "GetFlatViewFrom") == 0) {
                        assert_true(sd_bus_reply_method_errorf(call, VM_GONE, "VMGone: it goes") >=
                                    0);
                        is_going = false;
                        return 1;
                }
                assert_true(sd_bus_message_new_method_return(call, &reply) >= 0);
                assert_true(answers[i].answer(call, reply) >= 0);
                assert_true(sd_bus_send(bus, reply, NULL) >= 0);
                return 1;
        }
        return 0; /* sd-bus says that it knows no such thing */
}

/* Handles calls until the monitor has said that. */
static void run_until(const char *text) {
        size_t n = strlen(said);

        while (!strstr(said, text)) {
                struct pollfd fds[] = {{sd_bus_get_fd(bus), POLLIN, 0}, {said_fd, POLLIN, 0}};
                ssize_t r = sd_bus_process(bus, NULL);

                assert_true(r >= 0);
                if (r > 0)
                        continue;
                assert_true(poll(fds, ELEMENTS_OF(fds), -1) > 0);
                if (!fds[1].revents)
                        continue;
                r = read(said_fd, said + n, sizeof(said) - 1 - n);
                assert_true(r > 0);
                n += (size_t)r;
                said[n] = '\0';
        }
}

static int listen_at(struct sockaddr_un *address) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int n = snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1, "guestmap-gap-%d",
                         getpid());
        socklen_t size = offsetof(struct sockaddr_un, sun_path) + 1 + (socklen_t)n;

        address->sun_family = AF_UNIX;
        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *)address, size), 0);
        assert_int_equal(listen(fd, 1), 0);
        return fd;
}

static void start_watcher(const struct sockaddr_un *address) {
        char option[160];
        int fds[2];

        snprintf(option, sizeof(option), "--address=unix:abstract=%s", address->sun_path + 1);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        watcher = fork();
        assert_true(watcher >= 0);
        if (watcher == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void)dup2(fds[1], STDOUT_FILENO);
                (void)dup2(fds[1], STDERR_FILENO);
                execl(guestmapctl, guestmapctl, option, "monitor", "vm", NULL);
                _exit(127);
        }
        close(fds[1]);
        said_fd = fds[0];
}

/* Watched from generation 5 on. */
static void watch_unheard(bool passes_fds) {
        static const sd_id128_t id = SD_ID128_ARRAY(1, 2, 3, 4, 5, 6, 7, 8, 9, a, b, c, d, e, f, 0);
        struct sockaddr_un address = {};
        int listener = listen_at(&address), fd;

        start_watcher(&address);
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        assert_true(fd >= 0);
        close(listener);
        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_fd(bus, fd, fd) >= 0);
        assert_true(sd_bus_set_server(bus, 1, id) >= 0);
        assert_true(sd_bus_negotiate_fds(bus, passes_fds) >= 0);
        assert_true(sd_bus_start(bus) >= 0);
        assert_true(sd_bus_add_filter(bus, NULL, on_call, NULL) >= 0);
        generation = 5;
        knows_no_changes = is_going = never_rests = false;
        n_pages = 0;
        said[0] = '\0';
        run_until("vm memory generation 5, 2 sections\n");
}

/* And heard in 6. */
static void watch(bool passes_fds) {
        watch_unheard(passes_fds);
        tell(5, 6);
        run_until("vm generation 6: 1 edit, 0 slot operations\n");
}

static int end(void **state) {
        int status;

        kill(watcher, SIGTERM);
        waitpid(watcher, &status, 0);
        sd_bus_close_unref(bus);
        close(said_fd);
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM ? 0 : -1;
}

static void run_until_changed(const char *heading, uint64_t from, uint64_t to) {
        char text[192];

        snprintf(text, sizeof(text),
                 "%s"
                 "- memory 0x1000-0x1fff mmio g%lu @0x0\n"
                 "+ memory 0x1000-0x1fff mmio g%lu @0x0\n",
                 heading, from, to);
        run_until(text);
}

/* And from there on it goes on by signals. */
static void check_goes_on(void) {
        uint64_t was = generation;
        char heading[64];

        snprintf(heading, sizeof(heading), "vm generation %lu: 1 edit, 0 slot operations\n",
                 was + 1);
        tell(was, was + 1);
        run_until_changed(heading, was, was + 1);
}

static void test_a_signal_is_lost(void **state) {
        watch(true);
        tell(7, 8);
        run_until_changed("vm generations 7 to 8, in one (missed)\n", 6, 8);
        check_goes_on();
}

static void test_signals_are_folded(void **state) {
        watch(true);
        tell(6, 9);
        run_until_changed("vm generations 7 to 9, in one (folded)\n", 6, 9);
        check_goes_on();
}

static void test_changes_are_forgotten(void **state) {
        watch(true);
        knows_no_changes = true;
        tell(7, 8);
        run_until_changed("vm generations 7 to 8, in one (missed)\n", 6, 8);
        check_goes_on();
}

/* That a VM goes is no news by itself; that its views are not to be had is none at all. */
static void test_the_vm_goes(void **state) {
        watch(true);
        knows_no_changes = is_going = true;
        tell(7, 8);
        run_until("vm generations 7 to 8, in one (missed)\n");
        tell(8, 9);
        run_until_changed("vm generations 7 to 9, in one (missed)\n", 6, 9);
        assert_false(is_going);
        assert_null(strstr(said, "VMGone"));
}

static void tell_owner(const char *owner) {
        sd_bus_message *m = NULL;

        assert_true(sd_bus_message_new_signal(bus, &m, "/org/freedesktop/DBus",
                                              "org.freedesktop.DBus", "NameOwnerChanged") >= 0);
        assert_true(sd_bus_message_set_sender(m, "org.freedesktop.DBus") >= 0);
        assert_true(sd_bus_message_append(m, "sss", GUESTMAP_SERVICE, "", owner) >= 0);
        assert_true(sd_bus_send(bus, m, NULL) >= 0);
        sd_bus_message_unref(m);
}

/* What changed while the service was away has one heading, whether or not signals come. */
static void test_the_service_restarts(void **state) {
        watch_unheard(true);
        tell_owner("");
        run_until("guestmapd has ended; waiting for it to come back\n");
        generation = 8;
        tell_owner(":1.2");
        run_until_changed("vm generations 6 to 8, in one (restarted)\n", 5, 8);
}

/* No two pages are of one generation: a dump is. What came meanwhile is asked for at some time. */
static void test_the_map_never_rests(void **state) {
        uint64_t dumped;

        watch(true);
        knows_no_changes = never_rests = true;
        tell(7, 8);
        run_until("vm generations 7 to 8, in one (missed)\n"
                  "- memory 0x1000-0x1fff mmio g6 @0x0\n"
                  "+ memory 0x1000-0x1fff mmio g");
        dumped = generation;
        run_until_changed("", 6, dumped);
        tell(dumped, dumped + 1);
        run_until_changed("", dumped, dumped + 1);
}

static void test_no_dump_comes_through(void **state) {
        watch(false);
        knows_no_changes = never_rests = true;
        tell(7, 8);
        run_until("guestmapctl: address space \"memory\" changes faster than its 10000-section "
                  "pages can be read");
}

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_a_signal_is_lost, end),
                cmocka_unit_test_teardown(test_signals_are_folded, end),
                cmocka_unit_test_teardown(test_changes_are_forgotten, end),
                cmocka_unit_test_teardown(test_the_vm_goes, end),
                cmocka_unit_test_teardown(test_the_service_restarts, end),
                cmocka_unit_test_teardown(test_the_map_never_rests, end),
                cmocka_unit_test_teardown(test_no_dump_comes_through, end),
        };

        if (argc != 2) {
                fprintf(stderr, "test-monitor-gap GUESTMAPCTL\n");
                return 2;
        }
        guestmapctl = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
