/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "lib/memory/reader.h"

void reader_init(Reader *reader, const Map *map, const char *space) {
        *reader = (Reader){.map = map, .space = space};
}

/* Takes up what another snapshot has of the space. */
static void follow(Reader *reader, const Snapshot *snapshot) {
        const FlatView *view = snapshot_find(snapshot, reader->space);

        if (!view || view != reader->view || view->generation != reader->made)
                reader->last = NULL;
        reader->generation = snapshot->generation;
        reader->made = view ? view->generation : 0;
        reader->view = view;
}

const Section *reader_descend(Reader *reader, const Snapshot *snapshot, uint64_t address) {
        const Section *section;

        if (reader->generation != snapshot->generation) {
                follow(reader, snapshot);
                if (reader->last && range_contains(reader->last->range, address))
                        return reader->last;
        }
        section = reader->view ? flat_view_find(reader->view, address) : NULL;
        if (section)
                reader->last = section;
        return section;
}
