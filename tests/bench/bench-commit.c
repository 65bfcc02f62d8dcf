/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One region added, switched off and on, moved and removed among N siblings, each a commit
 *
 *   bench-commit [--n=N] [--repeat=N]
 *
 * In-process, no accelerator, one address space. The siblings were placed ascending, descending or
 * at random; stand behind an alias; have a background below them. The region comes and goes all
 * over the map, so that little of what it meets is in a cache. Times are those of edit,
 * commit_new(), commit_apply() and commit_free() together. Without --n: 100, 1,000, … 1,000,000.
 */

#include <inttypes.h>

#include "tests/bench/bench.h"
#include "tests/bench/siblings.h"
#include "tests/property/random.h"

enum { ADD, DISABLE, ENABLE, MOVE, REMOVE, N_OPERATIONS };

static const char *const operations[] = {"add", "disable", "enable", "move", "remove"};

static const Siblings cases[] = {
        {.kind = REGION_RAM, .placement = PLACE_ASCENDING},
        {.kind = REGION_RAM, .placement = PLACE_DESCENDING},
        {.kind = REGION_RAM, .placement = PLACE_RANDOM},
        {.kind = REGION_RAM, .placement = PLACE_RANDOM, .alias = true},
        {.kind = REGION_RAM, .placement = PLACE_RANDOM, .background = true},
};

static uint64_t timed(Map *map, Edit edit) {
        uint64_t start = now_ns();

        must_edit_commit(map, edit);
        return now_ns() - start;
}

/* Between two siblings by address, and between two by name. */
static void run_round(Map *map, const char *parent, size_t n, Random *random, Times *times) {
        uint64_t from = siblings_gap(random_below(random, n));
        uint64_t to = siblings_gap(random_below(random, n));
        char name[32];

        snprintf(name, sizeof(name), "region%" PRIu64 "+", random_below(random, n));
        times_add(&times[ADD],
                  timed(map, add_region(REGION_RAM, name, SIBLING_SIZE / 2, parent, from, 0)));
        times_add(&times[DISABLE], timed(map, disable(name)));
        times_add(&times[ENABLE], timed(map, enable(name)));
        times_add(&times[MOVE], timed(map, move_region(name, parent, to, 0)));
        times_add(&times[REMOVE], timed(map, remove_region(name)));
}

static void report(const Siblings *siblings, size_t n_sections, int operation, Times *times) {
        printf("{\"bench\":\"commit\",\"operation\":\"%s\",\"siblings\":%zu,\"placement\":\"%s\","
               "\"alias\":%s,\"background\":%s,\"sections\":%zu,\"repeat\":%zu,"
               "\"median_ns\":%" PRIu64 ",\"p99_ns\":%" PRIu64 "}\n",
               operations[operation], siblings->n, placement_to_string(siblings->placement),
               siblings->alias ? "true" : "false", siblings->background ? "true" : "false",
               n_sections, times->n, times_percentile(times, 50), times_percentile(times, 99));
        fflush(stdout);
}

static void run(const Siblings *siblings, size_t repeat) {
        Times times[N_OPERATIONS];
        Random random = {1};
        Map *map = scene_new();
        const char *parent = siblings_add(map, siblings, must_edit);

        must_commit(map);
        for (int i = 0; i < N_OPERATIONS; i++)
                times[i] = times_new(repeat);
        for (size_t i = 0; i < repeat; i++)
                run_round(map, parent, siblings->n, &random, times);
        for (int i = 0; i < N_OPERATIONS; i++) {
                report(siblings, flat_view_n_sections(scene_published(map, "memory")), i,
                       &times[i]);
                times_free(&times[i]);
        }
        map_free(map);
}

int main(int argc, char **argv) {
        size_t n = 0, repeat = 2000;

        bench_options(argc, argv, (BenchOption[]){{"n", &n}, {"repeat", &repeat}, {}});
        rcu_register();
        for (size_t i = n ? n : 100; i <= (n ? n : 1000000); i *= 10)
                for (size_t j = 0; j < ELEMENTS_OF(cases); j++) {
                        Siblings siblings = cases[j];

                        siblings.n = i;
                        run(&siblings, repeat);
                }
        rcu_unregister();
        return EXIT_SUCCESS;
}
