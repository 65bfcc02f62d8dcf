/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a call costs: bench-bus [CALLS [RUNS]]
 *
 * On each kind of bus that there is, with one client: the bus driver's own Ping; a call that
 * guestmapd answers itself; forwarded to the VM's process, a call that asks for as little, a Map
 * call that changes nothing and one that commits; and on a connection of the client's own, without
 * bus and guestmapd, a Ping and the Map call that changes nothing. The kinds take turns within a
 * run, so that what else the machine does falls on all of them; of each the median over all calls
 * of a run is taken, and of these the median.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bus/world.h"

#define VM1      GUESTMAP_PATH_VM "/bench"
#define RUNS_MAX 64

typedef struct Kind Kind;

struct Kind {
        const char *what;
        int (*call)(sd_bus *bus, unsigned i);
        uint64_t medians[RUNS_MAX];
        uint64_t p99s[RUNS_MAX];
};

static sd_bus *own; /* the client's connection to the VM's process */

static int ping(sd_bus *bus, unsigned i) {
        return sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                  "org.freedesktop.DBus.Peer", "Ping", NULL, NULL, NULL);
}

static int get_vm(sd_bus *bus, unsigned i) {
        return sd_bus_call_method(bus, GUESTMAP_SERVICE, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER,
                                  "GetVM", NULL, NULL, "s", "bench");
}

static int get_space(sd_bus *bus, unsigned i) {
        return sd_bus_call_method(bus, GUESTMAP_SERVICE, VM1, GUESTMAP_INTERFACE_VM,
                                  "GetAddressSpace", NULL, NULL, "s", "memory");
}

static int enable(sd_bus *bus, bool enabled) {
        return sd_bus_call_method(bus, GUESTMAP_SERVICE, VM1, GUESTMAP_INTERFACE_MAP,
                                  "EnableRegion", NULL, NULL, "sba{sv}", "a", enabled, 0);
}

static int keep_enabled(sd_bus *bus, unsigned i) {
        return enable(bus, true);
}

/* Twice, so that every kind finds the region as it was; the time is that of two calls. */
static int toggle(sd_bus *bus, unsigned i) {
        int r = enable(bus, false);

        return r < 0 ? r : enable(bus, true);
}

static int direct_ping(sd_bus *bus, unsigned i) {
        return sd_bus_call_method(own, GUESTMAP_SERVICE, VM1, "org.freedesktop.DBus.Peer", "Ping",
                                  NULL, NULL, NULL);
}

static int keep_enabled_directly(sd_bus *bus, unsigned i) {
        return enable(own, true);
}

/* What all are compared with. */
enum { BUS_PING, MANAGER_CALL };

static Kind kinds[] = {
        [BUS_PING] = {.what = "bus-ping", .call = ping},
        [MANAGER_CALL] = {.what = "manager-call", .call = get_vm},
        {.what = "vm-call", .call = get_space},
        {.what = "map-call", .call = keep_enabled},
        {.what = "map-commit-twice", .call = toggle},
        {.what = "direct-ping", .call = direct_ping},
        {.what = "direct-map-call", .call = keep_enabled_directly},
};

static uint64_t now_nsec(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

static int measure(Kind *kind, unsigned run, sd_bus *bus, uint64_t *times, unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                uint64_t begin = now_nsec();
                int r = kind->call(bus, i);

                if (r < 0)
                        return r;
                times[i] = now_nsec() - begin;
        }
        qsort(times, n, sizeof(*times), compare);
        kind->medians[run] = times[n / 2];
        kind->p99s[run] = times[n - 1 - n / 100];
        return 0;
}

static uint64_t median(uint64_t *values, unsigned n) {
        qsort(values, n, sizeof(*values), compare);
        return values[n / 2];
}

