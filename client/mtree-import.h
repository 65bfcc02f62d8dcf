/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Import: the regions behind QEMU's dumps
 *
 * A dump prints a region once in each tree that it is in, and again where an alias has it as its
 * target; here it is one. What the tree does not say, the flat views do, in so far as they show it
 * (mtree-learn.c). What neither says is taken to be the usual thing, and that is a doubt: each is
 * told, none is hidden.
 *
 * I1: `order` is the order of the document: trees as they were printed; below a region, by
 *     priority, lowest first; of equals the last printed first, since the one placed last wins.
 * I2: names are unique: in that order the first region of a name keeps it, the others have #2, #3…
 *     behind it; a number that another name makes already is left out. So do address spaces, of
 *     which "I/O" is called "io".
 */

#include <json-c/json.h>

#include "client/mtree.h"

typedef struct MtreeDoubt MtreeDoubt;
typedef struct MtreeImport MtreeImport;
typedef struct MtreeRegion MtreeRegion;

typedef enum MtreeDoubtKind {
        MTREE_DOUBT_CONTAINER, /* taken as one, may answer itself */
        MTREE_DOUBT_MMIO,      /* taken as one, may be a container or reserved */
        MTREE_DOUBT_DEVICE,    /* memory of a device, taken as ram */
        MTREE_DOUBT_READONLY,  /* an alias, taken as writable */
        MTREE_DOUBT_WHICH,     /* one of several on the way to what is read-only is so: this one */
        MTREE_DOUBT_CLOSED,    /* an alias of one byte or of none, taken as empty */
        MTREE_DOUBT_BYTE,      /* a region of one byte or of none, taken as one */
        MTREE_DOUBT_ORDER,     /* taken to win over `other`, an equal that overlaps it */
        MTREE_DOUBT_TARGET,    /* an alias of one of several of that name */
        MTREE_DOUBT_IDENTITY,  /* stands for one of several that look the same */
        MTREE_DOUBT_UNSEEN,    /* was not printed; only its name is known */
        MTREE_DOUBT_ORPHAN,    /* below something disabled that was not printed */
        MTREE_DOUBT_SPACE,     /* several spaces of that name, whose views cannot be told apart */
        MTREE_DOUBT_VIEW,      /* the flat view has something else */
        MTREE_DOUBT_N,
} MtreeDoubtKind;

struct MtreeRegion {
        const MtreeLine *line;
        char *name;
        MtreeRegion *same; /* the print that stands for this one; itself, if it does */
        MtreeRegion *parent;
        MtreeRegion *target;
        MtreeRegion **placed; /* children, in the order of placing; borrowed */
        size_t n_placed;
        uint64_t hash;   /* of all that was printed of it and below it */
        size_t weight;   /* how many lines that was */
        uint64_t place;  /* among its equals, the higher the later */
        uint64_t places; /* of its children: beyond all of these */
        bool shown;      /* a flat view shows it */
        bool silent;     /* one shows that it does not answer itself */
        bool writable;   /* one shows it, or something through it, writable */
        bool readonly;   /* one shows that it makes something read-only */
        bool empty;      /* size 0, which prints like 1 */
};

struct MtreeDoubt {
        MtreeDoubtKind kind;
        const MtreeRegion *region; /* NULL: it is about `text` */
        const MtreeRegion *other;
        char *text;
};

struct MtreeImport {
        MtreeTree tree;
        MtreeFlat flat; /* empty: there is none */
        bool has_flat;
        MtreeRegion *regions;   /* as tree.lines */
        MtreeRegion **children; /* what `placed` borrows from */
        MtreeRegion **order;
        size_t n_order;
        char **space_names; /* as tree.spaces */
        void *settled;      /* pairs of siblings: which one wins has been seen */
        MtreeDoubt *doubts;
        size_t n_doubts;
        size_t n_doubts_allocated;
};

/* `flat` may be NULL. -EINVAL with an error; *ret can be deinitialized whatever comes. */
int mtree_import(MtreeImport *ret, const char *tree, const char *flat, MtreeError *error,
                 bool *ret_in_flat);
void mtree_import_deinit(MtreeImport *import);
/* The layout document. */
json_object *mtree_import_layout(const MtreeImport *import);
/* "container", "mmio", …: what is known, or the usual thing. */
const char *mtree_region_kind(const MtreeRegion *region);

void mtree_doubt(MtreeImport *import, MtreeDoubtKind kind, const MtreeRegion *region,
                 const MtreeRegion *other);
void mtree_doubt_text(MtreeImport *import, MtreeDoubtKind kind, const char *format, ...)
        __attribute__((__format__(__printf__, 3, 4)));

/* The steps of mtree_import(), each in a file of its own. */
void mtree_identify(MtreeImport *import);
int mtree_resolve_targets(MtreeImport *import, MtreeError *error);
void mtree_place(MtreeImport *import);
void mtree_learn(MtreeImport *import);
/* A flat view shows that of two equals that overlap one wins. */
void mtree_settle(MtreeImport *import, const MtreeRegion *over, const MtreeRegion *under);
/* All pairs of which none does. */
void mtree_doubt_orders(MtreeImport *import);

/* What a line says of its region alone. */
static inline uint64_t mtree_line_offset(const MtreeLine *line) {
        return line->parent ? line->first - line->parent->first : line->first;
}

/* Whether the end is the beginning: one byte, or none. */
static inline bool mtree_line_is_byte(const MtreeLine *line) {
        return line->first == line->last;
}
