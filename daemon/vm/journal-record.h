/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the records of a journal say
 *
 *   {"setup": {"name", "id", "owner", "accelerator", "memory-space", "durable", "limits"}}
 *   {"edits": [EDIT, …], "generation": N}
 *   {"last": {"backing", "place"}, "edits": [EDIT, …], "generation": N}
 *
 * The first record is a setup; each of the others is a commit. The third form makes a map from
 * nothing, and with the numbers that were given out last. An EDIT is one of a patch,
 * guestmap-layout(5), and has beside its verb what only this process knows:
 *
 *   {VERB: {…}, "kept": {"place", "backing", "backing-size", "stored",
 *                        "socket", "timeout-usec", "user-data", "posted-writes"}}
 *
 * `stored` is the number under which others keep the descriptor: of the backing if it is not the
 * backing's id, of the ioeventfd, of the handler's socket. The last four are a socket's; a patch
 * cannot name one, so its edit sets handler "none". The same edits, made in the same order, give
 * the same map.
 *
 * A record is not held in memory: while edits are made it goes to the journal piece by piece.
 */

#include "daemon/vm/json-write.h"
#include "daemon/vm/journal.h"
#include "daemon/vm/vm.h"
#include "lib/memory/edit.h"

typedef struct Record Record;

struct Record {
        Journal *journal; /* owned */
        JSONWriter writer;
};

/* Takes over the journal on success. -ENOMEM. */
int record_new(Record **ret, Journal *journal);
Record *record_free(Record *record);
DEFINE_CLEANUP(Record *, record_free);

/* The journal's next record is a commit. -errno. */
int record_begin(Record *record);
/* What fails is told when the record ends. */
void record_edit(Record *record, const Edit *edit);
/* On failure, -errno, there is no such record. */
int record_end(Record *record, uint64_t generation);
/* Takes back what was written last, whole or not. */
int record_cut(Record *record);

/*
 * The outcome for what failed with -errno: VM_E_NO_SPACE if that is why, or a journal that is
 * broken. Others stay, so does 0.
 */
int record_failed(int r, const VM *vm, Detail *detail);
/* The same of another file of the VM's; those that stay have words, too, but -ENOMEM. */
int file_failed(int r, const VM *vm, const char *file, Detail *detail);

/* A record of its own each: the VM as it was set up, and all of its map as it is. -errno. */
int record_setup(Record *record, const VM *vm);
int record_map(Record *record, const VM *vm);
