/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * guestmap-vmd as a service that is killed, stopped and started again
 *
 * The test is what systemd is to it: it has the socket and the descriptors that are kept, and
 * passes them to the next process.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "lib/kvm/accelerator.h"
#include "tests/bus/rig.h"
#include "tests/common/keeper.h"
#include "tests/common/unit.h"

#define VM_INTERFACE "org.guestmap1.VM"
#define ID           "0123456789abcdef0123456789abcdef"

enum {
        KILLS = 60,
        ROUND_USEC_MAX = 20000,
        REGIONS = 8,
        PAGE = 0x1000,
};

typedef struct Scene Scene;

struct Scene {
        Keeper *keeper;
        int socket; /* that it listens on */
        pid_t pid;
        Rig *rig;
};

static const char *program;

static void make_socket(Scene *scene) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        scene->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(scene->socket >= 0);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", scene->keeper->directory);
        assert_int_equal(bind(scene->socket, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(scene->socket, SOMAXCONN), 0);
}

static int connect_to(const Scene *scene) {
        struct sockaddr_un address;
        socklen_t size = sizeof(address);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(getsockname(scene->socket, (struct sockaddr *)&address, &size), 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, size), 0);
        assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
        return fd;
}

/* In the new process: descriptors from 3 on, the socket first, and what they are. */
static void pass_and_run(const Scene *scene) {
        const Keeper *keeper = scene->keeper;
        char number[16], directory[64], names[KEEPER_MAX * 16] = "bus";
        int base = 2 * KEEPER_MAX, n = (int)keeper->n;

        (void)dup2(scene->socket, base);
        for (int i = 0; i < n; i++) {
                (void)dup2(keeper->files[i].fd, base + 1 + i);
                sprintf(names + strlen(names), ":%s", keeper->files[i].name);
        }
        for (int i = 0; i <= n; i++)
                (void)dup2(base + i, 3 + i);
        (void)close_range((unsigned)(4 + n), ~0u, 0);
        snprintf(number, sizeof(number), "%d", getpid());
        setenv("LISTEN_PID", number, true);
        snprintf(number, sizeof(number), "%d", n + 1);
        setenv("LISTEN_FDS", number, true);
        setenv("LISTEN_FDNAMES", names, true);
        snprintf(directory, sizeof(directory), "--directory=%s", keeper->directory);
        execl(program, program, directory, NULL);
        _exit(127);
}

static void start(Scene *scene) {
        keeper_settle(scene->keeper);
        scene->pid = fork();
        assert_true(scene->pid >= 0);
        if (scene->pid == 0)
                pass_and_run(scene);
        keeper_await_ready(scene->keeper);
        scene->rig = rig_new_remote(connect_to(scene));
}

static void end(Scene *scene, int number) {
        int status;

        assert_int_equal(kill(scene->pid, number), 0);
        assert_int_equal(waitpid(scene->pid, &status, 0), scene->pid);
        if (number == SIGTERM)
                assert_int_equal(status, 0);
        scene->rig = rig_free(scene->rig);
}

static void restart(Scene *scene, int number) {
        end(scene, number);
        start(scene);
}

static int setup_with(void **state, const char *accelerator) {
        Scene *scene = calloc(1, sizeof(*scene));

        assert_non_null(scene);
        scene->keeper = keeper_new(KEEPER_MAX / 2);
        make_socket(scene);
        start(scene);
        assert_string_equal(rig_call(scene->rig, RIG_PRIVATE, "Private.Setup", "ssua{sv}", "test",
                                     ID, UINT32_C(1000), 1, "accelerator", "s", accelerator),
                            "");
        *state = scene;
        return 0;
}

static int setup(void **state) {
        return setup_with(state, "none");
}

static int setup_kvm(void **state) {
        return kvm_probe() == 0 ? setup_with(state, "kvm") : 0;
}

static void unlink_in(const Scene *scene, const char *name) {
        char path[80];

        snprintf(path, sizeof(path), "%s/%s", scene->keeper->directory, name);
        (void)unlink(path);
}

static int teardown(void **state) {
        Scene *scene = *state;

        if (!scene)
                return 0;
        end(scene, SIGKILL);
        unlink_in(scene, "journal");
        unlink_in(scene, "vcpus");
        unlink_in(scene, "socket");
        close(scene->socket);
        keeper_free(scene->keeper);
        free(scene);
        return 0;
}

