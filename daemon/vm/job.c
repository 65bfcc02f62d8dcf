/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "daemon/vm/job.h"
#include "daemon/vm/vm-error.h"
#include "lib/util/cleanup.h"
#include "lib/util/rcu.h"

struct Job {
        Jobs *jobs;
        JobRun run;
        JobDone done;
        void *userdata;
        Cancel cancel;
        int result; /* written by the thread, read once it has ended */
        int fd;     /* eventfd: the thread is about to end */
        pthread_t thread;
        sd_event_source *source;   /* watches fd, owns it */
        struct cds_list_head link; /* in Jobs.running or Jobs.waiting */
};

static void *job_thread(void *data) {
        Job *job = data;

        rcu_register();
        job->result = job->run(&job->cancel, job->userdata);
        rcu_unregister();
        (void)eventfd_write(job->fd, 1);
        return NULL;
}

static Job *job_free(Job *job) {
        sd_event_source_disable_unref(job->source);
        free(job);
        return NULL;
}

DEFINE_CLEANUP(Job *, job_free);

/* Tells that it is over. The job, which is in no list, goes first: done() may start another. */
static void job_end(Job *job, int result) {
        JobDone done = job->done;
        void *userdata = job->userdata;

        job_free(job);
        done(result, userdata);
}

/* Waits for its thread. */
static void job_finish(Job *job) {
        pthread_join(job->thread, NULL);
        cds_list_del(&job->link);
        job->jobs->n_running--;
        job_end(job, job->result);
}

static void start_waiting(Jobs *jobs);

static int on_thread_ends(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Job *job = userdata;
        Jobs *jobs = job->jobs;

        job_finish(job);
        start_waiting(jobs);
        return 0;
}

static int job_watch(Job *job) {
        int r, fd;

        fd = eventfd(0, EFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = sd_event_add_io(job->jobs->event, &job->source, fd, EPOLLIN, on_thread_ends, job);
        if (r >= 0)
                r = sd_event_source_set_io_fd_own(job->source, true);
        if (r < 0)
                safe_close(fd);
        job->fd = fd;
        return r < 0 ? r : 0;
}

static int job_launch(Job *job) {
        int r;

        r = job_watch(job);
        if (r < 0)
                return r;
        r = pthread_create(&job->thread, NULL, job_thread, job);
        if (r != 0)
                return -r;
        cds_list_add_tail(&job->link, &job->jobs->running);
        job->jobs->n_running++;
        return 0;
}

static Job *first_of(struct cds_list_head *list) {
        return cds_list_empty(list) ? NULL : cds_list_first_entry(list, Job, link);
}

static Job *take_waiting(Jobs *jobs) {
        Job *job = first_of(&jobs->waiting);

        if (job) {
                cds_list_del(&job->link);
                jobs->n_waiting--;
        }
        return job;
}

static void start_waiting(Jobs *jobs) {
        while (jobs->n_running < JOBS_RUNNING_MAX) {
                Job *job = take_waiting(jobs);
                int r;

                if (!job)
                        return;
                r = cancel_is_requested(&job->cancel) ? -ECANCELED : job_launch(job);
                if (r < 0)
                        job_end(job, r);
        }
}

void jobs_init(Jobs *jobs, sd_event *event) {
        *jobs = (Jobs){.event = event};
        CDS_INIT_LIST_HEAD(&jobs->running);
        CDS_INIT_LIST_HEAD(&jobs->waiting);
}

void jobs_deinit(Jobs *jobs) {
        Job *job;

        cds_list_for_each_entry(job, &jobs->running, link)
                job_cancel(job);
        while ((job = take_waiting(jobs)))
                job_end(job, -ECANCELED);
        while ((job = first_of(&jobs->running)))
                job_finish(job);
}

int job_start(Jobs *jobs, Job **ret, JobRun run, JobDone done, void *userdata, Detail *detail) {
        _cleanup_(job_freep) Job *job = NULL;
        int r = 0;

        if (jobs->n_waiting == JOBS_WAITING_MAX)
                return detail_set(detail, MAP_E_QUOTA_EXCEEDED,
                                  "%d long calls wait for their turn already, the limit",
                                  JOBS_WAITING_MAX);
        job = calloc(1, sizeof(*job));
        if (!job)
                return -ENOMEM;
        job->jobs = jobs;
        job->run = run;
        job->done = done;
        job->userdata = userdata;
        if (jobs->n_running < JOBS_RUNNING_MAX) {
                r = job_launch(job);
        } else {
                cds_list_add_tail(&job->link, &jobs->waiting);
                jobs->n_waiting++;
        }
        if (r < 0)
                return r;
        if (ret)
                *ret = job;
        TAKE_PTR(job);
        return 0;
}

void job_cancel(Job *job) {
        cancel_request(&job->cancel);
}
