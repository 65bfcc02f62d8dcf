/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "lib/kvm/slot-list.h"
#include "lib/util/array.h"

int slot_list_append(SlotList *list, const Slot *slot) {
        int r;

        r = array_reserve(&list->items, &list->allocated, list->n, 1);
        if (r == 0)
                list->items[list->n++] = *slot;
        return r;
}

static int compare_address(const void *a, const void *b) {
        const Slot *left = a, *right = b;

        return (left->extent.range.first > right->extent.range.first) -
               (left->extent.range.first < right->extent.range.first);
}

void slot_list_sort(SlotList *list) {
        if (list->n > 1)
                qsort(list->items, list->n, sizeof(*list->items), compare_address);
}

void slot_list_deinit(SlotList *list) {
        free(list->items);
}
