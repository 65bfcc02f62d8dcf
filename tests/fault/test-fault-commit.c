/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Every allocation, write, ioctl, mapping, descriptor, thread and passing of a descriptor of a VM's
 * process fails once: test-fault-commit VMD PRELOAD
 *
 * While it is set up it says why it could not be, ends in order and leaves no journal. Once it
 * serves, a call fails with words and everything is as before, or it succeeds and everything is as
 * it should be; the process lives, and keeps no descriptor that it did not keep before. A process
 * that takes over from a killed one has all of the map, or ends in order, and the next one has it.
 */

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-bus.h>

#include "api/names.h"
#include "api/private.h"
#include "lib/util/cleanup.h"
#include "tests/common/unit.h"
#include "tests/fault/fault.h"

#define VM_PATH GUESTMAP_PATH_VM "/test"
#define MEMORY  VM_PATH "/space/memory"
#define USEC    UINT64_C(20000000)

enum { FAULTS_MAX = 5000 };

typedef struct Step Step;
typedef struct World World;

/* A call that changes the map, and the one that takes it back. */
struct Step {
        const char *name;
        const char *document; /* patches */
        const char *inverse;
        const char *needs; /* a file, where the machine can do it; NULL: any can */
};

struct World {
        char directory[32];
        char socket[64];
        char home[64]; /* the VM's directory */
        FaultPage *page;
        int page_fd;
        pid_t vmd;
        sd_bus *bus;
        unsigned descriptors; /* of the process when no step is under way */
};

static const char *vmd_program, *preload, *accelerator;
static World world;

static const Step steps[] = {
        {"ram over another",
         "{\"add-region\":{\"name\":\"new\",\"kind\":\"ram\",\"size\":8192,\"parent\":\"system\","
         "\"offset\":4096,\"priority\":1}}",
         "{\"remove-region\":{\"name\":\"new\"}}"},
        {"mmio with devices",
         "{\"add-region\":{\"name\":\"new\",\"kind\":\"mmio\",\"size\":4096,\"parent\":\"system\","
         "\"offset\":\"4GiB\"}},"
         "{\"add-ioeventfd\":{\"region\":\"new\",\"offset\":0,\"length\":4}},"
         "{\"add-coalesced\":{\"region\":\"new\",\"offset\":64,\"size\":64}},"
         "{\"set-handler\":{\"region\":\"new\",\"handler\":\"log\"}}",
         "{\"clear-coalesced\":{\"region\":\"new\"}},"
         "{\"remove-ioeventfd\":{\"region\":\"new\",\"offset\":0,\"length\":4}},"
         "{\"remove-region\":{\"name\":\"new\"}}"},
        {"alias",
         "{\"add-alias\":{\"name\":\"new\",\"target\":\"ram\",\"target-offset\":4096,\"size\":8192,"
         "\"parent\":\"system\",\"offset\":\"8GiB\"}}",
         "{\"remove-region\":{\"name\":\"new\"}}"},
        {"window toggled", "{\"enable-region\":{\"name\":\"window\",\"enabled\":true}}",
         "{\"enable-region\":{\"name\":\"window\",\"enabled\":false}}"},
        {"ram moved",
         "{\"move-region\":{\"name\":\"dimm\",\"parent\":\"system\",\"offset\":\"3GiB\"}}",
         "{\"move-region\":{\"name\":\"dimm\",\"parent\":\"system\",\"offset\":\"2GiB\"}}"},
        {"properties", "{\"set-region\":{\"name\":\"ram\",\"readonly\":true,\"dirty-log\":true}}",
         "{\"set-region\":{\"name\":\"ram\",\"readonly\":false,\"dirty-log\":false}}"},
        {"address space", "{\"add-address-space\":{\"name\":\"dma\",\"root\":\"ram\"}}",
         "{\"remove-address-space\":{\"name\":\"dma\"}}"},
        {"memory that is prepared",
         "{\"add-region\":{\"name\":\"new\",\"kind\":\"ram\",\"size\":\"64MiB\",\"parent\":"
         "\"system\",\"offset\":\"16GiB\",\"prealloc\":true}}",
         "{\"remove-region\":{\"name\":\"new\"}}"},
        {"memory of a node",
         "{\"add-region\":{\"name\":\"new\",\"kind\":\"ram\",\"size\":8192,\"parent\":\"system\","
         "\"offset\":\"16GiB\",\"numa-node\":0,\"prealloc\":true}}",
         "{\"remove-region\":{\"name\":\"new\"}}", .needs = "/sys/devices/system/node/node0"},
};

