/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Counters: what has become of a VM's changes, since its process began
 *
 * Whoever has the map counts, the loop reads. What others count where it happens, slots, gate,
 * vCPUs and journal, is not repeated here.
 */

#include <stddef.h>
#include <stdint.h>

#include "daemon/vm/vm-error.h"
#include "lib/util/counter.h"

typedef struct Counters Counters;

/* Why a change did not come into force: a named outcome of it, or one of these. */
enum {
        ABORT_OTHER = 0,          /* an outcome without a name */
        ABORT_BY_CALLER = VM_E_N, /* Transaction.Abort */
        ABORT_CALLER_LEFT,        /* with a transaction that lived with it */
        ABORT_IDLE,               /* a transaction that nobody has called for its timeout */
        N_ABORTS,
};

enum { N_COMMIT_BUCKETS = 13 };

struct Counters {
        uint64_t commits;
        uint64_t commit_nsec;               /* that they took, summed up */
        uint64_t buckets[N_COMMIT_BUCKETS]; /* how many took no longer than that, but than before */
        uint64_t aborts[N_ABORTS];
        uint64_t dirty_pages; /* that readers of dirty logs have found, and cleared; each his own */
};

/* How long a commit took that counts in a bucket, at most; what took longer counts in none. */
uint64_t commit_bucket_nsec(size_t i);

/* CLOCK_MONOTONIC. */
uint64_t counters_now(void);
/* A change that was begun then is in force now. */
void counters_note_commit(Counters *counters, uint64_t begun_nsec);
/* A MapError or VMError, a negative errno, or one of the above. */
void counters_note_abort(Counters *counters, int reason);
