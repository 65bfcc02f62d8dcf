/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "lib/kvm/run-gate.h"
#include "lib/util/cleanup.h"
#include "lib/util/patience.h"

/* That it comes is all: KVM_RUN ends. Other calls that it meets go on, by SA_RESTART. */
static void on_kick(int number) {}

int run_gate_init(RunGate *gate) {
        const struct sigaction action = {.sa_handler = on_kick, .sa_flags = SA_RESTART};

        if (sigaction(RUN_GATE_SIGNAL, &action, NULL) < 0)
                return -errno;
        *gate = (RunGate){
                .lock = PTHREAD_MUTEX_INITIALIZER,
                .opened = PTHREAD_COND_INITIALIZER,
                .emptied = PTHREAD_COND_INITIALIZER,
        };
        CDS_INIT_LIST_HEAD(&gate->runners);
        return 0;
}

void run_gate_deinit(RunGate *gate) {
        pthread_cond_destroy(&gate->emptied);
        pthread_cond_destroy(&gate->opened);
        pthread_mutex_destroy(&gate->lock);
}

static bool is_inside(const GateRunner *runner) {
        return __atomic_load_n(&runner->inside, __ATOMIC_SEQ_CST);
}

static void set_inside(GateRunner *runner, int inside) {
        __atomic_store_n(&runner->inside, inside, __ATOMIC_SEQ_CST);
}

static void set_immediate_exit(GateRunner *runner, bool set) {
        __atomic_store_n(runner->immediate_exit, set, __ATOMIC_RELAXED);
}

static bool must_leave(const GateRunner *runner) {
        return run_gate_is_interrupted(runner) ||
               __atomic_load_n(&runner->nudged, __ATOMIC_SEQ_CST);
}

/* With the lock held: a runner that is inside is linked, so its thread is there. */
static void kick(GateRunner *runner) {
        if (!is_inside(runner))
                return;
        set_immediate_exit(runner, true);
        (void)pthread_kill(runner->thread, RUN_GATE_SIGNAL);
}

static bool is_empty(RunGate *gate) {
        GateRunner *runner;

        cds_list_for_each_entry(runner, &gate->runners, link)
                if (is_inside(runner))
                        return false;
        return true;
}

/* With the lock held: what bars the gate has changed. */
static void set_barred(RunGate *gate) {
        __atomic_store_n(&gate->barred, gate->n_holds > 0 || gate->closed, __ATOMIC_SEQ_CST);
}

static void empty(RunGate *gate) {
        GateRunner *runner;

        set_barred(gate);
        cds_list_for_each_entry(runner, &gate->runners, link)
                kick(runner);
        while (!is_empty(gate))
                pthread_cond_wait(&gate->emptied, &gate->lock);
}

void run_gate_hold(RunGate *gate) {
        pthread_mutex_lock(&gate->lock);
        if (gate->n_holds++ == 0) {
                gate->is_pause = !gate->closed && !cds_list_empty(&gate->runners);
                gate->since_usec = monotonic_usec();
        }
        empty(gate);
        pthread_mutex_unlock(&gate->lock);
}

static void count_pause(RunGate *gate) {
        uint64_t usec = monotonic_usec() - gate->since_usec;

        gate->pauses.count++;
        gate->pauses.total_usec += usec;
        gate->pauses.max_usec = MAX_OF(gate->pauses.max_usec, usec);
}

void run_gate_release(RunGate *gate) {
        pthread_mutex_lock(&gate->lock);
        if (--gate->n_holds == 0 && gate->is_pause)
                count_pause(gate);
        set_barred(gate);
        pthread_cond_broadcast(&gate->opened);
        pthread_mutex_unlock(&gate->lock);
}

void run_gate_close(RunGate *gate) {
        pthread_mutex_lock(&gate->lock);
        gate->closed = true;
        empty(gate);
        pthread_mutex_unlock(&gate->lock);
}

void run_gate_open(RunGate *gate) {
        pthread_mutex_lock(&gate->lock);
        gate->closed = false;
        set_barred(gate);
        pthread_cond_broadcast(&gate->opened);
        pthread_mutex_unlock(&gate->lock);
}

PauseStatistics run_gate_pauses(RunGate *gate) {
        PauseStatistics pauses;

        pthread_mutex_lock(&gate->lock);
        pauses = gate->pauses;
        pthread_mutex_unlock(&gate->lock);
        return pauses;
}

void run_gate_link(RunGate *gate, GateRunner *runner) {
        pthread_mutex_lock(&gate->lock);
        runner->thread = pthread_self();
        cds_list_add_tail(&runner->link, &gate->runners);
        pthread_mutex_unlock(&gate->lock);
}

void run_gate_unlink(RunGate *gate, GateRunner *runner) {
        pthread_mutex_lock(&gate->lock);
        cds_list_del(&runner->link);
        pthread_mutex_unlock(&gate->lock);
}

static bool must_wait(const RunGate *gate, const GateRunner *runner) {
        return gate->n_holds > 0 || (gate->closed && !run_gate_is_interrupted(runner));
}

/* Whoever holds the lock bars nobody, kicks nobody: once a runner may enter there, it is inside. */
static void enter_barred(RunGate *gate, GateRunner *runner) {
        pthread_mutex_lock(&gate->lock);
        set_inside(runner, false);
        pthread_cond_broadcast(&gate->emptied);
        while (must_wait(gate, runner))
                pthread_cond_wait(&gate->opened, &gate->lock);
        set_inside(runner, true);
        set_immediate_exit(runner, must_leave(runner));
        pthread_mutex_unlock(&gate->lock);
}

/*
 * Here `inside` is set and then `barred` looked at, in empty() it is the other way round. All four
 * are sequentially consistent: with less, a processor may look before others see what it has set,
 * both sides find nobody, and a runner is inside a gate that is held.
 */
void run_gate_enter(RunGate *gate, GateRunner *runner) {
        set_immediate_exit(runner, false);
        set_inside(runner, true);
        if (must_leave(runner))
                set_immediate_exit(runner, true);
        if (__atomic_load_n(&gate->barred, __ATOMIC_SEQ_CST))
                enter_barred(gate, runner);
}

void run_gate_leave(RunGate *gate, GateRunner *runner) {
        set_inside(runner, false);
        if (!__atomic_load_n(&gate->barred, __ATOMIC_SEQ_CST))
                return;
        pthread_mutex_lock(&gate->lock);
        pthread_cond_broadcast(&gate->emptied);
        pthread_mutex_unlock(&gate->lock);
}

void run_gate_interrupt(RunGate *gate, GateRunner *runner) {
        pthread_mutex_lock(&gate->lock);
        __atomic_store_n(&runner->interrupted, 1, __ATOMIC_SEQ_CST);
        kick(runner);
        pthread_cond_broadcast(&gate->opened);
        pthread_mutex_unlock(&gate->lock);
}

/* Those in front of the one that is inside are nudged as well, and come to no harm. */
void run_gate_nudge(RunGate *gate) {
        GateRunner *runner;

        pthread_mutex_lock(&gate->lock);
        cds_list_for_each_entry(runner, &gate->runners, link) {
                __atomic_store_n(&runner->nudged, 1, __ATOMIC_SEQ_CST);
                kick(runner);
                if (is_inside(runner))
                        break;
        }
        pthread_mutex_unlock(&gate->lock);
}