static void print_results(const char *bus, unsigned calls, unsigned runs) {
        uint64_t medians[ELEMENTS_OF(kinds)];

        for (size_t i = 0; i < ELEMENTS_OF(kinds); i++)
                medians[i] = median(kinds[i].medians, runs);
        for (size_t i = 0; i < ELEMENTS_OF(kinds); i++)
                printf("{\"bench\":\"bus\",\"bus\":\"%s\",\"what\":\"%s\",\"median_ns\":%lu,"
                       "\"p99_ns\":%lu,\"per_bus_ping\":%.2f,\"per_manager_call\":%.2f,"
                       "\"calls\":%u,\"runs\":%u}\n",
                       bus, kinds[i].what, medians[i], median(kinds[i].p99s, runs),
                       (double)medians[i] / (double)medians[BUS_PING],
                       (double)medians[i] / (double)medians[MANAGER_CALL], calls, runs);
}

static int connect_directly(sd_bus *bus) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int fd, r;

        r = sd_bus_call_method(bus, GUESTMAP_SERVICE, VM1, GUESTMAP_INTERFACE_VM, "OpenConnection",
                               NULL, &reply, "a{sv}", 0);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "h", &fd);
        if (r < 0)
                return r;
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return -errno;
        r = sd_bus_new(&own);
        if (r < 0) {
                close(fd);
                return r;
        }
        r = sd_bus_set_fd(own, fd, fd);
        if (r < 0)
                return r;
        r = sd_bus_set_bus_client(own, true);
        return r < 0 ? r : sd_bus_start(own);
}

static int prepare(sd_bus *bus) {
        int r;

        r = sd_bus_call_method(bus, GUESTMAP_SERVICE, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER,
                               "CreateVM", NULL, NULL, "sa{sv}", "bench", 1, "accelerator", "s",
                               "none");
        if (r < 0)
                return r;
        r = sd_bus_call_method(bus, GUESTMAP_SERVICE, VM1, GUESTMAP_INTERFACE_MAP, "AddRegion",
                               NULL, NULL, "sststia{sv}", "a", "mmio", UINT64_C(0x1000), "system",
                               UINT64_C(0), 0, 0);
        return r < 0 ? r : connect_directly(bus);
}

static int run_all(sd_bus *bus, unsigned calls, unsigned runs) {
        _cleanup_(freep) uint64_t *times = calloc(calls, sizeof(*times));
        int r;

        if (!times)
                return -ENOMEM;
        r = prepare(bus);
        for (unsigned run = 0; r >= 0 && run < runs; run++)
                for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(kinds); i++)
                        r = measure(&kinds[i], run, bus, times, calls);
        return r;
}

static int bench(const char *kind, const char *guestmapd, unsigned calls, unsigned runs) {
        World world;
        sd_bus *bus = NULL;
        int r = -EIO;

        if (world_open(&world, kind, guestmapd, "--system"))
                bus = world_connect(&world);
        if (bus)
                r = run_all(bus, calls, runs);
        if (r >= 0)
                print_results(kind, calls, runs);
        else
                fprintf(stderr, "%s: %s\n", kind, strerror(-r));
        own = sd_bus_close_unref(own);
        sd_bus_flush_close_unref(bus);
        (void)world_close(&world);
        return r;
}

int main(int argc, char *argv[]) {
        static const char *const buses[] = {"dbus-daemon", "dbus-broker"};
        unsigned calls = argc > 1 ? (unsigned)atoi(argv[1]) : 5000;
        unsigned runs = argc > 2 ? (unsigned)atoi(argv[2]) : 7;
        int failures = 0;

        if (calls == 0 || runs == 0 || runs > RUNS_MAX) {
                fprintf(stderr, "bench-bus [CALLS [RUNS]]\n");
                return 2;
        }
        for (size_t i = 0; i < ELEMENTS_OF(buses); i++)
                if (world_has(buses[i]) && bench(buses[i], GUESTMAPD, calls, runs) < 0)
                        failures++;
        return failures > 0;
}
