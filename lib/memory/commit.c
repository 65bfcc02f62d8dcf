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
#include "lib/util/array.h"

typedef struct CommitPlan CommitPlan;
typedef struct RegionList RegionList;

/* Borrowed, each once. */
struct RegionList {
        Region **items;
        size_t n;
        size_t allocated;
};

struct CommitPlan {
        ViewPlan *views; /* in the order of Map.views, then those that end */
        size_t n_views;
        SnapshotSpaces left; /* what the new snapshot does not show; borrowed, as the next */
        SnapshotSpaces come; /* what only the new one shows */
        size_t n_allocated;  /* of the commit's changes */
        Diff *diffs;         /* of spaces that came, went or changed roots; NULL: none did */
        size_t n_diffs;
        RegionList rehandled; /* whose handlers come into force */
        RegionList relogged;  /* whose logs begin or end */
        Snapshot *snapshot;   /* the one to be published; once it is, the one that it replaced */
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
        bool may_end = map_spaces_were_edited(commit->map);
        size_t most = may_end ? commit->map->snapshot->n_spaces : 0;
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
        return may_end ? plan_ends(commit) : 0;
}

/* A diff of the commit's own, empty yet. NULL: no memory. */
static Diff *new_diff(Commit *commit) {
        CommitPlan *plan = commit->plan;
        size_t most = commit->map->n_spaces + commit->map->snapshot->n_spaces;

        if (!plan->diffs)
                plan->diffs = calloc(most, sizeof(*plan->diffs));
        return plan->diffs ? &plan->diffs[plan->n_diffs++] : NULL;
}

/* A space that shows a replaced view shares its diff; any other change is worked out in full. */
static int add_change(Commit *commit, SpaceChange change, const ViewPlan *view) {
        int r;

        if (view && change.old == view->old && change.new == view->new) {
                change.diff = &view->diff;
        } else {
                Diff *diff = new_diff(commit);

                r = diff ? diff_views(diff, change.old, change.new) : -ENOMEM;
                if (r < 0)
                        return r;
                change.diff = diff;
        }
        if (diff_is_empty(change.diff))
                return 0;
        r = array_reserve(&commit->changes, &commit->plan->n_allocated, commit->n_changes, 1);
        if (r == 0)
                commit->changes[commit->n_changes++] = change;
        return r;
}

/* One space, as it was and as it is, NULL where it is not. */
static int plan_space(Commit *commit, const SnapshotSpace *before, const SnapshotSpace *after) {
        const FlatView *empty = commit->map->empty_view;
        CommitPlan *plan = commit->plan;
        int r = 0;

        if (before)
                r = snapshot_spaces_add(&plan->left, *before);
        if (r == 0 && after)
                r = snapshot_spaces_add(&plan->come, *after);
        if (r < 0 || (before && after && before->view == after->view))
                return r;
        return add_change(commit,
                          (SpaceChange){.space = (after ? after : before)->space->name,
                                        .old = before ? before->view : empty,
                                        .new = after ? after->view : empty,
                                        .since = before ? before->space->generation : 0},
                          after ? after->space->view->plan : NULL);
}

/* Walks the address spaces as they were and as they are, both by name, side by side. */
static int plan_spaces(Commit *commit) {
        const Snapshot *before = commit->map->snapshot, *after = commit->plan->snapshot;
        size_t i = 0, j = 0;
        int r = 0;

        while (r == 0 && (i < before->n_spaces || j < after->n_spaces)) {
                const SnapshotSpace *old = i < before->n_spaces ? &before->spaces[i] : NULL;
                const SnapshotSpace *new = j < after->n_spaces ? &after->spaces[j] : NULL;
                int order = 0;

                if (!old || !new)
                        order = old ? -1 : 1;
                else if (old->space != new->space)
                        order = strcmp(old->space->name, new->space->name);
                i += order <= 0;
                j += order >= 0;
                if (order != 0 || old->space != new->space || old->view != new->view)
                        r = plan_space(commit, order <= 0 ? old : NULL, order >= 0 ? new : NULL);
        }
        return r;
}

/* All spaces as the map has them. */
static void fill_snapshot(Snapshot *snapshot, Map *map) {
        AddressSpace *space;
        size_t i = 0;

        RB_FOREACH(space, AddressSpaces, &map->spaces) {
                const ViewPlan *view = space->view->plan;

                snapshot->spaces[i++] =
                        (SnapshotSpace){space, view ? view->new : space->view->current};
        }
}

/* The same spaces as before: those whose views stay, most of them, are not even looked at. */
static void copy_snapshot(Snapshot *snapshot, const Snapshot *before, const CommitPlan *plan) {
        memcpy(snapshot->spaces, before->spaces, before->n_spaces * sizeof(*before->spaces));
        for (size_t i = 0; i < plan->n_views; i++)
                for (size_t j = 0; j < before->n_spaces; j++)
                        if (before->spaces[j].view == plan->views[i].old)
                                snapshot->spaces[j].view = plan->views[i].new;
}

