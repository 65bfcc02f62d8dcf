/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Reader: one thread's way of looking into one address space
 *
 * Finds who answers at an address, in what is published at that moment. Who looks somewhere looks
 * there again, so the section that was found last is tried before the view's tree is descended.
 *
 * What a reader remembers from one read-side section to the next are numbers, and pointers that are
 * compared but never followed until they are known to be valid:
 *
 * I1: `view` is the space's view in the snapshot of `generation`. Generations are not used twice,
 *     so while the published snapshot has this one, `view` is published too.
 * I2: `last` is a section of the view at the address `view` that was made by commit `made`. When
 *     another snapshot shows a view at the same address, that is the same view only if the same
 *     commit made it: the address of one that was freed may have been given to its successor, but
 *     views that one commit makes live side by side. So a commit that leaves this space alone
 *     leaves the reader its last section.
 *
 * A reader belongs to one thread. All but reader_init() is called between rcu_enter() and
 * rcu_leave(), and what it returns is valid until then.
 *
 * Source: this project.
 */

#include "lib/memory/flat-view.h"
#include "lib/memory/map.h"

typedef struct Reader Reader;

struct Reader {
        const Map *map;
        const char *space;
        uint64_t generation;
        uint64_t made;
        const FlatView *view; /* NULL: there is no such space */
        const Section *last;  /* NULL: none yet in this view */
};

/* Borrows map and name. The address space may come and go. */
void reader_init(Reader *reader, const Map *map, const char *space);

/* For reader_find(), when the last section does not do. */
const Section *reader_descend(Reader *reader, const Snapshot *snapshot, uint64_t address);

/* The section at an address, NULL where nothing answers or there is no such address space. */
static inline const Section *reader_find(Reader *reader, uint64_t address) {
        const Snapshot *snapshot = map_snapshot(reader->map);

        if (reader->generation == snapshot->generation && reader->last &&
            range_contains(reader->last->range, address))
                return reader->last;
        return reader_descend(reader, snapshot, address);
}
