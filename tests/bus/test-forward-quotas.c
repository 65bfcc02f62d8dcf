/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * guestmapd's limits, as its configuration sets them: test-forward-quotas KIND GUESTMAPD
 *
 * Each is made small, reached, and named by the refusal; those of one VM by its process.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/errors.h"
#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/test-forward-client.h"
#include "tests/bus/test-forward-world.h"
#include "tests/common/deaf-manager.h"
#include "tests/common/unit.h"

#define VM1          GUESTMAP_PATH_VM "/vm1"
#define VM2          GUESTMAP_PATH_VM "/vm2"
#define PROPERTIES   "org.freedesktop.DBus.Properties"
#define call(...)    must_call(client, __VA_ARGS__)
#define refused(...) must_refuse(client, __VA_ARGS__)
#define QUOTA        GUESTMAP_ERROR_PREFIX GUESTMAP_ERROR_QUOTA_EXCEEDED

static const char config[] = "[User]\n"
                             "VMsPerUser=2\n"
                             "CallsPerUser=8\n"
                             "BytesPerUser=64K\n"
                             "[Client]\n"
                             "CallsPerClient=5\n"
                             "MessageBytes=100K\n"
                             "[VM]\n"
                             "Regions=5\n"
                             "AddressSpaces=2\n"
                             "IOEventFDs=1\n"
                             "CoalescedZones=1\n"
                             "RAMBytes=8K\n"
                             "Transactions=2\n"
                             "Edits=2\n"
                             "DocumentBytes=20\n"
                             "JSONDepth=4\n";

static const char ram_config[] = "[User]\nRAMBytesPerUser=32K\n";

static const char *bus_kind, *program;
static char directory[] = "/tmp/guestmap-quotas-XXXXXX";
static World world;
static sd_bus *client;

static void configure(const char *text) {
        _cleanup_(fclosep) FILE *file = NULL;
        char path[128];

        snprintf(path, sizeof(path), "%s/guestmap/guestmapd.conf", directory);
        file = fopen(path, "we");
        assert_non_null(file);
        fputs(text, file);
}

#define ADD(vm, name, kind, size)                                                                  \
        sd_bus_message_unref(call(vm, GUESTMAP_INTERFACE_MAP, "AddRegion", "sststia{sv}", name,    \
                                  kind, (uint64_t)(size), "", UINT64_C(0), 0, 0))
#define REFUSED_ADD(quota, vm, name, kind, size)                                                   \
        refused(QUOTA, quota, vm, GUESTMAP_INTERFACE_MAP, "AddRegion", "sststia{sv}", name, kind,  \
                (uint64_t)(size), "", UINT64_C(0), 0, 0)

/* On the other end of a connection of one's own. */
static sd_bus *must_speak(int fd) {
        int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        sd_bus *bus;

        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_fd(bus, own, own) >= 0);
        assert_true(sd_bus_start(bus) >= 0);
        return bus;
}

static int begin(const char *text) {
        char path[128];

        snprintf(path, sizeof(path), "%s/guestmap", directory);
        if (mkdir(path, 0700) < 0)
                return -1;
        setenv("XDG_CONFIG_HOME", directory, 1);
        configure(text);
        if (!world_open(&world, bus_kind, program, "--user"))
                return -1;
        client = world_connect(&world);
        if (!client)
                return -1;
        must_create(client, "vm1");
        return 0;
}

static int set_up(void **state) {
        return begin(config);
}

static int set_up_ram(void **state) {
        int r = begin(ram_config);

        if (r == 0)
                must_create(client, "vm2");
        return r;
}

static int tear_down(void **state) {
        char path[128];

        client = sd_bus_flush_close_unref(client);
        snprintf(path, sizeof(path), "%s/guestmap/guestmapd.conf", directory);
        (void)unlink(path);
        *strrchr(path, '/') = '\0';
        (void)rmdir(path);
        return world_close(&world) ? 0 : -1;
}

static uint64_t limit(const char *wanted) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint64_t value, found = 0;
        const char *name;

        reply = call(GUESTMAP_PATH, PROPERTIES, "Get", "ss", GUESTMAP_INTERFACE_MANAGER, "Limits");
        assert_true(sd_bus_message_enter_container(reply, 'v', "a{st}") > 0);
        assert_true(sd_bus_message_enter_container(reply, 'a', "{st}") > 0);
        while (sd_bus_message_read(reply, "{st}", &name, &value) > 0)
                if (strcmp(name, wanted) == 0)
                        found = value;
        return found;
}

