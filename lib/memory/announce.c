/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>

#include "lib/memory/announce.h"
#include "lib/memory/diff.h"

/* What of its region a section shows. */
static Range offsets_of(const Section *section) {
        return (Range){section->offset,
                       section->offset + (section->range.last - section->range.first)};
}

/* Where offsets of its region are, that the section shows. */
static Range addresses_of(const Section *section, Range offsets) {
        uint64_t delta = section->range.first - section->offset;

        return (Range){offsets.first + delta, offsets.last + delta};
}

/* What of a section's region begins in `begins` (offsets) and lies wholly in the section. */
static int announce_ioeventfds(const Section *section, Range begins, AnnouncedList *announced) {
        IOEventFD *next = ioeventfds_first(&section->region->ioeventfds, begins.first);
        int r = 0;

        for (; r == 0 && next && next->offset <= begins.last; next = ioeventfd_next(next)) {
                Announced item = {.region = section->region, .ioeventfd = next};
                Range range;

                if (!range_place(next->offset, MAX_OF(next->length, 1u), &range) ||
                    !range_covers(offsets_of(section), range))
                        continue;
                item.range = addresses_of(section, range);
                r = announced_list_append(announced, &item, 1);
        }
        return r;
}

/* The same for zones, which are cut to the section: then they begin where it does. */
static int announce_zones(const Section *section, Range begins, AnnouncedList *announced) {
        uint64_t from = begins.first > section->offset ? begins.first : 0;
        Coalesced *next = zones_first(&section->region->coalesced, from);
        int r = 0;

        for (; r == 0 && next && next->range.first <= begins.last; next = coalesced_next(next)) {
                Announced item = {.region = section->region, .coalesced = next};
                Range range;

                if (!range_intersect(offsets_of(section), next->range, &range))
                        continue;
                item.range = addresses_of(section, range);
                r = announced_list_append(announced, &item, 1);
        }
        return r;
}

/* Of regions that are no devices not even the lists are looked at: there may be a million. */
static int announce_section(const Section *section, Range window, AnnouncedList *announced) {
        Section cut;
        Range begins;
        int r;

        if ((section->kind != REGION_MMIO && section->kind != REGION_ROMD) ||
            !range_intersect(section->range, window, &begins))
                return 0;
        cut = section_cut(section, begins);
        begins = offsets_of(&cut);
        r = announce_ioeventfds(section, begins, announced);
        return r == 0 ? announce_zones(section, begins, announced) : r;
}

static int compare_announced(const void *a, const void *b) {
        return announced_compare(a, b);
}

int announce_sections(const Section *sections, size_t n, Range window, AnnouncedList *announced) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < n; i++) {
                size_t from = announced->n;

                r = announce_section(&sections[i], window, announced);
                if (announced->n - from > 1)
                        qsort(announced->items + from, announced->n - from,
                              sizeof(*announced->items), compare_announced);
        }
        return r;
}
