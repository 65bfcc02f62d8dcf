/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Held calls: what clients ask of a VM that recovers
 *
 * They wait until its process is back, and go out then in the order in which they came, before any
 * call that comes later. None waits so long that its client would give up by itself, which is 25
 * seconds for most: before that it is told that the VM is not back.
 *
 * I1: who called is still on the bus: calls of those who leave are dropped.
 */

#include <stddef.h>
#include <systemd/sd-event.h>
#include <urcu/list.h>

#include "lib/util/cleanup.h"

typedef struct sd_bus_message sd_bus_message;
typedef struct Caller Caller;
typedef struct HeldCalls HeldCalls;
typedef struct VM VM;

struct HeldCalls {
        struct cds_list_head calls; /* oldest first */
        size_t n, bytes;
        sd_event_source *overdue; /* the oldest has waited long enough; NULL while none waits */
};

void held_init(HeldCalls *held);

/* `bytes` is about how much it takes to keep it. */
int held_add(VM *vm, Caller *caller, sd_bus_message *call, size_t bytes);

/* Takes the oldest one out; NULL if none is left. The caller owns the message. */
sd_bus_message *held_take(VM *vm, Caller **ret_caller, size_t *ret_bytes);

/* Answers all with VMGone, and says why. */
void held_refuse(VM *vm, const char *why);

void held_drop_caller(Caller *caller);
