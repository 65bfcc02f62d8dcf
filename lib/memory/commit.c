/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What commit_new() prepares, commit_apply() can no longer fail to do but for the listeners: every
 * allocation happens in the first.
 */

#include <errno.h>
#include <string.h>

#include "lib/memory/commit.h"
#include "lib/memory/map.h"
#include "lib/memory/render.h"
#include "lib/memory/tell.h"
#include "lib/memory/transaction.h"
#include "lib/memory/undo.h"

typedef struct CommitPlan CommitPlan;

/* One root that is rendered again, or is seen no more. */
struct ViewPlan {
        View *view;      /* counted reference; its `plan` is this */
        FlatView *old;   /* borrowed from the snapshot that is replaced */
        FlatView *new;   /* counted reference */
        Region **hidden; /* counted references: regions that lost a section */
        Diff diff;
};

struct CommitPlan {
        ViewPlan *views; /* in the order of Map.views, then those that end */
        size_t n_views;
        Diff *diffs; /* of spaces that came, went or changed roots */
        size_t n_diffs;
        Snapshot *snapshot; /* the one to be published; once it is, the one that it replaced */
        bool published;
        size_t n_prepared; /* listeners to settle */
};

static void view_plan_deinit(ViewPlan *plan) {
        if (plan->hidden)
                for (size_t i = 0; i < plan->diff.removed.n; i++)
                        region_unref(plan->hidden[i]);
        free(plan->hidden);
        diff_deinit(&plan->diff);
        flat_view_unref(plan->new);
        plan->view->plan = NULL;
        view_unref(plan->view);
}

/*
 * Grows windows to whole sections of the old view, the one before and the one behind included if
 * they touch: what merges or comes apart at a seam does so inside of some window.
 */
static void grow_windows(DirtyRanges *windows, const FlatView *old) {
        for (size_t i = 0; i < windows->n; i++) {
                Range *window = &windows->items[i];
                const Section *before = flat_view_find(old, window->first - (window->first > 0));
                const Section *behind =
                        flat_view_find(old, window->last + (window->last < UINT64_MAX));

                if (before)
                        window->first = MIN_OF(window->first, before->range.first);
                if (behind)
                        window->last = MAX_OF(window->last, behind->range.last);
        }
        dirty_ranges_sort(windows);
}

static int copy_sections(Sections *to, const FlatView *from, uint64_t first, uint64_t last) {
        size_t i = flat_view_lower_bound(from, first), end = flat_view_lower_bound(from, last);

        if (end < from->n_sections && from->sections[end].range.first <= last)
                end++;
        return sections_append(to, from->sections + i, end - i);
}

static int copy_announced(AnnouncedList *to, const FlatView *from, uint64_t first, uint64_t last) {
        size_t i = flat_view_announced_lower_bound(from, first), end = i;

        while (end < from->n_announced && from->announced[end].range.first <= last)
                end++;
        return announced_list_append(to, from->announced + i, end - i);
}

/* One window, whose neighbours are whole sections: render it, compare, add to the new view. */
static int render_window(ViewPlan *plan, Range window, Sections *sections, AnnouncedList *announced,
                         Detail *detail) {
        size_t i = flat_view_lower_bound(plan->old, window.first), n = 0;
        size_t a = flat_view_announced_lower_bound(plan->old, window.first), n_a = 0;
        size_t from = sections->n, from_a = announced->n;
        int r;

        while (i + n < plan->old->n_sections &&
               plan->old->sections[i + n].range.first <= window.last)
                n++;
        while (a + n_a < plan->old->n_announced &&
               plan->old->announced[a + n_a].range.first <= window.last)
                n_a++;

        r = render(plan->view->root, window, sections, detail);
        if (r == 0)
                r = render_announced(sections->items + from, sections->n - from, announced);
        if (r == 0)
                r = diff_sections(&plan->diff, plan->old->sections + i, n, sections->items + from,
                                  sections->n - from);
        if (r == 0)
                r = diff_announced(&plan->diff, plan->old->announced + a, n_a,
                                   announced->items + from_a, announced->n - from_a);
        return r;
}

/* The new view: rendered inside the windows, copied outside. */
static int render_view(ViewPlan *plan, Sections *sections, AnnouncedList *announced,
                       Detail *detail) {
        DirtyRanges *windows = &plan->view->dirty;
        uint64_t at = 0;
        int r = 0;

        for (size_t i = 0; r == 0 && i < windows->n; i++) {
                Range window = windows->items[i];

                if (window.first > at) {
                        r = copy_sections(sections, plan->old, at, window.first - 1);
                        if (r == 0)
                                r = copy_announced(announced, plan->old, at, window.first - 1);
                }
                if (r == 0)
                        r = render_window(plan, window, sections, announced, detail);
                if (window.last == UINT64_MAX)
                        return r;
                at = window.last + 1;
        }
        if (r == 0)
                r = copy_sections(sections, plan->old, at, UINT64_MAX);
        if (r == 0)
                r = copy_announced(announced, plan->old, at, UINT64_MAX);
        return r;
}

static int hide_regions(ViewPlan *plan) {
        size_t n = plan->diff.removed.n;

        if (n == 0)
                return 0;
        plan->hidden = reallocarray(NULL, n, sizeof(*plan->hidden));
        if (!plan->hidden)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                plan->hidden[i] = region_ref(plan->diff.removed.items[i].region);
        return 0;
}

