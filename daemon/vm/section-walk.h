/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Section walk: sections in order, for whoever wants their regions' names
 *
 * Sections lie side by side, names do not: to come to one and wait for it takes longer than all
 * else there is to do about a row. So the walk asks for a name some steps before its turn. For
 * nothing else: what is fetched in vain costs as much.
 */

#include "lib/memory/flat-view.h"

typedef struct SectionWalk SectionWalk;

enum {
        SECTION_WALK_AHEAD = 8,
        SECTION_WALK_NAME = 24, /* how long most names are */
};

struct SectionWalk {
        ViewCursor cursor;
        ViewCursor ahead;
};

/* A name may lie across two cache lines; one that is longer is rare. */
static inline void section_walk_ask(const Section *section) {
        if (!section)
                return;
        __builtin_prefetch(section->region->name);
        __builtin_prefetch(section->region->name + SECTION_WALK_NAME);
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
