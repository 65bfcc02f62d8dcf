/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What it costs to look at a view through guestmapd
 *
 *   bench-views [--sections=N] [--dump=N] [--many=N] [--repeat=N]
 *
 * On each kind of bus that there is: GetFlatView of so many sections, beside the same list from a
 * bare service on the same bus; a dump of more of them, until the client has its bytes mapped; a
 * dump of very many, and how long meanwhile another client waits for Find; GetChanges over commits
 * that added 1, 100 and 10,000 sections. Calls that are compared take turns.
 */

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "api/names.h"
#include "lib/util/cleanup.h"
#include "tests/bench/bare-service.h"
#include "tests/bench/bench.h"
#include "tests/bus/world.h"

#define VM1    GUESTMAP_PATH_VM "/bench"
#define MEMORY VM1 "/space/memory"

/* Regions that are added with one call: what fits a message. */
enum { BATCH = 50000 };

typedef struct Bench {
        size_t sections;
        size_t dump;
        size_t many;
        size_t repeat;
        World world;
        sd_bus *bus;
        uint64_t generation;
} Bench;

static int call(sd_bus *bus, const char *path, const char *interface, const char *member,
                sd_bus_message **ret_reply, const char *types, ...) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        va_list arguments;
        int r;

        r = sd_bus_message_new_method_call(bus, &m, GUESTMAP_SERVICE, path, interface, member);
        if (r < 0)
                return r;
        va_start(arguments, types);
        r = sd_bus_message_appendv(m, types, arguments);
        va_end(arguments);
        if (r < 0)
                return r;
        r = sd_bus_call(bus, m, UINT64_C(600000000), &error, ret_reply);
        if (r < 0)
                fprintf(stderr, "%s: %s\n", member, error.message);
        return r;
}

/* The VM */

static int create_vm(Bench *bench) {
        bench->generation = 1;
        return call(bench->bus, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", NULL,
                    "sa{sv}", "bench", 1, "accelerator", "s", "none");
}

static int destroy_vm(Bench *bench) {
        return call(bench->bus, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "DestroyVM", NULL,
                    "sa{sv}", "bench", 0);
}

static char *document_adding(size_t first, size_t n) {
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        if (!out)
                return NULL;
        fputs("{\"guestmap\":1,\"edits\":[", out);
        for (size_t i = first; i < first + n; i++)
                fprintf(out,
                        "%s{\"add-region\":{\"name\":\"r%08zu\",\"kind\":\"mmio\",\"size\":4096,"
                        "\"parent\":\"system\",\"offset\":%zu}}",
                        i > first ? "," : "", i, i * 0x2000);
        fputs("]}", out);
        fclose(out);
        return text;
}

/* Regions `first` to `first` + n, by commits of at most a batch each. */
static int add_regions(Bench *bench, size_t first, size_t n) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i += BATCH) {
                _cleanup_(freep) char *document =
                        document_adding(first + i, MIN_OF((size_t)BATCH, n - i));

                r = document ? call(bench->bus, VM1, GUESTMAP_INTERFACE_MAP, "Apply", NULL,
                                    "sa{sv}", document, 0)
                             : -ENOMEM;
                bench->generation++;
        }
        return r;
}

static int make_vm(Bench *bench, size_t n) {
        int r = create_vm(bench);

        return r < 0 ? r : add_regions(bench, 0, n);
}

/* GetFlatView */

static int timed_flat_view(sd_bus *bus, const char *service, const char *path,
                           const char *interface, Times *times) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint64_t begin = now_ns();
        int r;

        r = sd_bus_call_method(bus, service, path, interface, "GetFlatView", NULL, &reply, NULL);
        times_add(times, now_ns() - begin);
        return r;
}

