/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Net changes against the views themselves
 *
 *   test-net-change [--seed=N] [--seeds=N] [--steps=N]
 *
 * Each seed is a map's life of so many commits of random edits, whose old views are kept. From
 * random generations on, what the history says has gone and come must be what the view of then has
 * and the view of now has not, and the other way round; and where it says that it has forgotten, it
 * must have had no room.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/vm/history.h"
#include "tests/common/scene.h"
#include "tests/property/generator.h"
#include "tests/property/seeds.h"

enum { QUESTIONS = 4, FIRST_EDITS = 60 };

typedef struct Answers {
        uint64_t n_known;
        uint64_t n_rows; /* of these */
        uint64_t n_forgotten;
} Answers;

typedef struct Life {
        uint64_t seed;
        Generator generator;
        Map *map;
        History history;
        Snapshot **snapshots; /* by generation; references */
        size_t n_snapshots;
        Answers *answers;
} Life;

static void give_up(const Life *life, const char *what, const char *space, uint64_t since) {
        fprintf(stderr,
                "seed %" PRIu64 ", generation %" PRIu64 ": %s of \"%s\" since %" PRIu64 "\n",
                life->seed, life->map->generation, what, space, since);
        exit(EXIT_FAILURE);
}

static void *must(void *pointer) {
        if (!pointer)
                abort();
        return pointer;
}

/* Views as rows */

static int compare_rows(const void *a, const void *b) {
        const DeltaRow *x = a, *y = b;

        if (x->range.first != y->range.first)
                return x->range.first < y->range.first ? -1 : 1;
        return x->sign - y->sign;
}

static bool is_same(const DeltaRow *a, const DeltaRow *b) {
        return range_equal(a->range, b->range) && a->offset == b->offset &&
               a->backing == b->backing && a->kind == b->kind && a->flags == b->flags &&
               strcmp(a->region, b->region) == 0;
}

static size_t view_rows(const FlatView *view, int8_t sign, DeltaRow *rows) {
        ViewCursor cursor;
        size_t n = 0;

        for (const Section *s = flat_view_first(view, &cursor, 0); s; s = flat_view_next(&cursor))
                rows[n++] = (DeltaRow){
                        .range = s->range,
                        .offset = s->offset,
                        .backing = s->region->backing ? s->region->backing->id : 0,
                        .region = s->region->name,
                        .kind = s->kind,
                        .flags = s->flags,
                        .sign = sign,
                };
        return n;
}

/* What one has and the other has not; both views have at most one row at an address. */
static size_t views_difference(const FlatView *then, const FlatView *now, DeltaRow *rows) {
        size_t n = view_rows(then, -1, rows), kept = 0;

        n += view_rows(now, 1, rows + n);
        qsort(rows, n, sizeof(*rows), compare_rows);
        for (size_t i = 0; i < n; i++) {
                if (i + 1 < n && rows[i].sign < rows[i + 1].sign &&
                    is_same(&rows[i], &rows[i + 1])) {
                        i++;
                        continue;
                }
                rows[kept++] = rows[i];
        }
        return kept;
}

/* Questions */

static void check_rows(const Life *life, const char *space, uint64_t since, DeltaRow *told,
                       size_t n_told, const FlatView *then, const FlatView *now) {
        size_t most = flat_view_n_sections(then) + flat_view_n_sections(now);
        DeltaRow *rows = must(calloc(most + 1, sizeof(*rows)));
        size_t n = views_difference(then, now, rows);

        if (n_told > 0)
                qsort(told, n_told, sizeof(*told), compare_rows);
        if (n != n_told)
                give_up(life, "another number of rows", space, since);
        for (size_t i = 0; i < n; i++)
                if (rows[i].sign != told[i].sign || !is_same(&rows[i], &told[i]))
                        give_up(life, "another row", space, since);
        free(rows);
}

/* A space that is not there shows nothing. */
static const FlatView *view_at(const Life *life, const char *space, uint64_t generation) {
        return snapshot_find(life->snapshots[generation], space) ?: life->map->empty_view;
}

/* Whether a change was too large to be kept. */
static bool has_gap(const Life *life, const char *space, uint64_t since) {
        const Delta *delta = history_from(&life->history, since + 1);

        while (delta && (delta->n_rows > 0 || strcmp(delta->space->name, space) != 0))
                delta = history_next(&life->history, delta);
        return delta;
}