static const char layout[] =
        "{\"guestmap\":1,\"regions\":["
        "{\"name\":\"system\",\"kind\":\"container\",\"size\":\"2^64\"},"
        "{\"name\":\"io\",\"kind\":\"container\",\"size\":65536},"
        "{\"name\":\"ram\",\"kind\":\"ram\",\"size\":\"1MiB\",\"parent\":\"system\"},"
        "{\"name\":\"dimm\",\"kind\":\"ram\",\"size\":\"2MiB\",\"parent\":\"system\","
        "\"offset\":\"2GiB\"},"
        "{\"name\":\"window\",\"kind\":\"mmio\",\"size\":16384,\"parent\":\"system\","
        "\"offset\":\"640KiB\",\"priority\":1,\"enabled\":false,"
        "\"ioeventfds\":[{\"offset\":0,\"length\":4}]}],"
        "\"address-spaces\":[{\"name\":\"memory\",\"root\":\"system\"},"
        "{\"name\":\"io\",\"root\":\"io\"}]}";

static void arm(int kind, long n) {
        atomic_store(&world.page->failed, false);
        atomic_store(&world.page->n, n);
        atomic_store(&world.page->kind, kind);
}

/* Whether the fault came about; none comes any more. */
static bool disarm(void) {
        atomic_store(&world.page->kind, -1);
        return atomic_load(&world.page->failed);
}

static void start_vmd(void) {
        char page[16];

        (void)unlink(world.socket);
        world.vmd = fork();
        assert_true(world.vmd >= 0);
        if (world.vmd > 0)
                return;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        snprintf(page, sizeof(page), "%d", dup(world.page_fd));
        setenv(FAULT_FD, page, 1);
        setenv("LD_PRELOAD", preload, 1);
        execl(vmd_program, vmd_program, "--socket", world.socket, "--directory", world.home,
              (char *)NULL);
        _exit(127);
}

static bool vmd_ended(int *status) {
        if (waitpid(world.vmd, status, WNOHANG) == 0)
                return false;
        world.vmd = 0;
        return true;
}

static void step_time(void) {
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* A connection; NULL when the process ended before there was one. */
static sd_bus *connect_vmd(int *status) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        sd_bus *bus = NULL;
        int fd;

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", world.socket);
        for (int i = 0; i < 5000; i++) {
                fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
                assert_true(fd >= 0);
                if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
                        assert_true(sd_bus_new(&bus) >= 0);
                        assert_true(sd_bus_set_fd(bus, fd, fd) >= 0);
                        if (sd_bus_start(bus) >= 0)
                                return bus;
                        bus = sd_bus_close_unref(bus);
                } else {
                        close(fd);
                }
                if (vmd_ended(status))
                        return NULL;
                step_time();
        }
        fail_msg("nobody listens");
        return NULL;
}

static int set_up_vm(void) {
        return sd_bus_call_method(world.bus, NULL, GUESTMAP_PATH_PRIVATE,
                                  GUESTMAP_INTERFACE_PRIVATE, "Setup", NULL, NULL, "ssua{sv}",
                                  "test", "0123456789abcdef0123456789abcdef", UINT32_C(1000), 2,
                                  "accelerator", "s", accelerator, "layout", "s", layout);
}

static bool has_file(const char *name) {
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", world.home, name);
        return access(path, F_OK) == 0;
}

static void empty_home(void) {
        DIR *directory = opendir(world.home);
        struct dirent *entry;

        assert_non_null(directory);
        while ((entry = readdir(directory)))
                (void)unlinkat(dirfd(directory), entry->d_name, 0);
        closedir(directory);
}

