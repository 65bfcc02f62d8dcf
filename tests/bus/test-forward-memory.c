/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A guest's memory through guestmapd: who gets at it, and what a descriptor that was handed out
 * for reading is good for: test-forward-memory KIND GUESTMAPD
 */

#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/world.h"
#include "tests/common/unit.h"

#define VM1    GUESTMAP_PATH_VM "/vm1" /* root's */
#define VM2    GUESTMAP_PATH_VM "/vm2" /* nobody's */
#define SPACE  GUESTMAP_INTERFACE_ADDRESS_SPACE
#define DENIED "org.freedesktop.DBus.Error.AccessDenied"
#define NOBODY 65534

enum { SIZE = 2 << 20, ACCESS_MAX = 1 << 20 };

static const char *bus_kind, *program;
static World world;
static sd_bus *client;
static sd_bus_message *reply; /* to the last call */

/* The name of the error that a call is answered with, "" for none. Valid until the next call. */
static const char *call(const char *path, const char *interface, const char *member,
                        const char *types, ...) {
        static sd_bus_error error;
        va_list arguments;
        int r;

        reply = sd_bus_message_unref(reply);
        sd_bus_error_free(&error);
        va_start(arguments, types);
        r = sd_bus_call_methodv(client, GUESTMAP_SERVICE, path, interface, member, &error, &reply,
                                types, arguments);
        va_end(arguments);
        return r < 0 ? error.name : "";
}

#define OK(...)     (strcmp(call(__VA_ARGS__), "") == 0)
#define DENIES(...) (strcmp(call(__VA_ARGS__), DENIED) == 0)

static bool create(const char *name, uint32_t owner) {
        return OK(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}", name, 2,
                  "accelerator", "s", "none", "owner", "u", owner);
}

static bool add_ram(const char *vm) {
        return OK(vm, GUESTMAP_INTERFACE_MAP, "AddRegion", "sststia{sv}", "ram", "ram",
                  (uint64_t)SIZE, "system", UINT64_C(0), 0, 0);
}

static bool write_text(const char *space, uint64_t address, const char *text) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        reply = sd_bus_message_unref(reply);
        return sd_bus_message_new_method_call(client, &m, GUESTMAP_SERVICE, space, SPACE,
                                              "Write") >= 0 &&
               sd_bus_message_append(m, "t", address) >= 0 &&
               sd_bus_message_append_array(m, 'y', text, strlen(text)) >= 0 &&
               sd_bus_call(client, m, 0, NULL, &reply) >= 0;
}

/* Whether the last reply is a descriptor, which is then given away. */
static bool take_fd(int *ret) {
        int fd;

        if (sd_bus_message_read(reply, "h", &fd) <= 0)
                return false;
        *ret = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return *ret >= 0;
}

static int set_up(void **state) {
        if (!world_open(&world, bus_kind, program, "--system"))
                return -1;
        client = world_connect(&world);
        return client && create("vm1", 0) && create("vm2", NOBODY) && add_ram(VM1) ? 0 : -1;
}

static int tear_down(void **state) {
        reply = sd_bus_message_unref(reply);
        client = sd_bus_flush_close_unref(client);
        return world_close(&world) ? 0 : -1;
}

/* What a child of ours finds wrong under another uid is the number of the line. */
#define CHECK(condition)                                                                           \
        do {                                                                                       \
                if (!(condition))                                                                  \
                        return __LINE__;                                                           \
        } while (0)

static void run_as_nobody(int (*function)(int argument), int argument) {
        int pipe_fds[2], line = -1;
        pid_t pid;

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                if (setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
                    setresuid(NOBODY, NOBODY, NOBODY) == 0)
                        line = function(argument);
                _exit(write(pipe_fds[1], &line, sizeof(line)) != sizeof(line));
        }
        close(pipe_fds[1]);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(read(pipe_fds[0], &line, sizeof(line)), sizeof(line));
        close(pipe_fds[0]);
        if (line != 0)
                fail_msg("wrong at line %d", line);
}

static void test_largest_access(void **state) {
        const void *data;
        size_t size;

        assert_true(write_text(VM1 "/space/memory", 0x100, "abc"));
        assert_true(OK(VM1 "/space/memory", SPACE, "Read", "tt", UINT64_C(0x100),
                       (uint64_t)ACCESS_MAX));
        assert_true(sd_bus_message_read_array(reply, 'y', &data, &size) > 0);
        assert_int_equal(size, ACCESS_MAX);
        assert_memory_equal(data, "abc", 4);
        assert_string_equal(call(VM1 "/space/memory", SPACE, "Read", "tt", UINT64_C(0),
                                 (uint64_t)ACCESS_MAX + 1),
                            "org.guestmap1.Error.TooLarge");
}

