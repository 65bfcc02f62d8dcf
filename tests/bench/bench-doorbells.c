/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One doorbell, an ioeventfd or a coalesced zone, that comes and goes among N others of one device
 *
 *   bench-doorbells [--n=N] [--repeat=N]
 *
 * Each a commit; and what it takes to add all N in one. Without --n: 100, 1,000 and 10,000.
 */

#include <inttypes.h>

#include "tests/bench/bench.h"
#include "tests/common/scene.h"
#include "tests/property/random.h"

enum { SPACING = 16 };

static void add_all(Map *map, size_t n) {
        for (size_t i = 0; i < n; i++) {
                must_add_ioeventfd(map, "device", i * SPACING, 4, true, i);
                must_edit(map, add_coalesced("device", i * SPACING, 4));
        }
        must_commit(map);
}

static uint64_t timed(Map *map, Edit edit) {
        uint64_t start = now_ns();

        must_edit_commit(map, edit);
        return now_ns() - start;
}

static void report(const char *operation, size_t n, Times *times) {
        printf("{\"bench\":\"doorbells\",\"operation\":\"%s\",\"others\":%zu,\"repeat\":%zu,"
               "\"median_ns\":%" PRIu64 ",\"p99_ns\":%" PRIu64 "}\n",
               operation, n, times->n, times_percentile(times, 50), times_percentile(times, 99));
        fflush(stdout);
}

static void run(size_t n, size_t repeat) {
        Times all = times_new(1), add = times_new(repeat), take = times_new(repeat);
        Random random = {1};
        Map *map = scene_new();
        uint64_t start;

        must_edit_commit(map,
                         add_region(REGION_MMIO, "device", (n + 1) * SPACING, "system", 0, 0));
        start = now_ns();
        add_all(map, n);
        times_add(&all, now_ns() - start);
        for (size_t i = 0; i < repeat; i++) {
                _cleanup_(ioeventfd_unrefp) IOEventFD *one =
                        must_ioeventfd(random_below(&random, n) * SPACING + 8, 4, false, 0);

                times_add(&add, timed(map, add_ioeventfd("device", one)));
                times_add(&take, timed(map, remove_ioeventfd("device", one)));
        }
        report("add all", n, &all);
        report("add one", n, &add);
        report("remove one", n, &take);
        times_free(&all);
        times_free(&add);
        times_free(&take);
        map_free(map);
}

int main(int argc, char **argv) {
        size_t n = 0, repeat = 2000;

        bench_options(argc, argv, (BenchOption[]){{"n", &n}, {"repeat", &repeat}, {}});
        rcu_register();
        for (size_t i = n ? n : 100; i <= (n ? n : 10000); i *= 10)
                run(i, repeat);
        rcu_unregister();
        return EXIT_SUCCESS;
}
