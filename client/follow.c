/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <string.h>

#include "client/follow.h"

void commit_deinit(Commit *commit) {
        for (size_t i = 0; i < commit->n_changes; i++)
                change_deinit(&commit->changes[i]);
        free(commit->changes);
        free(commit->transaction);
        *commit = (Commit){};
}

void answer_deinit(Answer *answer) {
        change_deinit(&answer->change);
}

void space_list_deinit(SpaceList *list) {
        for (size_t i = 0; i < list->n; i++)
                free(list->rows[i].name);
        free(list->rows);
        *list = (SpaceList){};
}

static void space_deinit(FollowedSpace *space) {
        free(space->name);
        sections_deinit(&space->view);
}

void follow_deinit(Follow *follow) {
        for (size_t i = 0; i < follow->n_spaces; i++)
                space_deinit(&follow->spaces[i]);
        free(follow->spaces);
        follow->spaces = NULL;
        follow->n_spaces = 0;
}

FollowedSpace *follow_find(const Follow *follow, const char *space) {
        for (size_t i = 0; i < follow->n_spaces; i++)
                if (strcmp(follow->spaces[i].name, space) == 0)
                        return &follow->spaces[i];
        return NULL;
}

/* One that was not there until now shows nothing yet. */
static FollowedSpace *get_space(Follow *follow, const char *name) {
        FollowedSpace *space = follow_find(follow, name);

        if (space)
                return space;
        follow->spaces =
                must(reallocarray(follow->spaces, follow->n_spaces + 1, sizeof(*follow->spaces)));
        space = &follow->spaces[follow->n_spaces++];
        *space = (FollowedSpace){.name = must(strdup(name)), .generation = follow->generation};
        return space;
}

static void drop_space(Follow *follow, FollowedSpace *space) {
        space_deinit(space);
        *space = follow->spaces[--follow->n_spaces];
}

static bool is_of_interest(const Follow *follow, const char *space) {
        return !follow->only || strcmp(follow->only, space) == 0;
}

/* I2 */
static void settle_generation(Follow *follow, uint64_t generation) {
        for (size_t i = 0; i < follow->n_spaces; i++)
                generation = MIN_OF(generation, follow->spaces[i].generation);
        follow->generation = MAX_OF(follow->generation, generation);
}

static void tell_change(Follow *follow, const Change *change, uint64_t previous,
                        uint64_t generation) {
        if (!change_is_empty(change))
                follow->ops->tell_change(follow->userdata, change, previous, generation);
}

/* The view is that one from now on, which is taken; what has changed is told. */
static void replace_view(Follow *follow, FollowedSpace *space, Sections *view,
                         uint64_t generation) {
        _cleanup_(change_deinit) Change change = {.space = must(strdup(space->name))};

        sections_compare(&space->view, view, &change);
        sections_deinit(&space->view);
        space->view = TAKE_STRUCT(*view);
        tell_change(follow, &change, space->generation, generation);
        space->generation = generation;
        space->is_lost = false;
}

static int fetch_view(Follow *follow, FollowedSpace *space) {
        _cleanup_(sections_deinit) Sections view = {};
        uint64_t generation;
        int r;

        r = follow->ops->get_view(follow->userdata, space->name, &generation, &view);
        if (r == 0)
                replace_view(follow, space, &view, generation);
        return r;
}

static int take_answer(Follow *follow, FollowedSpace *space, Answer *answer) {
        if (!answer->complete && answer->change.added.n > 0) {
                replace_view(follow, space, &answer->change.added, answer->generation);
                return 0;
        }
        if (!answer->complete || !sections_apply(&space->view, &answer->change))
                return fetch_view(follow, space);
        tell_change(follow, &answer->change, space->generation, answer->generation);
        space->generation = answer->generation;
        return 0;
}

static int catch_up(Follow *follow, FollowedSpace *space) {
        _cleanup_(answer_deinit) Answer answer = {};
        int r;

        if (space->is_lost)
                return fetch_view(follow, space);
        answer.change.space = must(strdup(space->name));
        r = follow->ops->get_changes(follow->userdata, space->name, space->generation, &answer);
        return r < 0 ? r : take_answer(follow, space, &answer);
}

