/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Change: edits on their way to being a commit
 *
 *   begin ─▶ edit … ─▶ prepare ─▶ record ─▶ apply
 *
 * The only way from edits to a commit in this process, whether they come from one verb, from a
 * document or from a transaction. A Change that goes before it was applied leaves nothing behind,
 * in the journal neither. One that is only to be looked at stops after prepare; it is for nothing
 * and says so at its beginning, then nothing is written.
 */

#include "daemon/vm/document.h"
#include "daemon/vm/object-changes.h"
#include "daemon/vm/prealloc.h"
#include "daemon/vm/vm.h"
#include "lib/util/cancel.h"

typedef struct Change Change;

struct Change {
        VM *vm;
        const Cancel *cancel; /* looked at between edits */
        Commit *commit;       /* once prepared */
        Transaction *staged;  /* whose edits these are; NULL: made by change_edit() */
        uint64_t begun_nsec;  /* counters_now() at its beginning */
        size_t mark;          /* in the map's undo log, where the edits begin */
        uint64_t ram_bytes;   /* of the map without the edits, and with them once applied */
        size_t n_edits;
        uint64_t discarded; /* bytes of RAM contents that go with the edits, where counted */
        const char *discarded_region; /* the first that loses any; lives with the edits */
        ObjectChanges objects;
        bool for_nothing;        /* a dry run, a preview */
        bool recording;          /* edits are written to the journal as they are made */
        bool brings_descriptors; /* that are kept (fd-store.h) */
        Prealloc prealloc;       /* memory that they bring and that is not populated yet */
        bool applied;
};

/* Checks in whatever is checked out. */
void change_begin(Change *change, VM *vm);
void change_deinit(Change *change);

/* Makes the edit, which has been equipped. Any outcome of map_edit(). */
int change_edit(Change *change, const Edit *edit, Detail *detail);
/* Counts what is discarded, then makes all of them. -ECANCELED. */
int change_edits(Change *change, const EditList *edits, Detail *detail);
/* Instead of edits: counts and takes those of a transaction. */
int change_take_staged(Change *change, Transaction *staged);
/* Any outcome of commit_new(), of transaction_prepare(). */
int change_prepare(Change *change, Detail *detail);
/* Populates what is to be. Takes its time, and the tree may not be wanted by others. */
int change_populate(Change *change, Detail *detail);
/*
 * Makes sure that the user may have the memory, and that what was prepared outlives the process:
 * its descriptors are kept, and then it is written to the journal, if there is one; what changes
 * nothing is not written. Waits for others and for disks if it has to. Any outcome of ration_take()
 * and of fd_store_settle(); VM_E_NO_SPACE. Nothing of one that was only looked at, and has gone.
 * VM_E_UNPREPARED: no further than to the memory's being the user's, which is to be populated
 * before the change is made anew.
 */
int change_record(Change *change, Detail *detail);
/* Whether that may have to wait. */
bool change_waits(const Change *change);
/* Any outcome of commit_apply(). The objects are settled then. */
int change_apply(Change *change, Detail *detail);
