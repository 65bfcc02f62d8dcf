/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Following a VM: whatever is lost on the way, what is told leads from view to view
 *
 * The VM is a list of all its views: one per generation and space, each a text with a letter for
 * the region at each of a few places. What the follower tells is replayed and compared with it.
 */

#include <stdio.h>
#include <string.h>

#include "client/follow.h"
#include "tests/common/unit.h"

enum { SPACES = 3, PLACES = 6, GENERATIONS = 400 };

typedef struct Model Model;

struct Model {
        uint64_t random;
        uint64_t generation;
        uint64_t forgotten;                              /* nothing is known of changes before */
        char views[GENERATIONS + 1][SPACES][PLACES + 1]; /* "": there is no such space */
        uint64_t changed[GENERATIONS + 1][SPACES];       /* when last, at that time */
        char replayed[SPACES][PLACES + 1];
        uint64_t replayed_to[SPACES];
        unsigned n_commits, n_gaps, n_changes, n_views;
        bool is_silent; /* does not answer */
        bool commits_while_asked;
        Follow follow;
};

static const char *const names[SPACES] = {"dma", "io", "memory"};

static unsigned any(Model *model, unsigned n) {
        model->random = model->random * UINT64_C(6364136223846793005) + 1442695040888963407;
        return (unsigned)(model->random >> 33) % n;
}

static size_t space_number(const char *name) {
        for (size_t i = 0; i < SPACES; i++)
                if (strcmp(names[i], name) == 0)
                        return i;
        fail();
        return 0;
}

static void add_section(Sections *sections, size_t place, char letter) {
        sections_add(sections,
                     &(Section){place * 16, place * 16 + 15, (char[]){letter, '\0'}, 0, "mmio", 0});
}

static char letter_at(const char *view, size_t place) {
        return *view && view[place] != '.' ? view[place] : '\0';
}

static void compare(const char *from, const char *to, Change *change) {
        for (size_t i = 0; i < PLACES; i++) {
                char old = letter_at(from, i), new = letter_at(to, i);

                if (old && old != new)
                        add_section(&change->removed, i, old);
                if (new &&old != new)
                        add_section(&change->added, i, new);
        }
}

/* A commit; one space may come or go, others change, or nothing that is seen. */
static void step(Model *model) {
        uint64_t g = ++model->generation;

        assert_true(g <= GENERATIONS);
        memcpy(model->views[g], model->views[g - 1], sizeof(model->views[g]));
        memcpy(model->changed[g], model->changed[g - 1], sizeof(model->changed[g]));
        for (size_t i = 0; i < SPACES; i++) {
                char *view = model->views[g][i];

                if (any(model, 3) != 0)
                        continue;
                if (any(model, 8) == 0)
                        strcpy(view, *view ? "" : "......");
                else if (*view)
                        view[any(model, PLACES)] = "..ab"[any(model, 4)];
                model->changed[g][i] = g;
        }
}

static Commit signal_of(const Model *model, uint64_t previous, uint64_t generation, bool full) {
        Commit commit = {.generation = generation, .previous = previous, .truncated = full};

        commit.changes = calloc(SPACES, sizeof(*commit.changes));
        for (size_t i = 0; !full && i < SPACES; i++) {
                Change change = {};

                compare(model->views[previous][i], model->views[generation][i], &change);
                if (change_is_empty(&change))
                        continue;
                change.space = strdup(names[i]);
                commit.changes[commit.n_changes++] = change;
        }
        return commit;
}

/* What is asked. Others commit before it is answered. */

static bool is_answered(Model *model) {
        if (model->commits_while_asked && model->generation < GENERATIONS && any(model, 4) == 0)
                step(model);
        return !model->is_silent;
}

static int list(void *userdata, SpaceList *ret) {
        Model *model = userdata;

        if (!is_answered(model))
                return -EIO;
        ret->generation = model->generation;
        ret->rows = calloc(SPACES, sizeof(*ret->rows));
        for (size_t i = 0; i < SPACES; i++)
                if (*model->views[model->generation][i])
                        ret->rows[ret->n++] =
                                (SpaceRow){strdup(names[i]), model->changed[model->generation][i]};
        return 0;
}

static void whole(const Model *model, size_t space, Sections *ret) {
        Change change = {};

        compare("", model->views[model->generation][space], &change);
        *ret = change.added;
}

