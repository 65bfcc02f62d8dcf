/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "lib/memory/announce.h"
#include "lib/memory/map.h"
#include "lib/memory/render.h"
#include "lib/memory/view-plan.h"

/*
 * What shows at a byte that is not dirty is what was there before, and it is one section with the
 * next byte if it was, when that is not dirty either. So a window is what is dirty and one byte on
 * either side; the sections that these two bytes are part of reach on as far as they did.
 */

enum { WINDOW_COST = 8 }; /* what a window costs beside what is in it, in regions met */

/* Windows from dirty ranges. If there are as many as there are things to see, one does for all. */
static void make_windows(DirtyRanges *dirty, size_t n_things) {
        for (size_t i = 0; i < dirty->n; i++) {
                dirty->items[i].first -= dirty->items[i].first > 0;
                dirty->items[i].last += dirty->items[i].last < UINT64_MAX;
        }
        dirty_ranges_sort(dirty);
        if (dirty->n > 1 && dirty->n > n_things / WINDOW_COST) {
                dirty->items[0].last = dirty->items[dirty->n - 1].last;
                dirty->n = 1;
        }
}

/* Windows that are rendered together: two that one old section reaches into stand in one run. */
typedef struct Run {
        const Range *windows;
        size_t n;
        Range span; /* whole sections of the old view at both ends */
} Run;

static Range grow_to_sections(const FlatView *old, Range range) {
        const Section *before = flat_view_find(old, range.first);
        const Section *behind = flat_view_find(old, range.last);

        return (Range){before ? before->range.first : range.first,
                       behind ? behind->range.last : range.last};
}

/* The run that begins with the first of n windows. */
static Run next_run(const FlatView *old, const Range *windows, size_t n) {
        Run run = {windows, 1, grow_to_sections(old, windows[0])};

        for (; run.n < n && windows[run.n].first <= run.span.last; run.n++)
                run.span.last = grow_to_sections(old, windows[run.n]).last;
        return run;
}

/* What is in one run of the old view and of the new one; the lists are used run by run. */
typedef struct RunWork {
        ViewTree sections, announced; /* of the new view, as far as it is made */
        Sections s_old, s_new;
        AnnouncedList a_old, a_new;
} RunWork;

static void run_work_deinit(RunWork *work) {
        sections_deinit(&work->s_old);
        sections_deinit(&work->s_new);
        announced_list_deinit(&work->a_old);
        announced_list_deinit(&work->a_new);
}

/* Section number i goes on where the one before it broke off. */
static void join_with_previous(Sections *sections, size_t i) {
        sections->items[i - 1].range.last = sections->items[i].range.last;
        memmove(&sections->items[i], &sections->items[i + 1],
                (--sections->n - i) * sizeof(*sections->items));
}

/* The windows of a run, joined by what is between and around them. */
static int render_run(const Region *root, const Run *run, Sections *sections, Detail *detail) {
        size_t from;
        int r;

        for (size_t i = 0; i < run->n; i++) {
                from = sections->n;
                r = render(root, run->windows[i], sections, detail);
                if (r != 0)
                        return r;
                if (i > 0)
                        join_with_previous(sections, from);
        }
        if (run->span.first < run->windows[0].first) {
                Section *first = &sections->items[0];

                first->offset -= first->range.first - run->span.first;
                first->range.first = run->span.first;
        }
        if (run->span.last > run->windows[run->n - 1].last)
                sections->items[sections->n - 1].range.last = run->span.last;
        return 0;
}

static int plan_sections(ViewPlan *plan, RunWork *work, const Run *run, Detail *detail) {
        int r;

        work->s_old.n = work->s_new.n = 0;
        r = sections_append_view(&work->s_old, plan->old, run->span);
        if (r == 0)
                r = render_run(plan->view->root, run, &work->s_new, detail);
        if (r == 0)
                r = diff_sections(&plan->diff, work->s_old.items, work->s_old.n, work->s_new.items,
                                  work->s_new.n);
        return r;
}

/* What begins in a range. */
static int plan_announced(ViewPlan *plan, RunWork *work, Range range) {
        int r;

        work->a_old.n = work->a_new.n = 0;
        r = announced_list_append_view(&work->a_old, plan->old, range);
        if (r == 0)
                r = announce_sections(work->s_new.items, work->s_new.n, range, &work->a_new);
        if (r == 0)
                r = diff_announced(&plan->diff, work->a_old.items, work->a_old.n, work->a_new.items,
                                   work->a_new.n);
        return r;
}

static size_t n_sections_changed(const Diff *diff) {
        return diff->removed.n + diff->added.n + diff->n_relogged;
}

static size_t n_announced_changed(const Diff *diff) {
        return diff->announced_removed.n + diff->announced_added.n;
}

/*
 * Render, compare, put what differs into the trees. Where no section changed, the only doorbells
 * that can have are those that begin in a window.
 */
