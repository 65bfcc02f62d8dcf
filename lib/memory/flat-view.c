/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "lib/memory/flat-view.h"

int flat_view_new(FlatView **ret, Epoch *epoch, const ViewTree *sections,
                  const ViewTree *announced) {
        FlatView *view;

        view = calloc(1, sizeof(*view));
        if (!view)
                return -ENOMEM;
        urcu_ref_init(&view->ref);
        view->epoch = epoch_ref(epoch);
        view->sections = *sections;
        view->announced = *announced;
        *ret = view;
        return 0;
}

static void flat_view_free_ref(struct urcu_ref *ref) {
        FlatView *view = caa_container_of(ref, FlatView, ref);

        epoch_unref(view->epoch);
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

const Section *flat_view_find(const FlatView *view, uint64_t address) {
        const Section *section = view_tree_floor(&view->sections, sizeof(*section), address);

        return section && section->range.last >= address ? section : NULL;
}

const Section *flat_view_first(const FlatView *view, ViewCursor *cursor, uint64_t from) {
        const Section *section = flat_view_find(view, from);

        return view_cursor_seek(cursor, &view->sections, sizeof(*section),
                                section ? section->range.first : from);
}

const Announced *flat_view_first_announced(const FlatView *view, ViewCursor *cursor,
                                           uint64_t from) {
        return view_cursor_seek(cursor, &view->announced, sizeof(Announced), from);
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

bool section_is_memory(const Section *section) {
        switch (section->kind) {
        case REGION_RAM:
        case REGION_ROM:
                return true;
        case REGION_ROMD:
                return section->flags & REGION_DIRECT_READ;
        default:
                return false;
        }
}

void *section_host(const Section *section) {
        const Backing *backing = section->region->backing;

        return backing ? (char *)backing->host + section->offset : NULL;
}

uint64_t section_file_offset(const Section *section) {
        return section->region->backing->offset + section->offset;
}
