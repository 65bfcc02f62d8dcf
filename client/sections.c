/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <string.h>

#include "client/sections.h"

/* A piece of a view that is made anew: sections of the view that stay, and others that come. */
typedef struct Piece {
        Section *items; /* text is borrowed */
        size_t n;
        size_t first; /* of the view: its sections from this one on, up to `end` */
        size_t end;   /* without it, go */
} Piece;

void sections_deinit(Sections *sections) {
        for (size_t i = 0; i < sections->n; i++)
                free((char *)sections->items[i].region);
        free(sections->items);
        *sections = (Sections){};
}

static Section section_copy(const Section *section) {
        size_t size = strlen(section->region) + 1;
        char *region = must(malloc(size + strlen(section->kind) + 1));
        Section copy = *section;

        copy.region = strcpy(region, section->region);
        copy.kind = strcpy(region + size, section->kind);
        return copy;
}

void sections_add(Sections *sections, const Section *section) {
        must_reserve(&sections->items, &sections->n_allocated, sections->n, 1);
        sections->items[sections->n++] = section_copy(section);
}

int sections_read(sd_bus_message *message, Sections *sections) {
        Section section;
        int r;

        r = sd_bus_message_enter_container(message, 'a', "(ttstsu)");
        if (r < 0)
                return r;
        while ((r = section_read(message, &section)) > 0)
                sections_add(sections, &section);
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

json_object *sections_json(const Sections *sections) {
        json_object *list = json_new_array();

        for (size_t i = 0; i < sections->n; i++)
                json_append(list, section_json(&sections->items[i]));
        return list;
}

void change_deinit(Change *change) {
        free(change->space);
        sections_deinit(&change->removed);
        sections_deinit(&change->added);
        *change = (Change){};
}

/* The first section that begins at an address or behind it. */
static size_t sections_find(const Sections *sections, uint64_t first) {
        size_t low = 0, high = sections->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (sections->items[middle].first < first)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static size_t find_beginning(const Sections *view, const Change *change) {
        uint64_t first = UINT64_MAX;

        if (change->removed.n > 0)
                first = change->removed.items[0].first;
        if (change->added.n > 0)
                first = MIN_OF(first, change->added.items[0].first);
        return sections_find(view, first);
}

static const Section *at(const Sections *sections, size_t i) {
        return i < sections->n ? &sections->items[i] : NULL;
}

/* Merges in address order, until both lists are used up; false if something is not there. */
static bool piece_fill(Piece *piece, const Sections *view, const Change *change) {
        size_t r = 0, a = 0;

        while (r < change->removed.n || a < change->added.n) {
                const Section *old = at(view, piece->end);
                const Section *removed = at(&change->removed, r), *added = at(&change->added, a);

                if (removed && old && section_equal(old, removed)) {
                        piece->end++;
                        r++;
                } else if (added && (!old || added->first < old->first)) {
                        piece->items[piece->n++] = *added;
                        a++;
                } else if (old && (!removed || old->first < removed->first)) {
                        piece->items[piece->n++] = *old;
                        piece->end++;
                } else
                        return false;
        }
        return true;
}

/* Whether its sections, and those beside it, lie one behind the other. */
static bool piece_fits(const Piece *piece, const Sections *view) {
        const Section *before = piece->first > 0 ? at(view, piece->first - 1) : NULL;

        for (size_t i = 0; i <= piece->n; i++) {
                const Section *next = i < piece->n ? &piece->items[i] : at(view, piece->end);

                if (before && next && next->first <= before->last)
                        return false;
                before = next;
        }
        return true;
}

/* Text: what goes is freed, what comes is copied, what stays is where it was. */
static void settle_text(Piece *piece, const Sections *view, const Change *change) {
        size_t r = 0, a = 0;

        for (size_t i = piece->first; i < piece->end && r < change->removed.n; i++)
                if (section_equal(&view->items[i], &change->removed.items[r])) {
                        free((char *)view->items[i].region);
                        r++;
                }
        for (size_t i = 0; i < piece->n && a < change->added.n; i++)
                if (piece->items[i].region == change->added.items[a].region) {
                        piece->items[i] = section_copy(&piece->items[i]);
                        a++;
                }
}

static void put_piece(Sections *view, const Piece *piece) {
        size_t behind = view->n - piece->end, n = piece->first + piece->n + behind;

        must_reserve(&view->items, &view->n_allocated, 0, n);
        if (behind > 0)
                memmove(&view->items[piece->first + piece->n], &view->items[piece->end],
                        behind * sizeof(*view->items));
        if (piece->n > 0)
                memcpy(&view->items[piece->first], piece->items, piece->n * sizeof(*view->items));
        view->n = n;
}

bool sections_apply(Sections *view, const Change *change) {
        size_t first = find_beginning(view, change);
        Piece piece = {.first = first, .end = first};
        bool fits;

        if (change_is_empty(change))
                return true;
        piece.items = must(calloc(view->n - first + change->added.n + 1, sizeof(*piece.items)));
        fits = piece_fill(&piece, view, change) && piece_fits(&piece, view);
        if (fits) {
                settle_text(&piece, view, change);
                put_piece(view, &piece);
        }
        free(piece.items);
        return fits;
}

void sections_compare(const Sections *from, const Sections *to, Change *change) {
        size_t i = 0, j = 0;

        while (i < from->n || j < to->n) {
                const Section *old = at(from, i), *now = at(to, j);

                if (old && now && section_equal(old, now)) {
                        i++;
                        j++;
                } else if (old && (!now || old->first <= now->first)) {
                        sections_add(&change->removed, old);
                        i++;
                } else {
                        sections_add(&change->added, now);
                        j++;
                }
        }
}
