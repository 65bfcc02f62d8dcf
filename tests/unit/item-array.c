/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "lib/util/array.h"
#include "tests/common/unit.h"
#include "tests/unit/item-array.h"

uint64_t items_new_tag(void) {
        static uint64_t last_tag;

        return ++last_tag;
}

void items_deinit(Items *items) {
        free(items->items);
        *items = (Items){};
}

void items_append(Items *items, const Item *more, size_t n) {
        assert_int_equal(array_reserve(&items->items, &items->allocated, items->n, n), 0);
        if (n > 0)
                memcpy(items->items + items->n, more, n * sizeof(*more));
        items->n += n;
}

Items items_every(uint64_t first, uint64_t step, size_t n) {
        Items items = {};

        for (size_t i = 0; i < n; i++) {
                Item item = {{first + i * step, first + i * step}, items_new_tag()};

                items_append(&items, &item, 1);
        }
        return items;
}

size_t items_below(const Items *items, uint64_t address) {
        size_t low = 0, high = items->n;

        while (low < high) {
                size_t middle = (low + high) / 2;

                if (items->items[middle].range.first < address)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

size_t items_upto(const Items *items, uint64_t address) {
        return address == UINT64_MAX ? items->n : items_below(items, address + 1);
}

void items_splice(Items *items, Range window, const Item *new, size_t n) {
        size_t before = items_below(items, window.first), upto = items_upto(items, window.last);
        Items result = {};

        items_append(&result, items->items, before);
        items_append(&result, new, n);
        if (upto < items->n)
                items_append(&result, items->items + upto, items->n - upto);
        items_deinit(items);
        *items = result;
}

Items items_copy(const Items *items) {
        Items copy = {};

        items_append(&copy, items->items, items->n);
        return copy;
}
