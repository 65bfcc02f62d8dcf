/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What several reports have in common
 */

#include <stddef.h>

#include "daemon/vm/json-write.h"
#include "lib/memory/flat-view.h"

/* A list of the first `max` of n sections, each on a line of its own. */
void report_sections(JSONWriter *writer, const Section *sections, size_t n, size_t max);
/* The flags of a section, or of a region, that have a word, as a list of words. */
void report_flags(JSONWriter *writer, uint32_t flags);
