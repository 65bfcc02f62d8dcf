/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Everything that guestmapd asks for while it makes a VM and destroys it fails once:
 * test-fault-create GUESTMAPD PRELOAD
 *
 * Either there is a VM that can be used, or there is none, the caller was told why, and nothing is
 * left of it: no name taken, no process, no socket, no descriptor.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/world.h"
#include "tests/common/unit.h"
#include "tests/fault/fault.h"

#define CALL_USEC UINT64_C(20000000)

enum { PATIENCE = 2500, STEP_NSEC = 2000000 };

static World world;
static FaultPage *page;
static sd_bus *bus;
static unsigned descriptors; /* of guestmapd, when there is no VM */

static void wait_a_little(void) {
        nanosleep(&(struct timespec){.tv_nsec = STEP_NSEC}, NULL);
}

static unsigned _printf_(1, 2) count_entries(const char *format, ...) {
        char path[128];
        unsigned n = 0;
        va_list arguments;
        struct dirent *entry;
        DIR *directory;

        va_start(arguments, format);
        vsnprintf(path, sizeof(path), format, arguments);
        va_end(arguments);
        directory = opendir(path);
        if (!directory)
                fail_msg("%s cannot be looked at", path);
        while ((entry = readdir(directory)))
                n += entry->d_name[0] != '.';
        closedir(directory);
        return n;
}

static unsigned n_children(void) {
        char path[64];
        unsigned n = 0;
        FILE *file;
        int pid;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", world.daemon, world.daemon);
        file = fopen(path, "re");
        if (!file)
                fail_msg("guestmapd has ended");
        while (fscanf(file, "%d", &pid) == 1)
                n++;
        fclose(file);
        return n;
}

static int call(const char *member, const char *types, sd_bus_error *error, ...) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        va_list arguments;

        assert_true(sd_bus_message_new_method_call(bus, &m, GUESTMAP_SERVICE, GUESTMAP_PATH,
                                                   GUESTMAP_INTERFACE_MANAGER, member) >= 0);
        va_start(arguments, error);
        assert_true(sd_bus_message_appendv(m, types, arguments) >= 0);
        va_end(arguments);
        return sd_bus_call(bus, m, CALL_USEC, error, NULL);
}

static bool nothing_is_left(void) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

        if (sd_bus_call_method(bus, GUESTMAP_SERVICE, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER,
                               "ListVMs", NULL, &reply, NULL) < 0 ||
            sd_bus_message_enter_container(reply, 'a', "(sots)") <= 0)
                return false;
        return sd_bus_message_at_end(reply, false) > 0 && n_children() == 0 &&
               count_entries("%s/run", world.directory) == 0 &&
               count_entries("/proc/%d/fd", world.daemon) == descriptors;
}

static void check_nothing_is_left(int kind, long n, const char *words) {
        for (int i = 0; i < PATIENCE; i++) {
                if (nothing_is_left())
                        return;
                wait_a_little();
        }
        fail_msg("kind %d, call %ld (%s): %u children, %u files, %u descriptors, before %u", kind,
                 n, words, n_children(), count_entries("%s/run", world.directory),
                 count_entries("/proc/%d/fd", world.daemon), descriptors);
}

static void check_alive(int kind, long n) {
        int status;

        if (waitpid(world.daemon, &status, WNOHANG) == 0)
                return;
        world.daemon = 0;
        fail_msg("kind %d, call %ld: guestmapd has ended, status 0x%x", kind, n, status);
}

/* With the bus lost guestmapd comes back on it; who called it then knows nothing. */
static int destroy(int kind, long n) {
        int r = -EIO;

        for (int i = 0; r < 0 && i < PATIENCE; i++) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

                r = call("DestroyVM", "sa{sv}", &error, "vm", 0);
                check_alive(kind, n);
                if (r < 0 && sd_bus_error_has_name(&error, "org.guestmap1.Error.NoSuchVM"))
                        return 0;
                if (r < 0)
                        wait_a_little();
        }
        return r;
}

static bool try_create(int kind, long n) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        bool failed;
        int r;

        fault_arm(page, kind, n);
        r = call("CreateVM", "sa{sv}", &error, "vm", 1, "accelerator", "s", "none");
        failed = fault_disarm(page);
        check_alive(kind, n);
        if (r < 0 && !failed)
                fail_msg("CreateVM fails by itself: %s", error.message);
        if (r < 0 && (!error.message || error.message[0] == '\0'))
                fail_msg("kind %d, call %ld: fails without a word", kind, n);
        if (destroy(kind, n) < 0)
                fail_msg("kind %d, call %ld: it cannot be destroyed", kind, n);
        check_nothing_is_left(kind, n, r < 0 ? error.message : "made");
        return failed;
}

static bool try_destroy(int kind, long n) {
        bool failed;

        assert_true(call("CreateVM", "sa{sv}", NULL, "vm", 1, "accelerator", "s", "none") >= 0);
        fault_arm(page, kind, n);
        (void)call("DestroyVM", "sa{sv}", NULL, "vm", 0);
        failed = fault_disarm(page);
        check_alive(kind, n);
        if (destroy(kind, n) < 0)
                fail_msg("kind %d, call %ld: it cannot be destroyed", kind, n);
        check_nothing_is_left(kind, n, "destroyed");
        return failed;
}

static void test_all(bool (*try)(int kind, long n), const char *what) {
        for (int kind = 0; kind < FAULT_KINDS; kind++) {
                long n = 1;

                while (try(kind, n))
                        n++;
                print_message("# %s, kind %d: %ld faults\n", what, kind, n - 1);
        }
}

static void test_create(void **state) {
        test_all(try_create, "create");
}

static void test_destroy(void **state) {
        test_all(try_destroy, "destroy");
}

static bool start_daemon(int fd, const char *preload) {
        char number[16];
        bool started;

        snprintf(number, sizeof(number), "%d", fd);
        world_stop_daemon(&world, SIGTERM);
        setenv(FAULT_FD, number, 1);
        setenv("LD_PRELOAD", preload, 1);
        started = world_start_daemon(&world);
        unsetenv("LD_PRELOAD");
        unsetenv(FAULT_FD);
        return started;
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_create),
                cmocka_unit_test(test_destroy),
        };
        int fd, r;

        if (argc != 3)
                return EXIT_FAILURE;
        if (!world_has("dbus-daemon")) {
                printf("1..0 # SKIP there is no dbus-daemon\n");
                return 77;
        }
        fd = memfd_create("faults", 0);
        if (fd < 0 || ftruncate(fd, sizeof(FaultPage)) < 0)
                return EXIT_FAILURE;
        page = mmap(NULL, sizeof(FaultPage), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        fault_disarm(page);
        if (!world_open(&world, "dbus-daemon", argv[1], "--user") || !start_daemon(fd, argv[2]))
                return EXIT_FAILURE;
        bus = world_connect(&world);
        r = call("CreateVM", "sa{sv}", NULL, "vm", 1, "accelerator", "s", "none");
        if (r >= 0)
                r = destroy(0, 0);
        wait_a_little();
        descriptors = count_entries("/proc/%d/fd", world.daemon);
        if (r >= 0)
                r = cmocka_run_group_tests(tests, NULL, NULL);
        sd_bus_flush_close_unref(bus);
        return world_close(&world) && r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
