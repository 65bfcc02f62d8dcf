/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Kill torture: test-kill KIND GUESTMAPD [KILLS]
 *
 * A client commits, and writes into RAM; SIGKILL falls on the VM's process, on guestmapd, or on
 * both, while it does. Whatever was acknowledged is there afterwards, nothing is there by half, and
 * RAM has in it what was written. KIND is a bus of the test's own, where guestmapd runs the VM's
 * process; or "system": the services of the running system, where systemd does.
 *
 * Only where guestmapd runs it, and both die, nobody is left who has the memory: it is new.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/util/cleanup.h"
#include "tests/bus/kill-model.h"
#include "tests/bus/world.h"

#define DEFAULT_KILLS 60
#define BURST_USEC    3000 /* what a burst takes, about: a kill falls somewhere in it */

typedef enum Target {
        TARGET_VM,
        TARGET_DAEMON,
        TARGET_BOTH,
        TARGET_COUNT,
} Target;

static bool is_system;
static World world;

static bool read_file(pid_t pid, const char *name, char *text, size_t size) {
        char path[64];
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : read(fd, text, size - 1);
        safe_close(fd);
        text[n < 0 ? 0 : n] = '\0';
        /* What is separated by zeros is to be searched. */
        for (ssize_t i = 0; i < n; i++)
                text[i] = text[i] ?: '\n';
        return n > 0;
}

static bool is_wanted(pid_t pid, const char *comm, const char *variable) {
        char text[16384];

        return read_file(pid, "comm", text, sizeof(text)) &&
               strncmp(text, comm, strlen(comm)) == 0 && text[strlen(comm)] == '\n' &&
               (!variable ||
                (read_file(pid, "environ", text, sizeof(text)) && strstr(text, variable)));
}

/* The process of that name, and with that in its environment; 0 if there is none now. */
static pid_t find_process(const char *comm, const char *variable) {
        struct dirent *entry;
        pid_t found = 0;
        DIR *stream;

        stream = opendir("/proc");
        while (stream && !found && (entry = readdir(stream)))
                if (is_wanted(atoi(entry->d_name), comm, variable))
                        found = atoi(entry->d_name);
        if (stream)
                closedir(stream);
        return found;
}

static pid_t find_vm(void) {
        char variable[128] = "\nRUNTIME_DIRECTORY=/run/guestmap-vm/kill\n";

        if (!is_system)
                snprintf(variable, sizeof(variable), "\nRUNTIME_DIRECTORY=%s/run/kill.d\n",
                         world.directory);
        return find_process("guestmap-vmd", variable);
}

/* It may be away already, from the last time. */
static void kill_vm(void) {
        pid_t pid = find_vm();

        if (pid > 0)
                (void)kill(pid, SIGKILL);
}

static void kill_daemon(void) {
        pid_t pid = is_system ? find_process("guestmapd", NULL) : 0;

        if (pid > 0)
                (void)kill(pid, SIGKILL);
        if (!is_system)
                world_stop_daemon(&world, SIGKILL);
}

static void wait_a_bit(KillModel *model) {
        usleep((useconds_t)model_random(model, BURST_USEC));
}

static bool strike(KillModel *model, Target target) {
        bool vm_first = model_random(model, 2);

        if (target == TARGET_VM || (target == TARGET_BOTH && vm_first))
                kill_vm();
        if (target != TARGET_VM)
                kill_daemon();
        if (target == TARGET_BOTH && !vm_first)
                kill_vm();
        return is_system || target == TARGET_VM || world_start_daemon(&world);
}

static bool survive(KillModel *model, sd_bus *bus, Target target) {
        bool struck, answered;

        if (!model_send(model, bus))
                return false;
        wait_a_bit(model);
        struck = strike(model, target);
        answered = model_await(model, bus);
        /* Those that were orphans when they were killed are the test's. */
        while (!is_system && waitpid(-1, NULL, WNOHANG | __WALL) > 0)
                ;
        return struck && answered && model_check(model, bus, target == TARGET_BOTH && !is_system);
}

static bool torture(sd_bus *bus, unsigned n_kills, unsigned *counts) {
        const char *accelerator = access("/dev/kvm", R_OK | W_OK) == 0 ? "kvm" : "none";
        KillModel model;

        if (!model_open(&model, bus, (uint64_t)time(NULL) * 2654435761u | 1, accelerator))
                return false;
        printf("# seed %#" PRIx64 ", accelerator %s\n", model.seed, accelerator);
        for (unsigned n = 0; n < n_kills;) {
                Target target = (Target)model_random(&model, TARGET_COUNT);

                if (!survive(&model, bus, target)) {
                        printf("# after %u kills\n", n);
                        return false;
                }
                counts[target]++;
                n += target == TARGET_BOTH ? 2 : 1;
        }
        printf("# %u kills of the VM's process, %u of guestmapd, %u of both at once; generation "
               "%" PRIu64 "\n",
               counts[TARGET_VM], counts[TARGET_DAEMON], counts[TARGET_BOTH], model.generation);
        return true;
}

static bool run(unsigned n_kills) {
        unsigned counts[TARGET_COUNT] = {};
        sd_bus *bus = NULL;
        bool passed;

        if (is_system)
                (void)sd_bus_open_system(&bus);
        else
                bus = world_connect(&world);
        passed = bus && torture(bus, n_kills, counts);
        if (bus)
                (void)sd_bus_call_method(bus, GUESTMAP_SERVICE, GUESTMAP_PATH,
                                         GUESTMAP_INTERFACE_MANAGER, "DestroyVM", NULL, NULL,
                                         "sa{sv}", "kill", 0);
        sd_bus_flush_close_unref(bus);
        return passed;
}

int main(int argc, char *argv[]) {
        unsigned n_kills = argc > 3 ? (unsigned)atoi(argv[3]) : DEFAULT_KILLS;
        bool passed;

        if (argc < 3)
                return 2;
        is_system = strcmp(argv[1], "system") == 0;
        if (!is_system && !world_has(argv[1])) {
                printf("1..0 # SKIP no %s here\n", argv[1]);
                return 0;
        }
        setvbuf(stdout, NULL, _IOLBF, 0);
        puts("1..1");
        passed = is_system || world_open(&world, argv[1], argv[2], "--system");
        passed = passed && run(n_kills);
        if (!is_system)
                passed = world_close(&world) && passed;
        printf("%sok 1 - what was acknowledged survives %u kills\n", passed ? "" : "not ", n_kills);
        return passed ? 0 : 1;
}
