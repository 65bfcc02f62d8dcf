/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/vm/prealloc.h"
#include "lib/memory/populate.h"
#include "lib/util/array.h"
#include "lib/util/counter.h"

static void item_deinit(PreallocItem *item) {
        backing_unref(item->backing);
        free(item->name);
}

void prealloc_deinit(Prealloc *list) {
        for (size_t i = 0; i < list->n; i++)
                item_deinit(&list->items[i]);
        free(list->items);
        *list = (Prealloc){};
}

int prealloc_note(Prealloc *list, const Edit *edit) {
        const Backing *backing = edit->backing;
        char *name;
        int r;

        if (!backing || !backing->spec.prealloc || backing_is_populated(backing))
                return 0;
        r = array_reserve(&list->items, &list->allocated, list->n, 1);
        if (r < 0)
                return r;
        name = strdup(edit->name);
        if (!name)
                return -ENOMEM;
        list->items[list->n++] =
                (PreallocItem){.name = name, .backing = backing_ref(edit->backing)};
        return 0;
}

static int compare_items(const void *a, const void *b) {
        return strcmp(((const PreallocItem *)a)->name, ((const PreallocItem *)b)->name);
}

void prealloc_settle(Prealloc *list, const Map *map) {
        size_t n = 0;

        for (size_t i = 0; i < list->n; i++) {
                const Region *region = map_find_region(map, list->items[i].name);

                if (region && region->backing == list->items[i].backing)
                        list->items[n++] = list->items[i];
                else
                        item_deinit(&list->items[i]);
        }
        list->n = n;
        if (n > 0)
                qsort(list->items, n, sizeof(*list->items), compare_items);
        list->bytes = 0;
        for (size_t i = 0; i < n; i++) {
                list->items[i].before = list->bytes;
                list->bytes += list->items[i].backing->size;
        }
}

static int compare_name(const void *name, const void *item) {
        return strcmp(name, ((const PreallocItem *)item)->name);
}

PreallocItem *prealloc_find(const Prealloc *list, const char *name) {
        if (list->n == 0)
                return NULL;
        return bsearch(name, list->items, list->n, sizeof(*list->items), compare_name);
}

void prealloc_give(Prealloc *list, Edit *edit) {
        PreallocItem *item = edit->verb == EDIT_ADD_REGION ? prealloc_find(list, edit->name) : NULL;

        if (!item || item->is_given || edit->backing || item->backing->size != edit->size)
                return;
        edit->backing = backing_ref(item->backing);
        item->is_given = true;
}

uint64_t prealloc_item_ready(const PreallocItem *item) {
        return MIN_OF(backing_populated(item->backing), item->backing->size);
}

/* There may be a million of them: the one that is being populated says how many bytes are ready. */
static uint64_t bytes_ready(const Prealloc *list) {
        uint64_t n_ready = counter_get(&list->n_ready);
        const PreallocItem *item = &list->items[n_ready];

        return n_ready < list->n ? item->before + prealloc_item_ready(item) : list->bytes;
}

void prealloc_add_rest(const Prealloc *list, size_t n, uint64_t *ready, uint64_t *bytes) {
        uint64_t first = list->items[n].before, sum = bytes_ready(list);

        *ready += sum > first ? sum - first : 0;
        *bytes += list->bytes - first;
}

int prealloc_populate(Prealloc *list, const Cancel *cancel, Detail *detail) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < list->n; i++) {
                r = backing_populate(list->items[i].backing, list->items[i].name, cancel, detail);
                if (r == 0)
                        counter_add(&list->n_ready, 1);
        }
        for (size_t i = 0; r != 0 && i < list->n; i++)
                backing_give_back(list->items[i].backing);
        return r;
}
