/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Extents of sections
 *
 * Parts are counted from the extent's start, so that an extent which grows or shrinks at its end
 * keeps the slots of all its parts but the last.
 */

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
                .backing = section->region->backing->id,
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

size_t extent_n_parts(const Extent *extent, uint64_t size_max) {
        return (extent->range.last - extent->range.first) / size_max + 1;
}

Extent extent_part(const Extent *extent, uint64_t size_max, size_t n) {
        uint64_t shift = n * size_max;
        Extent part = *extent;

        part.range.first += shift;
        part.host += shift;
        part.offset += shift;
        if (part.range.last - part.range.first >= size_max)
                part.range.last = part.range.first + size_max - 1;
        return part;
}

bool extent_same_memory(const Extent *a, const Extent *b) {
        return a->host == b->host && range_size(a->range) == range_size(b->range) &&
               ((a->flags ^ b->flags) & KVM_MEM_READONLY) == 0;
}

/* Appends what slots a section should have. */
static int extents_append(Extents *extents, const Section *section,
                          const Accelerator *accelerator) {
        uint64_t size_max = accelerator->slot_size_max;
        Extent whole;
        size_t n;
        int r;

        if (!extent_from_section(section, accelerator, &whole))
                return 0;
        n = extent_n_parts(&whole, size_max);
        r = array_reserve(&extents->items, &extents->allocated, extents->n, n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                extents->items[extents->n++] = extent_part(&whole, size_max, i);
        return 0;
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
                r = extents_append(extents, section, accelerator);
        }
        return r;
}

int extents_from_view(Extents *extents, const FlatView *view, const Accelerator *accelerator) {
        ViewCursor cursor;
        const Section *section = flat_view_first(view, &cursor, 0);
        int r = 0;

        for (; r == 0 && section; section = flat_view_next(&cursor))
                r = extents_append(extents, section, accelerator);
        return r;
}

void extents_deinit(Extents *extents) {
        free(extents->items);
}
