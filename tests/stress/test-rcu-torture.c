/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Readers beside a committing writer
 *
 *   test-rcu-torture [seconds]
 *
 * The writer swaps two marker regions with every commit, and adds or removes a third of a new name
 * that begins with 't'; now and then address space "io", which shows the same, goes and comes, and
 * a region of "ports", which shows something else, moves.
 *
 * Two readers look all the time. In one snapshot the markers are never seen halfway through and
 * both spaces agree. Nothing is older than the last commit that had returned, and nothing becomes
 * older. All that a view shows can be used, inside of a read-side section, or later by who counted
 * a reference in one, and what was published when a section began is alive when it ends. What a
 * Reader finds by its memory of the last section is what its view has.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/memory/reader.h"
#include "tests/common/scene.h"
#include "tests/stress/torture.h"

enum {
        PAGE = 0x1000,
        N_PAGES = 4, /* that are looked at: one more than are ever there */
};

static const char *const spaces[] = {"memory", "io", "ports"};

enum { N_SPACES = 3 };

typedef struct Looker {
        Map *map;
        Reader readers[N_SPACES];
        uint64_t n_looks;
        uint64_t generation;
        FlatView *held; /* counted; looked at again outside of read-side sections */
} Looker;

static uint64_t committed; /* generation of the last commit that has returned; atomic */

static bool is_named(const FlatView *view, uint64_t address, const char *name) {
        const Section *section = flat_view_find(view, address);

        return section && section->range.first != DEAD && strcmp(section->region->name, name) == 0;
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

/* Each address twice: when nobody commits in between, the second time by heart. */
static const char *check_reader(Reader *reader, uint64_t least, uint64_t address) {
        for (int i = 0; i < 2; i++) {
                const Section *found = reader_find(reader, address);

                if (reader->generation < least)
                        return "a reader is behind";
                if (found != (reader->view ? flat_view_find(reader->view, address) : NULL))
                        return "a reader found another section than its view has";
        }
        return NULL;
}

static const char *check_snapshot(Looker *looker, const Snapshot *snapshot) {
        const FlatView *memory = snapshot_find(snapshot, "memory");
        const FlatView *io = snapshot_find(snapshot, "io");

        if (!memory)
                return "\"memory\" is not there";
        if (io && is_named(io, 0, "a") != is_named(memory, 0, "a"))
                return "two address spaces of one snapshot differ";
        if (looker->n_looks % 64 == 0)
                looker->held =
                        flat_view_ref((FlatView *)(io && looker->n_looks % 128 ? io : memory));
        return check_view(memory);
}

static const char *look_inside(Looker *looker, uint64_t least) {
        const Snapshot *snapshot = map_snapshot(looker->map);
        uint64_t generation = snapshot->generation;
        const char *wrong;

        if (generation == DEAD)
                return "what was published is dead";
        if (generation < least)
                return "what is published is older than a commit that had returned";
        if (generation < looker->generation)
                return "the generation went back";
        looker->generation = generation;
        wrong = check_snapshot(looker, snapshot);
        for (size_t i = 0; !wrong && i < N_SPACES; i++)
                wrong = check_reader(&looker->readers[i], generation,
                                     looker->n_looks % N_PAGES * PAGE);
        if (snapshot->generation != generation)
                return "a snapshot died under its reader";
        return wrong;
}

static const char *look(void *data) {
        uint64_t least = __atomic_load_n(&committed, __ATOMIC_ACQUIRE);
        Looker *looker = data;
        const char *wrong;

        rcu_enter();
        wrong = look_inside(looker, least);
        rcu_leave();
        if (!wrong && looker->held)
                wrong = check_view(looker->held);
        if (looker->n_looks++ % 64 == 63)
                looker->held = flat_view_unref(looker->held);
        return wrong;
}

static void add_or_remove_third(Map *map, uint64_t n) {
        char name[32];

        snprintf(name, sizeof(name), "t%" PRIu64, n / 2);
        if (n % 2 == 0)
                must_edit(map, add_region(REGION_RAM, name, PAGE, "system", 2 * PAGE, 0));
        else
                must_edit(map, remove_region(name));
}

static void commit_once(void *writer, uint64_t n) {
        Map *map = writer;

        must_edit(map, set_offset("a", n % 2 ? 0 : PAGE));
        must_edit(map, set_offset("b", n % 2 ? PAGE : 0));
        add_or_remove_third(map, n);
        if (n % 50 == 10)
                must_edit(map, remove_space("io"));
        if (n % 50 == 20)
                must_edit(map, add_space("io", "system"));
        if (n % 16 == 0)
                must_edit(map, set_offset("port", n / 16 % 2 * PAGE));
        must_commit(map);
        __atomic_store_n(&committed, map->generation, __ATOMIC_RELEASE);
}

static Map *make_map(void) {
        Map *map = scene_new();

        must_edit(map, add_region(REGION_RAM, "a", PAGE, "system", 0, 0));
        must_edit(map, add_region(REGION_MMIO, "b", PAGE, "system", PAGE, 0));
        must_edit(map, add_space("io", "system"));
        must_edit(map, add_region(REGION_CONTAINER, "ports", N_PAGES * PAGE, NULL, 0, 0));
        must_edit(map, add_region(REGION_MMIO, "port", 2 * PAGE, "ports", PAGE, 0));
        must_edit_commit(map, add_space("ports", "ports"));
        return map;
}

int main(int argc, char **argv) {
        Looker lookers[N_READERS] = {};
        Torture torture = {.look = look, .write = commit_once, .writer = make_map()};
        int status;

        for (int i = 0; i < N_READERS; i++) {
                lookers[i].map = torture.writer;
                for (size_t j = 0; j < N_SPACES; j++)
                        reader_init(&lookers[i].readers[j], torture.writer, spaces[j]);
                torture.readers[i] = &lookers[i];
        }
        rcu_register();
        status = torture_run(&torture, argc, argv);
        for (int i = 0; i < N_READERS; i++)
                flat_view_unref(lookers[i].held);
        map_free(torture.writer);
        rcu_unregister();
        return status;
}
