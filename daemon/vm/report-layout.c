/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "daemon/vm/json-region.h"
#include "daemon/vm/report-part.h"
#include "daemon/vm/report.h"

/* The flags that a document has to say, and in a dump those that a kind can have. */
static void report_region_flags(JSONWriter *writer, RegionKind kind, uint32_t flags, bool every) {
        json_region_flags(writer, every ? UINT32_MAX : flags ^ region_default_flags(kind), flags);
}

static void report_target(JSONWriter *writer, const Region *region, const RegionState *state) {
        if (!region->target)
                return;
        json_key(writer, "target");
        json_string(writer, region->target->name);
        json_key(writer, "target-offset");
        json_hex(writer, state->target_offset);
}

static void report_placement(JSONWriter *writer, const RegionState *state, bool every) {
        if (!state->parent)
                return;
        json_key(writer, "parent");
        json_string(writer, state->parent->name);
        json_key(writer, "offset");
        json_hex(writer, state->offset);
        if (!every && state->priority == 0)
                return;
        json_key(writer, "priority");
        json_signed(writer, state->priority);
}

void report_region_in(JSONWriter *writer, const Region *region, const RegionState *state,
                      bool every) {
        RegionKind kind = region_kind_in(region, state);

        json_key(writer, "name");
        json_string(writer, region->name);
        json_key(writer, "kind");
        json_string(writer, region_kind_to_string(kind));
        json_key(writer, "size");
        json_size(writer, state->size);
        report_target(writer, region, state);
        report_placement(writer, state, every);
        report_region_flags(writer, kind, state->flags, every);
}

static void report_ioeventfds(JSONWriter *writer, const Region *region) {
        const IOEventFD *ioeventfd = ioeventfds_first(&region->ioeventfds, 0);

        json_key(writer, "ioeventfds");
        json_open(writer, '[');
        for (; ioeventfd; ioeventfd = ioeventfd_next(ioeventfd)) {
                json_open(writer, '{');
                json_region_ioeventfd(writer, ioeventfd);
                json_close(writer, '}');
        }
        json_close(writer, ']');
}

static void report_zones(JSONWriter *writer, const Region *region) {
        const Coalesced *zone = zones_first(&region->coalesced, 0);

        json_key(writer, "coalesced");
        json_open(writer, '[');
        for (; zone; zone = coalesced_next(zone)) {
                json_open(writer, '{');
                json_key(writer, "offset");
                json_hex(writer, zone->range.first);
                json_key(writer, "size");
                json_size(writer, range_size(zone->range));
                json_close(writer, '}');
        }
        json_close(writer, ']');
}

/* In a dump its id; in a document only that it comes from elsewhere. */
static void report_backing(JSONWriter *writer, const Region *region, bool every) {
        const Backing *backing = region->backing;

        if (!backing)
                return;
        json_region_memory(writer, &backing->spec);
        if (!every && !backing->passed)
                return;
        json_key(writer, "backing");
        if (every)
                json_number(writer, backing->id);
        else
                json_string(writer, "fd");
        if (backing->offset == 0)
                return;
        json_key(writer, "fd-offset");
        json_hex(writer, backing->offset);
}

static void report_handler(JSONWriter *writer, const Handler *handler) {
        json_key(writer, "handler");
        json_open(writer, '{');
        json_key(writer, "kind");
        json_string(writer, handler->ops->kind);
        json_region_handler(writer, handler);
        json_close(writer, '}');
}

static void report_region(JSONWriter *writer, const Region *region, bool every) {
        json_line(writer, 2);
        json_open(writer, '{');
        report_region_in(writer, region, &region->state, every);
        report_backing(writer, region, every);
        if (ioeventfds_first(&region->ioeventfds, 0))
                report_ioeventfds(writer, region);
        if (zones_first(&region->coalesced, 0))
                report_zones(writer, region);
        if (!handler_same(region->handler, NULL))
                report_handler(writer, region->handler);
        json_close(writer, '}');
}

static void report_spaces(JSONWriter *writer, Map *map) {
        AddressSpace *space;

        json_open(writer, '[');
        RB_FOREACH(space, AddressSpaces, &map->spaces) {
                json_line(writer, 2);
                json_open(writer, '{');
                json_key(writer, "name");
                json_string(writer, space->name);
                json_key(writer, "root");
                json_string(writer, space->view->root->name);
                json_close(writer, '}');
        }
        json_close(writer, ']');
}

/* In the order of placing: what is not placed comes first. */
static int compare_places(const void *a, const void *b) {
        const Region *left = *(Region *const *)a, *right = *(Region *const *)b;

        if (left->state.place != right->state.place)
                return left->state.place < right->state.place ? -1 : 1;
        return strcmp(left->name, right->name);
}

static int sort_regions(Map *map, Region ***ret) {
        Region **regions, *region;
        size_t n = 0;

        regions = calloc(map->n_regions + 1, sizeof(Region *));
        if (!regions)
                return -ENOMEM;
        RB_FOREACH(region, RegionsByName, &map->regions)
                regions[n++] = region;
        qsort(regions, n, sizeof(Region *), compare_places);
        *ret = regions;
        return 0;
}

void report_layout(JSONWriter *writer, Map *map) {
        _cleanup_(freep) Region **regions = NULL;
        int r;

        r = sort_regions(map, &regions);
        if (r < 0) {
                json_fail(writer, r);
                return;
        }
        json_open(writer, '{');
        json_key(writer, "guestmap");
        json_number(writer, 1);
        json_key(writer, "regions");
        json_open(writer, '[');
        for (uint64_t i = 0; i < map->n_regions && writer->error == 0; i++)
                report_region(writer, regions[i], false);
        json_close(writer, ']');
        json_line(writer, 1);
        json_key(writer, "address-spaces");
        report_spaces(writer, map);
        json_close(writer, '}');
}

void report_regions(JSONWriter *writer, Map *map) {
        Region *region;

        json_open(writer, '{');
        json_key(writer, "generation");
        json_number(writer, map->generation);
        json_key(writer, "regions");
        json_open(writer, '[');
        RB_FOREACH(region, RegionsByName, &map->regions) {
                if (writer->error != 0)
                        break;
                report_region(writer, region, true);
        }
        json_close(writer, ']');
        json_close(writer, '}');
}