static const char *get(Scene *scene, const char *property) {
        return rig_get(scene->rig, RIG_VM, VM_INTERFACE, property);
}

static const char *write_8(Scene *scene, uint64_t at, const char *tag) {
        return rig_call(scene->rig, RIG_MEMORY, "AddressSpace.Write", "tay", at, 8, tag[0], tag[1],
                        tag[2], tag[3], tag[4], tag[5], tag[6], tag[7]);
}

static const char *read_8(Scene *scene, uint64_t at) {
        return rig_call(scene->rig, RIG_MEMORY, "AddressSpace.Read", "tt", at, UINT64_C(8));
}

#define TAG       "guestmap"
#define TAG_BYTES "[103, 117, 101, 115, 116, 109, 97, 112]"

static const char *add_ioeventfd(Scene *scene, uint64_t offset) {
        return rig_call(scene->rig, RIG_VM, "Map.AddIOEventFD", "stubta{sv}", "dev", offset, 4,
                        false, UINT64_C(0), 0);
}

/* The descriptor that the last reply has; the message's. */
static int replied_fd(Scene *scene) {
        int fd;

        assert_true(sd_bus_message_rewind(scene->rig->reply, true) >= 0);
        assert_true(sd_bus_message_read(scene->rig->reply, "h", &fd) > 0);
        return fd;
}

static int bell(Scene *scene) {
        rig_call(scene->rig, RIG_VM "/region/dev", "Region.GetIOEventFD", "tubt", UINT64_C(0), 4,
                 false, UINT64_C(0));
        return replied_fd(scene);
}

static void test_all_is_there(void **state) {
        Scene *scene = *state;
        eventfd_t rung;
        char *view;

        rig_add(scene->rig, RIG_VM, "ram", "ram", 0x4000, "system", 0);
        rig_add(scene->rig, RIG_VM, "gone", "ram", 0x4000, "system", 0x8000);
        rig_add(scene->rig, RIG_VM, "dev", "mmio", PAGE, "system", 0x10000);
        assert_string_equal(add_ioeventfd(scene, 0), "5");
        assert_string_equal(rig_remove(scene->rig, RIG_VM, "gone"), "6");
        assert_string_equal(write_8(scene, 0x1230, TAG), "");
        assert_int_equal(eventfd_write(bell(scene), 3), 0);
        view = strdup(rig_flat(scene->rig, RIG_MEMORY));
        for (unsigned i = 0; i < 3; i++) {
                restart(scene, i == 1 ? SIGTERM : SIGKILL);
                assert_string_equal(get(scene, "Generation"), "6");
                assert_string_equal(get(scene, "State"), "running");
                assert_string_equal(get(scene, "Lost"), "[]");
                assert_string_equal(rig_flat(scene->rig, RIG_MEMORY), view);
                assert_string_equal(read_8(scene, 0x1230), TAG_BYTES);
        }
        free(view);
        assert_int_equal(eventfd_read(bell(scene), &rung), 0);
        assert_int_equal(rung, 3);
        assert_text(keeper_names(scene->keeper), "backing-1 ioeventfd-3");
        assert_string_equal(rig_add(scene->rig, RIG_VM, "new", "ram", PAGE, "system", 0x8000), "7");
        assert_text(keeper_names(scene->keeper), "backing-1 ioeventfd-3 backing-3");
}

/* Whoever kept them is gone, too. */
static void test_lost(void **state) {
        Scene *scene = *state;

        rig_add(scene->rig, RIG_VM, "ram", "ram", 0x4000, "system", 0);
        rig_add(scene->rig, RIG_VM, "dev", "mmio", PAGE, "system", 0x10000);
        add_ioeventfd(scene, 0);
        write_8(scene, 0, TAG);
        end(scene, SIGKILL);
        keeper_clear(scene->keeper);
        start(scene);
        assert_string_equal(get(scene, "Lost"), "[memory, ioeventfds]");
        assert_string_equal(get(scene, "Generation"), "4");
        assert_string_equal(read_8(scene, 0), "[0, 0, 0, 0, 0, 0, 0, 0]");
        assert_text(keeper_names(scene->keeper), "ioeventfd-2 backing-1");
        write_8(scene, 0, TAG);
        restart(scene, SIGKILL);
        assert_string_equal(get(scene, "Lost"), "[]");
        assert_string_equal(read_8(scene, 0), TAG_BYTES);
}