static void end_vmd(void) {
        int status;

        world.bus = sd_bus_close_unref(world.bus);
        if (world.vmd == 0)
                return;
        kill(world.vmd, SIGTERM);
        assert_int_equal(waitpid(world.vmd, &status, 0), world.vmd);
        world.vmd = 0;
        assert_true(WIFEXITED(status));
}

static void check_end(int status, int kind, long n) {
        if (WIFSIGNALED(status))
                fail_msg("kind %d, call %ld: the process died of signal %d", kind, n,
                         WTERMSIG(status));
}

/* From its start to its answer: *ret_failed whether there was an n-th call at all. */
static void try_setup(int kind, long n, bool *ret_failed) {
        int status, r;

        arm(kind, n);
        start_vmd();
        world.bus = connect_vmd(&status);
        if (!world.bus) {
                check_end(status, kind, n);
                *ret_failed = disarm();
                return;
        }
        r = set_up_vm();
        *ret_failed = disarm();
        if (r < 0 && !*ret_failed)
                fail_msg("kind %d, %ld calls: setting up fails by itself", kind, n);
        world.bus = sd_bus_close_unref(world.bus);
        /* Whoever could not be set up ends by itself. */
        if (!vmd_ended(&status))
                kill(world.vmd, SIGTERM);
        if (world.vmd > 0) {
                assert_int_equal(waitpid(world.vmd, &status, 0), world.vmd);
                world.vmd = 0;
        }
        check_end(status, kind, n);
        if (r < 0 && (has_file("journal") || has_file("journal.new")))
                fail_msg("kind %d, call %ld: no VM, but a journal", kind, n);
        empty_home();
}

static void test_setup(void **state) {
        for (int kind = 0; kind < FAULT_KINDS; kind++) {
                bool failed = true;
                long n;

                for (n = 1; failed && n < FAULTS_MAX; n++)
                        try_setup(kind, n, &failed);
                assert_false(failed);
                print_message("# setup, kind %d: %ld faults\n", kind, n - 2);
        }
}

/* 0 or a negative errno, as the call went. */
static int apply(const char *edits, char **ret_words) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(freep) char *document = NULL;
        int r;

        assert_true(asprintf(&document, "{\"guestmap\":1,\"edits\":[%s]}", edits) > 0);
        r = sd_bus_call_method(world.bus, NULL, VM_PATH, GUESTMAP_INTERFACE_MAP, "Apply", &error,
                               NULL, "sa{sv}", document, 0);
        if (ret_words)
                *ret_words = strdup(error.message ?: "");
        return r < 0 ? r : 0;
}

static bool can_do(const Step *step) {
        if (!step->needs || access(step->needs, F_OK) == 0)
                return true;
        print_message("# %s: there is no %s\n", step->name, step->needs);
        return false;
}

static void must_apply(const char *edits) {
        char *words;

        if (apply(edits, &words) < 0)
                fail_msg("%s: %s", edits, words);
        free(words);
}

static unsigned count_descriptors(void) {
        char path[64];
        unsigned n = 0;
        DIR *directory;

        snprintf(path, sizeof(path), "/proc/%d/fd", world.vmd);
        directory = opendir(path);
        assert_non_null(directory);
        while (readdir(directory))
                n++;
        closedir(directory);
        return n;
}

/* What is removed goes after a grace period. */
static unsigned n_descriptors(unsigned expected) {
        unsigned n = count_descriptors();

        for (int i = 0; n != expected && i < 1000; i++) {
                step_time();
                n = count_descriptors();
        }
        return n;
}

static bool memory_is_mapped(void) {
        _cleanup_(fclosep) FILE *file = NULL;
        char path[64], line[512];

        snprintf(path, sizeof(path), "/proc/%d/maps", world.vmd);
        file = fopen(path, "re");
        assert_non_null(file);
        while (fgets(line, sizeof(line), file))
                if (strstr(line, "/memfd:new "))
                        return true;
        return false;
}

/* Of region "new", which there is not. Large memory goes a while later. */
static bool memory_is_left(void) {
        for (int i = 0; i < 1000 && memory_is_mapped(); i++)
                step_time();
        return memory_is_mapped();
}

/* The number that stays for a while. */
static unsigned settled_descriptors(void) {
        unsigned n = count_descriptors();

        for (int same = 0; same < 50; same++) {
                step_time();
                if (count_descriptors() != n)
                        same = 0;
                n = count_descriptors();
        }
        return n;
}

