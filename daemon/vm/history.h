/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * History: what the last commits changed
 *
 * A delta is what one commit did to one address space: the sections that went, the sections that
 * came. Deltas are kept as long as there is room for them, and forgotten oldest first. Each is also
 * in the list of its space, so that a question about a space costs what changed there.
 *
 * Views of the past would answer the same questions, but a view keeps alive what it shows: with a
 * DIMM that was pulled out its memory would stay. A delta owns the names that it needs and no
 * region.
 *
 * I1: the deltas of a space follow one another without a gap: each tells all that changed after its
 *     `since` up to its `generation`, where the next one begins.
 * I2: every delta of a generation after `floor` is here.
 * I3: deltas take size_max bytes at most. One that would take more than a quarter of that is kept
 *     without rows: it says that something changed, and not what.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <urcu/list.h>

#include "lib/memory/commit.h"
#include "lib/util/range.h"
#include "lib/util/tree.h"

typedef struct Delta Delta;
typedef struct DeltaRow DeltaRow;
typedef struct History History;
typedef struct PastSpace PastSpace;

enum {
        HISTORY_BYTES_MAX = 8 * 1024 * 1024, /* some 60,000 changes of one section */
        HISTORY_NET_ROWS_MAX = 20000,        /* twice what a reply holds */
};

/* Outcome of history_compose(): the change was not kept, or not for so long, or is too large. */
enum { HISTORY_E_FORGOTTEN = 1 };

/* A section that went (sign -1) or came (sign +1). */
struct DeltaRow {
        Range range;
        uint64_t offset;
        uint64_t backing; /* id, 0 without: a name that came again on other memory is another one */
        const char *region;
        uint8_t kind;
        uint8_t flags;
        int8_t sign;
};

struct Delta {
        uint64_t since;
        uint64_t generation;
        PastSpace *space;
        struct cds_list_head link;     /* in History.deltas */
        struct cds_list_head siblings; /* in PastSpace.deltas */
        size_t size;                   /* in bytes, names and all */
        size_t n_rows;                 /* 0: they were too many */
        DeltaRow rows[]; /* what went ascends by address, so does what came; the names follow */
};

RB_HEAD(PastSpaces, PastSpace);

/* A name under which there are deltas; a space that comes back goes on with them. */
struct PastSpace {
        RB_ENTRY(PastSpace) by_name;
        struct cds_list_head deltas; /* of Delta.siblings, oldest first, never empty */
        char name[];
};

struct History {
        struct cds_list_head deltas; /* of Delta.link, oldest first */
        struct PastSpaces spaces;
        size_t size; /* of all deltas, in bytes */
        size_t size_max;
        uint64_t floor;
};

/* Empty: nothing is known of what was before `generation`. */
void history_init(History *history, uint64_t generation, size_t size_max);
void history_deinit(History *history);

/* Remembers a commit that was applied and not yet freed. Cannot fail: at worst it forgets. */
void history_add(History *history, const Commit *commit);

/* The first delta of a generation or a later one, and those behind it; NULL at the end. */
const Delta *history_from(const History *history, uint64_t generation);
const Delta *history_next(const History *history, const Delta *delta);
/* How many rows these have in all; SIZE_MAX if some were not kept. */
size_t history_n_rows(const History *history, uint64_t generation);

/*
 * The net change of an address space since a generation: an array from malloc(), ascending by
 * address. Its names are valid until the next history_add(). HISTORY_E_FORGOTTEN, also if the
 * change, counted back from now, comes to more than HISTORY_NET_ROWS_MAX on the way; -ENOMEM.
 */
int history_compose(const History *history, const char *space, uint64_t since, DeltaRow **ret_rows,
                    size_t *ret_n_rows);