static int bench_flat_view(Bench *bench) {
        Times ours = times_new(bench->repeat), bare = times_new(bench->repeat);
        int r;

        r = make_vm(bench, bench->sections);
        if (r >= 0 && bare_service_start(&bench->world, bench->sections) < 0)
                r = -EIO;
        for (size_t i = 0; r >= 0 && i < bench->repeat; i++) {
                r = timed_flat_view(bench->bus, GUESTMAP_SERVICE, MEMORY,
                                    GUESTMAP_INTERFACE_ADDRESS_SPACE, &ours);
                if (r >= 0)
                        r = timed_flat_view(bench->bus, BARE_SERVICE, BARE_PATH, BARE_SERVICE,
                                            &bare);
        }
        if (r >= 0)
                printf("{\"bench\":\"flat-view\",\"bus\":\"%s\",\"sections\":%zu,\"repeat\":%zu,"
                       "\"median_ns\":%" PRIu64 ",\"bare_median_ns\":%" PRIu64
                       ",\"per_bare\":%.2f}\n",
                       bench->world.kind, bench->sections, bench->repeat,
                       times_percentile(&ours, 50), times_percentile(&bare, 50),
                       (double)times_percentile(&ours, 50) / (double)times_percentile(&bare, 50));
        times_free(&ours);
        times_free(&bare);
        return r < 0 ? r : destroy_vm(bench);
}

/* Dump */

/* Maps what a dump's reply holds, all pages in place; its size. */
static int map_reply(sd_bus_message *reply, size_t *ret_size) {
        struct stat st;
        void *mapped;
        int r, fd;

        r = sd_bus_message_read(reply, "h", &fd);
        if (r < 0)
                return r;
        if (fstat(fd, &st) < 0)
                return -errno;
        mapped = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
        if (mapped == MAP_FAILED)
                return -errno;
        munmap(mapped, (size_t)st.st_size);
        *ret_size = (size_t)st.st_size;
        return 0;
}

static int timed_dump(Bench *bench, Times *times, size_t *ret_size) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint64_t begin = now_ns();
        int r;

        r = call(bench->bus, VM1, GUESTMAP_INTERFACE_VM, "Dump", &reply, "sa{sv}", "flat", 0);
        if (r >= 0)
                r = map_reply(reply, ret_size);
        times_add(times, now_ns() - begin);
        return r;
}

static int bench_dump(Bench *bench) {
        Times times = times_new(bench->repeat);
        size_t size = 0;
        int r;

        r = make_vm(bench, bench->dump);
        for (size_t i = 0; r >= 0 && i < bench->repeat; i++)
                r = timed_dump(bench, &times, &size);
        if (r >= 0)
                printf("{\"bench\":\"dump\",\"bus\":\"%s\",\"sections\":%zu,\"repeat\":%zu,"
                       "\"median_ns\":%" PRIu64 ",\"bytes\":%zu}\n",
                       bench->world.kind, bench->dump, bench->repeat, times_percentile(&times, 50),
                       size);
        times_free(&times);
        return r < 0 ? r : destroy_vm(bench);
}

/* A dump, and another client */

typedef struct Dumping {
        uint64_t begin;
        uint64_t took;
        size_t size;
        int result; /* 0 until it is there, then 1 or an error */
} Dumping;

static int on_dumped(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Dumping *dumping = userdata;
        int r = -sd_bus_message_get_errno(reply);

        if (r == 0)
                r = map_reply(reply, &dumping->size);
        dumping->took = now_ns() - dumping->begin;
        dumping->result = r < 0 ? r : 1;
        return 0;
}

static int timed_find(sd_bus *bus, Times *times) {
        uint64_t begin = now_ns();
        int r;

        r = call(bus, MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE, "Find", NULL, "t", UINT64_C(0));
        times_add(times, now_ns() - begin);
        return r;
}

static int find_while_dumping(Bench *bench, sd_bus *other, Dumping *dumping, Times *times) {
        int r;

        dumping->begin = now_ns();
        r = sd_bus_call_method_async(bench->bus, NULL, GUESTMAP_SERVICE, VM1, GUESTMAP_INTERFACE_VM,
                                     "Dump", on_dumped, dumping, "sa{sv}", "flat", 0);
        while (r >= 0 && dumping->result == 0) {
                r = sd_bus_process(bench->bus, NULL);
                if (r >= 0)
                        r = timed_find(other, times);
        }
        return r < 0 ? r : dumping->result;
}

