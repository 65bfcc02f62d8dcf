/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "lib/kvm/slot-cut.h"

/* What stays of slots, in the making. */
typedef struct Cut {
        Extents *wanted;
        size_t begin; /* the first piece of the slot at hand */
        const Remaps *remaps;
        size_t next; /* the first remap that ends where we are, or behind */
} Cut;

/*
 * The part of a slot from `first` on that fares alike: up to the next remap, or within it. Sets
 * whose remap it is; NULL: it stays as it is.
 */
static Range cut_part(const Cut *cut, const Extent *slot, uint64_t first, const Remap **ret_remap) {
        const Remap *next = cut->next < cut->remaps->n ? &cut->remaps->items[cut->next] : NULL;
        Range part = {first, slot->range.last};

        *ret_remap = NULL;
        if (next && next->range.first > first) {
                part.last = MIN_OF(part.last, next->range.first - 1);
        } else if (next) {
                part.last = MIN_OF(part.last, next->range.last);
                *ret_remap = next;
        }
        return part;
}

/* Keeps a part of a slot; in one piece with the part before it if they are alike. */
static int cut_keep(Cut *cut, Extent part) {
        Extents *wanted = cut->wanted;
        Extent *before = wanted->n > cut->begin ? &wanted->items[wanted->n - 1] : NULL;

        if (before && before->flags == part.flags && range_touches(before->range, part.range)) {
                before->range.last = part.range.last;
                return 0;
        }
        return extents_append(wanted, &part);
}

static int cut_slot(Cut *cut, const Extent *slot) {
        uint64_t first = slot->range.first;
        const Remap *remap;

        cut->begin = cut->wanted->n;
        for (;;) {
                Range range = cut_part(cut, slot, first, &remap);
                Extent part = extent_cut(slot, range);
                int r = 0;

                if (remap && remap->in_place)
                        part.flags = remap->to->flags;
                if (!remap || remap->in_place)
                        r = cut_keep(cut, part);
                if (r < 0 || range.last == slot->range.last)
                        return r;
                if (remap)
                        cut->next++;
                first = range.last + 1;
        }
}

/* Appends what stays of slots. */
static int keep(Extents *wanted, const SlotList *slots, const Remaps *remaps) {
        Cut cut = {.wanted = wanted, .remaps = remaps};
        int r = 0;

        for (size_t i = 0; r == 0 && i < slots->n; i++) {
                const Extent *slot = &slots->items[i].extent;

                while (cut.next < remaps->n &&
                       remaps->items[cut.next].range.last < slot->range.first)
                        cut.next++;
                r = cut_slot(&cut, slot);
        }
        return r;
}

/* Appends what comes, no piece longer than a slot may be. */
static int add_coming(Extents *wanted, const Remap *remap, uint64_t size_max) {
        Range rest = remap->range;
        int r;

        for (;;) {
                Extent part = extent_cut(remap->to, rest);

                if (rest.last - rest.first >= size_max)
                        part.range.last = rest.first + size_max - 1;
                r = extents_append(wanted, &part);
                if (r < 0 || part.range.last == rest.last)
                        return r;
                rest.first = part.range.last + 1;
        }
}

int extents_cut(Extents *wanted, const SlotList *slots, const Remaps *remaps, uint64_t size_max) {
        int r;

        r = keep(wanted, slots, remaps);
        for (size_t i = 0; r == 0 && i < remaps->n; i++)
                if (remaps->items[i].to && !remaps->items[i].in_place)
                        r = add_coming(wanted, &remaps->items[i], size_max);
        extents_sort(wanted);
        return r;
}
