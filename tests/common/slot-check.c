/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "tests/common/slot-check.h"

/* Every byte of an extent is in a slot with the extent's flags and host address. */
static const char *check_extent(const Slots *slots, const Extent *extent) {
        uint64_t at = extent->range.first;

        for (;;) {
                const Slot *slot = slots_first(slots, at);

                if (!slot || slot->extent.range.first > at)
                        return "a byte that should be in a slot is in none";
                if (slot->extent.flags != extent->flags)
                        return "a slot has other flags";
                if (slot->extent.host + (at - slot->extent.range.first) !=
                    extent->host + (at - extent->range.first))
                        return "a slot has another host address";
                if (slot->extent.range.last >= extent->range.last)
                        return NULL;
                at = slot->extent.range.last + 1;
        }
}

const char *check_slots(const Slots *slots, const Accelerator *accelerator, const FlatView *view) {
        uint64_t wanted = 0, mapped = 0, trapped = 0;
        const Slot *before = NULL;
        const char *wrong;
        ViewCursor cursor;
        Extent extent;

        for (const Section *s = flat_view_first(view, &cursor, 0); s; s = flat_view_next(&cursor)) {
                trapped += section_trapped(s, accelerator);
                if (!extent_from_section(s, accelerator, &extent))
                        continue;
                wanted += range_size(extent.range);
                wrong = check_extent(slots, &extent);
                if (wrong)
                        return wrong;
        }
        for (const Slot *slot = slots_first(slots, 0); slot;
             before = slot, slot = slots_next(slots, slot)) {
                if (before && before->extent.range.last >= slot->extent.range.first)
                        return "two slots overlap, or do not ascend";
                mapped += range_size(slot->extent.range);
        }
        if (mapped != wanted)
                return "slots cover more than they should";
        return trapped == slots_trapped(slots) ? NULL : "another number of bytes is trapped";
}
