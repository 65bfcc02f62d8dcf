/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Gate: who waits while the tree is lent
 *
 * The tree of regions, with its transactions, belongs to the loop, which may lend it to a job. What
 * is published is the loop's all the time: views, the history, slots, the numbers of the last
 * commit. While the tree is lent each call that needs it stands in line; all others are answered at
 * once, unless their caller has a call in line or is the one whose call the job does. When the tree
 * is back the line is played back through the connection's own queue of messages read. A call that
 * was read meanwhile, and would pass those that wait, joins the line at its end.
 *
 * I1: while the tree is lent, nothing on the loop looks at it: calls are held here; the departure
 *     of callers is a call; transactions do not time out, objects are not told of.
 * I2: calls of one caller are handled in the order in which they were sent.
 * I3: the line is bounded, also for each user, and some of it is kept for the owner and root:
 *     calls, and what they have brought. Beyond a bound none is added: one call can go past it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-bus.h>
#include <urcu/list.h>

#include "daemon/vm/job.h"
#include "lib/util/detail.h"

typedef struct Gate Gate;
typedef struct Service Service;

enum {
        GATE_LINE_MAX = 4096,      /* calls in line */
        GATE_LINE_RESERVED = 1024, /* of these only for the VM's owner and root */
        GATE_LINE_USER_MAX = 1024, /* of any other uid */

        GATE_BYTES_MAX = 64 << 20, /* in calls in line, about */
        GATE_BYTES_RESERVED = 32 << 20,
        GATE_BYTES_USER_MAX = 16 << 20,

        GATE_DESCRIPTORS_MAX = 1024, /* in calls in line */
        GATE_DESCRIPTORS_RESERVED = 512,
        GATE_DESCRIPTORS_USER_MAX = 256,
};

struct Gate {
        Service *service;
        bool is_lent;
        char *borrower;            /* whose call it is lent for; NULL: guestmapd's */
        struct cds_list_head line; /* calls that wait, in order */
        size_t n_line;
        bool borrower_left; /* while the tree was lent */
};

void gate_init(Gate *gate, Service *service);

/* Whether calls wait: the tree is lent, or the line is being played back. */
static inline bool gate_is_busy(const Gate *gate) {
        return gate->is_lent || gate->n_line > 0;
}

/*
 * A method call has come in: *ret_held if it has to wait, and comes again; otherwise it is to be
 * handled now. MAP_E_QUOTA_EXCEEDED.
 */
int gate_hold(Gate *gate, sd_bus_message *m, bool *ret_held, Detail *detail);

/* A call that may have waited was refused before it came here again. */
void gate_forget(Gate *gate, sd_bus_message *m);

/* Lends the tree, which is there, to whoever does a call; NULL: it is nobody's call. -ENOMEM. */
int gate_lend(Gate *gate, sd_bus_message *m);
/* The tree is back, if it was lent, and the call it was lent for is answered. */
void gate_take_back(Gate *gate);
/* job_start(), with the tree lent to the job: done() takes it back. */
int gate_start_job(Gate *gate, Job **ret, sd_bus_message *m, JobRun run, JobDone done,
                   void *userdata, Detail *detail);

/*
 * run(), then done(), on the tree that is there: at once, or, if run() may have to wait for others,
 * as a job that the tree is lent to. done() is called once in any case, and takes the tree back.
 */
void gate_run(Gate *gate, sd_bus_message *m, bool waits, JobRun run, JobDone done, void *userdata,
              Detail *detail);

/*
 * `caller` left with its connection; NULL: guestmapd did, with everybody it forwards for. So do
 * their calls in line, and soon the transactions that live with them.
 */
void gate_disconnect(Gate *gate, const char *caller);
