/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The first render of N regions
 *
 *   bench-render [--n=N] [--placement=ascending|descending|random]
 *
 * For each N, with and without a background that shows in every gap: what it takes to add the
 * regions, to commit them, and to render the whole once more. Without --n: 1,000 to 1,000,000.
 */

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "lib/memory/render.h"
#include "tests/bench/bench.h"
#include "tests/bench/siblings.h"

static uint64_t render_once(Map *map, size_t *ret_n_sections) {
        Sections sections = {};
        uint64_t start = now_ns();

        if (render(must_find(map, "system"), RANGE_WHOLE, &sections, NULL) != 0)
                abort();
        start = now_ns() - start;
        *ret_n_sections = sections.n;
        sections_deinit(&sections);
        return start;
}

static void run(size_t n, Placement placement, bool background) {
        uint64_t start, edits, commit, render;
        Map *map = scene_new();
        size_t n_sections;

        start = now_ns();
        siblings_add(map, n, placement, background);
        edits = now_ns() - start;
        start = now_ns();
        must_commit(map);
        commit = now_ns() - start;
        render = render_once(map, &n_sections);
        printf("{\"bench\":\"render\",\"regions\":%zu,\"sections\":%zu,\"placement\":\"%s\","
               "\"background\":%s,\"edits_ns\":%" PRIu64 ",\"commit_ns\":%" PRIu64
               ",\"render_ns\":%" PRIu64 ",\"render_ns_per_region\":%" PRIu64 "}\n",
               n, n_sections, placement_to_string(placement), background ? "true" : "false", edits,
               commit, render, render / n);
        fflush(stdout);
        map_free(map);
}

int main(int argc, char **argv) {
        static const struct option options[] = {{"n", required_argument, NULL, 'n'},
                                                {"placement", required_argument, NULL, 'p'},
                                                {}};
        int c, placement = PLACE_ASCENDING;
        size_t n = 0;

        while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
                switch (c) {
                case 'n':
                        n = strtoull(optarg, NULL, 0);
                        break;
                case 'p':
                        placement = placement_from_string(optarg);
                        if (placement < 0)
                                return EXIT_FAILURE;
                        break;
                default:
                        return EXIT_FAILURE;
                }
        rcu_register();
        for (size_t i = n ? n : 1000; i <= (n ? n : 1000000); i *= 10) {
                run(i, (Placement)placement, false);
                run(i, (Placement)placement, true);
        }
        rcu_unregister();
        return EXIT_SUCCESS;
}
