/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdbool.h>

#include "daemon/vm/converge-device.h"
#include "lib/memory/handler-socket.h"
#include "lib/util/cleanup.h"

typedef struct Wanted Wanted;

/* What a region should have, sorted. Everything is borrowed. */
struct Wanted {
        const IOEventFD **ioeventfds;
        size_t n_ioeventfds;
        Range *zones;
        size_t n_zones;
        bool handler; /* anybody */
};

static void wanted_deinit(Wanted *wanted) {
        free(wanted->ioeventfds);
        free(wanted->zones);
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

static bool wants_ioeventfd(const Wanted *wanted, const IOEventFD *key) {
        return bsearch(&key, wanted->ioeventfds, wanted->n_ioeventfds, sizeof(IOEventFD *),
                       compare_ioeventfds);
}

static bool wants_zone(const Wanted *wanted, const Range *key) {
        return bsearch(key, wanted->zones, wanted->n_zones, sizeof(Range), compare_zones);
}

static int wanted_init(Wanted *wanted, const EditList *list) {
        Range range;

        *wanted = (Wanted){
                .ioeventfds = calloc(list->n + 1, sizeof(IOEventFD *)),
                .zones = calloc(list->n + 1, sizeof(Range)),
        };
        if (!wanted->ioeventfds || !wanted->zones)
                return -ENOMEM;
        for (size_t i = 0; i < list->n; i++) {
                const Edit *edit = &list->items[i];

                if (edit->verb == EDIT_ADD_IOEVENTFD)
                        wanted->ioeventfds[wanted->n_ioeventfds++] = edit->ioeventfd;
                else if (edit->verb == EDIT_SET_HANDLER)
                        wanted->handler = true;
                else if (range_place(edit->offset, edit->size, &range))
                        wanted->zones[wanted->n_zones++] = range;
        }
        qsort(wanted->ioeventfds, wanted->n_ioeventfds, sizeof(IOEventFD *), compare_ioeventfds);
        qsort(wanted->zones, wanted->n_zones, sizeof(Range), compare_zones);
        return 0;
}

/* Whether the region has a zone that is not wanted: they can only be cleared all at once. */
static bool has_zone_to_clear(const Region *region, const Wanted *wanted) {
        const Coalesced *zone = zones_first(&region->coalesced, 0);

        for (; zone; zone = coalesced_next(zone))
                if (!wants_zone(wanted, &zone->range))
                        return true;
        return false;
}

/* Nobody in the place of somebody. */
static int remove_handler(EditList *edits, const Region *region) {
        Edit *edit;
        int r;

        r = edit_list_add(edits, EDIT_SET_HANDLER, region->name, &edit);
        return r < 0 ? r : handler_new_none(&edit->handler);
}

int converge_devices_remove(EditList *edits, const Region *region, const EditList *list) {
        IOEventFD *present = ioeventfds_first(&region->ioeventfds, 0);
        _cleanup_(wanted_deinit) Wanted wanted = {};
        Edit *edit;
        int r;

        if (!present && !zones_first(&region->coalesced, 0) && handler_same(region->handler, NULL))
                return 0;
        r = wanted_init(&wanted, list);
        for (; r == 0 && present; present = ioeventfd_next(present)) {
                if (wants_ioeventfd(&wanted, present))
                        continue;
                r = edit_list_add(edits, EDIT_REMOVE_IOEVENTFD, region->name, &edit);
                if (r == 0)
                        edit->ioeventfd = ioeventfd_ref(present);
        }
        if (r == 0 && has_zone_to_clear(region, &wanted))
                r = edit_list_add(edits, EDIT_CLEAR_COALESCED, region->name, &edit);
        if (r == 0 && !wanted.handler && !handler_same(region->handler, NULL))
                r = remove_handler(edits, region);
        return r;
}

/* Whether the region has what the edit would give it, once its zones are cleared or not. */
static bool has_device(const Region *region, bool cleared, const Edit *edit) {
        Range range;

        if (edit->verb == EDIT_ADD_IOEVENTFD)
                return ioeventfds_find(&region->ioeventfds, edit->ioeventfd);
        if (edit->verb == EDIT_SET_HANDLER)
                return region_kind_has_registers(region->kind) &&
                       (edit->handler ? handler_same(region->handler, edit->handler)
                                      : handler_is_socket(region->handler));
        return !cleared && range_place(edit->offset, edit->size, &range) &&
               zones_find(&region->coalesced, range);
}

int converge_devices_add(EditList *edits, const Region *region, const EditList *list) {
        _cleanup_(wanted_deinit) Wanted wanted = {};
        bool cleared;
        Edit *copy;
        int r;

        if (list->n == 0)
                return 0;
        r = wanted_init(&wanted, list);
        if (r < 0)
                return r;
        cleared = region && has_zone_to_clear(region, &wanted);
        for (size_t i = 0; r == 0 && i < list->n; i++)
                if (!region || !has_device(region, cleared, &list->items[i]))
                        r = edit_list_add_copy(edits, &list->items[i], &copy);
        return r;
}