static int bench_dump_of_many(Bench *bench) {
        Times idle = times_new(1000), busy = times_new(100000);
        sd_bus *other = world_connect(&bench->world);
        Dumping dumping = {};
        int r;

        r = make_vm(bench, bench->many);
        for (size_t i = 0; r >= 0 && i < idle.allocated; i++)
                r = timed_find(other, &idle);
        if (r >= 0)
                r = find_while_dumping(bench, other, &dumping, &busy);
        if (r >= 0)
                printf("{\"bench\":\"dump-of-many\",\"bus\":\"%s\",\"sections\":%zu,\"ns\":%" PRIu64
                       ",\"bytes\":%zu,\"find_median_ns\":%" PRIu64 ",\"find_longest_ns\":%" PRIu64
                       ",\"idle_find_median_ns\":%" PRIu64 ",\"idle_find_longest_ns\":%" PRIu64
                       "}\n",
                       bench->world.kind, bench->many, dumping.took, dumping.size,
                       times_percentile(&busy, 50), times_percentile(&busy, 100),
                       times_percentile(&idle, 50), times_percentile(&idle, 100));
        times_free(&idle);
        times_free(&busy);
        sd_bus_flush_close_unref(other);
        return r < 0 ? r : destroy_vm(bench);
}

/* GetChanges */

static int bench_changes_of(Bench *bench, size_t first, size_t n) {
        Times times = times_new(bench->repeat);
        uint64_t since = bench->generation;
        int r;

        r = add_regions(bench, first, n);
        for (size_t i = 0; r >= 0 && i < bench->repeat; i++) {
                uint64_t begin = now_ns();

                r = call(bench->bus, MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE, "GetChanges", NULL,
                         "t", since);
                times_add(&times, now_ns() - begin);
        }
        if (r >= 0)
                printf("{\"bench\":\"get-changes\",\"bus\":\"%s\",\"changes\":%zu,\"repeat\":%zu,"
                       "\"median_ns\":%" PRIu64 "}\n",
                       bench->world.kind, n, bench->repeat, times_percentile(&times, 50));
        times_free(&times);
        return r;
}

static int bench_changes(Bench *bench) {
        size_t first = 0;
        int r;

        r = create_vm(bench);
        for (size_t n = 1; r >= 0 && n <= MIN_OF(bench->sections, GUESTMAP_PAGE_MAX); n *= 100) {
                r = bench_changes_of(bench, first, n);
                first += n;
        }
        return r < 0 ? r : destroy_vm(bench);
}

static int run(Bench *bench, const char *kind) {
        int (*const benches[])(Bench *) = {bench_flat_view, bench_changes, bench_dump,
                                           bench_dump_of_many};
        int r = -EIO;

        if (world_open(&bench->world, kind, GUESTMAPD, "--system"))
                bench->bus = world_connect(&bench->world);
        if (bench->bus)
                r = 0;
        for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(benches); i++) {
                r = benches[i](bench);
                fflush(stdout);
        }
        if (r < 0)
                fprintf(stderr, "%s: %s\n", kind, strerror(-r));
        bench->bus = sd_bus_flush_close_unref(bench->bus);
        (void)world_close(&bench->world);
        return r;
}

int main(int argc, char **argv) {
        static const struct option options[] = {{"sections", required_argument, NULL, 's'},
                                                {"dump", required_argument, NULL, 'd'},
                                                {"many", required_argument, NULL, 'm'},
                                                {"repeat", required_argument, NULL, 'r'},
                                                {}};
        static const char *const buses[] = {"dbus-daemon", "dbus-broker"};
        Bench bench = {.sections = 10000, .dump = 100000, .many = 1000000, .repeat = 25};
        int c, failures = 0;

        while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
                size_t *value = c == 's'   ? &bench.sections
                                : c == 'd' ? &bench.dump
                                : c == 'm' ? &bench.many
                                : c == 'r' ? &bench.repeat
                                           : NULL;

                if (!value)
                        return EXIT_FAILURE;
                *value = strtoull(optarg, NULL, 0);
        }
        for (size_t i = 0; i < ELEMENTS_OF(buses); i++)
                if (world_has(buses[i]) && run(&bench, buses[i]) < 0)
                        failures++;
        return failures > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
