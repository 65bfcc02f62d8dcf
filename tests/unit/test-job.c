/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Jobs: each is done once, on the loop's thread, with what its own thread made of it; only so many
 * run at once. The threads are held by semaphores, so that nothing depends on time.
 */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

#include "daemon/vm/job.h"
#include "daemon/vm/vm-error.h"
#include "lib/util/cleanup.h"
#include "lib/util/rcu.h"
#include "tests/common/unit.h"

typedef struct Work Work;

struct Work {
        sem_t may_end;
        pthread_t ran_on;
        bool ran;
        unsigned n_done;
        unsigned done_as; /* the how many-th that was done */
        int result;
        Jobs *next_on; /* done() starts `next` there */
        Work *next;
};

static sd_event *event;
static Jobs jobs;
static unsigned n_done;
static RcuHead retired;
static bool was_retired;

static int setup(void **state) {
        rcu_register();
        n_done = 0;
        if (sd_event_new(&event) < 0)
                return -1;
        jobs_init(&jobs, event);
        return 0;
}

static int teardown(void **state) {
        jobs_deinit(&jobs);
        event = sd_event_unref(event);
        rcu_unregister();
        return 0;
}

static Work *work_new(unsigned tickets) {
        Work *work = calloc(1, sizeof(*work));

        assert_non_null(work);
        assert_int_equal(sem_init(&work->may_end, 0, tickets), 0);
        return work;
}

static void work_free(Work *work) {
        sem_destroy(&work->may_end);
        free(work);
}

static int wait_and_answer(const Cancel *cancel, void *userdata) {
        Work *work = userdata;

        work->ran = true;
        work->ran_on = pthread_self();
        sem_wait(&work->may_end);
        return 42;
}

static void note_done(int result, void *userdata) {
        Work *work = userdata;

        work->result = result;
        work->n_done++;
        work->done_as = ++n_done;
        if (work->next)
                assert_int_equal(job_start(work->next_on, NULL, wait_and_answer, note_done,
                                           work->next, NULL),
                                 0);
}

static void start(Work *work) {
        assert_int_equal(job_start(&jobs, NULL, wait_and_answer, note_done, work, NULL), 0);
}

static void run_until_done(const Work *work) {
        while (work->n_done == 0)
                assert_true(sd_event_run(event, UINT64_MAX) >= 0);
}

static void test_result_comes_back(void **state) {
        Work *work = work_new(0);

        start(work);
        assert_int_equal(sd_event_run(event, 0), 0);
        assert_int_equal(work->n_done, 0);
        sem_post(&work->may_end);
        run_until_done(work);
        assert_int_equal(work->result, 42);
        assert_false(pthread_equal(work->ran_on, pthread_self()));
        assert_int_equal(jobs.n_running, 0);
        work_free(work);
}

static void test_done_may_start_another(void **state) {
        Work *first = work_new(1), *second = work_new(1);

        first->next_on = &jobs;
        first->next = second;
        start(first);
        run_until_done(second);
        assert_int_equal(first->n_done, 1);
        assert_int_equal(second->n_done, 1);
        work_free(first);
        work_free(second);
}

static void note_retired(RcuHead *head) {
        was_retired = true;
}

static int retire(const Cancel *cancel, void *userdata) {
        rcu_retire(&retired, note_retired);
        rcu_barrier_all();
        return was_retired;
}

static void test_thread_knows_rcu(void **state) {
        Work *work = work_new(0);

        assert_int_equal(job_start(&jobs, NULL, retire, note_done, work, NULL), 0);
        run_until_done(work);
        assert_int_equal(work->result, 1);
        work_free(work);
}

static int wait_for_cancel(const Cancel *cancel, void *userdata) {
        while (!cancel_is_requested(cancel))
                sched_yield();
        return -ECANCELED;
}

static void test_cancel(void **state) {
        Work *work = work_new(0);
        Job *job;

        assert_int_equal(job_start(&jobs, &job, wait_for_cancel, note_done, work, NULL), 0);
        job_cancel(job);
        run_until_done(work);
        assert_int_equal(work->result, -ECANCELED);
        work_free(work);
}

