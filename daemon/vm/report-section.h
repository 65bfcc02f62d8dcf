/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What several reports have in common
 */

#include "daemon/vm/json-write.h"
#include "lib/memory/flat-view.h"

void report_section(JSONWriter *writer, const Section *section);
/* The flags of a section, or of a region, that have a word, as a list of words. */
void report_flags(JSONWriter *writer, uint32_t flags);