static void print_reply(FILE *out, const char *path, const char *interface, const char *member,
                        const char *types) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        if (sd_bus_call_method(world.bus, NULL, path, interface, member, &error, &reply, types, 0) <
            0)
                fail_msg("%s: %s", member, error.message);
        assert_true(sd_bus_message_dump(reply, out, 0) >= 0);
}

/* All that a client can see of the map, but for the header fields of the messages. */
static char *map_text(void) {
        char *text = NULL, *line, *to;
        size_t length;
        FILE *out = open_memstream(&text, &length);

        assert_non_null(out);
        print_reply(out, VM_PATH, GUESTMAP_INTERFACE_VM, "GetLayout", "a{sv}");
        print_reply(out, VM_PATH, GUESTMAP_INTERFACE_VM, "GetSlots", NULL);
        print_reply(out, MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetFlatView", NULL);
        fclose(out);
        to = text;
        for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
                if (strchr("! ", line[0]) && !strstr(line, "ReplyCookie")) {
                        memmove(to, line, strlen(line) + 1);
                        to += strlen(to);
                        *to++ = '\n';
                }
        *to = '\0';
        return text;
}

static uint64_t generation(void) {
        uint64_t value;

        assert_true(sd_bus_get_property_trivial(world.bus, NULL, VM_PATH, GUESTMAP_INTERFACE_VM,
                                                "Generation", NULL, 't', &value) >= 0);
        return value;
}

static void reconnect(void) {
        int status;

        world.bus = sd_bus_close_unref(world.bus);
        world.bus = connect_vmd(&status);
        if (!world.bus)
                fail_msg("the process has ended: %d", status);
}

/* One step with a fault in it. Returns whether there was an n-th call. */
static bool try_step(const Step *step, int kind, long n) {
        _cleanup_(freep) char *before = map_text();
        _cleanup_(freep) char *after = NULL;
        _cleanup_(freep) char *words = NULL;
        uint64_t was = generation(), is;
        bool failed;
        int r;

        arm(kind, n);
        r = apply(step->document, &words);
        failed = disarm();
        if (r < 0 && !failed)
                fail_msg("%s: fails by itself: %s", step->name, words);
        if (sd_bus_is_open(world.bus) <= 0)
                reconnect();
        else if (r < 0 && words[0] == '\0')
                fail_msg("%s: kind %d, call %ld: fails without a word", step->name, kind, n);
        is = generation();
        after = map_text();
        if (is == was) {
                if (strcmp(before, after) != 0)
                        fail_msg("%s: kind %d, call %ld (%s): not as before\n%s\n%s", step->name,
                                 kind, n, words, before, after);
                if (n_descriptors(world.descriptors) != world.descriptors)
                        fail_msg("%s: kind %d, call %ld (%s): %u descriptors, before %u",
                                 step->name, kind, n, words, count_descriptors(),
                                 world.descriptors);
                if (memory_is_left())
                        fail_msg("%s: kind %d, call %ld (%s): its memory is left", step->name, kind,
                                 n, words);
        } else {
                assert_int_equal(is, was + 1);
                must_apply(step->inverse);
        }
        return failed;
}

static void open_world(void) {
        int status;

        start_vmd();
        world.bus = connect_vmd(&status);
        assert_non_null(world.bus);
        assert_true(set_up_vm() >= 0);
        world.descriptors = settled_descriptors();
}

static void test_commit(void **state) {
        open_world();
        for (size_t i = 0; i < ELEMENTS_OF(steps); i++) {
                long faults = 0;

                if (!can_do(&steps[i]))
                        continue;
                for (int kind = 0; kind < FAULT_KINDS; kind++)
                        for (long n = 1; try_step(&steps[i], kind, n); n++)
                                faults++;
                print_message("# %s: %ld faults\n", steps[i].name, faults);
                assert_true(faults > 10);
        }
        end_vmd();
        empty_home();
}

/* Frees the text. Says where they differ, which is a line among many. */
static void check_same(char *text, const char *before, int kind, long n) {
        size_t at = 0;

        while (text[at] && text[at] == before[at])
                at++;
        if (text[at] != before[at])
                fail_msg("kind %d, call %ld: now …%.200s, before …%.200s", kind, n, text + at,
                         before + at);
        free(text);
}

/* Whether the process has not made the VM again, and stays to say so. */
static bool is_salvaged(void) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *state;

        if (!world.bus || sd_bus_call_method(world.bus, NULL, GUESTMAP_PATH_PRIVATE,
                                             GUESTMAP_INTERFACE_PRIVATE, "Describe", NULL, &reply,
                                             NULL) < 0)
                return false;
        assert_true(sd_bus_message_read(reply, "ssus", NULL, NULL, NULL, NULL) > 0);
        assert_true(sd_bus_message_read(reply, "s", &state) > 0);
        return strcmp(state, "crashed") == 0;
}