static void test_turns(void **state) {
        Work *works[JOBS_RUNNING_MAX + 3];

        for (size_t i = 0; i < ELEMENTS_OF(works); i++) {
                works[i] = work_new(0);
                start(works[i]);
        }
        assert_int_equal(jobs.n_running, JOBS_RUNNING_MAX);
        assert_int_equal(jobs.n_waiting, 3);

        /* One place: those that wait take it one after the other. */
        for (size_t i = JOBS_RUNNING_MAX; i < ELEMENTS_OF(works); i++)
                sem_post(&works[i]->may_end);
        assert_int_equal(sd_event_run(event, 0), 0);
        sem_post(&works[0]->may_end);
        for (size_t i = JOBS_RUNNING_MAX; i < ELEMENTS_OF(works); i++) {
                run_until_done(works[i]);
                assert_int_equal(works[i]->done_as, i - JOBS_RUNNING_MAX + 2);
        }
        for (size_t i = 1; i < JOBS_RUNNING_MAX; i++) {
                assert_int_equal(works[i]->n_done, 0);
                sem_post(&works[i]->may_end);
                run_until_done(works[i]);
        }
        for (size_t i = 0; i < ELEMENTS_OF(works); i++)
                work_free(works[i]);
}

static void test_cancelled_before_its_turn(void **state) {
        Work *works[JOBS_RUNNING_MAX], *late = work_new(0);
        Job *job;

        for (size_t i = 0; i < ELEMENTS_OF(works); i++) {
                works[i] = work_new(0);
                start(works[i]);
        }
        assert_int_equal(job_start(&jobs, &job, wait_and_answer, note_done, late, NULL), 0);
        job_cancel(job);
        sem_post(&works[0]->may_end);
        run_until_done(late);
        assert_int_equal(late->result, -ECANCELED);
        assert_false(late->ran);
        for (size_t i = 1; i < ELEMENTS_OF(works); i++)
                sem_post(&works[i]->may_end);
        jobs_deinit(&jobs);
        for (size_t i = 0; i < ELEMENTS_OF(works); i++) {
                assert_int_equal(works[i]->n_done, 1);
                work_free(works[i]);
        }
        work_free(late);
}

static void test_limit(void **state) {
        enum { N = JOBS_RUNNING_MAX + JOBS_WAITING_MAX };
        Work *works[N], *refused = work_new(0);
        Detail detail;

        for (size_t i = 0; i < N; i++) {
                works[i] = work_new(1);
                start(works[i]);
        }
        assert_int_equal(job_start(&jobs, NULL, wait_and_answer, note_done, refused, &detail),
                         MAP_E_QUOTA_EXCEEDED);
        assert_string_equal(detail.text, "64 long calls wait for their turn already, the limit");
        while (n_done < N)
                assert_true(sd_event_run(event, UINT64_MAX) >= 0);
        assert_int_equal(refused->n_done, 0);
        for (size_t i = 0; i < N; i++) {
                assert_int_equal(works[i]->n_done, 1);
                work_free(works[i]);
        }
        work_free(refused);
}

static void test_end_waits(void **state) {
        enum { N = JOBS_RUNNING_MAX + 2 };
        Work *works[N];

        for (size_t i = 0; i < N; i++) {
                works[i] = work_new(0);
                assert_int_equal(job_start(&jobs, NULL, wait_for_cancel, note_done, works[i], NULL),
                                 0);
        }
        jobs_deinit(&jobs);
        for (size_t i = 0; i < N; i++) {
                assert_int_equal(works[i]->n_done, 1);
                assert_int_equal(works[i]->result, -ECANCELED);
                work_free(works[i]);
        }
}

#define JOB_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

UNIT_TESTS(JOB_TEST(test_result_comes_back), JOB_TEST(test_done_may_start_another),
           JOB_TEST(test_thread_knows_rcu), JOB_TEST(test_cancel), JOB_TEST(test_turns),
           JOB_TEST(test_cancelled_before_its_turn), JOB_TEST(test_limit),
           JOB_TEST(test_end_waits));
