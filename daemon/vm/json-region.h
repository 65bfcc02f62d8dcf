/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Members of JSON objects about regions, as documents have them: guestmap-layout(5)
 */

#include "daemon/vm/json-write.h"
#include "lib/memory/region.h"

/* Of the flags in `which`, those that have a word: true or false as in `flags`. */
void json_region_flags(JSONWriter *writer, uint32_t which, uint32_t flags);
/* hugepage-size, prealloc, numa-node or -nodes, numa-policy, dump, where they are not as usual. */
void json_region_memory(JSONWriter *writer, const BackingSpec *spec);
/* offset, length; match, data if they are not the usual ones. */
void json_region_ioeventfd(JSONWriter *writer, const IOEventFD *ioeventfd);
/* What there is to say beside the handler's kind and is not usual. */
void json_region_handler(JSONWriter *writer, const Handler *handler);
