/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <time.h>

#include "daemon/vm/counters.h"
#include "lib/util/cleanup.h"

#define USEC UINT64_C(1000)
#define MSEC (1000 * USEC)
#define SEC  (1000 * MSEC)

static const uint64_t buckets[N_COMMIT_BUCKETS] = {
        10 * USEC, 30 * USEC,  100 * USEC, 300 * USEC, MSEC,    3 * MSEC, 10 * MSEC,
        30 * MSEC, 100 * MSEC, 300 * MSEC, SEC,        3 * SEC, 10 * SEC,
};

uint64_t commit_bucket_nsec(size_t i) {
        return buckets[i];
}

uint64_t counters_now(void) {
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * SEC + (uint64_t)now.tv_nsec;
}

void counters_note_commit(Counters *counters, uint64_t begun_nsec) {
        uint64_t nsec = counters_now() - begun_nsec;
        size_t i = 0;

        counter_add(&counters->commits, 1);
        counter_add(&counters->commit_nsec, nsec);
        while (i < N_COMMIT_BUCKETS && nsec > buckets[i])
                i++;
        if (i < N_COMMIT_BUCKETS)
                counter_add(&counters->buckets[i], 1);
}

/* Some have one name on the bus, and are counted under that. */
static int reason_of(int outcome) {
        switch (outcome) {
        case -ENOMEM:
                return MAP_E_NO_MEMORY;
        case -ECANCELED:
                return VM_E_CANCELLED;
        case VM_E_INVALID_ARGUMENTS:
                return MAP_E_INVALID_ARGUMENT;
        default:
                return outcome > 0 && outcome < N_ABORTS ? outcome : ABORT_OTHER;
        }
}

void counters_note_abort(Counters *counters, int reason) {
        counter_add(&counters->aborts[reason_of(reason)], 1);
}
