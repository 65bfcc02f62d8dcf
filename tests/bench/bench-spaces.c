/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What other address spaces add to a commit that touches one
 *
 *   bench-spaces [--n=N] [--repeat=N]
 *
 * N regions, 1,000 without --n, below each of 1, 20 and 100 roots, each seen by an address space of
 * its own; a region is switched off and on below one of them. The maps take turns, so that what
 * else the machine does falls on all of them.
 */

#include <inttypes.h>

#include "tests/bench/bench.h"
#include "tests/common/scene.h"

typedef struct Scene Scene;

struct Scene {
        unsigned n_spaces;
        Map *map;
        Times times;
};

static void add_row(Map *map, unsigned space, size_t n) {
        char root[32], name[64];

        snprintf(root, sizeof(root), "root%u", space);
        must_edit(map, add_region(REGION_CONTAINER, root, SIZE_WHOLE, NULL, 0, 0));
        for (size_t i = 0; i < n; i++) {
                snprintf(name, sizeof(name), "%s.%zu", root, i);
                must_edit(map, add_region(REGION_RAM, name, 0x1000, root, i * 0x2000, 0));
        }
        must_edit(map, add_space(root, root));
}

static void scene_init(Scene *scene, size_t n, size_t repeat) {
        scene->map = scene_new_empty();
        scene->times = times_new(2 * repeat);
        for (unsigned i = 0; i < scene->n_spaces; i++)
                add_row(scene->map, i, n);
        must_commit(scene->map);
}

static void scene_deinit(Scene *scene) {
        map_free(scene->map);
        times_free(&scene->times);
}

static void toggle(Scene *scene, const char *name) {
        uint64_t start = now_ns(), between;

        must_edit_commit(scene->map, disable(name));
        between = now_ns();
        must_edit_commit(scene->map, enable(name));
        times_add(&scene->times, between - start);
        times_add(&scene->times, now_ns() - between);
}

static void report(Scene *scene, size_t n, uint64_t alone) {
        uint64_t median = times_percentile(&scene->times, 50);

        printf("{\"bench\":\"spaces\",\"spaces\":%u,\"siblings\":%zu,\"repeat\":%zu,"
               "\"median_ns\":%" PRIu64 ",\"p99_ns\":%" PRIu64 ",\"per_one_space\":%.2f}\n",
               scene->n_spaces, n, scene->times.n, median, times_percentile(&scene->times, 99),
               (double)median / (double)alone);
}

static void run(size_t n, size_t repeat) {
        Scene scenes[] = {{.n_spaces = 1}, {.n_spaces = 20}, {.n_spaces = 100}};
        char name[32];

        snprintf(name, sizeof(name), "root0.%zu", n / 2);
        for (size_t i = 0; i < ELEMENTS_OF(scenes); i++)
                scene_init(&scenes[i], n, repeat);
        for (size_t j = 0; j < repeat; j++)
                for (size_t i = 0; i < ELEMENTS_OF(scenes); i++)
                        toggle(&scenes[i], name);
        for (size_t i = 0; i < ELEMENTS_OF(scenes); i++)
                report(&scenes[i], n, times_percentile(&scenes[0].times, 50));
        for (size_t i = 0; i < ELEMENTS_OF(scenes); i++)
                scene_deinit(&scenes[i]);
}

int main(int argc, char **argv) {
        size_t n = 1000, repeat = 20000;

        bench_options(argc, argv, (BenchOption[]){{"n", &n}, {"repeat", &repeat}, {}});
        rcu_register();
        run(n, repeat);
        rcu_unregister();
        return EXIT_SUCCESS;
}
