/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Access: bytes through a view
 *
 * An access to a range of an address space falls into pieces: one for each section that it meets
 * and one for each hole between them. A piece is host memory, which is copied here, or it is
 * trapped, and then it is up to whoever makes the access what becomes of it (AccessOps).
 *
 * Host memory are, for reading, ram, rom and romd in direct-read mode; for writing, ram that is
 * not read-only there.
 *
 * Guests and holders of descriptors use the same memory at the same time. A piece of 1, 2, 4 or 8
 * bytes that is aligned in the host is one load or one store, if the memory is sealed. All others
 * are copied in any order, and byte by byte they may be from before or after what others write
 * meanwhile.
 *
 * Any registered thread may call these between rcu_enter() and rcu_leave(), and so may the thread
 * that publishes the view at any time.
 *
 * Source: this project.
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/memory/flat-view.h"
#include "lib/util/range.h"

typedef struct AccessOps AccessOps;
typedef struct Piece Piece;
typedef struct PieceCursor PieceCursor;

struct Piece {
        Range range;            /* in the address space; inside that of the access */
        const Section *section; /* NULL: a hole, nothing answers there */
        uint64_t offset;        /* of range.first in the section's region */
};

struct PieceCursor {
        ViewCursor sections;
        const Section *next; /* the first that ends at or behind left.first */
        Range left;
        bool more;
};

/*
 * What becomes of a trapped piece; `data` are its bytes. 0 goes on with the next piece, any other
 * value ends the access and is what it returns.
 */
struct AccessOps {
        int (*read)(void *userdata, const Piece *piece, void *data);
        int (*write)(void *userdata, const Piece *piece, const void *data);
};

/*
 * The pieces of a range, in order; false behind the last:
 * for (pieces_begin(&c, view, range); pieces_next(&c, &piece);)
 */
void pieces_begin(PieceCursor *cursor, const FlatView *view, Range range);
bool pieces_next(PieceCursor *cursor, Piece *ret);

/* Whether host memory serves reads, or writes, of the piece. */
bool piece_is_memory(const Piece *piece, bool write);
/* One that it serves: any of backing_read(). */
int piece_read(const Piece *piece, void *data, Detail *detail);
int piece_write(const Piece *piece, const void *data, Detail *detail);

/*
 * Each piece in its turn, as a guest's access goes. 0, what an operation returned, or any of
 * backing_read(); pieces before that one have been read or written.
 */
int access_read(const FlatView *view, Range range, void *data, const AccessOps *ops, void *userdata,
                Detail *detail);
int access_write(const FlatView *view, Range range, const void *data, const AccessOps *ops,
                 void *userdata, Detail *detail);

/*
 * Writes all of the range or none of it, unless a file fails: if a piece is not host memory,
 * ops->write says for the first of them what to return, and nothing is written.
 */
int access_write_whole(const FlatView *view, Range range, const void *data, const AccessOps *ops,
                       void *userdata, Detail *detail);

/* Why a guest may have failed, with that errno or 0, to use memory of the view: the first of
 * backing_check_file(). */
int access_check_files(const FlatView *view, int error, Detail *detail);
