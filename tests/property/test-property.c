/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Random trees, edits and transactions
 *
 *   test-property [--seed=N] [--seeds=N | --edits=N] [--steps=N] [--long] [--kvm]
 *
 * Each seed is a map's life of so many steps. A step makes a few random edits and commits them,
 * rolls them back, previews them, has a listener refuse them, or stages them in one of two open
 * transactions. After each, everything in check.h must hold, and what failed or was rolled back
 * must have left no trace. A failure prints seed, step and map; the same seed does it again.
 *
 * Every fourth life is that of a large map, where only what is rendered is checked after each step,
 * and the rest now and then. With --edits lives follow one another until so many edits have been
 * made, not counting those that were refused; --long is ten million of them. With --kvm slots are
 * the kernel's; they are checked against views all the same, and the kernel must never refuse any.
 */

#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#include "lib/kvm/slots.h"
#include "lib/memory/render.h"
#include "lib/memory/transaction.h"
#include "tests/common/scene.h"
#include "tests/common/slot-check.h"
#include "tests/property/check.h"
#include "tests/property/generator.h"
#include "tests/property/mirror.h"

enum { N_TRANSACTIONS = 2, LARGE_EVERY = 4, LARGE_SPARES = 16 };

typedef struct Life {
        uint64_t seed;
        uint64_t step;
        Generator generator;
        Map *map;
        Mirror mirrors[2];
        Accelerator *accelerator;
        Slots *slots;
        Transaction *transactions[N_TRANSACTIONS];
        const char *wrong_diff; /* what the last commit's diff had wrong */
        uint64_t n_edits;
        uint64_t n_commits;
        uint64_t n_conflicts;
        uint64_t n_refused;
        uint64_t n_looks;
} Life;

static bool on_kvm;

static void give_up(Life *life, const char *what) {
        char *text = scene_text(life->map);

        fprintf(stderr, "seed %" PRIu64 ", step %" PRIu64 ": %s\n%s", life->seed, life->step, what,
                text);
        free(text);
        exit(EXIT_FAILURE);
}

static void expect(Life *life, bool holds, const char *what) {
        if (!holds)
                give_up(life, what);
}

static void expect_nothing(Life *life, const char *wrong) {
        if (wrong)
                give_up(life, wrong);
}

/* The life */

static void make(Life *life, Edit edit) {
        must_edit(life->map, edit);
        edit_deinit(&edit);
}

/* Of slots there are so few in a small map that pieces must be joined. */
static int make_accelerator(Life *life) {
        uint32_t n_slots = life->generator.large ? 4096 : 12;
        int r;

        if (!on_kvm)
                return accelerator_new_none(&life->accelerator, n_slots);
        r = accelerator_new_kvm(&life->accelerator, NULL);
        if (r == 0)
                life->accelerator->n_slots = n_slots;
        return r;
}

static void begin_life(Life *life, uint64_t seed) {
        int r;

        *life = (Life){.seed = seed};
        life->map = scene_new_empty();
        if (generator_init(&life->generator, seed, life->map, seed % LARGE_EVERY == 0) != 0)
                abort();
        make(life, generator_root(&life->generator));
        make(life, generator_memory(&life->generator));
        must_commit(life->map);

        mirror_init(&life->mirrors[0], 0);
        mirror_init(&life->mirrors[1], 20);
        r = make_accelerator(life);
        if (r == 0)
                r = slots_new(&life->slots, life->accelerator, "memory");
        if (r == 0)
                r = listener_register(&life->mirrors[0].listener, life->map, NULL);
        if (r == 0)
                r = listener_register(slots_listener(life->slots), life->map, NULL);
        if (r == 0)
                r = listener_register(&life->mirrors[1].listener, life->map, NULL);
        expect(life, r == 0, "the listeners cannot be registered");
}