static int plan_snapshot(Commit *commit) {
        CommitPlan *plan = commit->plan;
        Map *map = commit->map;
        int r;

        r = snapshot_new(&plan->snapshot, commit->generation, map->n_spaces);
        if (r < 0)
                return r;
        plan->snapshot->n_regions = map->n_regions;
        plan->snapshot->ram_bytes = map->ram_bytes;
        if (map_spaces_were_edited(map))
                fill_snapshot(plan->snapshot, map);
        else
                copy_snapshot(plan->snapshot, map->snapshot, plan);
        return plan_spaces(commit);
}

static int region_list_add(RegionList *list, Region *region) {
        int r;

        r = array_reserve(&list->items, &list->allocated, list->n, 1);
        if (r == 0)
                list->items[list->n++] = region;
        return r;
}

static int plan_handlers(Commit *commit) {
        Map *map = commit->map;
        Region *region;
        size_t i = 0;
        int r = 0;

        map_begin_walk(map);
        while (r == 0 && (region = map_next_rehandled(map, &i)))
                if (map_walk_visits(map, region))
                        r = region_list_add(&commit->plan->rehandled, region);
        return r;
}

/* Its own, or where everything is logged, that. */
static bool is_relogged(const Map *map, const Undo *undo) {
        const RegionState *before = &undo->before, *after = &undo->region->state;
        bool comes = !(before->flags & REGION_PRESENT) && map->log_global;

        return undo->region->backing &&
               (comes || (before->flags ^ after->flags) & REGION_DIRTY_LOG);
}

static int plan_logs(Commit *commit) {
        Map *map = commit->map;
        const Undo *undo;
        size_t i = 0;
        int r = 0;

        while (r == 0 && (undo = map_next_changed(map, &i)))
                if (is_relogged(map, undo))
                        r = region_list_add(&commit->plan->relogged, undo->region);
        return r;
}

/* What is done while vCPUs may be held is found before. */
static int plan_regions(Commit *commit) {
        int r;

        r = plan_handlers(commit);
        return r == 0 ? plan_logs(commit) : r;
}

/* Where the views stay what was written may yet be for a handler that goes. */
static bool concerns_listeners(const Commit *commit) {
        return commit->n_changes > 0 || commit->plan->rehandled.n > 0;
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
        if (r == 0)
                r = plan_regions(commit);
        if (r == 0 && concerns_listeners(commit))
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

/*
 * What was written before its log begins is nobody's concern, nor is what is when it has ended.
 * Before guests write to what is new.
 */
static void settle_logs(const Commit *commit) {
        const RegionList *list = &commit->plan->relogged;

        for (size_t i = 0; i < list->n; i++) {
                PageLog *log = &list->items[i]->backing->log;
                bool on = region_is(list->items[i], REGION_DIRTY_LOG);

                if (on && !page_log_is_on(log, PAGE_LOG_REGION))
                        page_log_clear(log, PAGE_LOG_REGION);
                page_log_set_on(log, PAGE_LOG_REGION, on);
                page_log_set_on(log, PAGE_LOG_VM, commit->map->log_global);
        }
}

/* No more than must be: vCPUs may be held. */
static void publish(Commit *commit) {
        CommitPlan *plan = commit->plan;
        Map *map = commit->map;
        Snapshot *old = map->snapshot;

        for (size_t i = 0; i < plan->n_views; i++)
                view_plan_publish(&plan->views[i]);
        for (size_t i = 0; i < plan->rehandled.n; i++)
                handler_publish(plan->rehandled.items[i], commit->generation);
        map->generation = commit->generation;
        snapshot_succeed(old, plan->snapshot, &plan->left, &plan->come);
        rcu_publish(&map->snapshot, plan->snapshot);
        /* Whoever reads the commit's changes needs the views and spaces of before. */
        plan->snapshot = old;
        plan->published = true;
}

/* What takes longer the more edits there were can wait until the commit is in force. */
static void follow_up(Commit *commit) {
        CommitPlan *plan = commit->plan;
        Map *map = commit->map;

        for (size_t i = 0; i < plan->n_views; i++)
                view_plan_retire(&plan->views[i]);
        for (size_t i = 0; i < plan->rehandled.n; i++)
                handler_retire(plan->rehandled.items[i]);
        count_new_spaces(commit, plan->snapshot);
        count_changed_spaces(commit);
        transactions_note_changes(map, commit->generation);
        map_forget_undo(map);
}

int commit_apply(Commit *commit, Detail *detail) {
        Map *map = commit->map;
        int r;

        if (concerns_listeners(commit)) {
                r = listeners_apply(commit, detail);
                if (r != 0)
                        return r;
        }
        if (!commit->tree_changed) {
                map_rollback(map, 0);
        } else {
                settle_logs(commit);
                publish(commit);
                if (concerns_listeners(commit))
                        listeners_published(commit);
                follow_up(commit);
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
        free(plan->rehandled.items);
        free(plan->relogged.items);
        if (plan->published)
                snapshot_retire(plan->snapshot);
        else
                snapshot_abandon(plan->snapshot);
        free(plan->left.items);
        free(plan->come.items);
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
