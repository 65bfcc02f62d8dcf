/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The gate, with threads whose KVM_RUN is a wait for the kick
 *
 * A fake run goes on until immediate_exit is set or the signal comes. As in the real one, a signal
 * that comes before it is too early: only from the look at immediate_exit on none is lost.
 */

#include <errno.h>
#include <poll.h>
#include <time.h>

#include "lib/kvm/run-gate.h"
#include "lib/util/cleanup.h"
#include "tests/common/unit.h"

enum { N_RUNNERS = 3, GIVE_UP_SECONDS = 20 };

typedef struct Runner Runner;

struct Runner {
        RunGate *gate;
        GateRunner gate_runner;
        uint8_t immediate_exit;
        pthread_t thread;
        uint64_t n_runs;   /* atomic */
        uint64_t n_nudges; /* atomic */
        bool in_run;       /* atomic: between enter and leave */
        bool may_return;   /* atomic: its KVM_RUN ends by itself, at once */
        bool is_busy;      /* atomic: stays outside, as with an access to be served */
};

static bool get(const bool *flag) {
        return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

static void set(bool *flag, bool value) {
        __atomic_store_n(flag, value, __ATOMIC_SEQ_CST);
}

static int fake_kvm_run(Runner *runner) {
        const struct timespec give_up = {.tv_sec = GIVE_UP_SECONDS};
        sigset_t kick, before;
        int r = 0;

        sigemptyset(&kick);
        sigaddset(&kick, RUN_GATE_SIGNAL);
        pthread_sigmask(SIG_BLOCK, &kick, &before);
        if (__atomic_load_n(&runner->immediate_exit, __ATOMIC_RELAXED))
                r = -EINTR;
        else if (!get(&runner->may_return))
                r = ppoll(NULL, 0, &give_up, &before) < 0 ? -errno : -ETIMEDOUT;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return r;
}

static void *run(void *data) {
        Runner *runner = data;
        int r;

        run_gate_link(runner->gate, &runner->gate_runner);
        do {
                run_gate_enter(runner->gate, &runner->gate_runner);
                set(&runner->in_run, true);
                r = fake_kvm_run(runner);
                set(&runner->in_run, false);
                run_gate_leave(runner->gate, &runner->gate_runner);
                __atomic_add_fetch(&runner->n_runs, 1, __ATOMIC_SEQ_CST);
                __atomic_add_fetch(&runner->n_nudges, run_gate_take_nudge(&runner->gate_runner),
                                   __ATOMIC_SEQ_CST);
                while (get(&runner->is_busy))
                        sched_yield();
        } while (r != -ETIMEDOUT && !run_gate_is_interrupted(&runner->gate_runner));
        run_gate_unlink(runner->gate, &runner->gate_runner);
        return (void *)(intptr_t)r;
}

static void start(Runner *runner, RunGate *gate, bool may_return) {
        *runner = (Runner){.gate = gate, .may_return = may_return};
        runner->gate_runner.immediate_exit = &runner->immediate_exit;
        assert_int_equal(pthread_create(&runner->thread, NULL, run, runner), 0);
}

/* A kick that was lost shows as a time-out. */
static void end(Runner *runner) {
        void *result;

        run_gate_interrupt(runner->gate, &runner->gate_runner);
        assert_int_equal(pthread_join(runner->thread, &result), 0);
        assert_int_not_equal((intptr_t)result, -ETIMEDOUT);
}

static uint64_t n_runs(const Runner *runner) {
        return __atomic_load_n(&runner->n_runs, __ATOMIC_SEQ_CST);
}

static void await_in_run(const Runner *runner) {
        while (!get(&runner->in_run))
                sched_yield();
}

/* However they come and go: while it is held, nobody is inside. */
static void check_storm(bool may_return, unsigned n, void (*bar)(RunGate *gate),
                        void (*unbar)(RunGate *gate)) {
        Runner runners[N_RUNNERS];
        RunGate gate;

        assert_int_equal(run_gate_init(&gate), 0);
        for (size_t i = 0; i < N_RUNNERS; i++)
                start(&runners[i], &gate, may_return);
        for (unsigned round = 0; round < n; round++) {
                uint64_t before[N_RUNNERS];

                bar(&gate);
                for (size_t i = 0; i < N_RUNNERS; i++) {
                        assert_false(get(&runners[i].in_run));
                        before[i] = n_runs(&runners[i]);
                }
                if (round % 16 == 0)
                        sched_yield();
                for (size_t i = 0; i < N_RUNNERS; i++)
                        assert_false(get(&runners[i].in_run));
                unbar(&gate);
                for (size_t i = 0; round % 64 == 0 && i < N_RUNNERS; i++)
                        while (!get(&runners[i].in_run) && n_runs(&runners[i]) < before[i] + 2)
                                sched_yield();
        }
        for (size_t i = 0; i < N_RUNNERS; i++)
                end(&runners[i]);
        run_gate_deinit(&gate);
}

static void test_hold(void **state) {
        check_storm(false, 2000, run_gate_hold, run_gate_release);
}

static void test_hold_busy(void **state) {
        check_storm(true, 2000, run_gate_hold, run_gate_release);
}

static void test_close(void **state) {
        check_storm(false, 2000, run_gate_close, run_gate_open);
}

/* Who has left need not come back for a hold to begin. */
static void test_busy_outside(void **state) {
        Runner runners[N_RUNNERS];
        RunGate gate;

        assert_int_equal(run_gate_init(&gate), 0);
        for (size_t i = 0; i < N_RUNNERS; i++)
                start(&runners[i], &gate, false);
        for (unsigned round = 0; round < 500; round++) {
                for (size_t i = 0; i < N_RUNNERS; i++) {
                        await_in_run(&runners[i]);
                        set(&runners[i].is_busy, true);
                }
                run_gate_hold(&gate);
                run_gate_release(&gate);
                for (size_t i = 0; i < N_RUNNERS; i++)
                        set(&runners[i].is_busy, false);
        }
        for (size_t i = 0; i < N_RUNNERS; i++)
                end(&runners[i]);
        run_gate_deinit(&gate);
}

/* Held twice, it is to be released twice. */
static void test_held_twice(void **state) {
        Runner runner;
        RunGate gate;

        assert_int_equal(run_gate_init(&gate), 0);
        start(&runner, &gate, false);
        await_in_run(&runner);
        run_gate_hold(&gate);
        run_gate_hold(&gate);
        run_gate_release(&gate);
        for (unsigned ms = 0; ms < 20; ms++) {
                usleep(1000);
                assert_false(get(&runner.in_run));
        }
        run_gate_release(&gate);
        await_in_run(&runner);
        end(&runner);
        run_gate_deinit(&gate);
}

/* Closed beside that, it is to be opened as well. */
static void test_nested(void **state) {
        Runner runner;
        RunGate gate;

        assert_int_equal(run_gate_init(&gate), 0);
        start(&runner, &gate, false);
        await_in_run(&runner);
        run_gate_hold(&gate);
        run_gate_close(&gate);
        run_gate_hold(&gate);
        run_gate_release(&gate);
        sched_yield();
        assert_false(get(&runner.in_run));
        run_gate_release(&gate);
        sched_yield();
        assert_false(get(&runner.in_run));
        run_gate_open(&gate);
        await_in_run(&runner);
        end(&runner);
        run_gate_deinit(&gate);
}

/* Each of many runs is interrupted at another moment, and each ends. */
static void test_interrupt(void **state) {
        RunGate gate;

        assert_int_equal(run_gate_init(&gate), 0);
        for (unsigned i = 0; i < 500; i++) {
                Runner runner;

                start(&runner, &gate, false);
                for (unsigned wait = 0; wait < i % 16; wait++)
                        sched_yield();
                end(&runner);
        }
        run_gate_deinit(&gate);
}

static void check_interrupt_at_gate(bool hold) {
        Runner runner;
        RunGate gate;

        assert_int_equal(run_gate_init(&gate), 0);
        run_gate_close(&gate);
        start(&runner, &gate, false);
        for (unsigned i = 0; i < 100; i++)
                sched_yield();
        assert_int_equal(n_runs(&runner), 0);
        if (hold) {
                run_gate_hold(&gate);
                run_gate_interrupt(&gate, &runner.gate_runner);
                for (unsigned i = 0; i < 100; i++)
                        sched_yield();
                assert_int_equal(n_runs(&runner), 0);
                run_gate_release(&gate);
        }
        end(&runner);
        assert_int_equal(n_runs(&runner), 1);
        assert_int_equal(runner.immediate_exit, 1);
        run_gate_deinit(&gate);
}

/* It is let through a closed gate for one entry that executes nothing; not through a held one. */
static void test_interrupt_at_gate(void **state) {
        for (unsigned i = 0; i < 50; i++)
                check_interrupt_at_gate(i % 2);
}

/* Wherever it is, it leaves once for each nudge, and goes on. */
static void test_nudge(void **state) {
        Runner runner;
        RunGate gate;

        assert_int_equal(run_gate_init(&gate), 0);
        start(&runner, &gate, false);
        await_in_run(&runner);
        for (unsigned i = 0; i < 500; i++) {
                run_gate_nudge(&gate);
                while (__atomic_load_n(&runner.n_nudges, __ATOMIC_SEQ_CST) == i)
                        sched_yield();
        }
        end(&runner);
        run_gate_deinit(&gate);
}

/* Counted is what held somebody up. */
static void test_pauses(void **state) {
        PauseStatistics pauses;
        Runner runner;
        RunGate gate;

        assert_int_equal(run_gate_init(&gate), 0);
        run_gate_hold(&gate);
        run_gate_release(&gate);
        assert_int_equal(run_gate_pauses(&gate).count, 0);

        start(&runner, &gate, false);
        await_in_run(&runner);
        for (unsigned i = 0; i < 3; i++) {
                run_gate_hold(&gate);
                (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
                run_gate_release(&gate);
        }
        run_gate_close(&gate);
        run_gate_hold(&gate);
        run_gate_release(&gate);
        run_gate_open(&gate);
        end(&runner);

        pauses = run_gate_pauses(&gate);
        assert_int_equal(pauses.count, 3);
        assert_true(pauses.total_usec >= 3000);
        assert_true(pauses.max_usec >= 1000 && pauses.max_usec <= pauses.total_usec);
        run_gate_deinit(&gate);
}

UNIT_TESTS(cmocka_unit_test(test_hold), cmocka_unit_test(test_hold_busy),
           cmocka_unit_test(test_close), cmocka_unit_test(test_busy_outside),
           cmocka_unit_test(test_held_twice), cmocka_unit_test(test_nested),
           cmocka_unit_test(test_interrupt), cmocka_unit_test(test_interrupt_at_gate),
           cmocka_unit_test(test_nudge), cmocka_unit_test(test_pauses));
