/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Read-copy-update, told to ThreadSanitizer
 *
 * Stands in for <urcu/urcu-memb.h> where ThreadSanitizer looks on. It does not see into liburcu,
 * and could not make out from membarrier() and a counter per thread what a grace period is. So what
 * liburcu promises is said here in its words: what a thread did before it left a read-side section,
 * or before it handed over a callback, has happened before callbacks that run; what callbacks did
 * has happened before a barrier ends. Whatever is freed without a callback, or by one while a
 * reader is still in the section where it found it, is reported.
 *
 * liburcu is not inlined (no _LGPL_SOURCE): what it does itself is its own affair.
 */

#undef _LGPL_SOURCE
#include_next <urcu/urcu-memb.h>

#include <sanitizer/tsan_interface.h>

/* Of libtsan: what the thread writes in between does not count. */
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);

typedef struct TsanRcuHead TsanRcuHead;

struct TsanRcuHead {
        struct rcu_head head;
        void (*function)(TsanRcuHead *head);
};

/* Its address stands for all grace periods. Weak, so that a program has one. */
__attribute__((weak)) char tsan_rcu_grace;

static inline void tsan_rcu_leave(void) {
        __tsan_release(&tsan_rcu_grace);
        urcu_memb_read_unlock();
}

static inline void tsan_rcu_run(struct rcu_head *head) {
        TsanRcuHead *known = (TsanRcuHead *)head;

        __tsan_acquire(&tsan_rcu_grace);
        known->function(known);
        __tsan_release(&tsan_rcu_grace);
}

static inline void tsan_rcu_retire(TsanRcuHead *head, void (*function)(TsanRcuHead *head)) {
        head->function = function;
        __tsan_release(&tsan_rcu_grace);
        urcu_memb_call_rcu(&head->head, tsan_rcu_run);
}

static inline void tsan_rcu_barrier(void) {
        /* It allocates what liburcu's thread frees: in order, but out of sight. */
        AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
        urcu_memb_barrier();
        AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
        __tsan_acquire(&tsan_rcu_grace);
}

#define rcu_head              TsanRcuHead
#define urcu_memb_read_unlock tsan_rcu_leave
#define urcu_memb_call_rcu    tsan_rcu_retire
#define urcu_memb_barrier     tsan_rcu_barrier
