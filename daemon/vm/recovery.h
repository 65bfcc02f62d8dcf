/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Recovery: the VM of a process that is gone
 *
 * Its journal is replayed, its memory and other descriptors are those in the store, and all of the
 * map comes into force with one commit, of the generation that it had. What was not kept is new
 * and empty: VM.lost says so. The last commit is left out if the accelerator refuses it and it is
 * not known to have been in force: then nobody was told of it. Whatever else fails is tried again
 * by the next process, with all commits. Memory without a journal counts as damage: it is
 * somebody's.
 */

#include "daemon/vm/journal-replay.h"

typedef struct Places Places;
typedef struct Recovered Recovered;

/* Directories that are the VM's alone; NULL: there is none. */
struct Places {
        const char *runtime; /* lives as long as the VM, or until the next boot */
        const char *state;   /* survives that: for durable ones */
};

/* What there is to be told beside the VM. */
struct Recovered {
        VM *vm;                  /* NULL: there was no journal, and nothing was kept */
        char name[VM_NAME_SIZE]; /* also of one that does not come back; empty: not known */
        size_t torn;             /* bytes that were cut from its end */
        Detail where;
        Detail dropped; /* why the last commit was; empty: it was not */
        bool destroyed; /* there is none because it was destroyed */
};

/* Takes away all that there is to recover from. */
void recovery_forget(const Places *places);
/* The same of a VM that is destroyed, and leaves word of that for as long as the state directory is
 * there: a guestmapd that was not there is not to miss it. -errno: it could not. */
int recovery_destroy(const Places *places);

/*
 * VM_E_DAMAGED; whatever forbids a commit; -ECANCELED: a signal to end is pending; -errno: `vm` is
 * there as far as it could be read, if it could, and good for nothing but to say which one it was.
 */
int recover(Recovered *ret, const Places *places, FDStore *store, Detail *detail);
