/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Documents of very many regions, through guestmapd
 *
 *   bench-bulk [--regions=N] [--edits=N] [--calls=N]
 *
 * On one bus: a layout of a tenth of the regions, then of all, by ApplyFD to an empty VM, from the
 * call to its answer, when the view is published; with the most memory that the VM's process had,
 * and how long another client waited for the answer to a call meanwhile: it calls Find and reads
 * Generation all the time. Then, of the full map: the same layout again, which changes nothing; one
 * in which every so many-th region is another; a patch; CreateVM with the layout. Last, regions one
 * by one, each between a Ping of the bus driver and one of the VM's process.
 */

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bench/bench.h"
#include "tests/bus/world.h"

#define VM1          GUESTMAP_PATH_VM "/bench"
#define MEMORY       VM1 "/space/memory"
#define PROPERTIES   "org.freedesktop.DBus.Properties"
#define PEER         "org.freedesktop.DBus.Peer"
#define TIMEOUT_USEC UINT64_C(600000000)

typedef struct Answer Answer;
typedef struct Bench Bench;

struct Bench {
        size_t regions;
        size_t edits;
        size_t calls;
        World world;
        sd_bus *bus;
        sd_bus *other; /* the client that looks on */
        uint64_t first_ns;
};

struct Answer {
        int result; /* 0 until it is there, then 1 or an error */
};

/* Documents */

/* A layout of n regions in a row; every `odd`-th has another size, unless that is 0. */
static void write_layout(FILE *out, size_t n, size_t odd) {
        fputs("{\"guestmap\": 1, \"regions\": [\n"
              "{\"name\": \"system\", \"kind\": \"container\", \"size\": \"2^64\"},\n"
              "{\"name\": \"io\", \"kind\": \"container\", \"size\": 65536}",
              out);
        for (size_t i = 0; i < n; i++)
                fprintf(out,
                        ",\n{\"name\": \"region%08zu\", \"kind\": \"mmio\", \"size\": \"%s\", "
                        "\"parent\": \"system\", \"offset\": \"0x%zx\", \"priority\": 0, "
                        "\"enabled\": true, \"unmergeable\": false}",
                        i, odd > 0 && i % odd == 0 ? "0x1800" : "0x1000", i * 0x2000);
        fputs("],\n\"address-spaces\": [{\"name\": \"memory\", \"root\": \"system\"}, "
              "{\"name\": \"io\", \"root\": \"io\"}]}\n",
              out);
}

static void write_patch(FILE *out, size_t n, size_t step) {
        fputs("{\"guestmap\": 1, \"edits\": [", out);
        for (size_t i = 0; i < n; i++)
                fprintf(out,
                        "%s\n{\"enable-region\": {\"name\": \"region%08zu\", \"enabled\": false}}",
                        i > 0 ? "," : "", i * step);
        fputs("]}\n", out);
}

static int make_document(void (*write)(FILE *out, size_t n, size_t step), size_t n, size_t step) {
        int fd = memfd_create("document", MFD_CLOEXEC);
        FILE *out = fdopen(dup(fd), "w");

        if (!out)
                abort();
        write(out, n, step);
        if (fclose(out) != 0)
                abort();
        return fd;
}

/* One call, and another client meanwhile */

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *got = sd_bus_message_get_error(m);
        Answer *answer = userdata;

        if (got)
                fprintf(stderr, "%s\n", got->message);
        answer->result = got ? -EIO : 1;
        return 0;
}

static int look_on(Bench *bench, unsigned i) {
        if (i % 2 == 0)
                return sd_bus_call_method(bench->other, GUESTMAP_SERVICE, VM1, PROPERTIES, "Get",
                                          NULL, NULL, "ss", GUESTMAP_INTERFACE_VM, "Generation");
        (void)sd_bus_call_method(bench->other, GUESTMAP_SERVICE, MEMORY,
                                 GUESTMAP_INTERFACE_ADDRESS_SPACE, "Find", NULL, NULL, "t",
                                 UINT64_C(0x2000));
        return 0; /* nothing is there as yet */
}

static int wait_and_look_on(Bench *bench, const Answer *answer, Times *times) {
        int r = 0;

        for (unsigned i = 0; r >= 0 && answer->result == 0; i++) {
                uint64_t begin = now_ns();

                r = look_on(bench, i);
                times_add(times, now_ns() - begin);
                if (r >= 0)
                        r = sd_bus_process(bench->bus, NULL);
        }
        return r < 0 ? r : answer->result;
}