static int get_changes(void *userdata, const char *name, uint64_t since, Answer *ret) {
        size_t space = space_number(name);
        Model *model = userdata;

        if (!is_answered(model) || !*model->views[model->generation][space])
                return -EIO;
        ret->generation = model->generation;
        ret->complete = since >= model->forgotten && since <= model->generation;
        if (ret->complete)
                compare(model->views[since][space], model->views[ret->generation][space],
                        &ret->change);
        else if (any(model, 2) == 0)
                whole(model, space, &ret->change.added);
        return 0;
}

static int get_view(void *userdata, const char *name, uint64_t *ret_generation, Sections *ret) {
        size_t space = space_number(name);
        Model *model = userdata;

        if (!is_answered(model) || !*model->views[model->generation][space])
                return -EIO;
        *ret_generation = model->generation;
        whole(model, space, ret);
        return 0;
}

/* What is told */

static void check(Model *model, size_t space, uint64_t generation) {
        const char *view = model->views[generation][space];

        for (size_t i = 0; i < PLACES; i++)
                assert_int_equal(letter_at(model->replayed[space], i), letter_at(view, i));
        assert_true(generation >= model->replayed_to[space]);
        model->replayed_to[space] = generation;
}

static void replay(Model *model, const Change *change) {
        char *view = model->replayed[space_number(change->space)];

        for (size_t i = 0; i < change->removed.n; i++) {
                const Section *section = &change->removed.items[i];

                assert_int_equal(view[section->first / 16], *section->region);
                view[section->first / 16] = '.';
        }
        for (size_t i = 0; i < change->added.n; i++) {
                const Section *section = &change->added.items[i];

                assert_int_equal(view[section->first / 16], '.');
                view[section->first / 16] = *section->region;
        }
}

static void tell_view(void *userdata, const FollowedSpace *space) {
        Model *model = userdata;
        Change change = {.space = space->name, .added = space->view};

        replay(model, &change);
        check(model, space_number(space->name), space->generation);
        model->n_views++;
}

static void tell_commit(void *userdata, const Commit *commit) {
        Model *model = userdata;

        for (size_t i = 0; i < commit->n_changes; i++) {
                replay(model, &commit->changes[i]);
                check(model, space_number(commit->changes[i].space), commit->generation);
        }
        model->n_commits++;
}

static void tell_gap(void *userdata, uint64_t previous, uint64_t generation, const char *why) {
        Model *model = userdata;

        assert_true(previous < generation);
        assert_non_null(why);
        model->n_gaps++;
}

static void tell_change(void *userdata, const Change *change, uint64_t previous,
                        uint64_t generation) {
        Model *model = userdata;

        assert_true(previous < generation);
        replay(model, change);
        check(model, space_number(change->space), generation);
        model->n_changes++;
}

static const FollowOps ops = {list,        get_changes, get_view,   tell_view,
                              tell_commit, tell_gap,    tell_change};

static Model *model_new(unsigned seed) {
        Model *model = calloc(1, sizeof(*model));

        model->random = seed * UINT64_C(7919) + 1;
        model->follow = (Follow){&ops, model};
        for (size_t i = 0; i < SPACES; i++) {
                strcpy(model->replayed[i], "......");
                strcpy(model->views[0][i], i ? "......" : "");
        }
        step(model);
        step(model);
        return model;
}

static void model_free(Model *model) {
        follow_deinit(&model->follow);
        free(model);
}

static void send(Model *model, uint64_t previous, uint64_t generation, bool full) {
        Commit commit = signal_of(model, previous, generation, full);

        (void)follow_commit(&model->follow, &commit);
        commit_deinit(&commit);
}

/* All that is known is as the VM is now. */
static void check_end(Model *model) {
        assert_int_equal(follow_sync(&model->follow, "end"), 0);
        assert_int_equal(model->follow.generation, model->generation);
        for (size_t i = 0; i < SPACES; i++)
                check(model, i, model->generation);
}

static void test_one_after_the_other(void **state) {
        Model *model = model_new(1);

        assert_int_equal(follow_sync(&model->follow, NULL), 0);
        while (model->generation < GENERATIONS) {
                step(model);
                send(model, model->generation - 1, model->generation, false);
                assert_int_equal(model->follow.generation, model->generation);
        }
        assert_int_equal(model->n_commits, GENERATIONS - 2);
        assert_int_equal(model->n_gaps + model->n_changes, 0);
        check_end(model);
        model_free(model);
}

/* Commits that came between the subscription and the views are no news. */
static void test_what_was_known_before(void **state) {
        Model *model = model_new(2);

        for (unsigned i = 0; i < 5; i++)
                step(model);
        assert_int_equal(follow_sync(&model->follow, NULL), 0);
        for (uint64_t g = 3; g <= 7; g++)
                send(model, g - 1, g, false);
        assert_int_equal(model->n_commits, 0);
        assert_int_equal(model->n_gaps, 0);
        step(model);
        send(model, 7, 8, false);
        assert_int_equal(model->n_commits, 1);
        check_end(model);
        model_free(model);
}

