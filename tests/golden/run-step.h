/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A step of a run: a layout applied to a VM, and what that asked of the slots
 */

#include <stddef.h>
#include <stdint.h>

#include "daemon/vm/vm.h"

typedef struct StepCost StepCost;

struct StepCost {
        size_t n_ops;
        size_t n_sections; /* that bear slots, removed and added */
        size_t n_pieces;   /* the same, but a removed one counts once for each slot that held it */
        uint64_t bytes_unchanged; /* remapped though they are as they were */
};

/* Ends the test, saying why, when it does not work. */
StepCost run_step(VM *vm, const char *layout);

/* The published view that the slots follow; the caller drops the reference. */
FlatView *run_view(const VM *vm);
