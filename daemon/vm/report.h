/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Reports and dumps: the map, and what happens to it, in JSON
 *
 * Addresses and sizes are hexadecimal strings, since common tools round integers above 2^53.
 * Section lists have at most GUESTMAP_SIGNAL_SECTIONS_MAX entries in a report; counts are always
 * there.
 */

#include <stddef.h>
#include <stdint.h>

#include "daemon/vm/vm.h"
#include "lib/memory/commit.h"

/*
 * What a commit does, for Apply and Preview: generation, edits made, per address space sections
 * removed and added, slot operations by kind, bytes remapped, bytes trapped, bytes discarded.
 * The commit must be alive: prepared or applied, not freed. `bytes_discarded` is what RAM contents
 * go with the edits (range_size() units). The string is from malloc().
 */
int report_commit(char **ret, const VM *vm, const Commit *commit, size_t n_edits,
                  uint64_t bytes_discarded);

/* The layout document that recreates the map. */
int report_layout(char **ret, const VM *vm);
/* {"generation", "address-spaces": {NAME: [section, …]}}, {"generation", "regions": [...]}, {"generation", "slots": [...]} */
int report_flat(char **ret, const VM *vm);
int report_regions(char **ret, const VM *vm);
int report_slots(char **ret, const VM *vm);
