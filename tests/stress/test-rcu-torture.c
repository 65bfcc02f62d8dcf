/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Readers beside a committing writer
 *
 *   test-rcu-torture [seconds]
 *
 * The writer swaps two marker regions with every commit, and adds or removes a third of a new name
 * that begins with 't'; now and then address space "io", which shows the same, goes and comes.
 * Two readers look all the time: in one snapshot the markers are never seen halfway through, both
 * spaces agree, generations never go back, and all that a view shows can be used: inside of a
 * read-side section, or later by who counted a reference in one. Time only bounds the run.
 */

#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "tests/common/scene.h"

enum {
        N_READERS = 2,
        PAGE = 0x1000,
        SECONDS = 2,
        COMMITS_MAX = 200 * 1000,
};

typedef struct Reader {
        Map *map;
        pthread_t thread;
        uint64_t n_looks;
        uint64_t generation;
        FlatView *held; /* counted; looked at again outside of read-side sections */
        const char *wrong;
} Reader;

static int stop;

static bool is_named(const FlatView *view, uint64_t address, const char *name) {
        const Section *section = flat_view_find(view, address);

        return section && strcmp(section->region->name, name) == 0;
}

/* The markers stand one way or the other; the third region is whole or not there. */
static const char *check_view(const FlatView *view) {
        bool ab = is_named(view, 0, "a") && is_named(view, PAGE, "b");
        bool ba = is_named(view, 0, "b") && is_named(view, PAGE, "a");
        const Section *third = flat_view_find(view, 2 * PAGE);

        if (ab == ba)
                return "the markers were seen halfway through";
        if (third && (third->region->name[0] != 't' || range_size(third->range) != PAGE))
                return "the third region is not what it was";
        if (flat_view_n_sections(view) != (third ? 3 : 2))
                return "a view has another number of sections";
        return NULL;
}

static const char *look(Reader *reader) {
        const Snapshot *snapshot = map_snapshot(reader->map);
        const FlatView *memory = snapshot_find(snapshot, "memory");
        const FlatView *io = snapshot_find(snapshot, "io");

        if (snapshot->generation < reader->generation)
                return "the generation went back";
        reader->generation = snapshot->generation;
        if (!memory)
                return "\"memory\" is not there";
        if (io && is_named(io, 0, "a") != is_named(memory, 0, "a"))
                return "two address spaces of one snapshot differ";
        if (reader->n_looks % 64 == 0)
                reader->held =
                        flat_view_ref((FlatView *)(io && reader->n_looks % 128 ? io : memory));
        return check_view(memory);
}

static void *read_on(void *data) {
        Reader *reader = data;

        rcu_register();
        while (!reader->wrong && !__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
                rcu_enter();
                reader->wrong = look(reader);
                rcu_leave();
                if (!reader->wrong && reader->held)
                        reader->wrong = check_view(reader->held);
                if (reader->n_looks++ % 64 == 63)
                        reader->held = flat_view_unref(reader->held);
        }
        reader->held = flat_view_unref(reader->held);
        rcu_unregister();
        return NULL;
}

static void add_or_remove_third(Map *map, uint64_t n) {
        char name[32];

        snprintf(name, sizeof(name), "t%" PRIu64, n / 2);
        if (n % 2 == 0)
                must_edit(map, add_region(REGION_RAM, name, PAGE, "system", 2 * PAGE, 0));
        else
                must_edit(map, remove_region(name));
}

static void commit_once(Map *map, uint64_t n) {
        must_edit(map, set_offset("a", n % 2 ? 0 : PAGE));
        must_edit(map, set_offset("b", n % 2 ? PAGE : 0));
        add_or_remove_third(map, n);
        if (n % 50 == 10)
                must_edit(map, remove_space("io"));
        if (n % 50 == 20)
                must_edit(map, add_space("io", "system"));
        must_commit(map);
}

static Map *make_map(void) {
        Map *map = scene_new();

        must_edit(map, add_region(REGION_RAM, "a", PAGE, "system", 0, 0));
        must_edit(map, add_region(REGION_MMIO, "b", PAGE, "system", PAGE, 0));
        must_edit_commit(map, add_space("io", "system"));
        return map;
}

static uint64_t commit_on(Map *map, time_t seconds) {
        struct timespec now;
        uint64_t n = 0;
        time_t end;

        clock_gettime(CLOCK_MONOTONIC, &now);
        end = now.tv_sec + seconds;
        while (now.tv_sec < end && n < COMMITS_MAX) {
                commit_once(map, n++);
                clock_gettime(CLOCK_MONOTONIC, &now);
        }
        return n;
}

int main(int argc, char **argv) {
        Reader readers[N_READERS] = {};
        Map *map = make_map();
        uint64_t n_commits;
        bool failed = false;

        printf("1..%d\n", N_READERS);
        rcu_register();
        for (int i = 0; i < N_READERS; i++) {
                readers[i].map = map;
                if (pthread_create(&readers[i].thread, NULL, read_on, &readers[i]) != 0)
                        return EXIT_FAILURE;
        }
        n_commits = commit_on(map, argc > 1 ? strtol(argv[1], NULL, 10) : SECONDS);
        __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
        for (int i = 0; i < N_READERS; i++) {
                pthread_join(readers[i].thread, NULL);
                failed |= readers[i].wrong != NULL;
                printf("%sok %d - %" PRIu64 " looks beside %" PRIu64 " commits%s%s\n",
                       readers[i].wrong ? "not " : "", i + 1, readers[i].n_looks, n_commits,
                       readers[i].wrong ? ": " : "", readers[i].wrong ? readers[i].wrong : "");
        }
        map_free(map);
        rcu_unregister();
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
