/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What several reports have in common
 */

#include "daemon/vm/json-write.h"
#include "lib/memory/flat-view.h"
#include "lib/memory/map.h"

void report_section(JSONWriter *writer, const Section *section);
/* The flags of a section, or of a region, that have a word, as a list of words. */
void report_flags(JSONWriter *writer, uint32_t flags);
/*
 * Members of an object: what a layout says of a region in some state, without what devices and
 * backings say; of the usual values all, or none.
 */
void report_region_in(JSONWriter *writer, const Region *region, const RegionState *state,
                      bool every);
/* Members of an object: what the edits in the map's log change in the tree (report.h). */
void report_edited(JSONWriter *writer, Map *map);
