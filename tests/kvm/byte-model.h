/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * ByteModel: what a guest may find at each address while its map is being edited
 *
 * The world is a row of units, each shown by one region or by none; who that is says the oracle.
 * What is kept somewhere is a cell of a store: a backing, a latch, a constant. An address that
 * leads to no cell is read as all-ones, and what is written to it is dropped.
 *
 * Accesses are made byte by byte, lowest first, in the order in which they are reported. One is
 * made by the map of before a commit, by the map of after it or, beside the commit, by either:
 *
 * I1: what is read beside is right if one of the two maps has it.
 * I2: what is written beside goes to the cell of one of the two maps and to no other. Where they
 *     differ the byte is in doubt: both cells may have it, until they are written again or until
 *     byte_model_settle() looks.
 */

#include "lib/memory/map.h"

typedef struct ByteModel ByteModel;
typedef struct Doubt Doubt;
typedef struct Spot Spot;
typedef struct Store Store;

typedef enum Moment {
        MOMENT_BEFORE,
        MOMENT_BESIDE,
        MOMENT_AFTER,
} Moment;

struct ByteModel {
        uint64_t base; /* address of the first unit */
        uint64_t unit; /* bytes */
        size_t n_units;
        Spot *before; /* a spot for each unit */
        Spot *after;
        Store **stores;
        size_t n_stores;
        size_t n_stores_allocated;
        Doubt *doubts; /* oldest first */
        size_t n_doubts;
        size_t n_doubts_allocated;
};

void byte_model_init(ByteModel *model, uint64_t base, uint64_t unit, size_t n_units);
void byte_model_deinit(ByteModel *model);

/* Memory as it is now. Takes a reference. */
void byte_model_add_memory(ByteModel *model, Backing *backing);
/* A constant or a latch, that nobody has written to. Takes a reference. */
void byte_model_add_handler(ByteModel *model, Handler *handler);

/*
 * The map with its edits becomes the one of after, and what that was becomes the one of before.
 * False, and nothing has changed: it is too tangled to be seen through.
 */
bool byte_model_look(ByteModel *model, Map *map, const Region *root);

/* Whether a guest may have read that byte. */
bool byte_model_may_read(const ByteModel *model, Moment moment, uint64_t address, uint8_t byte);
/* A guest has written it. */
void byte_model_write(ByteModel *model, Moment moment, uint64_t address, uint8_t byte);
/*
 * With the guest at rest: whether each store has what it may have, and each byte that was in doubt
 * is somewhere. Then nothing is in doubt any more.
 */
bool byte_model_settle(ByteModel *model, Detail *detail);
