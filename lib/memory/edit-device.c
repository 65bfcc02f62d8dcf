/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>

#include "lib/memory/edit-verbs.h"
#include "lib/memory/map-error.h"
#include "lib/memory/undo.h"

/* The region of an edit about registers: doorbells, who answers. */
static int find_device(Map *map, const Edit *edit, Region **ret, Detail *detail) {
        int r;

        r = edit_find_region(map, edit->name, ret, detail);
        if (r != 0 || region_kind_has_registers((*ret)->kind))
                return r;
        return detail_set(detail, MAP_E_INVALID_KIND,
                          "region \"%s\": this is for mmio and romd, not for %s", (*ret)->name,
                          region_kind_to_string(region_reported_kind(*ret)));
}

/* The same, and that `size` bytes at `offset` are inside it. */
static int find_registers(Map *map, const Edit *edit, uint64_t offset, uint64_t size, Region **ret,
                          Detail *detail) {
        Range extent, range;
        const Region *region;
        int r;

        r = find_device(map, edit, ret, detail);
        if (r != 0)
                return r;
        region = *ret;
        if (size == 0)
                return detail_set(detail, MAP_E_INVALID_RANGE,
                                  "region \"%s\": a zone of size 0 is empty", region->name);
        if (!region_extent(region, &extent) || !range_place(offset, size, &range) ||
            !range_covers(extent, range))
                return detail_set(detail, MAP_E_INVALID_RANGE,
                                  "region \"%s\": 0x%" PRIx64 " bytes at offset 0x%" PRIx64
                                  " lie beyond its size 0x%" PRIx64,
                                  region->name, size, offset, region->state.size);
        return 0;
}

/* No write of that length has such a value. */
static int check_data(const Region *region, const IOEventFD *ioeventfd, Detail *detail) {
        if (ioeventfd->length == 0 || ioeventfd->length == 8 ||
            ioeventfd->data >> 8 * ioeventfd->length == 0)
                return 0;
        return detail_set(detail, MAP_E_INVALID_RANGE,
                          "region \"%s\": data 0x%" PRIx64 " is wider than a write of %" PRIu32
                          " bytes",
                          region->name, ioeventfd->data, ioeventfd->length);
}

int edit_add_ioeventfd(Map *map, const Edit *edit, Detail *detail) {
        IOEventFD *new = edit->ioeventfd, *other;
        Region *region;
        int r;

        r = find_registers(map, edit, new->offset, MAX_OF(new->length, 1u), &region, detail);
        if (r == 0)
                r = check_data(region, new, detail);
        if (r != 0)
                return r;
        other = ioeventfds_colliding(&region->ioeventfds, new);
        if (other)
                return detail_set(detail, MAP_E_IOEVENTFD_EXISTS,
                                  "region \"%s\": an ioeventfd of length %" PRIu32
                                  " at offset 0x%" PRIx64 " takes the same writes",
                                  region->name, other->length, other->offset);
        r = edit_check_quota(map->n_ioeventfds, 1, map->limits.ioeventfds, "IOEventFDs", detail);
        if (r == 0)
                r = map_reserve_undo(map, 1);
        if (r == 0)
                map_add_ioeventfd(map, region, new);
        return r;
}

int edit_remove_ioeventfd(Map *map, const Edit *edit, Detail *detail) {
        const IOEventFD *key = edit->ioeventfd;
        IOEventFD *found;
        Region *region;
        int r;

        r = edit_find_region(map, edit->name, &region, detail);
        if (r != 0)
                return r;
        found = ioeventfds_find(&region->ioeventfds, key);
        if (!found)
                return detail_set(detail, MAP_E_NO_SUCH_IOEVENTFD,
                                  "region \"%s\": no ioeventfd of length %" PRIu32
                                  " at offset 0x%" PRIx64 " with that match and data",
                                  region->name, key->length, key->offset);
        r = map_reserve_undo(map, 1);
        if (r == 0)
                map_remove_ioeventfd(map, region, found);
        return r;
}

int edit_add_coalesced(Map *map, const Edit *edit, Detail *detail) {
        _cleanup_(coalesced_unrefp) Coalesced *zone = NULL;
        Region *region;
        Range range;
        int r;

        r = find_registers(map, edit, edit->offset, edit->size, &region, detail);
        if (r != 0)
                return r;
        range_place(edit->offset, edit->size, &range);
        if (zones_find(&region->coalesced, range))
                return 0;
        r = edit_check_quota(map->n_coalesced, 1, map->limits.coalesced_zones, "CoalescedZones",
                             detail);
        if (r == 0)
                r = coalesced_new(&zone, range);
        if (r == 0)
                r = map_reserve_undo(map, 1);
        if (r == 0)
                map_add_coalesced(map, region, zone);
        return r;
}

int edit_clear_coalesced(Map *map, const Edit *edit, Detail *detail) {
        Region *region;
        Coalesced *zone;
        size_t n = 0;
        int r;

        r = edit_find_region(map, edit->name, &region, detail);
        if (r != 0)
                return r;
        for (zone = zones_first(&region->coalesced, 0); zone; zone = coalesced_next(zone))
                n++;
        r = map_reserve_undo(map, n);
        if (r < 0)
                return r;
        while ((zone = zones_first(&region->coalesced, 0)))
                map_remove_coalesced(map, region, zone);
        return 0;
}

int edit_set_handler(Map *map, const Edit *edit, Detail *detail) {
        Region *region;
        int r;

        r = find_device(map, edit, &region, detail);
        if (r != 0 || handler_same(region->handler, edit->handler))
                return r;
        r = map_reserve_undo(map, 1);
        if (r == 0)
                map_set_handler(map, region, edit->handler);
        return r;
}
