/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What it costs to remember commits, and to say what they came to
 *
 *   bench-history [--commits=N]
 *
 * In-process. Each commit moves one region of a thousand: a section that goes, one that comes. Then
 * the net change since so many commits ago.
 */

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "daemon/vm/history.h"
#include "tests/bench/bench.h"
#include "tests/bench/siblings.h"

enum { SIBLINGS = 1000, REPEAT = 25 };

static void commit(Map *map, History *history, Times *times) {
        Commit *commit = NULL;
        uint64_t begin;

        if (commit_new(&commit, map, NULL) != 0 || commit_apply(commit, NULL) != 0)
                abort();
        begin = now_ns();
        history_add(history, commit);
        times_add(times, now_ns() - begin);
        commit_free(commit);
}

static void bench_add(Map *map, History *history, size_t n) {
        uint64_t end = SIBLINGS * (uint64_t)SIBLING_SPACING;
        Times times = times_new(n);

        for (size_t i = 0; i < n; i++) {
                must_edit(map, set_offset("one", end + i * SIBLING_SIZE));
                commit(map, history, &times);
        }
        printf("{\"bench\":\"history-add\",\"commits\":%zu,\"median_ns\":%" PRIu64
               ",\"p99_ns\":%" PRIu64 ",\"bytes\":%zu,\"bytes_max\":%zu}\n",
               n, times_percentile(&times, 50), times_percentile(&times, 99), history->size,
               history->size_max);
        times_free(&times);
}

static void bench_compose(const Map *map, const History *history, size_t n) {
        Times times = times_new(REPEAT);
        size_t n_rows = 0;

        for (size_t i = 0; i < REPEAT; i++) {
                uint64_t begin = now_ns();
                DeltaRow *rows = NULL;

                if (history_compose(history, "memory", map->generation - n, &rows, &n_rows) != 0)
                        abort();
                times_add(&times, now_ns() - begin);
                free(rows);
        }
        printf("{\"bench\":\"history-compose\",\"commits\":%zu,\"net_rows\":%zu,\"median_ns\":"
               "%" PRIu64 "}\n",
               n, n_rows, times_percentile(&times, 50));
        times_free(&times);
}

int main(int argc, char **argv) {
        static const struct option options[] = {{"commits", required_argument, NULL, 'c'}, {}};
        size_t n = 100000, n_kept = 0;
        History history;
        Map *map;
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
                if (c != 'c')
                        return EXIT_FAILURE;
                n = strtoull(optarg, NULL, 0);
        }
        rcu_register();
        map = scene_new();
        siblings_add(map, &(Siblings){.n = SIBLINGS, .kind = REGION_MMIO}, must_edit);
        must_edit_commit(map,
                         add_region(REGION_MMIO, "one", SIBLING_SIZE, "system", SIBLING_SIZE, 0));
        history_init(&history, map->generation, HISTORY_BYTES_MAX);
        bench_add(map, &history, n);
        for (const Delta *delta = history_from(&history, 0); delta;
             delta = history_next(&history, delta))
                n_kept++;
        for (size_t i = 1; i < n_kept; i *= 100)
                bench_compose(map, &history, i);
        bench_compose(map, &history, n_kept);
        history_deinit(&history);
        map_free(map);
        rcu_unregister();
        return EXIT_SUCCESS;
}
