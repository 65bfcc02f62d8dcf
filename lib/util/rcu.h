/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Read-copy-update
 *
 * The only file that includes liburcu's RCU headers (memb flavour). One thread, the writer, makes
 * immutable objects and publishes pointers to them; any number of registered readers fetch the
 * pointers and use what they point to until they leave their read-side section. What the writer
 * has replaced it retires: the callback runs, on liburcu's own thread, when no reader that could
 * have seen the object is left.
 *
 *   writer:   rcu_publish(&map->snapshot, new); rcu_retire(&old->rcu, snapshot_retired);
 *   reader:   rcu_enter(); s = rcu_fetch(&map->snapshot); … ; rcu_leave();
 *
 * Source: liburcu.
 */

#define _LGPL_SOURCE /* this is, so read-side sections may be inlined */
#include <urcu/urcu-memb.h>

typedef struct rcu_head RcuHead;

/*
 * Has liburcu make its thread now and not when the first object is retired: where there can be no
 * thread it ends the process, which is to happen before that has anything to lose.
 */
static inline void rcu_start(void) {
        (void)urcu_memb_get_default_call_rcu_data();
}

/* Every thread that enters read-side sections registers first and unregisters before it ends. */
static inline void rcu_register(void) {
        urcu_memb_register_thread();
}

static inline void rcu_unregister(void) {
        urcu_memb_unregister_thread();
}

static inline void rcu_enter(void) {
        urcu_memb_read_lock();
}

static inline void rcu_leave(void) {
        urcu_memb_read_unlock();
}

/* Makes an object that is complete visible to readers. */
#define rcu_publish(pointer, object) __atomic_store_n(pointer, object, __ATOMIC_RELEASE)

/* The published object, valid until rcu_leave(). */
#define rcu_fetch(pointer) __atomic_load_n(pointer, __ATOMIC_CONSUME)

/* Runs function(head) after a grace period. Does not block, does not fail. */
static inline void rcu_retire(RcuHead *head, void (*function)(RcuHead *head)) {
        urcu_memb_call_rcu(head, function);
}

/* Waits until everything retired so far has been freed. */
static inline void rcu_barrier_all(void) {
        urcu_memb_barrier();
}
