/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "api/names.h"
#include "daemon/vm/section-dbus.h"
#include "daemon/vm/section-walk.h"

/* A section's flags are the numbers of the contract. */
_Static_assert((int)GUESTMAP_SECTION_READONLY == (int)REGION_READONLY, "read-only");
_Static_assert((int)GUESTMAP_SECTION_NONVOLATILE == (int)REGION_NONVOLATILE, "non-volatile");
_Static_assert((int)GUESTMAP_SECTION_UNMERGEABLE == (int)REGION_UNMERGEABLE, "unmergeable");
_Static_assert((int)GUESTMAP_SECTION_ROMD == (int)REGION_DIRECT_READ, "direct reads");
_Static_assert((int)GUESTMAP_SECTION_DIRTY_LOG == (int)REGION_DIRTY_LOG, "dirty log");

/* Value by value: sd_bus_message_append() takes a fifth longer to find out what it is given. */
static int append_row(sd_bus_message *m, Range range, const char *region, uint64_t offset,
                      const char *kind, uint32_t flags) {
        int r;

        r = sd_bus_message_open_container(m, 'r', "ttstsu");
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 't', &range.first);
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 't', &range.last);
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', region);
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 't', &offset);
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', kind);
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 'u', &flags);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int message_append_section(sd_bus_message *m, const Section *section) {
        return append_row(m, section->range, section->region->name, section->offset,
                          region_kind_to_string(section->kind), section->flags);
}

int message_append_view(sd_bus_message *m, const FlatView *view, uint64_t from, size_t max,
                        bool *ret_more) {
        SectionWalk walk;
        const Section *section = section_walk_first(&walk, view, from);
        int r;

        r = sd_bus_message_open_container(m, 'a', SECTION_SIGNATURE);
        if (r < 0)
                return r;
        for (; section && max > 0; section = section_walk_next(&walk), max--) {
                r = message_append_section(m, section);
                if (r < 0)
                        return r;
        }
        if (ret_more)
                *ret_more = section != NULL;
        return sd_bus_message_close_container(m);
}

int message_append_rows(sd_bus_message *m, const DeltaRow *rows, size_t n, int sign) {
        int r;

        r = sd_bus_message_open_container(m, 'a', SECTION_SIGNATURE);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                if (rows[i].sign != sign)
                        continue;
                r = append_row(m, rows[i].range, rows[i].region, rows[i].offset,
                               region_kind_to_string(rows[i].kind), rows[i].flags);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(m);
}
