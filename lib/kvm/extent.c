/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <linux/kvm.h>

#include "lib/kvm/extent.h"
#include "lib/util/array.h"

static uint32_t section_slot_flags(const Section *section) {
        uint32_t flags = 0;

        /* A ROM device answers reads itself; writes are commands, they always trap. */
        if (section->flags & REGION_READONLY || section->kind != REGION_RAM)
                flags |= KVM_MEM_READONLY;
        if (section->flags & REGION_DIRTY_LOG)
                flags |= KVM_MEM_LOG_DIRTY_PAGES;
        return flags;
}

/* The whole pages in a range; false if there is none. */
static bool range_pages(Range range, uint64_t page, Range *ret) {
        if (range.first > UINT64_MAX - (page - 1) || range.last < page - 1)
                return false;
        range.first = (range.first + page - 1) & ~(page - 1);
        /* A last byte of 2^64 - 1 wraps to 0 and back. */
        range.last = ((range.last + 1) & ~(page - 1)) - 1;
        if (range.first > range.last)
                return false;
        *ret = range;
        return true;
}

bool extent_from_section(const Section *section, const Accelerator *accelerator, Extent *ret) {
        uint64_t page = accelerator->page_size, host, shift;
        uint32_t flags = section_slot_flags(section);
        Range range;

        if (!section_is_memory(section) || !section->region->backing)
                return false;
        if (flags & KVM_MEM_READONLY && !accelerator->has_readonly)
                return false;
        host = (uintptr_t)section_host(section);
        if ((section->range.first ^ host) & (page - 1))
                return false;
        if (!range_intersect(section->range, (Range){0, accelerator->address_last}, &range) ||
            !range_pages(range, page, &range))
                return false;

        shift = range.first - section->range.first;
        *ret = (Extent){
                .range = range,
                .host = host + shift,
                .backing = section->region->backing,
                .offset = section_file_offset(section) + shift,
                .flags = flags,
        };
        return true;
}

uint64_t section_trapped(const Section *section, const Accelerator *accelerator) {
        Extent extent;

        if (!section_is_memory(section))
                return 0;
        if (!extent_from_section(section, accelerator, &extent))
                return range_size(section->range);
        return range_size(section->range) - range_size(extent.range);
}

uint64_t sections_trapped(const Sections *sections, const Accelerator *accelerator) {
        uint64_t trapped = 0;

        for (size_t i = 0; i < sections->n; i++)
                trapped += section_trapped(&sections->items[i], accelerator);
        return trapped;
}

Extent extent_cut(const Extent *extent, Range part) {
        uint64_t shift = part.first - extent->range.first;
        Extent cut = *extent;

        cut.range = part;
        cut.host += shift;
        cut.offset += shift;
        return cut;
}

bool extent_same_translation(const Extent *a, const Extent *b) {
        return a->host - a->range.first == b->host - b->range.first &&
               ((a->flags ^ b->flags) & KVM_MEM_READONLY) == 0;
}

bool extent_can_join(const Extent *a, const Extent *b, uint64_t size_max) {
        return range_touches(a->range, b->range) && extent_same_translation(a, b) &&
               a->backing == b->backing && a->flags == b->flags &&
               b->range.last - a->range.first < size_max;
}

bool extent_same_memory(const Extent *a, const Extent *b) {
        return a->host == b->host && range_size(a->range) == range_size(b->range) &&
               ((a->flags ^ b->flags) & KVM_MEM_READONLY) == 0;
}

bool extent_equal(const Extent *a, const Extent *b) {
        return range_equal(a->range, b->range) && a->host == b->host && a->flags == b->flags;
}

int extents_append(Extents *extents, const Extent *extent) {
        int r;

        r = array_reserve(&extents->items, &extents->allocated, extents->n, 1);
        if (r == 0)
                extents->items[extents->n++] = *extent;
        return r;
}

static int compare_address(const void *a, const void *b) {
        const Extent *left = a, *right = b;

        return (left->range.first > right->range.first) - (left->range.first < right->range.first);
}

void extents_sort(Extents *extents) {
        if (extents->n > 1)
                qsort(extents->items, extents->n, sizeof(*extents->items), compare_address);
}

static int append_section(Extents *extents, const Section *section,
                          const Accelerator *accelerator) {
        Extent extent;

        if (!extent_from_section(section, accelerator, &extent))
                return 0;
        return extents_append(extents, &extent);
}

int extents_from_diff(Extents *extents, const Diff *diff, bool new,
                      const Accelerator *accelerator) {
        const Sections *sections = new ? &diff->added : &diff->removed;
        size_t i = 0, j = 0;
        int r = 0;

        /* Two lists that ascend, merged. */
        while (r == 0 && (i < sections->n || j < diff->n_relogged)) {
                const Section *section = i < sections->n ? &sections->items[i] : NULL;
                const Section *logged = NULL;

                if (j < diff->n_relogged)
                        logged = new ? &diff->relogged[j].new : &diff->relogged[j].old;
                if (!section || (logged && logged->range.first < section->range.first)) {
                        section = logged;
                        j++;
                } else {
                        i++;
                }
                r = append_section(extents, section, accelerator);
        }
        return r;
}

int extents_from_view(Extents *extents, const FlatView *view, const Accelerator *accelerator) {
        ViewCursor cursor;
        const Section *section = flat_view_first(view, &cursor, 0);
        int r = 0;

        for (; r == 0 && section; section = flat_view_next(&cursor))
                r = append_section(extents, section, accelerator);
        return r;
}

void extents_deinit(Extents *extents) {
        free(extents->items);
}
