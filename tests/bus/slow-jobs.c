/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <sched.h>

#include "tests/bus/slow-jobs.h"
#include "tests/common/unit.h"

static bool may_end; /* atomic */

static int wait_long(const Cancel *cancel, void *userdata) {
        while (!__atomic_load_n(&may_end, __ATOMIC_ACQUIRE) && !cancel_is_requested(cancel))
                sched_yield();
        return 0;
}

static void done(int result, void *userdata) {}

void slow_jobs_begin(Jobs *jobs) {
        __atomic_store_n(&may_end, false, __ATOMIC_RELEASE);
        for (int i = 0; i < JOBS_RUNNING_MAX; i++)
                assert_int_equal(job_start(jobs, NULL, wait_long, done, NULL, NULL), 0);
}

void slow_jobs_end(void) {
        __atomic_store_n(&may_end, true, __ATOMIC_RELEASE);
}
