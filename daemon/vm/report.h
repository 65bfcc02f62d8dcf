/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Reports and dumps: the map, and what happens to it, in JSON
 *
 * Addresses, offsets and sizes are hexadecimal strings, since common tools round integers above
 * 2^53; a size of 2^64 is "2^64". Generations and counts, those of bytes as well, are integers.
 *
 * A section is {"first", "last", "region", "offset", "kind", "flags": [word, …]}, the words being
 * readonly, nonvolatile, unmergeable, romd and dirty-log.
 *
 * A failure is the writer's. Those that show the tree (report_layout(), report_regions()) want
 * nothing to be checked out; those that show views may run on any thread.
 */

#include <stddef.h>
#include <stdint.h>

#include "daemon/vm/json-write.h"
#include "daemon/vm/vm.h"
#include "lib/memory/commit.h"

/*
 * What a commit that is prepared will do, for Apply and Preview. Lists have at most
 * GUESTMAP_SIGNAL_SECTIONS_MAX regions, sections or handlers; counts are of all.
 *
 *   generation                that the map has then
 *   edits                     how many were made
 *   changed                   whether the generation is another one than now
 *   regions                   {"removed": {"count", "regions": [region, …]}, "added": the same,
 *                             "changed": {"count", "regions": [{"name", "before", "after"}, …]}}: a
 *                             region as a layout has it, before and after with the properties
 *                             that differ; none does if it was only placed again, among its equals
 *   roots                     {"removed": {NAME: ROOT}, "added": {NAME: ROOT}}, of address spaces
 *   ioeventfds, coalesced     {"removed", "added"}: how many
 *   address-spaces            {NAME: {"removed": {"count", "sections": [section, …]}, "added": the
 *                             same}}, those that change
 *   handlers                  {NAME: KIND}, of regions whose accesses somebody else answers
 *   slot-operations           {"delete", "move", "flags", "create"}: how many of each
 *   bytes-remapped            of guest memory in the slots deleted, moved and created
 *   bytes-unchanged-remapped  of that, guest memory that goes and comes back as it was
 *   bytes-trapped             of guest memory that has no slot then, in all
 *   bytes-discarded           of RAM whose contents go: `bytes_discarded`
 *
 * A string from malloc(). -ENOMEM.
 */
int report_commit(char **ret, const VM *vm, const Commit *commit, size_t n_edits,
                  uint64_t bytes_discarded);

/* The layout document that recreates the map; applied to the same map it asks for no edit. */
void report_layout(JSONWriter *writer, Map *map);

/* {"generation", "address-spaces": {NAME: [section, …]}}. */
void report_flat(JSONWriter *writer, const Snapshot *snapshot);
/*
 * {"generation", "address-spaces": {NAME: [{"first", "last", "backing", "offset", "flags"}]}}: of
 * these sections those that are host memory, with the offset in the backing.
 */
void report_memory_table(JSONWriter *writer, const Snapshot *snapshot);
/*
 * {"generation", "regions": [region, …]}, by name: what a layout says of each, every key given,
 * and of memory its backing's id in "backing".
 */
void report_regions(JSONWriter *writer, Map *map);
/* {"generation", "slots": [{"slot", "first", "last", "backing", "offset", "flags": [word, …]}]};
 * the words are readonly and dirty-log. By address. */
void report_slots(JSONWriter *writer, const VM *vm);