static int plan_run(ViewPlan *plan, RunWork *work, const Run *run, Detail *detail) {
        size_t sections = n_sections_changed(&plan->diff), announced;
        Range range = {run->windows[0].first, run->windows[run->n - 1].last};
        int r;

        r = plan_sections(plan, work, run, detail);
        if (r == 0 && n_sections_changed(&plan->diff) > sections) {
                range = run->span;
                r = view_tree_splice(&work->sections, &plan->splice, sizeof(Section), range,
                                     work->s_new.items, work->s_new.n);
        }
        announced = n_announced_changed(&plan->diff);
        if (r == 0)
                r = plan_announced(plan, work, range);
        if (r == 0 && n_announced_changed(&plan->diff) > announced)
                r = view_tree_splice(&work->announced, &plan->splice, sizeof(Announced), range,
                                     work->a_new.items, work->a_new.n);
        return r;
}

/* The references that keep alive, for readers of the old view, what the new one has not. */
static int hide(ViewPlan *plan) {
        const AnnouncedList *announced = &plan->diff.announced_removed;
        const Sections *sections = &plan->diff.removed;

        if (sections->n + announced->n == 0)
                return 0;
        plan->hidden = reallocarray(NULL, sections->n + announced->n, sizeof(*plan->hidden));
        if (!plan->hidden)
                return -ENOMEM;
        for (size_t i = 0; i < sections->n; i++)
                plan->hidden[plan->n_hidden++] =
                        (Hidden){.region = region_ref(sections->items[i].region)};
        for (size_t i = 0; i < announced->n; i++)
                plan->hidden[plan->n_hidden++] = (Hidden){
                        .ioeventfd = ioeventfd_ref(announced->items[i].ioeventfd),
                        .coalesced = coalesced_ref(announced->items[i].coalesced),
                };
        return 0;
}

static int make_view(ViewPlan *plan, const RunWork *work, uint64_t generation) {
        _cleanup_(epoch_unrefp) Epoch *epoch = NULL;
        int r;

        if (diff_is_empty(&plan->diff)) {
                plan->new = flat_view_ref(plan->old);
                return 0;
        }
        r = hide(plan);
        if (r == 0)
                r = epoch_new(&epoch);
        if (r == 0)
                r = flat_view_new(&plan->new, epoch, &work->sections, &work->announced);
        if (r == 0)
                plan->new->generation = generation;
        return r;
}

static void view_plan_init(ViewPlan *plan, View *view) {
        plan->view = view_ref(view);
        view->plan = plan;
        plan->old = view->current;
        view_splice_init(&plan->splice);
}

int view_plan_render(ViewPlan *plan, View *view, const Commit *commit, Detail *detail) {
        _cleanup_(run_work_deinit) RunWork work = {};
        DirtyRanges *dirty = &view->dirty;
        int r = 0;

        view_plan_init(plan, view);
        if (dirty->everything) {
                dirty_ranges_clear(dirty);
                dirty_ranges_add(dirty, RANGE_WHOLE);
                if (dirty->everything)
                        return -ENOMEM;
        }
        make_windows(dirty, commit->map->n_regions + flat_view_n_sections(plan->old));
        work.sections = plan->old->sections;
        work.announced = plan->old->announced;
        for (size_t i = 0; r == 0 && i < dirty->n;) {
                Run run = next_run(plan->old, &dirty->items[i], dirty->n - i);

                r = plan_run(plan, &work, &run, detail);
                i += run.n;
        }
        return r == 0 ? make_view(plan, &work, commit->generation) : r;
}

int view_plan_end(ViewPlan *plan, View *view, FlatView *empty) {
        int r;

        view_plan_init(plan, view);
        plan->new = flat_view_ref(empty);
        r = diff_views(&plan->diff, plan->old, empty);
        if (r == 0)
                r = hide(plan);
        if (r == 0) {
                view_splice_kill(&plan->splice, &(ViewTree){plan->old->sections.root, 0});
                view_splice_kill(&plan->splice, &(ViewTree){plan->old->announced.root, 0});
        }
        return r;
}

void view_plan_publish(ViewPlan *plan) {
        if (plan->new == plan->old)
                return;
        view_splice_settle(&plan->splice, &plan->old->epoch->nodes);
        epoch_close(plan->old->epoch, plan->new->epoch, plan->hidden, plan->n_hidden);
        plan->hidden = NULL;
        plan->view->current = flat_view_ref(plan->new);
}

void view_plan_retire(ViewPlan *plan) {
        dirty_ranges_clear(&plan->view->dirty);
        if (plan->new != plan->old)
                flat_view_retire(plan->old);
}

void view_plan_deinit(ViewPlan *plan) {
        view_splice_abandon(&plan->splice);
        hidden_free(plan->hidden, plan->n_hidden);
        diff_deinit(&plan->diff);
        flat_view_unref(plan->new);
        plan->view->plan = NULL;
        view_unref(plan->view);
}
