/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What commit_new() prepares, commit_apply() can no longer fail to do but for the listeners: every
 * allocation happens in the first.
 */

#include <errno.h>
#include <string.h>

#include "lib/memory/commit.h"
#include "lib/memory/map.h"
#include "lib/memory/tell.h"
#include "lib/memory/transaction.h"
#include "lib/memory/undo.h"
#include "lib/memory/view-plan.h"

typedef struct CommitPlan CommitPlan;

struct CommitPlan {
        ViewPlan *views; /* in the order of Map.views, then those that end */
        size_t n_views;
        Diff *diffs; /* of spaces that came, went or changed roots */
        size_t n_diffs;
        Snapshot *snapshot; /* the one to be published; once it is, the one that it replaced */
        bool published;
        size_t n_prepared; /* listeners to settle */
};

static int plan_ends(Commit *commit) {
        const Snapshot *before = commit->map->snapshot;
        CommitPlan *plan = commit->plan;
        int r;

        for (size_t i = 0; i < before->n_spaces; i++) {
                View *view = before->spaces[i].space->view;

                if (view->n_spaces > 0 || view->plan)
                        continue;
                r = view_plan_end(&plan->views[plan->n_views++], view, commit->map->empty_view);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int plan_views(Commit *commit, Detail *detail) {
        CommitPlan *plan = commit->plan;
        size_t most = commit->map->snapshot->n_spaces;
        View *view;
        int r;

        cds_list_for_each_entry(view, &commit->map->views, link)
                most += !dirty_ranges_is_empty(&view->dirty);
        if (most == 0)
                return 0;
        plan->views = calloc(most, sizeof(*plan->views));
        if (!plan->views)
                return -ENOMEM;
        cds_list_for_each_entry(view, &commit->map->views, link) {
                if (dirty_ranges_is_empty(&view->dirty))
                        continue;
                r = view_plan_render(&plan->views[plan->n_views++], view, commit, detail);
                if (r != 0)
                        return r;
        }
        return plan_ends(commit);
}

/* A space that shows a replaced view shares its diff; any other change is worked out in full. */
static int add_change(Commit *commit, SpaceChange change, const ViewPlan *view, Diff *scratch) {
        int r;

        if (change.old == change.new)
                return 0;
        if (view && change.old == view->old && change.new == view->new) {
                change.diff = &view->diff;
        } else {
                change.diff = scratch;
                r = diff_views(scratch, change.old, change.new);
                if (r < 0)
                        return r;
        }
        if (!diff_is_empty(change.diff))
                commit->changes[commit->n_changes++] = change;
        return 0;
}

/* Walks the address spaces as they were and as they are, both by name, side by side. */
static int plan_spaces(Commit *commit) {
        const Snapshot *before = commit->map->snapshot;
        Snapshot *after = commit->plan->snapshot;
        size_t i = 0, j = 0, n = 0;
        int r = 0;

        while (r == 0 && (i < before->n_spaces || j < after->n_spaces)) {
                SpaceChange change = {.old = commit->map->empty_view,
                                      .new = commit->map->empty_view};
                const ViewPlan *view = NULL;
                int order;

                order = i == before->n_spaces  ? 1
                        : j == after->n_spaces ? -1
                                               : strcmp(before->spaces[i].space->name,
                                                        after->spaces[j].space->name);
                if (order <= 0) {
                        change.space = before->spaces[i].space->name;
                        change.since = before->spaces[i].space->generation;
                        change.old = before->spaces[i++].view;
                }
                if (order >= 0) {
                        change.space = after->spaces[j].space->name;
                        view = after->spaces[j].space->view->plan;
                        change.new = after->spaces[j++].view;
                }
                r = add_change(commit, change, view, &commit->plan->diffs[n++]);
        }
        return r;
}

static int plan_snapshot(Commit *commit) {
        CommitPlan *plan = commit->plan;
        size_t n = commit->map->n_spaces, most = n + commit->map->snapshot->n_spaces, i = 0;
        AddressSpace *space;
        int r;

        r = snapshot_new(&plan->snapshot, commit->generation, n);
        if (r < 0)
                return r;
        plan->snapshot->n_regions = commit->map->n_regions;
        plan->snapshot->ram_bytes = commit->map->ram_bytes;
        RB_FOREACH(space, AddressSpaces, &commit->map->spaces) {
                const ViewPlan *view = space->view->plan;

                plan->snapshot->spaces[i].space = address_space_ref(space);
                plan->snapshot->spaces[i++].view =
                        flat_view_ref(view ? view->new : space->view->current);
        }
        commit->changes = calloc(MAX_OF(most, 1u), sizeof(*commit->changes));
        plan->diffs = calloc(MAX_OF(most, 1u), sizeof(*plan->diffs));
        if (!commit->changes || !plan->diffs)
                return -ENOMEM;
        plan->n_diffs = most;
        return plan_spaces(commit);
}

int commit_new(Commit **ret, Map *map, Detail *detail) {
        _cleanup_(commit_freep) Commit *commit = NULL;
        int r;

        commit = calloc(1, sizeof(*commit));
        if (!commit)
                return -ENOMEM;
        commit->map = map;
        commit->plan = calloc(1, sizeof(*commit->plan));
        if (!commit->plan)
                return -ENOMEM;
        commit->tree_changed = !map_is_unchanged(map);
        commit->generation = map->generation + commit->tree_changed;

        r = plan_views(commit, detail);
        if (r == 0)
                r = plan_snapshot(commit);
        if (r == 0 && commit->n_changes > 0)
                r = listeners_prepare(commit, &commit->plan->n_prepared, detail);
        if (r != 0)
                return r;
        *ret = TAKE_PTR(commit);
        return 0;
}

/* A space is known by its name: one that was removed and added in one commit goes on as it was. */
static void count_new_spaces(const Commit *commit, const Snapshot *old) {
        Map *map = commit->map;

        for (size_t i = 0; i < map->n_undo; i++) {
                AddressSpace *space = map->undo[i].space, *before;

                if (!space || map_find_space(map, space->name) != space)
                        continue;
                before = snapshot_find_space(old, space->name);
                space->generation = before ? before->generation : commit->generation;
        }
}

static void count_changed_spaces(const Commit *commit) {
        for (size_t i = 0; i < commit->n_changes; i++) {
                AddressSpace *space = map_find_space(commit->map, commit->changes[i].space);

                if (space && diff_has_sections(commit->changes[i].diff))
                        space->generation = commit->generation;
        }
}

/* Before the snapshot with which they come into force. */
static void publish_handlers(const Commit *commit) {
        Region *region;
        size_t i = 0;

        while ((region = map_next_rehandled(commit->map, &i)))
                handler_publish(region, commit->generation);
}

static void retire_handlers(const Commit *commit) {
        Map *map = commit->map;

        map_begin_walk(map);
        for (size_t i = 0; i < map->n_undo; i++)
                if (map->undo[i].kind == UNDO_HANDLER &&
                    map_walk_visits(map, map->undo[i].region))
                        handler_retire(map->undo[i].region, commit->generation);
}

static void publish(Commit *commit) {
        CommitPlan *plan = commit->plan;
        Map *map = commit->map;
        Snapshot *old = map->snapshot;

        for (size_t i = 0; i < plan->n_views; i++)
                view_plan_publish(&plan->views[i]);
        count_new_spaces(commit, old);
        count_changed_spaces(commit);
        map->generation = commit->generation;
        publish_handlers(commit);
        rcu_publish(&map->snapshot, plan->snapshot);
        retire_handlers(commit);
        /* Whoever reads the commit's changes needs the views and spaces of before. */
        plan->snapshot = old;
        plan->published = true;
}

int commit_apply(Commit *commit, Detail *detail) {
        Map *map = commit->map;
        int r;

        if (commit->n_changes > 0) {
                r = listeners_apply(commit, detail);
                if (r != 0)
                        return r;
        }
        if (!commit->tree_changed) {
                map_rollback(map, 0);
        } else {
                publish(commit);
                transactions_note_changes(map, commit->generation);
                map_forget_undo(map);
        }
        transaction_committed(map);
        if (commit->tree_changed)
                listeners_tell(commit);
        return 0;
}

static void commit_plan_free(CommitPlan *plan) {
        for (size_t i = 0; i < plan->n_views; i++)
                view_plan_deinit(&plan->views[i]);
        for (size_t i = 0; i < plan->n_diffs; i++)
                diff_deinit(&plan->diffs[i]);
        free(plan->views);
        free(plan->diffs);
        if (plan->published)
                snapshot_retire(plan->snapshot);
        else
                snapshot_unref(plan->snapshot);
        free(plan);
}

Commit *commit_free(Commit *commit) {
        if (!commit)
                return NULL;
        if (commit->plan) {
                listeners_settle(commit, commit->plan->n_prepared);
                commit_plan_free(commit->plan);
        }
        free(commit->changes);
        free(commit);
        return NULL;
}
