/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "lib/memory/flat-view.h"

static int copy_array(void *ret, const void *items, size_t n, size_t size) {
        void *copy;

        if (n == 0)
                return 0;
        copy = malloc(n * size);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, items, n * size);
        *(void **)ret = copy;
        return 0;
}

int flat_view_new(FlatView **ret, Epoch *epoch, const Section *sections, size_t n_sections,
                  const Announced *announced, size_t n_announced) {
        _cleanup_(flat_view_unrefp) FlatView *view = NULL;
        int r;

        view = calloc(1, sizeof(*view));
        if (!view)
                return -ENOMEM;
        urcu_ref_init(&view->ref);
        view->epoch = epoch_ref(epoch);

        r = copy_array(&view->sections, sections, n_sections, sizeof(*sections));
        if (r < 0)
                return r;
        view->n_sections = n_sections;
        r = copy_array(&view->announced, announced, n_announced, sizeof(*announced));
        if (r < 0)
                return r;
        view->n_announced = n_announced;
        for (size_t i = 0; i < n_announced; i++) {
                ioeventfd_ref(announced[i].ioeventfd);
                coalesced_ref(announced[i].coalesced);
        }
        *ret = TAKE_PTR(view);
        return 0;
}

static void flat_view_free_ref(struct urcu_ref *ref) {
        FlatView *view = caa_container_of(ref, FlatView, ref);

        for (size_t i = 0; i < view->n_announced; i++) {
                ioeventfd_unref(view->announced[i].ioeventfd);
                coalesced_unref(view->announced[i].coalesced);
        }
        epoch_unref(view->epoch);
        free(view->announced);
        free(view->sections);
        free(view);
}

FlatView *flat_view_ref(FlatView *view) {
        if (view)
                urcu_ref_get(&view->ref);
        return view;
}

FlatView *flat_view_unref(FlatView *view) {
        if (view)
                urcu_ref_put(&view->ref, flat_view_free_ref);
        return NULL;
}

static void flat_view_retired(RcuHead *head) {
        flat_view_unref(caa_container_of(head, FlatView, rcu));
}

void flat_view_retire(FlatView *view) {
        rcu_retire(&view->rcu, flat_view_retired);
}

size_t flat_view_lower_bound(const FlatView *view, uint64_t address) {
        size_t low = 0, high = view->n_sections;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (view->sections[middle].range.last < address)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

const Section *flat_view_find(const FlatView *view, uint64_t address) {
        size_t i = flat_view_lower_bound(view, address);

        if (i == view->n_sections || view->sections[i].range.first > address)
                return NULL;
        return &view->sections[i];
}

size_t flat_view_announced_lower_bound(const FlatView *view, uint64_t address) {
        size_t low = 0, high = view->n_announced;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (view->announced[middle].range.first < address)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

bool section_can_merge(const Section *a, const Section *b) {
        return range_touches(a->range, b->range) && a->region == b->region &&
               a->offset + (b->range.first - a->range.first) == b->offset && a->kind == b->kind &&
               a->flags == b->flags && !(a->flags & REGION_UNMERGEABLE);
}

bool section_same(const Section *a, const Section *b) {
        return range_equal(a->range, b->range) && a->region == b->region &&
               a->offset == b->offset && a->kind == b->kind &&
               ((a->flags ^ b->flags) & ~REGION_DIRTY_LOG) == 0;
}

Section section_cut(const Section *section, Range part) {
        Section cut = *section;

        cut.range = part;
        cut.offset += part.first - section->range.first;
        return cut;
}

void *section_host(const Section *section) {
        const Backing *backing = section->region->backing;

        return backing ? (char *)backing->host + section->offset : NULL;
}
