/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Held calls: what clients ask of a VM, and its process has not been sent
 *
 * All that is forwarded is held first, mostly for no time. It stays while the process has enough of
 * calls (link_has_room()), and while the VM recovers and has no process: then none waits so long
 * that its client would give up by itself, which is 25 seconds for most, but is told before that
 * the VM is not back.
 *
 * I1: calls of one caller go out in the order in which they came; callers take turns, a call each.
 *     So what one has sent costs another no more than what the process has already.
 * I2: who called is still on the bus: calls of those who leave are dropped.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>
#include <urcu/list.h>

#include "lib/util/cleanup.h"

typedef struct sd_bus_message sd_bus_message;
typedef struct Caller Caller;
typedef struct HeldCall HeldCall;
typedef struct HeldCalls HeldCalls;
typedef struct HeldLine HeldLine;
typedef struct VM VM;

struct HeldCalls {
        struct cds_list_head calls; /* of HeldCall.of_vm, oldest first */
        struct cds_list_head lines; /* of HeldLine.of_vm, whose turn is next first */
        size_t n, bytes;
        sd_event_source *overdue; /* RECOVERING: the oldest has waited long enough */
        bool asks;                /* the process was asked whether it has taken what it was sent */
};

struct HeldCall {
        VM *vm;
        Caller *caller;
        HeldLine *line;
        struct cds_list_head of_vm;
        struct cds_list_head siblings; /* in HeldLine.calls */
        sd_bus_message *call;
        size_t bytes;     /* about how much it takes to keep it */
        uint32_t rights;  /* of its caller, for it, so far as they were asked for */
        uint64_t overdue; /* CLOCK_MONOTONIC, µs; 0: nothing is waited for but the process */
};

void held_init(HeldCalls *held);

int held_add(VM *vm, Caller *caller, sd_bus_message *call, size_t bytes);

/* The one whose turn it is; NULL if there is none. */
HeldCall *held_next(VM *vm);
/* It was sent, or refused: its caller has had its turn. */
void held_call_free(HeldCall *call);

/* The VM recovers: from now on all that are held wait for that. */
void held_expect_overdue(VM *vm);

/* Answers all with VMGone, and says why. */
void held_refuse(VM *vm, const char *why);

void held_drop_caller(Caller *caller);
