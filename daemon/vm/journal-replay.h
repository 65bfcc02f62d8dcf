/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Replay: from the bytes of a journal to a VM
 *
 * The VM is made as its setup says, and all edits of all records are made in its map; nothing is
 * committed. Backings have no memory yet and ioeventfds no descriptors: most that are added go
 * again before the journal ends.
 *
 * Depends on the bytes alone, and on what was kept of handlers' sockets.
 */

#include "daemon/vm/journal-scan.h"
#include "daemon/vm/vm.h"

enum { VM_NAME_SIZE = 64 };

typedef struct Replay Replay;

/* A state that the journal has been in. */
typedef struct ReplayPoint {
        size_t mark; /* in the map's undo log */
        uint64_t generation;
        size_t end; /* in bytes, of the record that led there */
        uint64_t sequence;
        bool confirmed; /* it was in force */
} ReplayPoint;

struct Replay {
        FDStore *store;          /* borrowed; NULL: nothing was kept */
        const char *accelerator; /* instead of the setup's; NULL: the setup's */
        VM *vm;                  /* owned */
        char name[VM_NAME_SIZE]; /* of the VM, also if it cannot be made; empty: not known */
        bool durable;
        uint64_t n_records;
        uint64_t n_edits;
        size_t snapshot;    /* bytes up to the first commit */
        ReplayPoint before; /* the last commit */
        ReplayPoint now;
        size_t torn;  /* bytes behind the last whole record */
        Detail where; /* those are */
};

/*
 * Replays; `store` and `accelerator` may have been set before. VM_E_DAMAGED: bytes, or what they
 * say, are not those of a journal. Any outcome of vm_new(); -errno.
 */
int journal_replay(Replay *replay, const char *bytes, size_t length, Detail *detail);
void replay_deinit(Replay *replay);