/* It has nothing any more of what it kept, and the process is there. */
static void test_offered(void **state) {
        Scene *scene = *state;

        rig_add(scene->rig, RIG_VM, "ram", "ram", 0x4000, "system", 0);
        write_8(scene, 0, TAG);
        keeper_clear(scene->keeper);
        assert_string_equal(rig_call(scene->rig, RIG_PRIVATE, "Private.Offer", ""), "");
        assert_text(keeper_names(scene->keeper), "backing-1");
        restart(scene, SIGKILL);
        assert_string_equal(read_8(scene, 0), TAG_BYTES);
}

/* What is known of a region of RAM from what was acknowledged. */
typedef enum Known { IS_NOT, MAY_BE, IS_EMPTY, MAY_BE_FULL, IS_FULL, MAY_BE_GONE } Known;

static const Known when_answered[] = {
        [MAY_BE] = IS_EMPTY,
        [MAY_BE_FULL] = IS_FULL,
        [MAY_BE_GONE] = IS_NOT,
};

static void send_next(Scene *scene, Known *known, unsigned i) {
        char name[] = {'r', (char)('0' + i), '\0'};
        uint64_t at = i * UINT64_C(0x10000);

        if (*known == IS_NOT) {
                *known = MAY_BE;
                rig_send(scene->rig, RIG_VM, "Map.AddRegion", "sststia{sv}", name, "ram",
                         UINT64_C(0x2000), "system", at, 0, 0);
        } else if (*known == IS_EMPTY) {
                *known = MAY_BE_FULL;
                rig_send(scene->rig, RIG_MEMORY, "AddressSpace.Write", "tay", at, 8, 'g', 'u', 'e',
                         's', 't', 'm', 'a', 'p');
        } else {
                *known = MAY_BE_GONE;
                rig_send(scene->rig, RIG_VM, "Map.RemoveRegion", "sa{sv}", name, 0);
        }
}

static bool is_gone(const Scene *scene) {
        siginfo_t info = {};

        return waitid(P_PID, (id_t)scene->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
               info.si_pid != 0;
}

/* Changes until the process is killed. *ret_answered counts those of the map. */
static void change_until_killed(Scene *scene, Known *known, unsigned *seed, uint64_t *generation) {
        while (!is_gone(scene)) {
                unsigned i = (unsigned)rand_r(seed) % REGIONS;

                send_next(scene, &known[i], i);
                while (!scene->rig->answered && sd_event_run(scene->rig->event, 1000) >= 0)
                        if (is_gone(scene))
                                break;
                rig_settle(scene->rig);
                if (!scene->rig->answered ||
                    sd_bus_message_is_method_error(scene->rig->reply, NULL))
                        return;
                *generation += known[i] != MAY_BE_FULL;
                known[i] = when_answered[known[i]];
        }
}

static void check_region(Scene *scene, Known *known, uint64_t at) {
        const char *text = read_8(scene, at);
        bool is = text[0] == '[', full = strcmp(text, TAG_BYTES) == 0;

        if (*known == IS_NOT)
                assert_false(is);
        else if (*known == IS_EMPTY || *known == MAY_BE_FULL || *known == IS_FULL)
                assert_true(is);
        if (*known == IS_FULL || (*known == MAY_BE_GONE && is))
                assert_true(full);
        if (*known == IS_EMPTY || (*known == MAY_BE && is))
                assert_string_equal(text, "[0, 0, 0, 0, 0, 0, 0, 0]");
        *known = !is ? IS_NOT : full ? IS_FULL : IS_EMPTY;
}

static pid_t kill_later(pid_t victim, useconds_t usec) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                usleep(usec);
                kill(victim, SIGKILL);
                _exit(0);
        }
        return pid;
}

