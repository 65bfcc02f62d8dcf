/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>

#include "lib/memory/free-range.h"
#include "lib/memory/map-error.h"
#include "lib/util/size-words.h"

typedef struct Search Search;

struct Search {
        Range extent;  /* of what is to be placed, from 0 on */
        uint64_t mask; /* the bits that an aligned address has not */
        Range largest; /* the lowest of the largest aligned places so far, */
        bool has_any;  /* if there was any */
};

static bool is_longer(Range a, Range b) {
        return a.last - a.first > b.last - b.first;
}

/* Whether it fits into a gap: *ret is where. */
static bool fits(Search *search, Range gap, uint64_t *ret) {
        uint64_t up = -gap.first & search->mask;
        Range place = {gap.first + up, gap.last};

        if (up > gap.last - gap.first)
                return false;
        if (!is_longer(search->extent, place)) {
                *ret = place.first;
                return true;
        }
        if (!search->has_any || is_longer(place, search->largest))
                search->largest = place;
        search->has_any = true;
        return false;
}

/* Goes through the gaps of the window, the lowest first. */
static bool search_gaps(Search *search, const FlatView *view, Range window, uint64_t *ret) {
        ViewCursor cursor;
        const Section *section = flat_view_first(view, &cursor, window.first);

        for (; section && section->range.first <= window.last; section = flat_view_next(&cursor)) {
                if (section->range.first > window.first &&
                    fits(search, (Range){window.first, section->range.first - 1}, ret))
                        return true;
                if (section->range.last >= window.last)
                        return false;
                window.first = section->range.last + 1;
        }
        return fits(search, window, ret);
}

static int refuse(const Search *search, const FreeRequest *request, Detail *detail) {
        if (search->has_any)
                detail_set(detail, 0, "the largest place is 0x%" PRIx64 "-0x%" PRIx64,
                           search->largest.first, search->largest.last);
        else
                detail_set(detail, 0, "there is no place at all");
        detail_prefix(detail,
                      "%s at a multiple of %s are free nowhere in 0x%" PRIx64 "-0x%" PRIx64 ": ",
                      size_words(request->size).text, size_words(search->mask + 1).text,
                      request->first, request->last);
        return MAP_E_NO_FREE_RANGE;
}

int free_range_find(const FlatView *view, const FreeRequest *request, uint64_t *ret,
                    Detail *detail) {
        Search search = {.mask = request->align ? request->align - 1 : 0};

        if (request->align & search.mask)
                return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                                  "alignment 0x%" PRIx64 " is not a power of two", request->align);
        if (!range_from_size(request->size, &search.extent))
                return detail_set(detail, MAP_E_INVALID_RANGE, "size 0 has no place");
        if (request->first > request->last)
                return detail_set(detail, MAP_E_INVALID_RANGE,
                                  "window 0x%" PRIx64 "-0x%" PRIx64 " ends before it begins",
                                  request->first, request->last);
        if (search_gaps(&search, view, (Range){request->first, request->last}, ret))
                return 0;
        return refuse(&search, request, detail);
}