static void test_shown(void **state) {
        assert_int_equal(limit("VMsPerUser"), 2);
        assert_int_equal(limit("RAMBytes"), 8192);
        assert_int_equal(limit("VMs"), 4096);
        assert_true(limit("MemoryMax") == UINT64_MAX);
}

static void test_vms(void **state) {
        must_create(client, "vm2");
        refused(QUOTA, "VMsPerUser: 2", GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM",
                "sa{sv}", "vm3", 1, "accelerator", "s", "none");
        sd_bus_message_unref(
                call(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "DestroyVM", "sa{sv}", "vm2", 0));
        must_create(client, "vm3");
}

/* "system" and "io" are there. */
static void test_contents(void **state) {
        ADD(VM1, "a", "ram", 4096);
        REFUSED_ADD("RAMBytes: 4096", VM1, "b", "ram", 8192);
        ADD(VM1, "b", "ram", 4096);
        ADD(VM1, "dev", "mmio", 4096);
        REFUSED_ADD("Regions: 5", VM1, "c", "mmio", 4096);
        refused(QUOTA, "AddressSpaces: 2", VM1, GUESTMAP_INTERFACE_MAP, "AddAddressSpace",
                "ssa{sv}", "x", "system", 0);
        sd_bus_message_unref(call(VM1, GUESTMAP_INTERFACE_MAP, "AddIOEventFD", "stubta{sv}", "dev",
                                  UINT64_C(0), 4, 0, UINT64_C(0), 0));
        refused(QUOTA, "IOEventFDs: 1", VM1, GUESTMAP_INTERFACE_MAP, "AddIOEventFD", "stubta{sv}",
                "dev", UINT64_C(8), 4, 0, UINT64_C(0), 0);
        sd_bus_message_unref(call(VM1, GUESTMAP_INTERFACE_MAP, "AddCoalesced", "stta{sv}", "dev",
                                  UINT64_C(0), UINT64_C(4), 0));
        refused(QUOTA, "CoalescedZones: 1", VM1, GUESTMAP_INTERFACE_MAP, "AddCoalesced", "stta{sv}",
                "dev", UINT64_C(8), UINT64_C(4), 0);
}

static void test_transactions(void **state) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *begun = NULL;
        const char *path;

        begun = call(VM1, GUESTMAP_INTERFACE_VM, "Begin", "ta{sv}", UINT64_C(0), 0);
        assert_true(sd_bus_message_read(begun, "o", &path) > 0);
        ADD(path, "a", "mmio", 1);
        ADD(path, "b", "mmio", 1);
        REFUSED_ADD("Edits: 2", path, "c", "mmio", 1);
        sd_bus_message_unref(call(VM1, GUESTMAP_INTERFACE_VM, "Begin", "ta{sv}", UINT64_C(0), 0));
        refused(QUOTA, "Transactions", VM1, GUESTMAP_INTERFACE_VM, "Begin", "ta{sv}", UINT64_C(0),
                0);
}

static void test_documents(void **state) {
        static const char deep[] = "{\"guestmap\": 1, \"edits\": [[[[[]]]]]}";
        _cleanup_(closep) int fd = memfd_create("document", MFD_CLOEXEC);

        refused(QUOTA, "JSONDepth", VM1, GUESTMAP_INTERFACE_MAP, "Apply", "sa{sv}", deep, 0);
        assert_true(write(fd, deep, strlen(deep)) > 20);
        refused(QUOTA, "DocumentBytes", VM1, GUESTMAP_INTERFACE_MAP, "ApplyFD", "ha{sv}", fd,
                0);
}

/* A document as CreateVM takes it is under the same limits. */
static void test_layouts(void **state) {
        refused(QUOTA, "JSONDepth", GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM",
                "sa{sv}", "vm2", 2, "accelerator", "s", "none", "layout", "s",
                "{\"guestmap\": 1, \"regions\": [[[[[]]]]]}");
        must_create(client, "vm2"); /* which has left no trace */
}

static sd_bus *open_connection(void) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        sd_bus *bus;
        int fd;

        reply = call(VM1, GUESTMAP_INTERFACE_VM, "OpenConnection", "a{sv}", 0);
        assert_true(sd_bus_message_read(reply, "h", &fd) > 0);
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        assert_true(fd >= 0);
        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_fd(bus, fd, fd) >= 0);
        assert_true(sd_bus_start(bus) >= 0);
        return bus;
}