static void end_life(Life *life) {
        for (int i = 0; i < N_TRANSACTIONS; i++)
                transaction_free(life->transactions[i]);
        listener_unregister(&life->mirrors[1].listener, life->map);
        listener_unregister(slots_listener(life->slots), life->map);
        listener_unregister(&life->mirrors[0].listener, life->map);
        for (int i = 0; i < 2; i++) {
                expect_nothing(life, life->mirrors[i].broken);
                for (size_t s = 0; s < life->mirrors[i].n_spaces; s++)
                        expect(life,
                               life->mirrors[i].spaces[s].sections.n == 0 &&
                                       life->mirrors[i].spaces[s].announced.n == 0,
                               "unregistering left something behind");
                mirror_deinit(&life->mirrors[i]);
        }
        expect(life, slots_used(life->slots) == 0, "unregistering left slots behind");
        slots_free(life->slots);
        accelerator_free(life->accelerator);
        map_free(life->map);
        generator_deinit(&life->generator);
}

static uint64_t below(Life *life, uint64_t n) {
        return random_below(&life->generator.random, n);
}

/* One time in n, or where the map is large in many more. */
static bool one_in(Life *life, uint64_t n) {
        return below(life, life->generator.large ? n * LARGE_SPARES : n) == 0;
}

/* Checks */

static void check_views(Life *life) {
        const Snapshot *snapshot = map_snapshot(life->map);

        expect(life, snapshot->generation == life->map->generation, "generations differ");
        for (size_t i = 0; i < snapshot->n_spaces; i++) {
                const FlatView *view = snapshot->spaces[i].view;

                expect_nothing(life, check_shape(view));
                expect_nothing(life,
                               check_full_render(snapshot->spaces[i].space->view->root, view));
        }
}

static void ask_oracle(Life *life) {
        const Snapshot *snapshot = map_snapshot(life->map);
        Oracle oracle;

        oracle_init(&oracle, life->map);
        for (size_t i = 0; i < snapshot->n_spaces; i++)
                expect_nothing(life, check_oracle(&oracle, snapshot->spaces[i].space->view->root,
                                                  snapshot->spaces[i].view, &life->generator,
                                                  &life->n_looks));
        oracle_deinit(&oracle);
}

static void check_listeners(Life *life) {
        const FlatView *memory = snapshot_find(map_snapshot(life->map), "memory");
        static const FlatView nothing;

        for (int i = 0; i < 2; i++)
                expect_nothing(life, mirror_check(&life->mirrors[i], life->map));
        expect_nothing(life,
                       check_slots(life->slots, life->accelerator, memory ? memory : &nothing));
}

static void check_same(Life *life, char *before) {
        char *after = scene_text(life->map);

        if (strcmp(before, after) != 0) {
                fprintf(stderr, "before:\n%s", before);
                give_up(life, "something is left of what was taken back");
        }
        free(before);
        free(after);
}

/* Steps */

/* Makes up to n edits; those that are refused must change nothing and say why. */
static void make_edits(Life *life, uint64_t n) {
        for (uint64_t i = 0; i < n; i++) {
                Edit edit = generator_next(&life->generator);
                bool compare = one_in(life, 8);
                char *before = compare ? scene_text(life->map) : NULL;
                Detail detail = {};
                int r = map_edit(life->map, &edit, &detail);

                expect(life, r >= 0, "an edit failed unexpectedly");
                expect(life, r == 0 || detail.text[0], "a refusal without words");
                life->n_edits += r == 0;
                life->n_refused += r != 0;
                if (before && r != 0)
                        check_same(life, before);
                else
                        free(before);
                edit_deinit(&edit);
        }
}

/* Applies a prepared commit. */
static int apply(Life *life, Commit *commit) {
        bool changes = commit->tree_changed;
        uint64_t generation = life->map->generation;
        Detail detail = {};
        int r;

        expect(life, commit->generation == generation + changes, "a wrong generation is announced");
        for (size_t i = 0; i < commit->n_changes; i++)
                expect_nothing(life, check_diff(&commit->changes[i]));
        r = commit_apply(commit, &detail);
        expect(life, r == 0 || strcmp(detail.text, MIRROR_FAILURE) == 0, detail.text);
        if (r == 0) {
                expect(life, life->map->generation == generation + changes, "a wrong generation");
                expect(life, map_mark(life->map) == 0, "a commit left something in the log");
                life->n_commits += changes;
        }
        return r;
}

