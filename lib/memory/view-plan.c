/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "lib/memory/announce.h"
#include "lib/memory/render.h"
#include "lib/memory/view-plan.h"

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

/* What is in one window of the old view and of the new one; the lists are used window by window. */
typedef struct WindowWork {
        ViewTree sections, announced; /* of the new view, as far as it is made */
        Sections s_old, s_new;
        AnnouncedList a_old, a_new;
} WindowWork;

static void window_work_deinit(WindowWork *work) {
        sections_deinit(&work->s_old);
        sections_deinit(&work->s_new);
        announced_list_deinit(&work->a_old);
        announced_list_deinit(&work->a_new);
}

static size_t diff_size(const Diff *diff) {
        return diff->removed.n + diff->added.n + diff->n_relogged + diff->announced_removed.n +
               diff->announced_added.n;
}

static int render_window(ViewPlan *plan, WindowWork *work, Range window, Detail *detail) {
        int r;

        work->s_old.n = work->s_new.n = work->a_old.n = work->a_new.n = 0;
        r = sections_append_view(&work->s_old, plan->old, window);
        if (r == 0)
                r = announced_list_append_view(&work->a_old, plan->old, window);
        if (r == 0)
                r = render(plan->view->root, window, &work->s_new, detail);
        if (r == 0)
                r = announce_sections(work->s_new.items, work->s_new.n, window, &work->a_new);
        return r;
}

/* One window, whose ends are ends of old sections: render, compare, put into the trees. */
static int plan_window(ViewPlan *plan, WindowWork *work, Range window, Detail *detail) {
        size_t before = diff_size(&plan->diff);
        int r;

        r = render_window(plan, work, window, detail);
        if (r == 0)
                r = diff_sections(&plan->diff, work->s_old.items, work->s_old.n, work->s_new.items,
                                  work->s_new.n);
        if (r == 0)
                r = diff_announced(&plan->diff, work->a_old.items, work->a_old.n, work->a_new.items,
                                   work->a_new.n);
        if (r != 0 || diff_size(&plan->diff) == before)
                return r;
        r = view_tree_splice(&work->sections, &plan->splice, sizeof(Section), window,
                             work->s_new.items, work->s_new.n);
        if (r == 0)
                r = view_tree_splice(&work->announced, &plan->splice, sizeof(Announced), window,
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

static int make_view(ViewPlan *plan, const WindowWork *work, uint64_t generation) {
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

int view_plan_render(ViewPlan *plan, View *view, uint64_t generation, Detail *detail) {
        DirtyRanges *windows = &view->dirty;
        _cleanup_(window_work_deinit) WindowWork work = {};
        int r = 0;

        view_plan_init(plan, view);
        if (windows->everything) {
                dirty_ranges_clear(windows);
                dirty_ranges_add(windows, RANGE_WHOLE);
                if (windows->everything)
                        return -ENOMEM;
        }
        dirty_ranges_sort(windows);
        grow_windows(windows, plan->old);
        work.sections = plan->old->sections;
        work.announced = plan->old->announced;
        for (size_t i = 0; r == 0 && i < windows->n; i++)
                r = plan_window(plan, &work, windows->items[i], detail);
        return r == 0 ? make_view(plan, &work, generation) : r;
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
        dirty_ranges_clear(&plan->view->dirty);
        if (plan->new == plan->old)
                return;
        view_splice_settle(&plan->splice, &plan->old->epoch->nodes);
        epoch_close(plan->old->epoch, plan->new->epoch, plan->hidden, plan->n_hidden);
        plan->hidden = NULL;
        plan->view->current = flat_view_ref(plan->new);
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