/* At the beginning; nothing is told as a change. */
static int begin_with(Follow *follow, const char *name) {
        FollowedSpace *space = get_space(follow, name);
        int r;

        if (space->generation > 0)
                return 0; /* had before the list could not be worked through */
        r = follow->ops->get_view(follow->userdata, name, &space->generation, &space->view);
        if (r == 0)
                follow->ops->tell_view(follow->userdata, space);
        return r;
}

static int sync_space(Follow *follow, const SpaceRow *row, uint64_t generation) {
        FollowedSpace *space;

        if (!follow->has_begun)
                return begin_with(follow, row->name);
        space = get_space(follow, row->name);
        if (space->is_lost || row->generation > space->generation)
                return catch_up(follow, space);
        space->generation = MAX_OF(space->generation, generation);
        return 0;
}

static bool is_listed(const SpaceList *list, const char *space) {
        for (size_t i = 0; i < list->n; i++)
                if (strcmp(list->rows[i].name, space) == 0)
                        return true;
        return false;
}

static void drop_unlisted(Follow *follow, const SpaceList *list) {
        for (size_t i = follow->n_spaces; i-- > 0;) {
                FollowedSpace *space = &follow->spaces[i];
                Sections nothing = {};

                /* Known from later on: it came after the list was made. */
                if (is_listed(list, space->name) || space->generation > list->generation)
                        continue;
                replace_view(follow, space, &nothing, list->generation);
                drop_space(follow, space);
        }
}

int follow_sync(Follow *follow, const char *why) {
        _cleanup_(space_list_deinit) SpaceList list = {};
        int r;

        r = follow->ops->list(follow->userdata, &list);
        if (r < 0)
                return r;
        if (follow->has_begun && why && list.generation > follow->generation)
                follow->ops->tell_gap(follow->userdata, follow->generation, list.generation, why);
        for (size_t i = 0; i < list.n; i++) {
                if (!is_of_interest(follow, list.rows[i].name))
                        continue;
                r = sync_space(follow, &list.rows[i], list.generation);
                if (r < 0)
                        return r;
        }
        drop_unlisted(follow, &list);
        follow->has_begun = true;
        settle_generation(follow, list.generation);
        return 0;
}

/* Whether a change is news, and fits; one that does not is lost, and asked for. */
static bool take_change(Follow *follow, const Change *change, uint64_t generation, bool *is_lost) {
        FollowedSpace *space;

        if (!is_of_interest(follow, change->space))
                return false;
        space = get_space(follow, change->space);
        if (space->generation >= generation || space->is_lost)
                return false;
        space->is_lost = !sections_apply(&space->view, change);
        *is_lost |= space->is_lost;
        return !space->is_lost;
}

/* Leaves in the commit what is news. */
static void take_changes(Follow *follow, Commit *commit, bool *is_lost) {
        size_t n = 0;

        for (size_t i = 0; i < commit->n_changes; i++)
                if (take_change(follow, &commit->changes[i], commit->generation, is_lost))
                        commit->changes[n++] = commit->changes[i];
                else
                        change_deinit(&commit->changes[i]);
        commit->n_changes = n;
}

static void reach(Follow *follow, uint64_t generation) {
        for (size_t i = 0; i < follow->n_spaces; i++)
                if (!follow->spaces[i].is_lost)
                        follow->spaces[i].generation =
                                MAX_OF(follow->spaces[i].generation, generation);
        settle_generation(follow, generation);
}

int follow_commit(Follow *follow, Commit *commit) {
        bool is_lost = false;

        if (!follow->has_begun)
                return follow_sync(follow, NULL);
        if (commit->generation <= follow->generation)
                return 0;
        if (commit->previous > follow->generation)
                return follow_sync(follow, "missed");
        if (commit->generation > commit->previous + 1)
                return follow_sync(follow, "folded");
        take_changes(follow, commit, &is_lost);
        if (!follow->only || commit->n_changes > 0)
                follow->ops->tell_commit(follow->userdata, commit);
        if (commit->truncated)
                return follow_sync(follow, NULL);
        reach(follow, commit->generation);
        return is_lost ? follow_sync(follow, "mismatch") : 0;
}

int follow_answer(Follow *follow, const char *name, uint64_t since, Answer *answer) {
        FollowedSpace *space = follow_find(follow, name);

        if (!space || space->generation != since)
                return 0;
        return take_answer(follow, space, answer);
}
