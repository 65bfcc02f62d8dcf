/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A rig whose VM populates memory before that is in force, when the test says so
 *
 * slow_jobs_begin() takes all places for such work.
 */

#include "tests/bus/rig.h"
#include "tests/bus/slow-jobs.h"

#define CALLER ":1.1"
#define OTHER  ":1.2"
#define SIZE   UINT64_C(0x100000)

/* The VM, and whoever calls it, at first CALLER: preparations do not begin yet. */
Rig *rig_new_slow(void);

/* Adds RAM of SIZE to a VM or transaction, at 0. */
void send_add(Rig *rig, const char *path, const char *name);
/* The answer to the call that waits, whatever was answered before. */
const char *await_any(Rig *rig);
void await(Rig *rig, const char *answer);

void run(Rig *rig);
void run_until_none(Rig *rig);

/* Properties. */
const char *preparing(Rig *rig);
const char *generation(Rig *rig);
/* How much of a region's file is there. */
uint64_t bytes_of(Rig *rig, const char *path);

size_t n_preparations(const Rig *rig);
Preparation *first_preparation(const Rig *rig);
