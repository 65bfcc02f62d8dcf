/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Run gate: what vCPUs pass on their way into KVM_RUN
 *
 * KVM replaces a slot by a delete and a create, and a vCPU that runs meanwhile sees a hole. So
 * whoever replaces slots that are in use holds the gate: nobody enters any more, whoever is inside
 * is kicked out, and run_gate_hold() returns when the last one has left. That is for moments. To
 * keep guests from running for longer, a gate is closed and opened.
 *
 * An open gate is passed without a lock: a runner says that it is inside, then looks whether the
 * gate is barred; who bars it does that first, and then looks who is inside. Both by sequentially
 * consistent accesses, so at least one sees the other. A kick is immediate_exit first, then a
 * signal: a KVM_RUN that is about to begin returns at once, one that is on is ended by the signal.
 *
 * A runner that was interrupted enters with immediate_exit set: KVM_RUN finishes the instruction
 * whose access was served last and returns with EINTR, without executing another one. That is why
 * a closed gate lets it pass, but a held one does not.
 *
 * I1: while the gate is held, no runner is inside.
 * I2: while it is closed, no runner is inside that was not interrupted.
 *
 * The kick's signal is SIGRTMIN. Its handler, for all of the process, is set by run_gate_init();
 * nobody else may use that signal.
 *
 * Source: KVM_RUN.
 */

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <urcu/list.h>

typedef struct GateRunner GateRunner;
typedef struct PauseStatistics PauseStatistics;
typedef struct RunGate RunGate;

#define RUN_GATE_SIGNAL SIGRTMIN

/* Of how long runners were held up by run_gate_hold(), where there were any. */
struct PauseStatistics {
        uint64_t count;
        uint64_t total_usec;
        uint64_t max_usec;
};

struct RunGate {
        pthread_mutex_t lock; /* of all that is not atomic */
        pthread_cond_t opened;
        pthread_cond_t emptied;
        struct cds_list_head runners; /* of GateRunner.link */
        unsigned n_holds;
        bool closed;
        bool is_pause;       /* the hold that is on counts in `pauses` */
        uint64_t since_usec; /* when it began; CLOCK_MONOTONIC */
        PauseStatistics pauses;
        int barred; /* atomic: held or closed */
};

/* A thread that enters KVM_RUN time and again. */
struct GateRunner {
        struct cds_list_head link;
        pthread_t thread;
        uint8_t *immediate_exit; /* atomic; of its struct kvm_run */
        int inside;              /* atomic; written by the thread */
        int interrupted;         /* atomic */
        int nudged;              /* atomic */
};

/* -errno: the handler cannot be set. */
int run_gate_init(RunGate *gate);
/* There must be no runner left. */
void run_gate_deinit(RunGate *gate);

/* Any thread. A hold is ended by release(); one may hold what is held. */
void run_gate_hold(RunGate *gate);
void run_gate_release(RunGate *gate);
void run_gate_close(RunGate *gate);
void run_gate_open(RunGate *gate);
PauseStatistics run_gate_pauses(RunGate *gate);

/* From here to unlink() the calling thread may enter. It must not block RUN_GATE_SIGNAL. */
void run_gate_link(RunGate *gate, GateRunner *runner);
void run_gate_unlink(RunGate *gate, GateRunner *runner);
/* By the runner's thread, around KVM_RUN. Waits as long as it must. */
void run_gate_enter(RunGate *gate, GateRunner *runner);
void run_gate_leave(RunGate *gate, GateRunner *runner);

/* Any thread: from now on KVM_RUN ends with EINTR, this time and the next, until allowed again. */
void run_gate_interrupt(RunGate *gate, GateRunner *runner);
static inline bool run_gate_is_interrupted(const GateRunner *runner) {
        return __atomic_load_n(&runner->interrupted, __ATOMIC_SEQ_CST);
}
/*
 * Any thread: KVM_RUN of some runner ends with EINTR once, of one that is inside if there is any;
 * the runner's thread asks whether that was why.
 */
void run_gate_nudge(RunGate *gate);
static inline bool run_gate_take_nudge(GateRunner *runner) {
        return __atomic_exchange_n(&runner->nudged, 0, __ATOMIC_SEQ_CST);
}
/* While the runner is not linked. */
static inline void run_gate_allow(GateRunner *runner) {
        __atomic_store_n(&runner->interrupted, 0, __ATOMIC_SEQ_CST);
}
