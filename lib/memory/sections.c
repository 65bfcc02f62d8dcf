/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "lib/memory/sections.h"
#include "lib/util/array.h"

void sections_deinit(Sections *sections) {
        free(sections->items);
        *sections = (Sections){};
}

void announced_list_deinit(AnnouncedList *list) {
        free(list->items);
        *list = (AnnouncedList){};
}

int sections_append(Sections *sections, const Section *items, size_t n) {
        int r;

        r = array_reserve(&sections->items, &sections->allocated, sections->n, n);
        if (r < 0)
                return r;
        if (n > 0)
                memcpy(sections->items + sections->n, items, n * sizeof(*items));
        sections->n += n;
        return 0;
}

int announced_list_append(AnnouncedList *list, const Announced *items, size_t n) {
        int r;

        r = array_reserve(&list->items, &list->allocated, list->n, n);
        if (r < 0)
                return r;
        if (n > 0)
                memcpy(list->items + list->n, items, n * sizeof(*items));
        list->n += n;
        return 0;
}

int sections_append_view(Sections *sections, const FlatView *view, Range window) {
        ViewCursor cursor;
        const Section *section =
                view_cursor_seek(&cursor, &view->sections, sizeof(*section), window.first);
        int r = 0;

        for (; r == 0 && section && section->range.first <= window.last;
             section = flat_view_next(&cursor))
                r = sections_append(sections, section, 1);
        return r;
}

int announced_list_append_view(AnnouncedList *list, const FlatView *view, Range window) {
        ViewCursor cursor;
        const Announced *announced = flat_view_first_announced(view, &cursor, window.first);
        int r = 0;

        for (; r == 0 && announced && announced->range.first <= window.last;
             announced = flat_view_next_announced(&cursor))
                r = announced_list_append(list, announced, 1);
        return r;
}
