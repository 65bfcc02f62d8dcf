/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a process of a VM that is killed leaves to the next one: all that was acknowledged
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/bus/served.h"
#include "tests/common/unit.h"

enum {
        KILLS = 60,
        ROUND_USEC_MAX = 20000,
        REGIONS = 8,
        PAGE = 0x1000,
};

static const char *program;

static int setup(void **state) {
        *state = served_new(program, "none");
        return 0;
}

static int teardown(void **state) {
        served_free(*state);
        return 0;
}

static const char *add_ioeventfd(Served *served, uint64_t offset) {
        return rig_call(served->rig, RIG_VM, "Map.AddIOEventFD", "stubta{sv}", "dev", offset, 4,
                        false, UINT64_C(0), 0);
}

/* The descriptor that the last reply has; the message's. */
static int replied_fd(Served *served) {
        int fd;

        assert_true(sd_bus_message_rewind(served->rig->reply, true) >= 0);
        assert_true(sd_bus_message_read(served->rig->reply, "h", &fd) > 0);
        return fd;
}

static int bell(Served *served) {
        rig_call(served->rig, RIG_VM "/region/dev", "Region.GetIOEventFD", "tubt", UINT64_C(0), 4,
                 false, UINT64_C(0));
        return replied_fd(served);
}

static void test_all_is_there(void **state) {
        Served *served = *state;
        eventfd_t rung;
        char *view;

        rig_add(served->rig, RIG_VM, "ram", "ram", 0x4000, "system", 0);
        rig_add(served->rig, RIG_VM, "gone", "ram", 0x4000, "system", 0x8000);
        rig_add(served->rig, RIG_VM, "dev", "mmio", PAGE, "system", 0x10000);
        assert_string_equal(add_ioeventfd(served, 0), "5");
        assert_string_equal(rig_remove(served->rig, RIG_VM, "gone"), "6");
        assert_string_equal(served_write(served, 0x1230, TAG), "");
        assert_int_equal(eventfd_write(bell(served), 3), 0);
        view = strdup(rig_flat(served->rig, RIG_MEMORY));
        for (unsigned i = 0; i < 3; i++) {
                served_restart(served, i == 1 ? SIGTERM : SIGKILL);
                assert_string_equal(served_get(served, "Generation"), "6");
                assert_string_equal(served_get(served, "State"), "running");
                assert_string_equal(served_get(served, "Lost"), "[]");
                assert_string_equal(rig_flat(served->rig, RIG_MEMORY), view);
                assert_string_equal(served_read(served, 0x1230), TAG_BYTES);
        }
        free(view);
        assert_int_equal(eventfd_read(bell(served), &rung), 0);
        assert_int_equal(rung, 3);
        assert_text(keeper_names(served->keeper), "backing-1 ioeventfd-3");
        assert_string_equal(rig_add(served->rig, RIG_VM, "new", "ram", PAGE, "system", 0x8000),
                            "7");
        assert_text(keeper_names(served->keeper), "backing-1 ioeventfd-3 backing-3");
}

/* Whoever kept them is gone, too. */
static void test_lost(void **state) {
        Served *served = *state;

        rig_add(served->rig, RIG_VM, "ram", "ram", 0x4000, "system", 0);
        rig_add(served->rig, RIG_VM, "dev", "mmio", PAGE, "system", 0x10000);
        add_ioeventfd(served, 0);
        served_write(served, 0, TAG);
        served_end(served, SIGKILL);
        keeper_clear(served->keeper);
        served_start(served);
        assert_string_equal(served_get(served, "Lost"), "[memory, ioeventfds]");
        assert_string_equal(served_get(served, "Generation"), "4");
        assert_string_equal(served_read(served, 0), "[0, 0, 0, 0, 0, 0, 0, 0]");
        assert_text(keeper_names(served->keeper), "ioeventfd-2 backing-1");
        served_write(served, 0, TAG);
        served_restart(served, SIGKILL);
        assert_string_equal(served_get(served, "Lost"), "[]");
        assert_string_equal(served_read(served, 0), TAG_BYTES);
}