static int see_foreign_and_own(int unused) {
        client = world_connect(&world);
        CHECK(client);
        CHECK(OK(VM1 "/space/memory", SPACE, "GetMemoryTable", NULL));
        CHECK(DENIES(VM1 "/space/memory", SPACE, "Read", "tt", UINT64_C(0), UINT64_C(1)));
        CHECK(DENIES(VM1 "/space/memory", SPACE, "Write", "tay", UINT64_C(0), 1, 0));
        CHECK(DENIES(VM1, GUESTMAP_INTERFACE_VM, "GetBacking", "tb", UINT64_C(1), 0));
        CHECK(DENIES(VM1 "/region/ram", GUESTMAP_INTERFACE_REGION, "GetMemory", "b", 0));
        CHECK(add_ram(VM2));
        CHECK(write_text(VM2 "/space/memory", 0, "mine"));
        CHECK(OK(VM2 "/space/memory", SPACE, "Read", "tt", UINT64_C(0), UINT64_C(4)));
        CHECK(OK(VM2 "/region/ram", GUESTMAP_INTERFACE_REGION, "GetMemory", "b", 1));
        return 0;
}

static void test_who_gets_at_it(void **state) {
        run_as_nobody(see_foreign_and_own, 0);
        assert_true(OK(VM2 "/space/memory", SPACE, "Read", "tt", UINT64_C(0), UINT64_C(4)));
}

/* The descriptor is for reading, and stays so whatever its holder tries. */
static int try_to_widen(int fd) {
        char path[64], byte = 1;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        CHECK(pread(fd, &byte, 1, 0) == 1 && byte == 'r');
        CHECK(pwrite(fd, &byte, 1, 0) < 0);
        CHECK(open(path, O_RDWR | O_CLOEXEC) < 0 && errno == EACCES);
        CHECK(open(path, O_WRONLY | O_CLOEXEC) < 0 && errno == EACCES);
        CHECK(fchmod(fd, 0666) < 0);
        CHECK(mmap(NULL, SIZE, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EACCES);
        CHECK(mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED);
        CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) < 0);
        CHECK(ftruncate(fd, 0) < 0);
        return 0;
}

static void test_readers_stay_readers(void **state) {
        _cleanup_(closep) int memory = -1, backing = -1;

        assert_true(write_text(VM1 "/space/memory", 0, "r"));
        assert_true(OK(VM1 "/region/ram", GUESTMAP_INTERFACE_REGION, "GetMemory", "b", 0));
        assert_true(take_fd(&memory));
        assert_true(OK(VM1, GUESTMAP_INTERFACE_VM, "GetBacking", "tb", UINT64_C(1), 0));
        assert_true(take_fd(&backing));
        run_as_nobody(try_to_widen, memory);
        run_as_nobody(try_to_widen, backing);
}

static int pass_own_memory(int unused) {
        int fd = memfd_create("mine", MFD_CLOEXEC | MFD_ALLOW_SEALING), got = -1;
        char byte;

        client = world_connect(&world);
        CHECK(client && fd >= 0 && ftruncate(fd, SIZE - 1) == 0 && fchmod(fd, 0600) == 0);
        CHECK(strcmp(call(VM2, GUESTMAP_INTERFACE_MAP, "AddRegion", "sststia{sv}", "mine", "ram",
                          (uint64_t)SIZE, "system", UINT64_C(0), 0, 1, "fd", "h", fd),
                     "org.guestmap1.Error.InvalidRange") == 0);
        CHECK(ftruncate(fd, SIZE) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
        CHECK(OK(VM2, GUESTMAP_INTERFACE_MAP, "AddRegion", "sststia{sv}", "mine", "ram",
                 (uint64_t)SIZE, "system", UINT64_C(0), 0, 1, "fd", "h", fd));
        CHECK(write_text(VM2 "/space/memory", 5, "x"));
        CHECK(pread(fd, &byte, 1, 5) == 1 && byte == 'x');
        CHECK(OK(VM2 "/region/mine", GUESTMAP_INTERFACE_REGION, "GetMemory", "b", 1));
        CHECK(take_fd(&got) && pwrite(got, "y", 1, 6) == 1);
        CHECK(pread(fd, &byte, 1, 6) == 1 && byte == 'y');
        return 0;
}

static void test_memory_that_is_passed_in(void **state) {
        run_as_nobody(pass_own_memory, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                TEST(test_largest_access),
                TEST(test_who_gets_at_it),
                TEST(test_readers_stay_readers),
                TEST(test_memory_that_is_passed_in),
        };

        if (argc != 3)
                return 2;
        bus_kind = argv[1];
        program = argv[2];
        if (!world_has(bus_kind)) {
                printf("1..0 # SKIP no %s here\n", bus_kind);
                return 0;
        }
        if (geteuid() != 0) {
                puts("1..0 # SKIP only root can be two users");
                return 0;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
