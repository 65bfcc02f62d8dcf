/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * History: what the last commits changed
 *
 * A short list of deltas, one per commit and address space that changed, oldest first. A delta owns
 * the names that it needs and no region, so that remembering keeps no guest memory alive.
 *
 * I1: every change of a view after generation `floor` is here; nothing is promised of older ones.
 * I2: at most HISTORY_DELTAS_MAX deltas with HISTORY_ROWS_MAX rows in all.
 *
 * When it cannot grow (no memory, a commit larger than all of it) it forgets: floor rises.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <urcu/list.h>

#include "lib/memory/commit.h"
#include "lib/util/range.h"

typedef struct Delta Delta;
typedef struct DeltaRow DeltaRow;
typedef struct History History;

enum {
        HISTORY_DELTAS_MAX = 256,
        HISTORY_ROWS_MAX = 8192,
};

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
        uint64_t generation;
        struct cds_list_head link;
        const char *space;
        size_t n_rows;
        DeltaRow rows[]; /* ascending by address; the names follow */
};

struct History {
        struct cds_list_head deltas; /* of Delta.link, oldest first */
        size_t n_deltas;
        size_t n_rows;
        uint64_t floor;
};

void history_init(History *history, uint64_t generation);
void history_deinit(History *history);

/* Remembers a commit that was applied and not yet freed. */
void history_add(History *history, const Commit *commit);
bool history_reaches(const History *history, uint64_t generation);
/* The first delta of a generation and those behind it; NULL at the end. */
const Delta *history_first(const History *history, uint64_t generation);
const Delta *history_next(const History *history, const Delta *delta);
/*
 * The net change of an address space since a generation that the history reaches: an array from
 * malloc(), ascending by address. Its names are valid until the next history_add(). -ENOMEM.
 */
int history_compose(const History *history, const char *space, uint64_t since, DeltaRow **ret_rows,
                    size_t *ret_n_rows);