static int apply(Bench *bench, int fd, uint64_t *ret_ns, Times *times) {
        uint64_t begin = now_ns();
        Answer answer = {};
        int r;

        r = sd_bus_call_method_async(bench->bus, NULL, GUESTMAP_SERVICE, VM1,
                                     GUESTMAP_INTERFACE_MAP, "ApplyFD", on_answer, &answer,
                                     "ha{sv}", fd, 0);
        if (r >= 0)
                r = wait_and_look_on(bench, &answer, times);
        *ret_ns = now_ns() - begin;
        return r;
}

/* Of the VM's process, in KiB: VmHWM. */
static long peak_memory(Bench *bench) {
        char path[64], line[256];
        long kib = -1;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/status", (int)world_newest_vm(&bench->world));
        file = fopen(path, "re");
        while (file && fgets(line, sizeof(line), file))
                if (sscanf(line, "VmHWM: %ld", &kib) == 1)
                        break;
        if (file)
                fclose(file);
        return kib;
}

static int bench_document(Bench *bench, const char *what, int fd, size_t n, bool grows) {
        Times times = times_new(1000000);
        uint64_t ns;
        int r;

        r = apply(bench, fd, &ns, &times);
        close(fd);
        if (r >= 0) {
                printf("{\"bench\":\"bulk\",\"what\":\"%s\",\"n\":%zu,\"ns\":%" PRIu64
                       ",\"ns_each\":%" PRIu64 ",\"peak_kib\":%ld,\"other_calls\":%zu,"
                       "\"other_median_ns\":%" PRIu64 ",\"other_longest_ns\":%" PRIu64
                       ",\"growth\":%.2f}\n",
                       what, n, ns, ns / n, peak_memory(bench), times.n,
                       times_percentile(&times, 50), times_percentile(&times, 100),
                       grows && bench->first_ns ? (double)ns / (double)bench->first_ns : 0.0);
                bench->first_ns = ns;
        }
        times_free(&times);
        return r;
}

static int create_vm(Bench *bench) {
        return sd_bus_call_method(bench->bus, GUESTMAP_SERVICE, GUESTMAP_PATH,
                                  GUESTMAP_INTERFACE_MANAGER, "CreateVM", NULL, NULL, "sa{sv}",
                                  "bench", 1, "accelerator", "s", "none");
}

static int destroy_vm(Bench *bench) {
        return sd_bus_call_method(bench->bus, GUESTMAP_SERVICE, GUESTMAP_PATH,
                                  GUESTMAP_INTERFACE_MANAGER, "DestroyVM", NULL, NULL, "sa{sv}",
                                  "bench", 0);
}

static int bench_load(Bench *bench, size_t n) {
        int r;

        r = create_vm(bench);
        return r < 0 ? r
                     : bench_document(bench, "load", make_document(write_layout, n, 0), n, true);
}

static int bench_create(Bench *bench) {
        int r, fd = make_document(write_layout, bench->regions, 0);
        uint64_t begin = now_ns();

        r = sd_bus_call_method(bench->bus, GUESTMAP_SERVICE, GUESTMAP_PATH,
                               GUESTMAP_INTERFACE_MANAGER, "CreateVM", NULL, NULL, "sa{sv}",
                               "bench", 2, "accelerator", "s", "none", "layout-fd", "h", fd);
        close(fd);
        if (r >= 0)
                printf("{\"bench\":\"bulk-create\",\"n\":%zu,\"ns\":%" PRIu64
                       ",\"peak_kib\":%ld}\n",
                       bench->regions, now_ns() - begin, peak_memory(bench));
        return r;
}

/* Regions one by one */

static int timed_ping(sd_bus *bus, const char *service, const char *path, Times *times) {
        uint64_t begin = now_ns();
        int r = sd_bus_call_method(bus, service, path, PEER, "Ping", NULL, NULL, NULL);

        times_add(times, now_ns() - begin);
        return r;
}

static int timed_add(Bench *bench, size_t i, Times *times) {
        uint64_t begin = now_ns();
        char name[32];
        int r;

        snprintf(name, sizeof(name), "added%08zu", i);
        r = sd_bus_call_method(bench->bus, GUESTMAP_SERVICE, VM1, GUESTMAP_INTERFACE_MAP,
                               "AddRegion", NULL, NULL, "sststia{sv}", name, "mmio",
                               UINT64_C(0x1000), "system", (UINT64_C(1) << 40) + i * 0x2000, 0, 0);
        times_add(times, now_ns() - begin);
        return r;
}

