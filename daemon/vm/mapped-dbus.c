/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "api/names.h"
#include "daemon/vm/mapped-dbus.h"
#include "daemon/vm/service-dbus.h"
#include "lib/memory/climb.h"

typedef struct Search Search;

struct Search {
        const Region *root;
        DirtyRanges ranges; /* of the root, in which the region can be seen */
};

static void note_range(Region *region, Range range, void *userdata) {
        Search *search = userdata;

        if (region == search->root)
                dirty_ranges_add(&search->ranges, range);
}

static void search_ranges(Search *search, Region *region) {
        unsigned budget = CLIMB_BUDGET;
        Range extent;

        if (!region_extent(region, &extent))
                return;
        if (climb(region, extent, true, &budget, note_range, search) != 0) {
                dirty_ranges_clear(&search->ranges);
                dirty_ranges_add(&search->ranges, RANGE_WHOLE);
        }
        dirty_ranges_sort(&search->ranges);
}

static int append_within(sd_bus_message *reply, const Region *region, const AddressSpace *space,
                         Range range, size_t *n) {
        ViewCursor cursor;
        const Section *section = flat_view_first(space->view->current, &cursor, range.first);
        int r;

        for (; section && section->range.first <= range.last && *n < GUESTMAP_NAMES_MAX;
             section = flat_view_next(&cursor)) {
                if (section->region != region)
                        continue;
                r = sd_bus_message_append(reply, "(st)", space->name, section->range.first);
                if (r < 0)
                        return r;
                (*n)++;
        }
        return 0;
}

static int append_mapped(sd_bus_message *reply, Region *region, const AddressSpace *space,
                         size_t *n) {
        Search search = {.root = space->view->root};
        int r = 0;

        search_ranges(&search, region);
        if (search.ranges.everything)
                r = append_within(reply, region, space, RANGE_WHOLE, n);
        else
                for (size_t i = 0; r == 0 && i < search.ranges.n; i++)
                        r = append_within(reply, region, space, search.ranges.items[i], n);
        dirty_ranges_deinit(&search.ranges);
        return r;
}

int get_mapped_at(sd_bus *bus, const char *path, const char *interface, const char *property,
                  sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Map *map = service_current(bus)->vm->map;
        AddressSpace *space;
        size_t n = 0;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(st)");
        if (r < 0)
                return r;
        RB_FOREACH(space, AddressSpaces, &map->spaces) {
                r = append_mapped(reply, userdata, space, &n);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(reply);
}