static void test_a_gap_is_closed_and_told(void **state) {
        Model *model = model_new(3);

        assert_int_equal(follow_sync(&model->follow, NULL), 0);
        for (unsigned i = 0; i < 20; i++)
                step(model);
        send(model, 21, 22, false);
        assert_int_equal(model->n_commits, 0);
        assert_int_equal(model->n_gaps, 1);
        assert_int_equal(model->follow.generation, 22);
        check_end(model);
        model_free(model);
}

/* A signal whose sections do not fit what is known: the view is fetched. */
static void test_what_does_not_fit(void **state) {
        Model *model = model_new(4);
        Commit commit;

        assert_int_equal(follow_sync(&model->follow, NULL), 0);
        strcpy(model->views[2][2], "......");
        strcpy(model->replayed[2], "......");
        sections_deinit(&follow_find(&model->follow, "memory")->view);
        step(model);
        strcpy(model->views[3][2], "bbbbbb");
        model->changed[3][2] = 3;
        commit = signal_of(model, 2, 3, false);
        add_section(&commit.changes[commit.n_changes - 1].removed, 0, 'z');
        assert_int_equal(follow_commit(&model->follow, &commit), 0);
        commit_deinit(&commit);
        assert_int_equal(model->n_gaps, 1);
        check_end(model);
        model_free(model);
}

static void test_one_space_only(void **state) {
        Model *model = model_new(5);

        model->follow.only = "memory";
        assert_int_equal(follow_sync(&model->follow, NULL), 0);
        while (model->generation < GENERATIONS) {
                step(model);
                if (any(model, 8) != 0)
                        send(model, model->generation - 1, model->generation, any(model, 9) == 0);
        }
        assert_int_equal(follow_sync(&model->follow, "end"), 0);
        assert_true(model->n_commits > 0 && model->n_commits < GENERATIONS / 2);
        assert_int_equal(model->replayed_to[0] + model->replayed_to[1], 0);
        check(model, 2, model->generation);
        model_free(model);
}

/* One that is asked of by WaitChanges: whatever it answers, and also late. */
static void wait_for(Model *model) {
        size_t space = any(model, SPACES);
        FollowedSpace *followed = follow_find(&model->follow, names[space]);
        Answer answer = {};
        uint64_t since;

        if (!followed)
                return;
        since = followed->generation - any(model, 2);
        if (get_changes(model, names[space], since, &answer) == 0) {
                answer.change.space = strdup(names[space]);
                (void)follow_answer(&model->follow, names[space], since, &answer);
        }
        answer_deinit(&answer);
}

/*
 * Signals are lost, folded and truncated, what happened is forgotten, others commit while one asks,
 * questions fail, and answers of WaitChanges come between.
 */
static void play(unsigned seed) {
        Model *model = model_new(seed);
        uint64_t told = model->generation;

        model->commits_while_asked = seed % 2;
        (void)follow_sync(&model->follow, NULL);
        while (model->generation < GENERATIONS - SPACES) {
                uint64_t from = told;

                model->is_silent = any(model, 30) == 0;
                for (unsigned n = any(model, 6) ? 1 : any(model, 5); n > 0; n--)
                        if (model->generation < GENERATIONS - SPACES)
                                step(model);
                if (any(model, 20) == 0)
                        model->forgotten = model->generation;
                /* The signals, one by one or as one; some are lost. */
                while (told < model->generation) {
                        bool folded = any(model, 6) == 0;

                        from = told;
                        told = folded ? model->generation : told + 1;
                        if (any(model, 10) != 0)
                                send(model, from, told, told > from + 1 || any(model, 12) == 0);
                }
                if (any(model, 10) == 0)
                        wait_for(model);
        }
        model->is_silent = model->commits_while_asked = false;
        check_end(model);
        assert_true(model->n_gaps > 5 && model->n_changes > 5 && model->n_commits > 5);
        model_free(model);
}

static void test_whatever_is_lost(void **state) {
        for (unsigned seed = 0; seed < 300; seed++)
                play(seed);
}

UNIT_TESTS(cmocka_unit_test(test_one_after_the_other), cmocka_unit_test(test_what_was_known_before),
           cmocka_unit_test(test_a_gap_is_closed_and_told),
           cmocka_unit_test(test_what_does_not_fit), cmocka_unit_test(test_one_space_only),
           cmocka_unit_test(test_whatever_is_lost));