static void pass_memory(Served *served, const char *name, int fd, uint64_t at) {
        rig_call(served->rig, RIG_VM, "Map.AddRegion", "sststia{sv}", name, "ram", UINT64_C(0x2000),
                 "system", at, 0, 1, "fd", "h", fd);
}

static void pass_bell(Served *served, int fd, uint64_t offset) {
        rig_call(served->rig, RIG_VM, "Map.AddIOEventFD", "stubta{sv}", "dev", offset, 4, false,
                 UINT64_C(0), 1, "fd", "h", fd);
}

/* What callers passed, some of it twice: one file is one file in the next process, too. */
static void test_passed(void **state) {
        int memory = memfd_create("passed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        int bells = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), pair[2];
        Served *served = *state;
        char byte;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(ftruncate(memory, 0x2000), 0);
        assert_int_equal(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK), 0);
        pass_memory(served, "a", memory, 0);
        pass_memory(served, "b", memory, 0x10000);
        rig_add(served->rig, RIG_VM, "dev", "mmio", PAGE, "system", 0x20000);
        pass_bell(served, bells, 0);
        pass_bell(served, bells, 4);
        rig_call(served->rig, RIG_VM, "Map.SetHandler", "ssa{sv}", "dev", "socket", 1, "fd", "h",
                 pair[0]);
        close(pair[0]);
        served_restart(served, SIGKILL);
        assert_string_equal(served_get(served, "Lost"), "[]");
        assert_string_equal(served_get(served, "Generation"), "7");
        assert_text(keeper_names(served->keeper), "backing-1 ioeventfd-2 handler-3");
        served_write(served, 0x10000, TAG);
        assert_string_equal(served_read(served, 0), TAG_BYTES);
        assert_int_equal(pread(memory, &byte, 1, 0), 1);
        assert_int_equal(byte, TAG[0]);
        assert_string_equal(
                rig_get(served->rig, RIG_VM "/region/dev", "org.guestmap1.Region", "Handler"),
                "socket");
        assert_int_equal(recv(pair[1], &byte, 1, MSG_DONTWAIT), -1);
        assert_int_equal(errno, EAGAIN); /* and not its end */
        rig_remove(served->rig, RIG_VM, "a");
        assert_int_equal(recv(pair[1], &byte, 1, MSG_DONTWAIT), -1);
        rig_remove(served->rig, RIG_VM, "dev");
        assert_int_equal(recv(pair[1], &byte, 1, 0), 0);
        close(pair[1]);
        close(bells);
        close(memory);
}

/* It has nothing any more of what it kept, and the process is there. */
static void test_offered(void **state) {
        Served *served = *state;

        rig_add(served->rig, RIG_VM, "ram", "ram", 0x4000, "system", 0);
        served_write(served, 0, TAG);
        keeper_clear(served->keeper);
        assert_string_equal(rig_call(served->rig, RIG_PRIVATE, "Private.Offer", ""), "");
        assert_text(keeper_names(served->keeper), "backing-1");
        served_restart(served, SIGKILL);
        assert_string_equal(served_read(served, 0), TAG_BYTES);
}

/* What is known of a region of RAM from what was acknowledged. */
typedef enum Known { IS_NOT, MAY_BE, IS_EMPTY, MAY_BE_FULL, IS_FULL, MAY_BE_GONE } Known;

static const Known when_answered[] = {
        [MAY_BE] = IS_EMPTY,
        [MAY_BE_FULL] = IS_FULL,
        [MAY_BE_GONE] = IS_NOT,
};

