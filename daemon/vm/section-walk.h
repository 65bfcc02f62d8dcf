/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Section walk: sections in order, for whoever looks at their regions
 *
 * Sections lie side by side, their regions do not: to come to one and wait for it takes longer than
 * all else there is to do about a row. So the walk asks for a region some steps before its turn.
 */

#include "lib/memory/flat-view.h"

typedef struct SectionWalk SectionWalk;

enum { SECTION_WALK_AHEAD = 8 };

struct SectionWalk {
        ViewCursor cursor;
        ViewCursor ahead;
};

static inline void section_walk_ask(const Section *section) {
        if (!section)
                return;
        __builtin_prefetch(&section->region->backing);
        __builtin_prefetch(section->region->name);
}

/* As flat_view_first() and flat_view_next(). */
static inline const Section *section_walk_first(SectionWalk *walk, const FlatView *view,
                                                uint64_t from) {
        const Section *first = flat_view_first(view, &walk->cursor, from);

        walk->ahead = walk->cursor;
        section_walk_ask(first);
        for (int i = 0; first && i < SECTION_WALK_AHEAD; i++)
                section_walk_ask(flat_view_next(&walk->ahead));
        return first;
}

static inline const Section *section_walk_next(SectionWalk *walk) {
        section_walk_ask(flat_view_next(&walk->ahead));
        return flat_view_next(&walk->cursor);
}