/* By guestmapd, and by the VM's process of whoever has a connection to it. */
static void test_messages(void **state) {
        static char text[102401];
        sd_bus *own = open_connection();

        memset(text, ' ', sizeof(text) - 1);
        refused(QUOTA, "MessageBytes", VM1, GUESTMAP_INTERFACE_MAP, "Apply", "sa{sv}", text, 0);
        must_refuse(own, QUOTA, "MessageBytes", VM1, GUESTMAP_INTERFACE_MAP, "Apply", "sa{sv}",
                    text, 0);
        must_refuse(own, QUOTA, "DescriptorsPerCall", VM1, GUESTMAP_INTERFACE_MAP, "Apply", "hhhhh",
                    0, 0, 0, 0, 0);
        sd_bus_flush_close_unref(own);
}

typedef struct Answers {
        unsigned n;
        unsigned n_refused;
        const char *quota;
} Answers;

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *got = sd_bus_message_get_error(m);
        Answers *answers = userdata;

        answers->n++;
        answers->n_refused +=
                got && strcmp(got->name, QUOTA) == 0 && strstr(got->message, answers->quota);
        return 1;
}

static void wait_in(sd_bus *bus, unsigned n, Answers *answers) {
        for (unsigned i = 0; i < n; i++)
                assert_true(sd_bus_call_method_async(
                                    bus, NULL, GUESTMAP_SERVICE, VM1 "/space/memory",
                                    GUESTMAP_INTERFACE_ADDRESS_SPACE, "WaitChanges", on_answer,
                                    answers, "tt", UINT64_C(1), UINT64_C(60000000)) >= 0);
}

static void wait_for_answers(sd_bus *bus, const Answers *answers, unsigned n) {
        while (answers->n < n)
                must_process(bus);
}

static void expect_refusals(sd_bus *bus, const Answers *answers, unsigned n) {
        wait_for_answers(bus, answers, n);
        assert_int_equal(answers->n, n);
        assert_int_equal(answers->n_refused, n);
}

/* Of seven calls that wait, five may; of the next five on another connection, three. */
static void test_calls(void **state) {
        Answers first = {.quota = "CallsPerClient"}, second = {.quota = "CallsPerUser"};
        sd_bus *one = world_connect(&world), *other = world_connect(&world);

        wait_in(one, 7, &first);
        expect_refusals(one, &first, 2);
        wait_in(other, 5, &second);
        expect_refusals(other, &second, 2);
        sd_bus_flush_close_unref(one);
        sd_bus_flush_close_unref(other);
}

/* Too many bytes wait for a process that takes nothing, and make room when it does. */
static void test_bytes(void **state) {
        Answers answers = {.quota = "BytesPerUser"};
        sd_bus *bus = world_connect(&world);
        pid_t vm = world_newest_vm(&world);
        static char text[40001];

        memset(text, ' ', sizeof(text) - 1);
        assert_int_equal(kill(vm, SIGSTOP), 0);
        for (unsigned i = 0; i < 3; i++)
                assert_true(sd_bus_call_method_async(bus, NULL, GUESTMAP_SERVICE, VM1,
                                                     GUESTMAP_INTERFACE_MAP, "Apply", on_answer,
                                                     &answers, "sa{sv}", text, 0) >= 0);
        expect_refusals(bus, &answers, 1);
        assert_int_equal(kill(vm, SIGCONT), 0);
        wait_for_answers(bus, &answers, 3);
        sd_bus_flush_close_unref(bus);
        ADD(VM1, "a", "mmio", 1);
}

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        *(bool *)userdata = true;
        return 0;
}

static void reload(const char *text) {
        sd_bus_slot *slot = NULL;
        bool changed = false;

        assert_true(sd_bus_match_signal(client, &slot, GUESTMAP_SERVICE, GUESTMAP_PATH, PROPERTIES,
                                        "PropertiesChanged", on_changed, &changed) >= 0);
        configure(text);
        assert_int_equal(kill(world.daemon, SIGHUP), 0);
        while (!changed)
                must_process(client);
        sd_bus_slot_unref(slot);
}

/* What comes is under the new limits; a VM that is there keeps its own. */
static void test_reload(void **state) {
        reload("[VM]\nRAMBytes=4K\nNonsense=1\n");
        assert_int_equal(limit("RAMBytes"), 4096);
        assert_int_equal(limit("VMsPerUser"), 2048);
        ADD(VM1, "a", "ram", 8192);
        must_create(client, "vm2");
        must_create(client, "vm3");
        REFUSED_ADD("RAMBytes", GUESTMAP_PATH_VM "/vm2", "a", "ram", 8192);
        ADD(GUESTMAP_PATH_VM "/vm2", "a", "ram", 4096);
}