static void test_killed_at_random(void **state) {
        Scene *scene = *state;
        Known known[REGIONS] = {};
        uint64_t generation = 1;
        unsigned seed = 1;

        for (unsigned i = 0; i < KILLS; i++) {
                uint64_t now;
                pid_t killer = kill_later(scene->pid, (unsigned)rand_r(&seed) % ROUND_USEC_MAX);

                change_until_killed(scene, known, &seed, &generation);
                assert_int_equal(waitpid(killer, NULL, 0), killer);
                assert_int_equal(waitpid(scene->pid, NULL, 0), scene->pid);
                scene->rig = rig_free(scene->rig);
                start(scene);
                now = strtoull(get(scene, "Generation"), NULL, 10);
                assert_in_range(now, generation, generation + 1);
                generation = now;
                assert_string_equal(get(scene, "Lost"), "[]");
                for (unsigned n = 0; n < REGIONS; n++)
                        check_region(scene, &known[n], n * UINT64_C(0x10000));
        }
}

/* Counts at 0x2000, as long as it runs. */
static const uint8_t counting[] = {
        0x48, 0xff, 0x04, 0x25, 0x00, 0x20, 0x00, 0x00, /* inc qword [0x2000] */
        0xeb, 0xf6,                                     /* jmp to it */
};

#define VCPU_0 RIG_VM "/vcpu/0"

static uint64_t count(Scene *scene) {
        const void *bytes;
        uint64_t n;
        size_t size;

        read_8(scene, 0x2000);
        assert_true(sd_bus_message_rewind(scene->rig->reply, true) >= 0);
        assert_true(sd_bus_message_read_array(scene->rig->reply, 'y', &bytes, &size) > 0);
        assert_int_equal(size, sizeof(n));
        memcpy(&n, bytes, sizeof(n));
        return n;
}

static void await_count(Scene *scene, uint64_t n) {
        while (count(scene) < n)
                ;
}

static void load_guest(Scene *scene) {
        char program_8[9] = {};

        rig_add(scene->rig, RIG_VM, "ram", "ram", 0x100000, "system", 0);
        memcpy(program_8, counting, 8);
        write_8(scene, 0x1000, program_8);
        memcpy(program_8, counting + 8, 2);
        write_8(scene, 0x1008, program_8);
        assert_string_equal(rig_call(scene->rig, RIG_VM, "VM.AddVCPU", "ua{sv}", 0, 2, "mode", "s",
                                     "long", "page-tables", "t", UINT64_C(0x10000)),
                            "/vcpu/0");
        rig_call(scene->rig, VCPU_0, "VCPU.SetRegisters", "a{st}", 1, "rip", UINT64_C(0x1000));
        assert_string_equal(rig_call(scene->rig, VCPU_0, "VCPU.Start", ""), "");
        await_count(scene, 100);
}

/* Stopped in order it goes on where it was; killed, its memory is there to be looked at. */
static void test_guest(void **state) {
        Scene *scene = *state;
        uint64_t before;

        if (!scene)
                skip();
        load_guest(scene);
        before = count(scene);
        restart(scene, SIGTERM);
        assert_string_equal(get(scene, "State"), "running");
        assert_string_equal(rig_get(scene->rig, VCPU_0, "org.guestmap1.VCPU", "State"), "running");
        assert_true(count(scene) >= before);
        await_count(scene, count(scene) + 100);
        rig_call(scene->rig, RIG_VM, "VM.Pause", "");
        before = count(scene);
        restart(scene, SIGTERM);
        assert_string_equal(get(scene, "State"), "paused");
        assert_int_equal(count(scene), before);
        rig_call(scene->rig, RIG_VM, "VM.Resume", "");
        await_count(scene, before + 100);
        restart(scene, SIGKILL);
        assert_string_equal(get(scene, "State"), "vcpus-lost");
        assert_string_equal(get(scene, "Lost"), "[vcpus]");
        assert_true(count(scene) >= before + 100);
        restart(scene, SIGTERM);
        assert_string_equal(get(scene, "State"), "vcpus-lost");
        rig_call(scene->rig, RIG_VM, "VM.Resume", "");
        assert_string_equal(get(scene, "State"), "running");
        assert_string_equal(get(scene, "Lost"), "[]");
}

#define TEST(name, setup) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                TEST(all_is_there, setup),     TEST(lost, setup),      TEST(offered, setup),
                TEST(killed_at_random, setup), TEST(guest, setup_kvm),
        };

        if (argc != 2)
                return EXIT_FAILURE;
        program = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