/* Whether not even a slot for each section would do. */
static bool lacks_slots(Life *life) {
        _cleanup_(sections_deinit) Sections sections = {};
        size_t n = 0;
        Extent extent;

        if (render(map_find_space(life->map, "memory")->view->root, RANGE_WHOLE, &sections, NULL))
                return false;
        for (size_t i = 0; i < sections.n; i++)
                n += extent_from_section(&sections.items[i], life->accelerator, &extent);
        return n > life->accelerator->n_slots;
}

static int commit(Life *life) {
        _cleanup_(commit_freep) Commit *commit = NULL;
        Detail detail = {};
        int r;

        r = commit_new(&commit, life->map, &detail);
        expect(life, r >= 0, "a commit failed unexpectedly");
        expect(life, r != MAP_E_NO_SLOTS || lacks_slots(life), "slots run short too early");
        expect(life, r == 0 || detail.text[0], "a refusal without words");
        return r == 0 ? apply(life, commit) : r;
}

static void commit_edits(Life *life) {
        char *before = one_in(life, 4) ? scene_text(life->map) : NULL;
        size_t mark;

        make_edits(life, 1 + below(life, life->generator.large ? 32 : 4));
        mark = map_mark(life->map);
        if (below(life, 4) == 0) {
                make_edits(life, 1 + below(life, 4));
                map_rollback(life->map, mark);
        }
        if (commit(life) == 0) {
                free(before);
                return;
        }
        map_rollback(life->map, 0);
        if (before)
                check_same(life, before);
}

/* A leaf somewhere in the map; NULL if there seems to be none. */
static const Region *some_leaf(Life *life) {
        const char after[] = {(char)('A' + below(life, 58)), '\0'};
        const Region *region = map_next_region(life->map, after);

        return region && region_is_leaf(region) ? region : NULL;
}

static void lay_a_row(Life *life) {
        const Region *target = some_leaf(life);
        Row row;

        if (!target)
                return;
        row = generator_row(&life->generator, target->name);
        for (uint64_t n = 2 + below(life, 3); n > 0; n--) {
                Edit edit = generator_window(&life->generator, &row);

                life->n_edits += map_edit(life->map, &edit, NULL) == 0;
                edit_deinit(&edit);
        }
        if (commit(life) != 0)
                map_rollback(life->map, 0);
}

static void roll_edits_back(Life *life) {
        char *before = scene_text(life->map);

        make_edits(life, 1 + below(life, 8));
        map_rollback(life->map, 0);
        check_same(life, before);
}

static void preview_edits(Life *life) {
        char *before = scene_text(life->map);
        Commit *preview = NULL;

        make_edits(life, 1 + below(life, 4));
        if (commit_new(&preview, life->map, NULL) == 0)
                for (size_t i = 0; i < preview->n_changes; i++)
                        expect_nothing(life, check_diff(&preview->changes[i]));
        commit_free(preview);
        map_rollback(life->map, 0);
        check_same(life, before);
}

static void have_a_listener_refuse(Life *life) {
        Mirror *mirror = &life->mirrors[below(life, 2)];
        char *before = scene_text(life->map);

        mirror->refuse_prepare = below(life, 2);
        mirror->fail_apply = !mirror->refuse_prepare;
        make_edits(life, 1 + below(life, 4));
        if (commit(life) == 0) {
                /* No view changed, so nobody was asked. */
                free(before);
        } else {
                map_rollback(life->map, 0);
                check_same(life, before);
        }
        mirror->refuse_prepare = mirror->fail_apply = false;
}

static void stage_edits(Life *life) {
        Transaction **t = &life->transactions[below(life, N_TRANSACTIONS)];
        char *before = scene_text(life->map);

        if (!*t)
                expect(life, transaction_new(t, life->map) == 0, "no transaction");
        for (uint64_t n = 1 + below(life, 4); n > 0; n--) {
                Edit edit = generator_next(&life->generator);

                expect(life, transaction_stage(*t, &edit, NULL) >= 0, "staging failed");
                edit_deinit(&edit);
        }
        map_check_in(life->map);
        check_same(life, before);
}