static int make_view(ViewPlan *plan, const Sections *sections, const AnnouncedList *announced) {
        _cleanup_(epoch_unrefp) Epoch *epoch = NULL;
        int r;

        if (diff_is_empty(&plan->diff)) {
                plan->new = flat_view_ref(plan->old);
                return 0;
        }
        r = hide_regions(plan);
        if (r == 0)
                r = epoch_new(&epoch);
        if (r == 0)
                r = flat_view_new(&plan->new, epoch, sections->items, sections->n, announced->items,
                                  announced->n);
        return r;
}

static int plan_view(ViewPlan *plan, View *view, Detail *detail) {
        _cleanup_(announced_list_deinit) AnnouncedList announced = {};
        _cleanup_(sections_deinit) Sections sections = {};
        int r;

        plan->view = view_ref(view);
        view->plan = plan;
        plan->old = view->current;
        if (view->dirty.everything) {
                dirty_ranges_clear(&view->dirty);
                dirty_ranges_add(&view->dirty, RANGE_WHOLE);
                if (view->dirty.everything)
                        return -ENOMEM;
        }
        dirty_ranges_sort(&view->dirty);
        grow_windows(&view->dirty, plan->old);
        r = render_view(plan, &sections, &announced, detail);
        return r == 0 ? make_view(plan, &sections, &announced) : r;
}

/* A view that no address space shows any more: its last readers keep all that it shows. */
static int plan_end(ViewPlan *plan, View *view, FlatView *empty) {
        int r;

        plan->view = view_ref(view);
        view->plan = plan;
        plan->old = view->current;
        plan->new = flat_view_ref(empty);
        r = diff_sections(&plan->diff, plan->old->sections, plan->old->n_sections, NULL, 0);
        return r == 0 ? hide_regions(plan) : r;
}

static int plan_ends(Commit *commit) {
        const Snapshot *before = commit->map->snapshot;
        CommitPlan *plan = commit->plan;
        int r;

        for (size_t i = 0; i < before->n_spaces; i++) {
                View *view = before->spaces[i].space->view;

                if (view->n_spaces > 0 || view->plan)
                        continue;
                r = plan_end(&plan->views[plan->n_views++], view, commit->map->empty_view);
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
                r = plan_view(&plan->views[plan->n_views++], view, detail);
                if (r != 0)
                        return r;
        }
        return plan_ends(commit);
}

/* A space that shows a replaced view shares its diff; any other change is worked out in full. */
static int add_change(Commit *commit, const char *name, const ViewPlan *view, const FlatView *old,
                      const FlatView *new, Diff *scratch) {
        const Diff *diff = scratch;
        int r;

        if (old == new)
                return 0;
        if (view && old == view->old && new == view->new) {
                diff = &view->diff;
        } else {
                r = diff_sections(scratch, old->sections, old->n_sections, new->sections,
                                  new->n_sections);
                if (r == 0)
                        r = diff_announced(scratch, old->announced, old->n_announced,
                                           new->announced, new->n_announced);
                if (r < 0)
                        return r;
        }
        if (!diff_is_empty(diff))
                commit->changes[commit->n_changes++] = (SpaceChange){name, old, new, diff};
        return 0;
}

/* Walks the address spaces as they were and as they are, both by name, side by side. */
static int plan_spaces(Commit *commit) {
        const Snapshot *before = commit->map->snapshot;
        Snapshot *after = commit->plan->snapshot;
        size_t i = 0, j = 0, n = 0;
        int r = 0;

        while (r == 0 && (i < before->n_spaces || j < after->n_spaces)) {
                const FlatView *old = commit->map->empty_view, *new = commit->map->empty_view;
                const ViewPlan *view = NULL;
                AddressSpace *space;
                int order;

                order = i == before->n_spaces  ? 1
                        : j == after->n_spaces ? -1
                                               : strcmp(before->spaces[i].space->name,
                                                        after->spaces[j].space->name);
                space = order < 0 ? before->spaces[i].space : after->spaces[j].space;
                if (order <= 0)
                        old = before->spaces[i++].view;
                if (order >= 0) {
                        view = space->view->plan;
                        new = after->spaces[j++].view;
                }
                r = add_change(commit, space->name, view, old, new, &commit->plan->diffs[n++]);
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

/* The view's successor takes over; the old one goes when its last reader has. */
static void replace_view(ViewPlan *plan) {
        dirty_ranges_clear(&plan->view->dirty);
        if (plan->new == plan->old)
                return;
        epoch_close(plan->old->epoch, plan->new->epoch, plan->hidden, plan->diff.removed.n);
        plan->hidden = NULL;
        plan->view->current = flat_view_ref(plan->new);
        flat_view_retire(plan->old);
}

static void publish(Commit *commit) {
        CommitPlan *plan = commit->plan;
        Map *map = commit->map;
        Snapshot *old = map->snapshot;

        for (size_t i = 0; i < plan->n_views; i++)
                replace_view(&plan->views[i]);
        for (size_t i = 0; i < commit->n_changes; i++) {
                AddressSpace *space = map_find_space(map, commit->changes[i].space);

                if (space && diff_has_sections(commit->changes[i].diff))
                        space->generation = commit->generation;
        }
        map->generation = commit->generation;
        rcu_publish(&map->snapshot, plan->snapshot);
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
                snapshot_free(plan->snapshot);
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