/* It would try again after a second. */
static void end_salvaged(void) {
        int status;

        world.bus = sd_bus_close_unref(world.bus);
        kill(world.vmd, SIGTERM);
        assert_int_equal(waitpid(world.vmd, &status, 0), world.vmd);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 75);
}

/* A killed process, and one after it with a fault. Returns whether there was an n-th call. */
static bool try_recovery(int kind, long n, const char *before) {
        bool failed, salvaged;
        int status = 0;

        world.bus = sd_bus_close_unref(world.bus);
        kill(world.vmd, SIGKILL);
        assert_int_equal(waitpid(world.vmd, &status, 0), world.vmd);
        arm(kind, n);
        start_vmd();
        world.bus = connect_vmd(&status);
        failed = disarm();
        salvaged = is_salvaged();
        if (salvaged)
                end_salvaged();
        if (!world.bus) {
                if (!salvaged)
                        check_end(status, kind, n);
                if (!failed)
                        fail_msg("kind %d: recovery fails by itself, status 0x%x", kind, status);
                start_vmd();
                world.bus = connect_vmd(&status);
        }
        if (!world.bus)
                fail_msg("kind %d, call %ld: does not come back, status 0x%x", kind, n, status);
        check_same(map_text(), before, kind, n);
        return failed;
}

static void test_recovery(void **state) {
        _cleanup_(freep) char *before = NULL;

        open_world();
        for (size_t i = 0; i < ELEMENTS_OF(steps); i++) {
                if (!can_do(&steps[i]))
                        continue;
                must_apply(steps[i].document);
                must_apply(steps[i].inverse);
        }
        must_apply(steps[1].document);
        before = map_text();
        for (int kind = 0; kind < FAULT_KINDS; kind++) {
                long n = 1;

                while (try_recovery(kind, n, before))
                        n++;
                print_message("# recovery, kind %d: %ld faults\n", kind, n - 1);
        }
        end_vmd();
        empty_home();
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_setup),
                cmocka_unit_test(test_commit),
                cmocka_unit_test(test_recovery),
        };
        int r;

        if (argc != 3)
                return EXIT_FAILURE;
        vmd_program = argv[1];
        preload = argv[2];
        accelerator = access("/dev/kvm", R_OK | W_OK) == 0 ? "kvm" : "none";
        world = (World){.directory = "/tmp/test-fault-XXXXXX"};
        world.page_fd = memfd_create("faults", MFD_CLOEXEC);
        if (!mkdtemp(world.directory) || world.page_fd < 0 ||
            ftruncate(world.page_fd, sizeof(FaultPage)) < 0)
                return EXIT_FAILURE;
        snprintf(world.socket, sizeof(world.socket), "%s/socket", world.directory);
        snprintf(world.home, sizeof(world.home), "%s/vm", world.directory);
        if (mkdir(world.home, 0700) < 0)
                return EXIT_FAILURE;
        world.page =
                mmap(NULL, sizeof(FaultPage), PROT_READ | PROT_WRITE, MAP_SHARED, world.page_fd, 0);
        disarm();
        r = cmocka_run_group_tests(tests, NULL, NULL);
        if (world.vmd > 0)
                kill(world.vmd, SIGKILL);
        empty_home();
        (void)rmdir(world.home);
        (void)unlink(world.socket);
        (void)rmdir(world.directory);
        return r;
}
