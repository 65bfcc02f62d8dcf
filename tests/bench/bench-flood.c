/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a flood costs those who are not in it: bench-flood [CALLS]
 *
 * One client calls, one call after the other, while another one, of another uid where that is to be
 * had, keeps IN_FLIGHT calls under way: to nobody; to the bus driver, which is what the bus alone
 * makes of it; to guestmapd; to a VM, through guestmapd.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/world.h"

#define VM1       GUESTMAP_PATH_VM "/bench"
#define MEMORY    VM1 "/space/memory"
#define DBUS      "org.freedesktop.DBus"
#define IN_FLIGHT 400 /* fewer than guestmapd allows a client */
#define NOBODY    65534

typedef struct Target Target;

struct Target {
        const char *what;
        const char *service, *path, *interface, *member;
};

static const Target to_driver = {"bus", DBUS, "/org/freedesktop/DBus", DBUS ".Peer", "Ping"};
static const Target to_manager = {"manager", GUESTMAP_SERVICE, GUESTMAP_PATH,
                                  GUESTMAP_INTERFACE_MANAGER, "GetVM"};
static const Target to_vm = {"vm", GUESTMAP_SERVICE, MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE,
                             "Find"};

static const Target *const floods[] = {NULL, &to_driver, &to_manager, &to_vm};
static const Target *const calls[] = {&to_driver, &to_manager, &to_vm};

static sd_bus_message *new_call(sd_bus *bus, const Target *target) {
        sd_bus_message *m = NULL;

        if (sd_bus_message_new_method_call(bus, &m, target->service, target->path,
                                           target->interface, target->member) < 0)
                return NULL;
        if (target == &to_manager)
                (void)sd_bus_message_append(m, "s", "bench");
        else if (target == &to_vm)
                (void)sd_bus_message_append(m, "t", UINT64_C(0));
        return m;
}

static int send_next(sd_bus *bus, const Target *target);

/* Each answer is followed by the next call. */
static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return send_next(sd_bus_message_get_bus(m), userdata);
}

static int send_next(sd_bus *bus, const Target *target) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_call(bus, target);

        return sd_bus_call_async(bus, NULL, m, on_answer, (void *)target, UINT64_MAX);
}

static _Noreturn void run_flood(World *world, const Target *target) {
        sd_bus *bus;
        int r = 0;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) < 0)
                _exit(1);
        bus = world_connect(world);
        for (unsigned i = 0; bus && i < IN_FLIGHT; i++)
                r = send_next(bus, target);
        while (bus && r >= 0) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        }
        _exit(1);
}

static uint64_t now_nsec(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

static int measure(World *world, sd_bus *bus, const char *flood, const Target *target,
                   uint64_t *times, unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_call(bus, target);
                uint64_t begin = now_nsec();
                int r = sd_bus_call(bus, m, 0, NULL, NULL);

                if (r < 0)
                        return r;
                times[i] = now_nsec() - begin;
        }
        qsort(times, n, sizeof(*times), compare);
        printf("{\"bench\":\"flood\",\"bus\":\"%s\",\"flood\":\"%s\",\"call\":\"%s\","
               "\"median_ns\":%lu,\"p99_ns\":%lu,\"calls\":%u}\n",
               world->kind, flood, target->what, times[n / 2], times[n - 1 - n / 100], n);
        fflush(stdout);
        return 0;
}

static int measure_all(World *world, sd_bus *bus, const Target *flood, uint64_t *times,
                       unsigned n) {
        pid_t pid = flood ? fork() : 0;
        int r = 0;

        if (flood && pid == 0)
                run_flood(world, flood);
        if (flood)
                nanosleep(&(struct timespec){.tv_nsec = 200000000L}, NULL);
        for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(calls); i++)
                r = measure(world, bus, flood ? flood->what : "none", calls[i], times, n);
        if (flood && waitpid(pid, NULL, WNOHANG) != 0) {
                fprintf(stderr, "the flood has ended by itself\n");
                return -EIO;
        }
        if (flood) {
                kill(pid, SIGKILL);
                waitpid(pid, NULL, 0);
        }
        return r;
}

static int bench(const char *kind, unsigned n) {
        _cleanup_(freep) uint64_t *times = calloc(n, sizeof(*times));
        World world;
        sd_bus *bus = NULL;
        int r = -EIO;

        if (times && world_open(&world, kind, GUESTMAPD, "--system"))
                bus = world_connect(&world);
        if (bus)
                r = sd_bus_call_method(bus, GUESTMAP_SERVICE, GUESTMAP_PATH,
                                       GUESTMAP_INTERFACE_MANAGER, "CreateVM", NULL, NULL, "sa{sv}",
                                       "bench", 1, "accelerator", "s", "none");
        if (r >= 0)
                r = sd_bus_call_method(bus, GUESTMAP_SERVICE, VM1, GUESTMAP_INTERFACE_MAP,
                                       "AddRegion", NULL, NULL, "sststia{sv}", "a", "mmio",
                                       UINT64_C(0x1000), "system", UINT64_C(0), 0, 0);
        for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(floods); i++)
                r = measure_all(&world, bus, floods[i], times, n);
        if (r < 0)
                fprintf(stderr, "%s: %s\n", kind, strerror(-r));
        sd_bus_flush_close_unref(bus);
        (void)world_close(&world);
        return r;
}

int main(int argc, char *argv[]) {
        static const char *const buses[] = {"dbus-daemon", "dbus-broker"};
        unsigned n = argc > 1 ? (unsigned)atoi(argv[1]) : 2000;
        int failures = 0;

        if (n == 0) {
                fprintf(stderr, "bench-flood [CALLS]\n");
                return 2;
        }
        for (size_t i = 0; i < ELEMENTS_OF(buses); i++)
                if (world_has(buses[i]) && bench(buses[i], n) < 0)
                        failures++;
        return failures > 0;
}
