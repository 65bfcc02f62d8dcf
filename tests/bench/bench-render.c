/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The first render of N regions
 *
 *   bench-render [--n=N] [--repeat=N]
 *
 * For each N, placement, with and without a background that shows in every gap: what it takes to
 * add the regions, to commit them all at once, to render the whole once more, and to take the map
 * down; medians over so many maps, 3 without --repeat. Without --n: 1,000 to 1,000,000.
 */

#include <inttypes.h>

#include "lib/memory/render.h"
#include "tests/bench/bench.h"
#include "tests/bench/siblings.h"

static const Siblings cases[] = {
        {.kind = REGION_RAM, .placement = PLACE_ASCENDING},
        {.kind = REGION_RAM, .placement = PLACE_RANDOM},
        {.kind = REGION_RAM, .placement = PLACE_ASCENDING, .background = true},
        {.kind = REGION_RAM, .placement = PLACE_RANDOM, .background = true},
};

typedef enum Phase { EDITS, COMMIT, RENDER, FREE, N_PHASES } Phase;

static void render_once(Map *map) {
        Sections sections = {};

        if (render(must_find(map, "system"), RANGE_WHOLE, &sections, NULL) != 0)
                abort();
        sections_deinit(&sections);
}

/* The times of one map's life; how many sections it showed. */
static size_t live(const Siblings *siblings, Times times[N_PHASES]) {
        uint64_t ends[N_PHASES + 1];
        Map *map = scene_new();
        size_t n_sections;

        ends[EDITS] = now_ns();
        siblings_add(map, siblings, must_edit);
        ends[COMMIT] = now_ns();
        must_commit(map);
        ends[RENDER] = now_ns();
        render_once(map);
        n_sections = flat_view_n_sections(scene_published(map, "memory"));
        ends[FREE] = now_ns();
        map_free(map);
        ends[N_PHASES] = now_ns();
        for (int i = 0; i < N_PHASES; i++)
                times_add(&times[i], ends[i + 1] - ends[i]);
        return n_sections;
}

static void run(const Siblings *siblings, size_t repeat) {
        Times times[N_PHASES];
        size_t n_sections = 0;

        for (int i = 0; i < N_PHASES; i++)
                times[i] = times_new(repeat);
        for (size_t i = 0; i < repeat; i++)
                n_sections = live(siblings, times);
        printf("{\"bench\":\"render\",\"regions\":%zu,\"placement\":\"%s\",\"background\":%s,"
               "\"sections\":%zu,\"repeat\":%zu,\"edits_ns\":%" PRIu64 ",\"commit_ns\":%" PRIu64
               ",\"render_ns\":%" PRIu64 ",\"free_ns\":%" PRIu64 "}\n",
               siblings->n, placement_to_string(siblings->placement),
               siblings->background ? "true" : "false", n_sections, repeat,
               times_percentile(&times[EDITS], 50), times_percentile(&times[COMMIT], 50),
               times_percentile(&times[RENDER], 50), times_percentile(&times[FREE], 50));
        fflush(stdout);
        for (int i = 0; i < N_PHASES; i++)
                times_free(&times[i]);
}

int main(int argc, char **argv) {
        size_t n = 0, repeat = 3;

        bench_options(argc, argv, (BenchOption[]){{"n", &n}, {"repeat", &repeat}, {}});
        rcu_register();
        for (size_t i = n ? n : 1000; i <= (n ? n : 1000000); i *= 10)
                for (size_t j = 0; j < ELEMENTS_OF(cases); j++) {
                        Siblings siblings = cases[j];

                        siblings.n = i;
                        run(&siblings, repeat);
                }
        rcu_unregister();
        return EXIT_SUCCESS;
}
