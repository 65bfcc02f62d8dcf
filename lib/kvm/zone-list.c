/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "lib/kvm/zone-list.h"
#include "lib/util/array.h"

void zone_list_deinit(ZoneList *list) {
        free(list->items);
        *list = (ZoneList){};
}

static int append(ZoneList *list, Range zone) {
        int r;

        r = array_reserve(&list->items, &list->allocated, list->n, 1);
        if (r == 0)
                list->items[list->n++] = zone;
        return r;
}

/* The next zone in a list of announced things, from *i on; NULL behind the last. */
static const Announced *next_zone(const AnnouncedList *list, size_t *i) {
        while (*i < list->n)
                if (list->items[(*i)++].coalesced)
                        return &list->items[*i - 1];
        return NULL;
}

bool diff_has_zones(const Diff *diff) {
        size_t i = 0, j = 0;

        return next_zone(&diff->announced_removed, &i) || next_zone(&diff->announced_added, &j);
}

/* Three sorted lists, merged: what goes is in `before`, each as often as it goes. */
int zone_list_change(ZoneList *after, const ZoneList *before, const Diff *diff) {
        size_t i = 0, removed = 0, added = 0;
        const Announced *gone = next_zone(&diff->announced_removed, &removed);
        const Announced *come = next_zone(&diff->announced_added, &added);
        int r = 0;

        while (r == 0 && (i < before->n || come)) {
                const Range *old = i < before->n ? &before->items[i] : NULL;

                if (come && (!old || range_compare(come->range, *old) < 0)) {
                        r = append(after, come->range);
                        come = next_zone(&diff->announced_added, &added);
                } else if (gone && range_equal(gone->range, *old)) {
                        gone = next_zone(&diff->announced_removed, &removed);
                        i++;
                } else {
                        r = append(after, *old);
                        i++;
                }
        }
        return r;
}

static int append_pieces(ZoneList *list, Range zone, size_t n_max) {
        Range piece = zone;
        int r = 0;

        for (; r == 0 && list->n <= n_max; piece.first = piece.last + 1) {
                if (zone.last - piece.first < ZONE_SIZE_MAX)
                        return append(list, (Range){piece.first, zone.last});
                piece.last = piece.first + (ZONE_SIZE_MAX - 1);
                r = append(list, piece);
        }
        return r;
}

int zone_list_join(ZoneList *joined, const ZoneList *announced, uint64_t last, size_t n_max) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < announced->n;) {
                Range zone = announced->items[i++];

                if (zone.first > last)
                        break;
                for (; i < announced->n && announced->items[i].first <= zone.last; i++)
                        zone.last = MAX_OF(zone.last, announced->items[i].last);
                zone.last = MIN_OF(zone.last, last);
                r = append_pieces(joined, zone, n_max);
        }
        return r;
}