/* The service manager hears of its beginning and of its end, and how many VMs may be is new. */
static void test_reload_is_told(void **state) {
        int fd;

        world_stop_daemon(&world, SIGTERM);
        fd = deaf_manager_new();
        (void)deaf_manager_read(fd, "");
        assert_true(world_start_daemon(&world));
        reload("[Service]\nVMs=1\n");
        refused(QUOTA, "VMs: 1", GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}",
                "vm2", 1, "accelerator", "s", "none");
        assert_int_equal(deaf_manager_read(fd, "RELOADING=1\nMONOTONIC_USEC="), 1);
        reload("[Service]\nVMs=2\n");
        must_create(client, "vm2");
        assert_int_equal(deaf_manager_read(fd, "READY=1\n"), 1);
        close(fd);
}

#define REMOVE(vm, name)                                                                           \
        sd_bus_message_unref(call(vm, GUESTMAP_INTERFACE_MAP, "RemoveRegion", "sa{sv}", name, 0))

/* What one has the other cannot have, and can when it is free again: region, or VM. */
static void test_ram_of_user(void **state) {
        assert_int_equal(limit("RAMBytesPerUser"), 32768);
        ADD(VM1, "a", "ram", 24576);
        REFUSED_ADD("RAMBytesPerUser: 24576", VM2, "a", "ram", 12288);
        ADD(VM2, "a", "ram", 8192);
        REFUSED_ADD("the limit is 32768", VM2, "b", "ram", 1);
        REMOVE(VM1, "a");
        ADD(VM2, "b", "ram", 24576);
        REFUSED_ADD("RAMBytesPerUser: 32768", VM1, "a", "ram", 1);
        sd_bus_message_unref(
                call(GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "DestroyVM", "sa{sv}", "vm2", 0));
        ADD(VM1, "a", "ram", 32768);
}

/* However memory comes: with a document, a transaction, a new VM. What is not made takes none. */
static void test_ram_of_commits(void **state) {
        static const char patch[] =
                "{\"guestmap\": 1, \"edits\": [{\"add-region\": {\"name\": \"b\","
                " \"kind\": \"ram\", \"size\": \"0x7000\"}}]}";
        static const char layout[] = "{\"guestmap\": 1, \"regions\": [{\"name\": \"b\","
                                     " \"kind\": \"ram\", \"size\": \"0x7000\"}]}";
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *begun = NULL;
        const char *path;

        ADD(VM1, "a", "ram", 8192);
        refused(QUOTA, "RAMBytesPerUser", VM2, GUESTMAP_INTERFACE_MAP, "Apply", "sa{sv}", patch, 0);
        refused(QUOTA, "RAMBytesPerUser", GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM",
                "sa{sv}", "vm3", 2, "accelerator", "s", "none", "layout", "s", layout);
        begun = call(VM2, GUESTMAP_INTERFACE_VM, "Begin", "ta{sv}", UINT64_C(0), 0);
        assert_true(sd_bus_message_read(begun, "o", &path) > 0);
        ADD(path, "b", "ram", 0x7000);
        refused(QUOTA, "RAMBytesPerUser", path, GUESTMAP_INTERFACE_TRANSACTION, "Commit", "a{sv}",
                0);
        REMOVE(VM1, "a");
        sd_bus_message_unref(call(path, GUESTMAP_INTERFACE_TRANSACTION, "Commit", "a{sv}", 0));
        REFUSED_ADD("RAMBytesPerUser: 28672", VM1, "a", "ram", 8192);
        ADD(VM1, "a", "ram", 4096);
}

/* One that starts again finds what there is. VMs take no more while it is not there. */
static void test_ram_without_guestmapd(void **state) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *opened = NULL;
        sd_bus *own, *bus = client;
        int fd;

        ADD(VM1, "a", "ram", 16384);
        ADD(VM1, "b", "ram", 8192);
        opened = call(VM1, GUESTMAP_INTERFACE_VM, "OpenConnection", "a{sv}", 0);
        assert_true(sd_bus_message_read(opened, "h", &fd) > 0);
        own = must_speak(fd);
        world_stop_daemon(&world, SIGKILL);
        client = own;
        REFUSED_ADD("RAMBytesPerUser: guestmapd", VM1, "c", "ram", 4096);
        REMOVE(VM1, "b");
        client = bus;
        assert_true(world_start_daemon(&world));
        REFUSED_ADD("RAMBytesPerUser: 16384", VM2, "a", "ram", 20480);
        ADD(VM2, "a", "ram", 16384);
        REFUSED_ADD("RAMBytesPerUser: 16384", VM1, "c", "ram", 1);
        sd_bus_flush_close_unref(own);
}

