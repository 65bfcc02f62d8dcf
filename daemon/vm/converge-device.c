/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdbool.h>

#include "daemon/vm/converge-device.h"
#include "lib/util/cleanup.h"

typedef struct Devices Devices;

/* One side of the comparison, sorted. Everything is borrowed. */
struct Devices {
        const IOEventFD **ioeventfds;
        size_t n_ioeventfds;
        Range *zones;
        size_t n_zones;
};

static void devices_deinit(Devices *devices) {
        free(devices->ioeventfds);
        free(devices->zones);
}

static int compare_ioeventfds(const void *a, const void *b) {
        return ioeventfd_compare(*(const IOEventFD *const *)a, *(const IOEventFD *const *)b);
}

static int compare_zones(const void *a, const void *b) {
        const Range *left = a, *right = b;

        if (left->first != right->first)
                return left->first < right->first ? -1 : 1;
        return left->last < right->last ? -1 : left->last > right->last;
}

static bool has_ioeventfd(const Devices *devices, const IOEventFD *key) {
        return bsearch(&key, devices->ioeventfds, devices->n_ioeventfds, sizeof(IOEventFD *),
                       compare_ioeventfds);
}

static bool has_zone(const Devices *devices, const Range *key) {
        return bsearch(key, devices->zones, devices->n_zones, sizeof(Range), compare_zones);
}

static int devices_init(Devices *devices, size_t n_ioeventfds, size_t n_zones) {
        *devices = (Devices){
                .ioeventfds = calloc(n_ioeventfds + 1, sizeof(IOEventFD *)),
                .zones = calloc(n_zones + 1, sizeof(Range)),
        };
        return devices->ioeventfds && devices->zones ? 0 : -ENOMEM;
}

static void devices_sort(Devices *devices) {
        qsort(devices->ioeventfds, devices->n_ioeventfds, sizeof(IOEventFD *), compare_ioeventfds);
        qsort(devices->zones, devices->n_zones, sizeof(Range), compare_zones);
}

static bool is_empty(const struct cds_list_head *list) {
        return list->next == list;
}

static int devices_of_region(Devices *devices, const Region *region) {
        size_t n_ioeventfds = 0, n_zones = 0;
        struct cds_list_head *link;
        IOEventFD *ioeventfd;
        Coalesced *zone;
        int r;

        if (!region)
                return devices_init(devices, 0, 0);
        cds_list_for_each(link, &region->ioeventfds)
                n_ioeventfds++;
        cds_list_for_each(link, &region->coalesced)
                n_zones++;
        r = devices_init(devices, n_ioeventfds, n_zones);
        if (r < 0)
                return r;
        cds_list_for_each_entry(ioeventfd, &region->ioeventfds, region_link)
                devices->ioeventfds[devices->n_ioeventfds++] = ioeventfd;
        cds_list_for_each_entry(zone, &region->coalesced, region_link)
                devices->zones[devices->n_zones++] = zone->range;
        devices_sort(devices);
        return 0;
}

static int devices_of_list(Devices *devices, const EditList *list) {
        Range range;
        int r;

        r = devices_init(devices, list->n, list->n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < list->n; i++) {
                const Edit *edit = &list->items[i];

                if (edit->verb == EDIT_ADD_IOEVENTFD)
                        devices->ioeventfds[devices->n_ioeventfds++] = edit->ioeventfd;
                else if (range_place(edit->offset, edit->size, &range))
                        devices->zones[devices->n_zones++] = range;
        }
        devices_sort(devices);
        return 0;
}

/* Whether the region has a zone that is not wanted. */
static bool has_zone_to_clear(const Devices *present, const Devices *wanted) {
        for (size_t i = 0; i < present->n_zones; i++)
                if (!has_zone(wanted, &present->zones[i]))
                        return true;
        return false;
}

int converge_devices_remove(EditList *edits, const Region *region, const EditList *list) {
        _cleanup_(devices_deinit) Devices present = {}, wanted = {};
        Edit *edit;
        int r;

        if (is_empty(&region->ioeventfds) && is_empty(&region->coalesced))
                return 0;
        r = devices_of_region(&present, region);
        if (r == 0)
                r = devices_of_list(&wanted, list);
        for (size_t i = 0; r == 0 && i < present.n_ioeventfds; i++) {
                if (has_ioeventfd(&wanted, present.ioeventfds[i]))
                        continue;
                r = edit_list_add(edits, EDIT_REMOVE_IOEVENTFD, region->name, &edit);
                if (r == 0)
                        edit->ioeventfd = ioeventfd_ref((IOEventFD *)present.ioeventfds[i]);
        }
        if (r == 0 && has_zone_to_clear(&present, &wanted))
                r = edit_list_add(edits, EDIT_CLEAR_COALESCED, region->name, &edit);
        return r;
}

int converge_devices_add(EditList *edits, const Region *region, const EditList *list) {
        _cleanup_(devices_deinit) Devices present = {}, wanted = {};
        bool cleared;
        Range range;
        Edit *copy;
        int r;

        if (list->n == 0)
                return 0;
        r = devices_of_region(&present, region);
        if (r == 0)
                r = devices_of_list(&wanted, list);
        cleared = r == 0 && has_zone_to_clear(&present, &wanted);
        for (size_t i = 0; r == 0 && i < list->n; i++) {
                const Edit *edit = &list->items[i];

                if (edit->verb == EDIT_ADD_IOEVENTFD && has_ioeventfd(&present, edit->ioeventfd))
                        continue;
                if (edit->verb == EDIT_ADD_COALESCED && !cleared &&
                    range_place(edit->offset, edit->size, &range) && has_zone(&present, &range))
                        continue;
                r = edit_list_add_copy(edits, edit, &copy);
        }
        return r;
}
