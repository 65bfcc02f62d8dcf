/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Transaction: edits of one client, staged until they are committed together
 *
 * Staged edits are data; others do not see them. To check one against those before it, the
 * transaction is checked out: its edits are made in the tree, without a commit, and stay there
 * until somebody else needs the tree. Then map_check_in() undoes them. So a client that stages
 * edit after edit pays for each edit once, and the tree is never copied.
 *
 * Everything else that looks at the tree calls map_check_in() first. At most one transaction is
 * checked out.
 *
 * Source: this project.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <urcu/list.h>

#include "lib/memory/commit.h"
#include "lib/memory/edit.h"
#include "lib/util/detail.h"

typedef struct Map Map;
typedef struct Touched Touched;
typedef struct Transaction Transaction;

struct Transaction {
        Map *map;
        uint64_t base_generation;
        Edit *edits;
        size_t n_edits;
        size_t n_allocated;
        Touched *touched; /* what other commits have set since base_generation */
        size_t n_touched;
        size_t n_touched_allocated;
        bool overrun;              /* more was set than can be remembered */
        struct cds_list_head link; /* in Map.transactions */
};

/* Without edits, on the map as it is now. -ENOMEM. */
int transaction_new(Transaction **ret, Map *map);
/* Undoes what is checked out. */
Transaction *transaction_free(Transaction *transaction);
DEFINE_CLEANUP(Transaction *, transaction_free);

/* Undoes the edits of the transaction that is checked out, if any. Cannot fail. */
void map_check_in(Map *map);
/*
 * Makes the transaction's edits in the tree. MAP_E_CONFLICT when one of them no longer holds, or
 * sets what another commit has set since the transaction began; then nothing is checked out.
 */
int transaction_check_out(Transaction *transaction, Detail *detail);
/* Checks out, makes the edit too; on success takes over its contents (edit is emptied). */
int transaction_stage(Transaction *transaction, Edit *edit, Detail *detail);
/* Forgets the staged edits from number n on. */
void transaction_unstage(Transaction *transaction, size_t n);
/*
 * Checks out and prepares a commit: for Preview, freed without being applied; for Commit, applied.
 * Once it was applied the transaction is empty and may be freed.
 */
int transaction_prepare(Transaction *transaction, Commit **ret, Detail *detail);

/* For commit.c: what the commit changed goes into the notes of all other open transactions… */
void transactions_note_changes(Map *map, uint64_t generation);
/* …and the one that was checked out has become the map: it is empty. */
void transaction_committed(Map *map);
