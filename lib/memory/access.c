/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <search.h>
#include <string.h>

#include "lib/memory/access.h"

enum { ONCE_MAX = 8 }; /* bytes that one load or store moves */

void pieces_begin(PieceCursor *cursor, const FlatView *view, Range range) {
        cursor->next = flat_view_first(view, &cursor->sections, range.first);
        cursor->left = range;
        cursor->more = true;
}

bool pieces_next(PieceCursor *cursor, Piece *ret) {
        const Section *section = cursor->next;
        Range range = cursor->left;

        if (!cursor->more)
                return false;
        if (section && section->range.first <= range.first) {
                range.last = MIN_OF(range.last, section->range.last);
                *ret = (Piece){range, section,
                               section->offset + (range.first - section->range.first)};
                cursor->next = flat_view_next(&cursor->sections);
        } else {
                if (section && section->range.first <= range.last)
                        range.last = section->range.first - 1;
                *ret = (Piece){.range = range};
        }
        cursor->more = range.last < cursor->left.last;
        if (cursor->more)
                cursor->left.first = range.last + 1;
        return true;
}

bool piece_is_memory(const Piece *piece, bool write) {
        const Section *section = piece->section;

        if (!section || !section->region->backing)
                return false;
        if (write)
                return section->kind == REGION_RAM && !(section->flags & REGION_READONLY);
        return section_is_memory(section);
}

static size_t piece_size(const Piece *piece) {
        return (size_t)range_size(piece->range);
}

static void *piece_host(const Piece *piece) {
        return (char *)piece->section->region->backing->host + piece->offset;
}

/* Whether `size` bytes at `host` can be moved by one load or store. */
static bool moves_at_once(const void *host, size_t size) {
        return size <= ONCE_MAX && (size & (size - 1)) == 0 && (uintptr_t)host % size == 0;
}

#define LOAD(type, data, host)                                                                     \
        do {                                                                                       \
                type value_ = __atomic_load_n((const type *)(host), __ATOMIC_RELAXED);             \
                                                                                                   \
                memcpy(data, &value_, sizeof(value_));                                             \
        } while (0)

#define STORE(type, data, host)                                                                    \
        do {                                                                                       \
                type value_;                                                                       \
                                                                                                   \
                memcpy(&value_, data, sizeof(value_));                                             \
                __atomic_store_n((type *)(host), value_, __ATOMIC_RELAXED);                        \
        } while (0)

static void load(void *data, const void *host, size_t size) {
        if (!moves_at_once(host, size))
                memcpy(data, host, size);
        else if (size == 1)
                LOAD(uint8_t, data, host);
        else if (size == 2)
                LOAD(uint16_t, data, host);
        else if (size == 4)
                LOAD(uint32_t, data, host);
        else
                LOAD(uint64_t, data, host);
}

static void store(const void *data, void *host, size_t size) {
        if (!moves_at_once(host, size))
                memcpy(host, data, size);
        else if (size == 1)
                STORE(uint8_t, data, host);
        else if (size == 2)
                STORE(uint16_t, data, host);
        else if (size == 4)
                STORE(uint32_t, data, host);
        else
                STORE(uint64_t, data, host);
}

int piece_read(const Piece *piece, void *data, Detail *detail) {
        const Region *region = piece->section->region;
        size_t size = piece_size(piece);

        if (size > ONCE_MAX || !region->backing->sealed)
                return backing_read(region->backing, region->name, piece->offset, data, size,
                                    detail);
        load(data, piece_host(piece), size);
        return 0;
}

int piece_write(const Piece *piece, const void *data, Detail *detail) {
        const Region *region = piece->section->region;
        size_t size = piece_size(piece);
        int r = 0;

        if (region->backing->sealed)
                store(data, piece_host(piece), size);
        else
                r = backing_write(region->backing, region->name, piece->offset, data, size, detail);
        backing_mark(region->backing, piece->offset, size);
        return r;
}

int access_read(const FlatView *view, Range range, void *data, const AccessOps *ops, void *userdata,
                Detail *detail) {
        PieceCursor cursor;
        Piece piece;
        int r = 0;

        pieces_begin(&cursor, view, range);
        while (r == 0 && pieces_next(&cursor, &piece)) {
                char *at = (char *)data + (piece.range.first - range.first);

                r = piece_is_memory(&piece, false) ? piece_read(&piece, at, detail)
                                                   : ops->read(userdata, &piece, at);
        }
        return r;
}

int access_write(const FlatView *view, Range range, const void *data, const AccessOps *ops,
                 void *userdata, Detail *detail) {
        PieceCursor cursor;
        Piece piece;
        int r = 0;

        pieces_begin(&cursor, view, range);
        while (r == 0 && pieces_next(&cursor, &piece)) {
                const char *at = (const char *)data + (piece.range.first - range.first);

                r = piece_is_memory(&piece, true) ? piece_write(&piece, at, detail)
                                                  : ops->write(userdata, &piece, at);
        }
        return r;
}

int access_write_whole(const FlatView *view, Range range, const void *data, const AccessOps *ops,
                       void *userdata, Detail *detail) {
        PieceCursor cursor;
        Piece piece;

        pieces_begin(&cursor, view, range);
        while (pieces_next(&cursor, &piece)) {
                const char *at = (const char *)data + (piece.range.first - range.first);

                if (!piece_is_memory(&piece, true))
                        return ops->write(userdata, &piece, at);
        }
        return access_write(view, range, data, ops, userdata, detail);
}

static int compare_pointers(const void *a, const void *b) {
        return ((uintptr_t)a > (uintptr_t)b) - ((uintptr_t)a < (uintptr_t)b);
}

static void forget(void *backing) {}

/* Each backing once, however many sections it has; without room to remember it, again. */
int access_check_files(const FlatView *view, int error, Detail *detail) {
        void *checked = NULL;
        ViewCursor cursor;
        int r = 0;

        for (const Section *section = flat_view_first(view, &cursor, 0); r == 0 && section;
             section = flat_view_next(&cursor)) {
                const Region *region = section->region;

                if (!section_is_memory(section) || !region->backing ||
                    tfind(region->backing, &checked, compare_pointers))
                        continue;
                (void)tsearch(region->backing, &checked, compare_pointers);
                r = backing_check_file(region->backing, region->name, error, detail);
        }
        tdestroy(checked, forget);
        return r;
}