static void ask(Life *life, const char *space, uint64_t since) {
        AddressSpace *now = map_find_space(life->map, space);
        DeltaRow *rows = NULL;
        size_t n_rows = 0;
        int r;

        r = now && since >= now->generation
                    ? 0
                    : history_compose(&life->history, space, since, &rows, &n_rows);
        if (r < 0)
                abort();
        if (r == 0) {
                check_rows(life, space, since, rows, n_rows, view_at(life, space, since),
                           view_at(life, space, life->map->generation));
                life->answers->n_known++;
                life->answers->n_rows += n_rows;
        } else {
                if (since >= life->history.floor && !has_gap(life, space, since))
                        give_up(life, "no memory", space, since);
                life->answers->n_forgotten++;
        }
        free(rows);
}

/* Life */

static void keep_snapshot(Life *life) {
        life->snapshots = must(reallocarray(life->snapshots, life->map->generation + 1,
                                            sizeof(life->snapshots[0])));
        life->snapshots[life->map->generation] = snapshot_ref(life->map->snapshot);
        life->n_snapshots = life->map->generation + 1;
}

static void commit(Life *life) {
        Commit *commit = NULL;

        if (commit_new(&commit, life->map, NULL) != 0) {
                map_rollback(life->map, 0);
                return;
        }
        if (commit_apply(commit, NULL) != 0)
                abort();
        if (commit->tree_changed) {
                history_add(&life->history, commit);
                keep_snapshot(life);
        }
        commit_free(commit);
        if (life->history.size > life->history.size_max)
                give_up(life, "too much memory", "all", 0);
}

/* Edits that are refused leave nothing. */
static void edit(Life *life, Edit edit) {
        (void)map_edit(life->map, &edit, NULL);
        edit_deinit(&edit);
}

static void begin_life(Life *life, uint64_t seed, size_t size_max) {
        *life = (Life){.seed = seed};
        life->map = scene_new_empty();
        if (generator_init(&life->generator, seed, life->map, false) != 0)
                abort();
        history_init(&life->history, 0, size_max);
        keep_snapshot(life);
        edit(life, generator_root(&life->generator));
        edit(life, generator_memory(&life->generator));
        for (int i = 0; i < FIRST_EDITS; i++)
                edit(life, generator_next(&life->generator));
        commit(life);
}

static void end_life(Life *life) {
        history_deinit(&life->history);
        for (size_t i = 0; i < life->n_snapshots; i++)
                snapshot_unref(life->snapshots[i]);
        free(life->snapshots);
        map_free(life->map);
        generator_deinit(&life->generator);
}

static void run(uint64_t seed, uint64_t steps, Answers *answers) {
        static const char *const spaces[] = {"memory", "io", "dma"};
        Random random = {seed};
        Life life;

        /* Room for everything, or for some of it. */
        begin_life(&life, seed, random_one_in(&random, 2) ? SIZE_MAX : 4 * 1024);
        life.answers = answers;
        for (uint64_t step = 0; step < steps; step++) {
                for (uint64_t n = 1 + random_below(&random, 3); n > 0; n--)
                        edit(&life, generator_next(&life.generator));
                commit(&life);
                for (int i = 0; i < QUESTIONS; i++)
                        ask(&life, spaces[random_below(&random, ELEMENTS_OF(spaces))],
                            random_below(&random, life.map->generation + 1));
        }
        end_life(&life);
}

int main(int argc, char **argv) {
        Seeds seeds = {.first = 1, .n = 40, .steps = 1000};
        Answers answers = {};

        if (!seeds_parse(&seeds, argc, argv))
                return EXIT_FAILURE;
        rcu_register();
        for (uint64_t i = 0; i < seeds.n; i++)
                run(seeds.first + i, seeds.steps, &answers);
        rcu_unregister();
        printf("1..1\n# %" PRIu64 " answers with %" PRIu64 " rows, %" PRIu64 " forgotten\n",
               answers.n_known, answers.n_rows, answers.n_forgotten);
        if (answers.n_rows == 0 || answers.n_forgotten == 0)
                printf("not ");
        printf("ok 1 - net changes are those of the views\n");
        return EXIT_SUCCESS;
}
