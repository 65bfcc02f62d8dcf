/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One region added, switched off and on, and removed among N siblings, each a commit
 *
 *   bench-commit [--n=N] [--repeat=N] [--placement=ascending|descending|random] [--background]
 *
 * In-process, no accelerator, one address space. Without --n: 100, 1,000, 10,000 and 100,000. Times
 * are those of edit, commit_new(), commit_apply() and commit_free() together.
 */

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "tests/bench/bench.h"
#include "tests/bench/siblings.h"

typedef struct Bench {
        Placement placement;
        bool background;
        size_t repeat;
} Bench;

enum { ADD, DISABLE, ENABLE, REMOVE, N_OPERATIONS };

static const char *const operations[] = {"add", "disable", "enable", "remove"};

static uint64_t timed(Map *map, Edit edit) {
        uint64_t start = now_ns();

        must_edit_commit(map, edit);
        return now_ns() - start;
}

/* One round, in a gap between two siblings in the middle. */
static void run_round(Map *map, size_t n, Times times[N_OPERATIONS]) {
        uint64_t offset = n / 2 * SIBLING_SPACING + SIBLING_SIZE;

        times_add(&times[ADD],
                  timed(map, add_region(REGION_RAM, "one", SIBLING_SIZE / 2, "system", offset, 0)));
        times_add(&times[DISABLE], timed(map, disable("one")));
        times_add(&times[ENABLE], timed(map, enable("one")));
        times_add(&times[REMOVE], timed(map, remove_region("one")));
}

static void report(const Bench *bench, size_t n, size_t n_sections, int operation, Times *times) {
        printf("{\"bench\":\"commit\",\"operation\":\"%s\",\"siblings\":%zu,\"sections\":%zu,"
               "\"placement\":\"%s\",\"background\":%s,\"repeat\":%zu,"
               "\"median_ns\":%" PRIu64 ",\"p99_ns\":%" PRIu64 "}\n",
               operations[operation], n, n_sections, placement_to_string(bench->placement),
               bench->background ? "true" : "false", times->n, times_percentile(times, 50),
               times_percentile(times, 99));
        fflush(stdout);
}

static void run(const Bench *bench, size_t n) {
        Times times[N_OPERATIONS];
        Map *map = scene_new();

        siblings_add(map, n, bench->placement, bench->background);
        must_commit(map);
        for (int i = 0; i < N_OPERATIONS; i++)
                times[i] = times_new(bench->repeat);
        /* A tenth as many to warm up; their times are dropped. */
        for (size_t i = 0; i < bench->repeat / 10; i++)
                run_round(map, n, times);
        for (int i = 0; i < N_OPERATIONS; i++)
                times[i].n = 0;
        for (size_t i = 0; i < bench->repeat; i++)
                run_round(map, n, times);
        for (int i = 0; i < N_OPERATIONS; i++) {
                report(bench, n, flat_view_n_sections(scene_published(map, "memory")), i,
                       &times[i]);
                times_free(&times[i]);
        }
        map_free(map);
}

int main(int argc, char **argv) {
        static const struct option options[] = {{"n", required_argument, NULL, 'n'},
                                                {"repeat", required_argument, NULL, 'r'},
                                                {"placement", required_argument, NULL, 'p'},
                                                {"background", no_argument, NULL, 'b'},
                                                {}};
        Bench bench = {.repeat = 1000};
        size_t n = 0;
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
                switch (c) {
                case 'n':
                        n = strtoull(optarg, NULL, 0);
                        break;
                case 'r':
                        bench.repeat = strtoull(optarg, NULL, 0);
                        break;
                case 'p':
                        c = placement_from_string(optarg);
                        if (c < 0)
                                return EXIT_FAILURE;
                        bench.placement = (Placement)c;
                        break;
                case 'b':
                        bench.background = true;
                        break;
                default:
                        return EXIT_FAILURE;
                }
        rcu_register();
        for (size_t i = n ? n : 100; i <= (n ? n : 100000); i *= 10)
                run(&bench, i);
        rcu_unregister();
        return EXIT_SUCCESS;
}