static void commit_transaction(Life *life) {
        Transaction **t = &life->transactions[below(life, N_TRANSACTIONS)];
        _cleanup_(commit_freep) Commit *commit = NULL;
        char *before = scene_text(life->map);
        int r;

        if (!*t)
                expect(life, transaction_new(t, life->map) == 0, "no transaction");
        r = transaction_prepare(*t, &commit, NULL);
        expect(life, r >= 0, "a transaction failed unexpectedly");
        if (r == 0)
                r = apply(life, commit);
        map_check_in(life->map);
        life->n_conflicts += r != 0;
        if (r == 0)
                free(before);
        else
                check_same(life, before);
        if (r == 0 || below(life, 2) == 0)
                *t = transaction_free(*t);
}

/* Registering replays what is there: the mirror that was away must not have missed anything. */
static void register_again(Life *life) {
        Mirror *mirror = &life->mirrors[1];

        listener_unregister(&mirror->listener, life->map);
        commit_edits(life);
        expect(life, listener_register(&mirror->listener, life->map, NULL) == 0,
               "a listener cannot be registered again");
}

static void step(Life *life) {
        static void (*const steps[])(Life *) = {
                lay_a_row,       commit_edits,  commit_edits,
                commit_edits,    commit_edits,  commit_edits,
                roll_edits_back, preview_edits, have_a_listener_refuse,
                stage_edits,     stage_edits,   commit_transaction,
                register_again,
        };

        steps[below(life, ELEMENTS_OF(steps))](life);
        check_views(life);
        if (one_in(life, 1))
                check_listeners(life);
        if (one_in(life, 4))
                ask_oracle(life);
        /* Maps without the usual root and address space show little: mend that now and then. */
        if (below(life, 16) == 0) {
                Edit root = generator_root(&life->generator);
                Edit memory = generator_memory(&life->generator);

                (void)map_edit(life->map, &root, NULL);
                (void)map_edit(life->map, &memory, NULL);
                if (commit(life) != 0)
                        map_rollback(life->map, 0);
                edit_deinit(&root);
                edit_deinit(&memory);
        }
}

/* One life; how many edits were made in it. */
static uint64_t live(uint64_t seed, uint64_t n_steps, uint64_t number) {
        Life life;

        begin_life(&life, seed);
        make_edits(&life, life.generator.large ? 1500 : 60);
        if (commit(&life) != 0)
                map_rollback(life.map, 0);
        for (life.step = 0; life.step < n_steps; life.step++)
                step(&life);
        end_life(&life);
        printf("ok %" PRIu64 " - seed %" PRIu64 "%s: %" PRIu64 " edits, %" PRIu64
               " refused, %" PRIu64 " commits, %" PRIu64 " conflicts, %" PRIu64
               " units looked at\n",
               number, seed, life.generator.large ? ", large" : "", life.n_edits, life.n_refused,
               life.n_commits, life.n_conflicts, life.n_looks);
        fflush(stdout);
        return life.n_edits;
}

int main(int argc, char **argv) {
        static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                                {"seeds", required_argument, NULL, 'n'},
                                                {"edits", required_argument, NULL, 'e'},
                                                {"steps", required_argument, NULL, 't'},
                                                {"long", no_argument, NULL, 'l'},
                                                {"kvm", no_argument, NULL, 'k'},
                                                {}};
        uint64_t first = 1, n = 8, steps = 400, edits = 0, n_edits = 0, i;
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
                switch (c) {
                case 's':
                        first = strtoull(optarg, NULL, 0);
                        n = 1;
                        break;
                case 'n':
                        n = strtoull(optarg, NULL, 0);
                        break;
                case 'e':
                        edits = strtoull(optarg, NULL, 0);
                        break;
                case 't':
                        steps = strtoull(optarg, NULL, 0);
                        break;
                case 'l':
                        edits = 10 * 1000 * 1000;
                        steps = 2000;
                        break;
                case 'k':
                        on_kvm = true;
                        break;
                default:
                        return EXIT_FAILURE;
                }
        if (on_kvm && kvm_probe() < 0) {
                printf("1..0 # SKIP /dev/kvm cannot be used here: %s\n", strerror(-kvm_probe()));
                return EXIT_SUCCESS;
        }
        for (i = 0; edits > 0 ? n_edits < edits : i < n; i++)
                n_edits += live(first + i, steps, i + 1);
        printf("1..%" PRIu64 "\n# %" PRIu64 " edits\n", i, n_edits);
        return EXIT_SUCCESS;
}
