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

static int announce_ioeventfds(const Section *section, AnnouncedList *announced) {
        Range inside = offsets_of(section);
        IOEventFD *ioeventfd;
        int r = 0;

        cds_list_for_each_entry(ioeventfd, &section->region->ioeventfds, region_link) {
                Range range;

                if (!range_place(ioeventfd->offset, MAX_OF(ioeventfd->length, 1u), &range) ||
                    !range_covers(inside, range))
                        continue;
                range = addresses_of(section, range);
                r = announced_list_append(announced,
                                          &(Announced){.range = range,
                                                       .region = section->region,
                                                       .ioeventfd = ioeventfd},
                                          1);
                if (r < 0)
                        break;
        }
        return r;
}

static int announce_zones(const Section *section, AnnouncedList *announced) {
        Range inside = offsets_of(section);
        Coalesced *zone;
        int r = 0;

        cds_list_for_each_entry(zone, &section->region->coalesced, region_link) {
                Range range;

                if (!range_intersect(inside, zone->range, &range))
                        continue;
                range = addresses_of(section, range);
                r = announced_list_append(
                        announced,
                        &(Announced){.range = range, .region = section->region, .coalesced = zone},
                        1);
                if (r < 0)
                        break;
        }
        return r;
}

static int compare_announced(const void *a, const void *b) {
        return announced_compare(a, b);
}

int announce_sections(const Section *sections, size_t n, AnnouncedList *announced) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < n; i++) {
                size_t from = announced->n;

                r = announce_ioeventfds(&sections[i], announced);
                if (r == 0)
                        r = announce_zones(&sections[i], announced);
                if (announced->n - from > 1)
                        qsort(announced->items + from, announced->n - from,
                              sizeof(*announced->items), compare_announced);
        }
        return r;
}