static double per_second(Times *times) {
        uint64_t sum = 0;

        for (size_t i = 0; i < times->n; i++)
                sum += times->items[i];
        return (double)times->n * 1e9 / (double)MAX_OF(sum, 1u);
}

static int bench_calls(Bench *bench) {
        Times bus = times_new(bench->calls), vm = times_new(bench->calls),
              add = times_new(bench->calls);
        int r = 0;

        for (size_t i = 0; r >= 0 && i < bench->calls; i++) {
                r = timed_ping(bench->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", &bus);
                if (r >= 0)
                        r = timed_ping(bench->bus, GUESTMAP_SERVICE, VM1, &vm);
                if (r >= 0)
                        r = timed_add(bench, i, &add);
        }
        if (r >= 0)
                printf("{\"bench\":\"one-by-one\",\"regions\":%zu,\"calls\":%zu,"
                       "\"bus_ping_median_ns\":%" PRIu64 ",\"vm_ping_median_ns\":%" PRIu64
                       ",\"add_median_ns\":%" PRIu64 ",\"adds_per_s\":%.0f,"
                       "\"per_vm_ping\":%.2f}\n",
                       bench->regions, bench->calls, times_percentile(&bus, 50),
                       times_percentile(&vm, 50), times_percentile(&add, 50), per_second(&add),
                       (double)times_percentile(&add, 50) / (double)times_percentile(&vm, 50));
        times_free(&bus);
        times_free(&vm);
        times_free(&add);
        return r;
}

static int run_all(Bench *bench) {
        size_t n = bench->regions, step = MAX_OF(n / bench->edits, 1u);
        int r;

        r = bench_load(bench, MAX_OF(n / 10, 1u));
        if (r >= 0)
                r = destroy_vm(bench);
        if (r >= 0)
                r = bench_load(bench, n);
        if (r >= 0)
                r = bench_document(bench, "again", make_document(write_layout, n, 0), n, false);
        if (r >= 0)
                r = bench_document(bench, "changed", make_document(write_layout, n, step), n,
                                   false);
        if (r >= 0)
                r = bench_document(bench, "patch", make_document(write_patch, bench->edits, step),
                                   bench->edits, false);
        if (r >= 0)
                r = bench_calls(bench);
        if (r >= 0)
                r = destroy_vm(bench);
        return r < 0 ? r : bench_create(bench);
}

static int run(Bench *bench, const char *kind) {
        int r = -EIO;

        if (world_open(&bench->world, kind, GUESTMAPD, "--system")) {
                bench->bus = world_connect(&bench->world);
                bench->other = world_connect(&bench->world);
        }
        if (bench->bus && bench->other)
                r = sd_bus_set_method_call_timeout(bench->bus, TIMEOUT_USEC);
        if (r >= 0)
                r = run_all(bench);
        if (r < 0)
                fprintf(stderr, "%s: %s\n", kind, strerror(-r));
        sd_bus_flush_close_unref(bench->other);
        sd_bus_flush_close_unref(bench->bus);
        (void)world_close(&bench->world);
        return r;
}

int main(int argc, char **argv) {
        static const struct option options[] = {{"regions", required_argument, NULL, 'r'},
                                                {"edits", required_argument, NULL, 'e'},
                                                {"calls", required_argument, NULL, 'c'},
                                                {}};
        Bench bench = {.regions = 1000000, .edits = 10000, .calls = 5000};
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
                size_t *value = c == 'r'   ? &bench.regions
                                : c == 'e' ? &bench.edits
                                : c == 'c' ? &bench.calls
                                           : NULL;

                if (!value || strtoull(optarg, NULL, 0) == 0)
                        return EXIT_FAILURE;
                *value = strtoull(optarg, NULL, 0);
        }
        bench.edits = MIN_OF(bench.edits, bench.regions);
        setlinebuf(stdout);
        if (world_has("dbus-broker"))
                return run(&bench, "dbus-broker") < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        if (world_has("dbus-daemon"))
                return run(&bench, "dbus-daemon") < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        return EXIT_SUCCESS;
}
