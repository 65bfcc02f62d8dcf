/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Journals of random lives
 *
 *   test-replay [--seed=N] [--seeds=N] [--steps=N]
 *
 * Each seed is the life of a VM of so many steps: random edits as one change, or staged in a
 * transaction where some are refused, or only to look, and now and then the journal is compacted.
 * Every few steps the process is gone without a word. The VM that comes from its journal must be
 * the one that was there: regions and the order of siblings, views, generation.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/vm/change.h"
#include "daemon/vm/compaction.h"
#include "daemon/vm/equip.h"
#include "tests/common/home.h"
#include "tests/property/generator.h"
#include "tests/property/seeds.h"

typedef struct Counts {
        uint64_t n_commits;
        uint64_t n_refused;
        uint64_t n_compactions;
        uint64_t n_restarts;
} Counts;

typedef struct Life {
        uint64_t seed;
        Home home;
        Generator generator;
        Counts *counts;
} Life;

static void give_up(const Life *life, const char *what, const char *detail) {
        fprintf(stderr, "seed %" PRIu64 ", generation %" PRIu64 ": %s: %s\n", life->seed,
                life->home.vm ? life->home.vm->map->generation : 0, what, detail);
        exit(EXIT_FAILURE);
}

/* A VM's regions have memory of their own, that only their numbers tell from others'. */
static Edit next_edit(Life *life) {
        Edit edit = generator_next(&life->generator);
        Detail detail = {};

        edit.backing = backing_unref(edit.backing);
        if (edit.size != 0 && edit.size != SIZE_WHOLE &&
            vm_equip_edit(life->home.vm, &edit, &detail) != 0)
                give_up(life, "no memory", detail.text);
        return edit;
}

/* What needs memory and has none is nothing that a VM would be asked for. */
static bool is_possible(const Edit *edit) {
        return edit->verb != EDIT_ADD_REGION || !region_kind_has_backing(edit->kind) ||
               edit->backing;
}

static int make_edits(Life *life, Change *change) {
        int r = 0;

        for (uint64_t n = 1 + random_below(&life->generator.random, 3); r == 0 && n > 0; n--) {
                _cleanup_(edit_deinit) Edit edit = next_edit(life);

                if (is_possible(&edit))
                        r = change_edit(change, &edit, NULL);
        }
        return r;
}

static int stage_edits(Life *life, Transaction *staged, Change *change) {
        for (uint64_t n = 1 + random_below(&life->generator.random, 4); n > 0; n--) {
                _cleanup_(edit_deinit) Edit edit = next_edit(life);

                if (is_possible(&edit))
                        (void)transaction_stage(staged, &edit, NULL);
        }
        change_begin(change, life->home.vm);
        return change_take_staged(change, staged);
}

static int finish(Change *change) {
        int r;

        r = change_prepare(change, NULL);
        if (r != 0 || change->for_nothing)
                return r;
        r = change_record(change, NULL);
        return r != 0 ? r : change_apply(change, NULL);
}

static int commit_edits(Life *life, bool for_nothing) {
        _cleanup_(change_deinit) Change change = {};
        int r;

        change_begin(&change, life->home.vm);
        change.for_nothing = for_nothing;
        r = make_edits(life, &change);
        return r != 0 ? r : finish(&change);
}

static int commit_staged(Life *life) {
        _cleanup_(transaction_freep) Transaction *staged = NULL;
        _cleanup_(change_deinit) Change change = {};
        int r;

        r = transaction_new(&staged, life->home.vm->map);
        if (r == 0)
                r = stage_edits(life, staged, &change);
        return r != 0 ? r : finish(&change);
}

static void compact(Life *life) {
        Detail detail = {};

        if (compaction_run(life->home.vm, &detail) != 0)
                give_up(life, "compaction", detail.text);
        life->counts->n_compactions++;
}

static void restart(Life *life) {
        _cleanup_(freep) char *before = home_text(&life->home), *after = NULL;
        Recovered recovered;
        Detail detail = {};

        if (home_restart(&life->home, &recovered, &detail) != 0)
                give_up(life, "recovery", detail.text);
        if (recovered.torn > 0 || recovered.dropped.text[0])
                give_up(life, "left out", recovered.where.text);
        after = home_text(&life->home);
        if (strcmp(before, after) != 0) {
                fprintf(stderr, "before:\n%s\nafter:\n%s\n", before, after);
                give_up(life, "recovery", "another VM");
        }
        life->generator.map = life->home.vm->map;
        life->counts->n_restarts++;
}

static void step(Life *life) {
        Random *random = &life->generator.random;
        int r;

        if (random_one_in(random, 3))
                r = commit_staged(life);
        else
                r = commit_edits(life, random_one_in(random, 8));
        if (r < 0)
                give_up(life, "commit", strerror(-r));
        life->counts->n_commits += r == 0;
        life->counts->n_refused += r > 0;
        if (random_one_in(random, 40))
                compact(life);
        if (random_one_in(random, 10))
                restart(life);
}

static void begin_life(Life *life) {
        Edit edits[3] = {};
        Detail detail = {};

        home_init(&life->home);
        if (generator_init(&life->generator, life->seed, life->home.vm->map, false) < 0 ||
            edit_init(&edits[0], EDIT_REMOVE_ADDRESS_SPACE, "memory") < 0)
                abort();
        edits[1] = generator_root(&life->generator);
        edits[2] = generator_memory(&life->generator);
        if (home_commit(&life->home, edits, 3, &detail) != 0)
                give_up(life, "beginning", detail.text);
        for (size_t i = 0; i < ELEMENTS_OF(edits); i++)
                edit_deinit(&edits[i]);
}

static void run(uint64_t seed, uint64_t steps, Counts *counts) {
        Life life = {.seed = seed, .counts = counts};

        begin_life(&life);
        for (uint64_t i = 0; i < steps; i++)
                step(&life);
        restart(&life);
        generator_deinit(&life.generator);
        home_deinit(&life.home);
}

int main(int argc, char **argv) {
        Seeds seeds = {.first = 1, .n = 12, .steps = 300};
        Counts counts = {};

        if (!seeds_parse(&seeds, argc, argv))
                return EXIT_FAILURE;
        rcu_register();
        for (uint64_t i = 0; i < seeds.n; i++)
                run(seeds.first + i, seeds.steps, &counts);
        rcu_unregister();
        printf("1..1\n# %" PRIu64 " commits, %" PRIu64 " refused, %" PRIu64 " compactions, %" PRIu64
               " restarts\n",
               counts.n_commits, counts.n_refused, counts.n_compactions, counts.n_restarts);
        if (counts.n_commits == 0 || counts.n_refused == 0 || counts.n_compactions == 0)
                printf("not ");
        printf("ok 1 - a VM made from its journal is the one that was\n");
        return EXIT_SUCCESS;
}