static void send_next(Served *served, Known *known, unsigned i) {
        char name[] = {'r', (char)('0' + i), '\0'};
        uint64_t at = i * UINT64_C(0x10000);

        if (*known == IS_NOT) {
                *known = MAY_BE;
                rig_send(served->rig, RIG_VM, "Map.AddRegion", "sststia{sv}", name, "ram",
                         UINT64_C(0x2000), "system", at, 0, 0);
        } else if (*known == IS_EMPTY) {
                *known = MAY_BE_FULL;
                rig_send(served->rig, RIG_MEMORY, "AddressSpace.Write", "tay", at, 8, 'g', 'u', 'e',
                         's', 't', 'm', 'a', 'p');
        } else {
                *known = MAY_BE_GONE;
                rig_send(served->rig, RIG_VM, "Map.RemoveRegion", "sa{sv}", name, 0);
        }
}

static bool is_gone(const Served *served) {
        siginfo_t info = {};

        return waitid(P_PID, (id_t)served->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
               info.si_pid != 0;
}

/* Changes until the process is killed. *ret_answered counts those of the map. */
static void change_until_killed(Served *served, Known *known, unsigned *seed,
                                uint64_t *generation) {
        while (!is_gone(served)) {
                unsigned i = (unsigned)rand_r(seed) % REGIONS;

                send_next(served, &known[i], i);
                while (!served->rig->answered && sd_event_run(served->rig->event, 1000) >= 0)
                        if (is_gone(served))
                                break;
                rig_settle(served->rig);
                if (!served->rig->answered ||
                    sd_bus_message_is_method_error(served->rig->reply, NULL))
                        return;
                *generation += known[i] != MAY_BE_FULL;
                known[i] = when_answered[known[i]];
        }
}

static void check_region(Served *served, Known *known, uint64_t at) {
        const char *text = served_read(served, at);
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
        Served *served = *state;
        Known known[REGIONS] = {};
        uint64_t generation = 1;
        unsigned seed = 1;

        for (unsigned i = 0; i < KILLS; i++) {
                uint64_t now;
                pid_t killer = kill_later(served->pid, (unsigned)rand_r(&seed) % ROUND_USEC_MAX);

                change_until_killed(served, known, &seed, &generation);
                assert_int_equal(waitpid(killer, NULL, 0), killer);
                assert_int_equal(waitpid(served->pid, NULL, 0), served->pid);
                served->rig = rig_free(served->rig);
                served_start(served);
                now = strtoull(served_get(served, "Generation"), NULL, 10);
                assert_in_range(now, generation, generation + 1);
                generation = now;
                assert_string_equal(served_get(served, "Lost"), "[]");
                for (unsigned n = 0; n < REGIONS; n++)
                        check_region(served, &known[n], n * UINT64_C(0x10000));
        }
}

static void damage_journal(const Served *served) {
        _cleanup_(closep) int fd = -1;
        char path[128];

        snprintf(path, sizeof(path), "%s/journal", served->keeper->directory);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, "oops", 4, 60), 4);
}

/* Whoever has the process for a new one gets no VM from it: there is one, if a crashed one. */
static void test_salvaged_is_not_set_up_anew(void **state) {
        Served *served = *state;

        rig_add(served->rig, RIG_VM, "ram", "ram", 0x4000, "system", 0);
        served_end(served, SIGKILL);
        damage_journal(served);
        served_start(served);
        assert_string_equal(rig_call(served->rig, RIG_PRIVATE, "Private.Setup", "ssua{sv}", "test",
                                     "0123456789abcdef0123456789abcdef", UINT32_C(1000), 0),
                            "InvalidArgs: this process was set up before");
        rig_call(served->rig, RIG_VM, "VM.GetBacking", "tb", UINT64_C(1), false);
        assert_true(replied_fd(served) >= 0);
        rig_call(served->rig, RIG_VM, "VM.GetBacking", "tb", UINT64_C(3), false);
        assert_string_equal(served->rig->text, "InvalidRange: no backing 3 is left of the VM; of "
                                               "the 1 that are the last is 1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                TEST(all_is_there), TEST(lost),
                TEST(passed),       TEST(offered),
                TEST(killed_at_random), TEST(salvaged_is_not_set_up_anew),
        };

        if (argc != 2)
                return EXIT_FAILURE;
        program = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