/* A VM's process that comes back has what it had. */
static void test_ram_of_lost_process(void **state) {
        pid_t vm;

        ADD(VM2, "a", "ram", 24576);
        vm = world_newest_vm(&world);
        assert_int_equal(kill(vm, SIGKILL), 0);
        assert_true(world_process_ends(vm));
        REFUSED_ADD("RAMBytesPerUser: 24576", VM1, "a", "ram", 12288);
        REFUSED_ADD("RAMBytesPerUser: 0", VM2, "b", "ram", 12288);
        ADD(VM2, "b", "ram", 8192);
        REFUSED_ADD("RAMBytesPerUser: 32768", VM1, "a", "ram", 1);
}

/* Nobody is refused, and nothing granted, before the others have said what they have. */
static void test_ram_of_silent_process(void **state) {
        Answers answers = {.quota = "RAMBytesPerUser"};
        pid_t vm = world_newest_vm(&world);

        ADD(VM2, "a", "ram", 24576);
        REMOVE(VM2, "a");
        assert_int_equal(kill(vm, SIGSTOP), 0);
        assert_true(sd_bus_call_method_async(client, NULL, GUESTMAP_SERVICE, VM1,
                                             GUESTMAP_INTERFACE_MAP, "AddRegion", on_answer,
                                             &answers, "sststia{sv}", "a", "ram", UINT64_C(24576),
                                             "", UINT64_C(0), 0, 0) >= 0);
        assert_int_equal(limit("RAMBytesPerUser"), 32768);
        assert_int_equal(answers.n, 0);
        assert_int_equal(kill(vm, SIGCONT), 0);
        wait_for_answers(client, &answers, 1);
        assert_int_equal(answers.n_refused, 0);
        REFUSED_ADD("RAMBytesPerUser: 24576", VM2, "a", "ram", 12288);
}

/* A limit that comes counts what there is, also what is beyond it; and one may go. */
static void test_ram_reload(void **state) {
        reload("");
        ADD(VM1, "a", "ram", 65536);
        ADD(VM2, "a", "ram", 4096);
        reload(ram_config);
        REFUSED_ADD("RAMBytesPerUser: 65536", VM2, "b", "ram", 1);
        REFUSED_ADD("RAMBytesPerUser: 4096", VM1, "b", "ram", 1);
        REMOVE(VM1, "a");
        REFUSED_ADD("RAMBytesPerUser: 4096", VM1, "a", "ram", 65536);
        ADD(VM2, "b", "ram", 28672);
        reload("[User]\nRAMBytesPerUser=40K\n");
        REFUSED_ADD("RAMBytesPerUser: 32768", VM1, "a", "ram", 12288);
        ADD(VM1, "a", "ram", 8192);
        reload("");
        assert_true(limit("RAMBytesPerUser") == UINT64_MAX);
        ADD(VM1, "b", "ram", 65536);
}

#define TEST(function)     cmocka_unit_test_setup_teardown(function, set_up, tear_down)
#define RAM_TEST(function) cmocka_unit_test_setup_teardown(function, set_up_ram, tear_down)

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                TEST(test_shown),
                TEST(test_vms),
                TEST(test_contents),
                TEST(test_transactions),
                TEST(test_documents),
                TEST(test_layouts),
                TEST(test_messages),
                TEST(test_calls),
                TEST(test_bytes),
                TEST(test_reload),
                TEST(test_reload_is_told),
                RAM_TEST(test_ram_of_user),
                RAM_TEST(test_ram_of_commits),
                RAM_TEST(test_ram_without_guestmapd),
                RAM_TEST(test_ram_of_lost_process),
                RAM_TEST(test_ram_of_silent_process),
                RAM_TEST(test_ram_reload),
        };
        int failed;

        if (argc != 3)
                return 2;
        bus_kind = argv[1];
        program = argv[2];
        if (!world_has(bus_kind)) {
                printf("1..0 # SKIP no %s here\n", bus_kind);
                return 0;
        }
        if (!mkdtemp(directory))
                return 1;
        failed = cmocka_run_group_tests(tests, NULL, NULL);
        return rmdir(directory) < 0 ? 1 : failed;
}
