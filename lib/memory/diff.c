/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "lib/memory/diff.h"
#include "lib/util/array.h"

static int diff_relogged(Diff *diff, const Section *old, const Section *new) {
        int r;

        if (old->flags == new->flags)
                return 0;
        r = array_reserve(&diff->relogged, &diff->n_allocated, diff->n_relogged, 1);
        if (r < 0)
                return r;
        diff->relogged[diff->n_relogged++] = (Relogged){*old, *new};
        return 0;
}

/* Where one array has a section and the other has not, the one that starts first goes ahead. */
int diff_sections(Diff *diff, const Section *old, size_t n_old, const Section *new, size_t n_new) {
        size_t i = 0, j = 0;
        int r = 0;

        while (r == 0 && (i < n_old || j < n_new)) {
                if (i < n_old && j < n_new && section_same(&old[i], &new[j]))
                        r = diff_relogged(diff, &old[i++], &new[j++]);
                else if (j == n_new || (i < n_old && old[i].range.first <= new[j].range.first))
                        r = sections_append(&diff->removed, &old[i++], 1);
                else
                        r = sections_append(&diff->added, &new[j++], 1);
        }
        return r;
}

int announced_compare(const Announced *a, const Announced *b) {
        int order;

        if (a->range.first != b->range.first)
                return a->range.first < b->range.first ? -1 : 1;
        if (!a->ioeventfd != !b->ioeventfd)
                return a->ioeventfd ? -1 : 1;
        if (a->range.last != b->range.last)
                return a->range.last < b->range.last ? -1 : 1;
        order = a->ioeventfd ? ioeventfd_compare(a->ioeventfd, b->ioeventfd) : 0;
        if (order != 0)
                return order;
        /* Equal to the guest, yet another descriptor or another zone: any fixed order will do. */
        if (a->ioeventfd != b->ioeventfd)
                return (uintptr_t)a->ioeventfd < (uintptr_t)b->ioeventfd ? -1 : 1;
        if (a->coalesced != b->coalesced)
                return (uintptr_t)a->coalesced < (uintptr_t)b->coalesced ? -1 : 1;
        return 0;
}

int diff_announced(Diff *diff, const Announced *old, size_t n_old, const Announced *new,
                   size_t n_new) {
        size_t i = 0, j = 0;
        int r = 0;

        while (r == 0 && (i < n_old || j < n_new)) {
                int order = i == n_old ? 1 : j == n_new ? -1 : announced_compare(&old[i], &new[j]);

                if (order == 0)
                        i++, j++;
                else if (order < 0)
                        r = announced_list_append(&diff->announced_removed, &old[i++], 1);
                else
                        r = announced_list_append(&diff->announced_added, &new[j++], 1);
        }
        return r;
}

int diff_views(Diff *diff, const FlatView *old, const FlatView *new) {
        _cleanup_(announced_list_deinit) AnnouncedList a_old = {}, a_new = {};
        _cleanup_(sections_deinit) Sections s_old = {}, s_new = {};
        int r;

        r = sections_append_view(&s_old, old, RANGE_WHOLE);
        if (r == 0)
                r = sections_append_view(&s_new, new, RANGE_WHOLE);
        if (r == 0)
                r = announced_list_append_view(&a_old, old, RANGE_WHOLE);
        if (r == 0)
                r = announced_list_append_view(&a_new, new, RANGE_WHOLE);
        if (r == 0)
                r = diff_sections(diff, s_old.items, s_old.n, s_new.items, s_new.n);
        if (r == 0)
                r = diff_announced(diff, a_old.items, a_old.n, a_new.items, a_new.n);
        return r;
}

bool diff_has_sections(const Diff *diff) {
        return diff->removed.n > 0 || diff->added.n > 0 || diff->n_relogged > 0;
}

bool diff_is_empty(const Diff *diff) {
        return !diff_has_sections(diff) && diff->announced_removed.n == 0 &&
               diff->announced_added.n == 0;
}

void diff_deinit(Diff *diff) {
        sections_deinit(&diff->removed);
        sections_deinit(&diff->added);
        free(diff->relogged);
        announced_list_deinit(&diff->announced_removed);
        announced_list_deinit(&diff->announced_added);
        *diff = (Diff){};
}
