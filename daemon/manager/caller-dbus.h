/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Caller: a client of the bus that has called
 *
 * Known by its unique name from its first call to its leaving the bus. Who it is gets asked once,
 * asynchronously, and what it may do for each call (auth.h); until the answer is there its calls
 * stand in line.
 *
 * I1: calls of one caller are handled in the order in which they were sent. The line is played back
 *     through the bus' own queue of messages read; a call that was read meanwhile, and would pass
 *     those that wait, joins the line at its end.
 * I2: a VM's process was told of a caller before it gets a call of that caller, and is told when
 *     the caller has left.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>
#include <urcu/list.h>

#include "daemon/manager/rota.h"
#include "daemon/manager/user.h"
#include "daemon/manager/vm.h"

typedef struct Authorization Authorization;
typedef struct Caller Caller;
typedef struct CallerTree CallerTree;

struct Caller {
        Manager *manager;
        RB_ENTRY(Caller) by_name;
        char *unique;

        uint32_t uid; /* AUDIT_NOBODY, and no user, while `question` is not NULL */
        User *user;
        sd_bus_slot *question; /* who it is */

        struct cds_list_head line; /* calls that wait */
        size_t n_line, line_bytes;
        RotaPlace place;             /* in the rota that lets the line go on */
        bool is_stopped;              /* the line stands still, until somebody has answered */
        Authorization *authorization; /* of the call at its head: auth.c's */
        uint32_t rights;              /* of the call that is being handled, so far as is known */

        struct cds_list_head introductions; /* to VM processes, the latest used first */
        struct cds_list_head calls;         /* forwarded and not answered: forward.c's */
        struct cds_list_head held;          /* not forwarded yet: held-dbus.c's */
        size_t n_calls;                     /* in both */
};

RB_HEAD(CallerTree, Caller);

void callers_init(CallerTree *callers);

/* The one of that unique name, who is asked after if it is new. */
int callers_get(Manager *manager, const char *unique, Caller **ret);

/* The one who sent `m`; it has passed the line. */
Caller *callers_of(Manager *manager, sd_bus_message *m);

/* How many there are, and, unless NULL, calls that wait in their lines. */
size_t callers_count(CallerTree *callers, size_t *ret_line);

/* It left the bus. Accepts a name that never called. */
void callers_gone(Manager *manager, const char *unique);

/* Nobody is on the bus any more. */
void callers_clear(Manager *manager);

/* 0: `m` is to be handled now. 1: it waits in line, and comes again. */
int caller_stand_in_line(Caller *caller, sd_bus_message *m, sd_bus_error *error);

/* `m`, whose turn it is, goes back to the head of the line, which stands still. */
int caller_stop(Caller *caller, sd_bus_message *m, sd_bus_error *error);
/* The line moves again: all who stand in it come again, in order. */
void caller_go_on(Caller *caller);

/* Has the head of the line come again; false if the line stands still, or nobody is behind it. */
bool caller_play_next(Caller *caller);

/* Tells the VM's process who it is, the first time. */
int caller_introduce(Caller *caller, VM *vm);

/* The VM's process is gone, and what it was told with it. */
void callers_forget_vm(VM *vm);
