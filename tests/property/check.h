/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What must be true of a map after each commit
 *
 * Each function returns NULL, or says what is wrong.
 */

#include "lib/memory/commit.h"
#include "lib/memory/map.h"
#include "tests/property/generator.h"
#include "tests/property/oracle.h"

/* Sections ascend, are disjoint, are merged as far as they may be, agree with their regions. */
const char *check_shape(const FlatView *view);
/* What was rendered in windows and spliced is what rendering everything gives. */
const char *check_full_render(const Region *root, const FlatView *view);
/* Every unit at both ends of the address space is what the oracle sees there. Counts looks. */
const char *check_oracle(const Oracle *oracle, const Region *root, const FlatView *view,
                         const Generator *world, uint64_t *n_looks);
/* Old sections less the removed ones, with the added ones, re-flagged, are the new sections. */
const char *check_diff(const SpaceChange *change);
