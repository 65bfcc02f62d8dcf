/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a region costs in memory: tree and view
 *
 *   bench-memory [--n=N] [--backings=N]
 *
 * The heap that is in use and the memory that is resident, by how much they grow over N regions,
 * 1,000,000 without --n, placed at random, once what is retired has gone; names of ten bytes or so,
 * malloc's own bytes and all arrays included. The regions come in one commit, or in one each, which
 * leaves the view's nodes less full.
 *
 * Regions here have no memory behind them. In the last row they have, each a backing of its own: a
 * heap object more; and beside it, which no process can see, the kernel's descriptor, inode and
 * mapping.
 */

#include <inttypes.h>
#include <malloc.h>
#include <unistd.h>

#include "lib/memory/backing.h"
#include "tests/bench/bench.h"
#include "tests/bench/siblings.h"

typedef struct Memory {
        size_t heap, resident;
} Memory;

static Memory memory_now(void) {
        struct mallinfo2 info;
        unsigned long pages = 0;
        FILE *f;

        rcu_barrier_all();
        info = mallinfo2();
        f = fopen("/proc/self/statm", "re");
        if (!f || fscanf(f, "%*u %lu", &pages) != 1)
                abort();
        fclose(f);
        return (Memory){info.uordblks + info.hblkhd, pages * (size_t)sysconf(_SC_PAGESIZE)};
}

static void report(Map *map, const char *kind, const char *commits, Memory before) {
        Memory now = memory_now();
        uint64_t n = map->n_regions;

        printf("{\"bench\":\"memory\",\"kind\":\"%s\",\"regions\":%" PRIu64 ",\"sections\":%zu,"
               "\"commits\":\"%s\",\"heap_bytes_per_region\":%.1f,"
               "\"resident_bytes_per_region\":%.1f}\n",
               kind, n, flat_view_n_sections(scene_published(map, "memory")), commits,
               (double)(now.heap - before.heap) / (double)n,
               (double)(now.resident - before.resident) / (double)n);
        fflush(stdout);
}

static void run(const Siblings *siblings, bool one_by_one) {
        Memory before = memory_now();
        Map *map = scene_new();

        siblings_add(map, siblings, one_by_one ? must_edit_commit : must_edit);
        must_commit(map);
        report(map, region_kind_to_string(siblings->kind), one_by_one ? "each" : "one", before);
        map_free(map);
        malloc_trim(0);
}

static void with_backings(size_t n) {
        Memory before = memory_now();
        Map *map = scene_new();

        for (size_t i = 0; i < n; i++) {
                _cleanup_(backing_unrefp) Backing *backing = NULL;
                char name[32];
                Edit edit;

                snprintf(name, sizeof(name), "region%zu", i);
                if (backing_new_memfd(&backing, i + 1, name, SIBLING_SIZE, NULL, NULL) != 0)
                        abort();
                edit = add_region(REGION_RAM, name, SIBLING_SIZE, "system", i * SIBLING_SPACING, 0);
                edit.backing = backing;
                must_edit(map, edit);
        }
        must_commit(map);
        report(map, "ram with a backing", "one", before);
        map_free(map);
}

int main(int argc, char **argv) {
        size_t n = 1000000, backings = 500;
        Siblings siblings;

        bench_options(argc, argv, (BenchOption[]){{"n", &n}, {"backings", &backings}, {}});
        rcu_register();
        siblings = (Siblings){.n = n, .placement = PLACE_RANDOM, .kind = REGION_MMIO};
        run(&siblings, false);
        siblings.kind = REGION_RAM;
        run(&siblings, false);
        run(&siblings, true);
        with_backings(backings);
        rcu_unregister();
        return EXIT_SUCCESS;
}
