/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Job: long work on a thread of its own, ended on the loop
 *
 *   loop:    job_start() ………………………………………………… done(result)
 *   thread:              run(), a registered reader and writer of RCU
 *
 * What run() works on is lent to it: from job_start() until done() nobody else touches it. done()
 * is called on the loop's thread, once for every job that was started, whatever happens; run() is
 * called once or, when the job is cancelled before its turn comes, never.
 *
 * I1: at most JOBS_RUNNING_MAX run at once; further ones wait for their turn, in order.
 * I2: all fields belong to the loop's thread. Between the threads go the start and the end of a
 *     thread, which order memory, and the request to stop.
 */

#include <stddef.h>
#include <systemd/sd-event.h>
#include <urcu/list.h>

#include "lib/util/cancel.h"
#include "lib/util/detail.h"

typedef struct Job Job;
typedef struct Jobs Jobs;

/* An outcome of its own choice: 0, -errno, positive. Stops early with -ECANCELED when asked to. */
typedef int (*JobRun)(const Cancel *cancel, void *userdata);
/* `result` is that of run(), or -ECANCELED if it never ran. The job is gone by now. */
typedef void (*JobDone)(int result, void *userdata);

enum { JOBS_RUNNING_MAX = 4, JOBS_WAITING_MAX = 64 };

struct Jobs {
        sd_event *event;
        struct cds_list_head running; /* of Job.link */
        struct cds_list_head waiting; /* of Job.link, in the order of their turns */
        size_t n_running;
        size_t n_waiting;
};

void jobs_init(Jobs *jobs, sd_event *event);
/* Cancels all and waits for them: each is done when this returns, and starts no other by then. */
void jobs_deinit(Jobs *jobs);

/*
 * Starts a job, now or when it is its turn. Unless NULL *ret is the job, valid until done().
 * MAP_E_QUOTA_EXCEEDED: too many wait. On failure neither function is called.
 */
int job_start(Jobs *jobs, Job **ret, JobRun run, JobDone done, void *userdata, Detail *detail);
/* Asks it to stop. It is done later, as ever. */
void job_cancel(Job *job);
