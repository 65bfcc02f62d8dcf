/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Scene: maps built by hand, and what they look like in words
 *
 * An edit is written as a call that returns it (edits.h); must_edit() makes it and ends the
 * program, saying why, if it is refused. Trees and views have a text each, so that a test compares
 * what it gets with a string and a failure shows both.
 *
 *   must_edit(map, add_region(REGION_RAM, "ram", 0x1000, "system", 0, 0));
 *   must_commit(map);
 *   scene_view(map, "memory")  →  "0-fff ram@0 ram\n"
 */

#include "lib/memory/map-error.h"
#include "lib/memory/map.h"
#include "tests/common/edits.h"

/* A map with container "system" (2^64), seen as address space "memory", committed: generation 1. */
Map *scene_new(void);
/* A map with nothing in it. */
Map *scene_new_empty(void);

void must_edit(Map *map, Edit edit);
/* The same, then a commit. */
void must_edit_commit(Map *map, Edit edit);
void must_commit(Map *map);
/* An ioeventfd without a descriptor: enough where no accelerator looks at it. */
IOEventFD *must_ioeventfd(uint64_t offset, uint32_t length, bool match, uint64_t data);
void must_add_ioeventfd(Map *map, const char *region, uint64_t offset, uint32_t length, bool match,
                        uint64_t data);
/* A constant or a latch for the region; uncommitted. */
void must_set_constant(Map *map, const char *region, uint64_t value);
void must_set_latch(Map *map, const char *region, uint64_t value);
Region *must_find(Map *map, const char *name);

/*
 * Sections, a line each: first-last name@offset kind flags, numbers in hex; then what is announced:
 * "eventfd" or "coalesced", the range and the region. The caller frees.
 */
char *scene_view_text(const FlatView *view);
char *scene_sections_text(const Section *sections, size_t n);
char *scene_announced_text(const Announced *announced, size_t n);
/* The published view of an address space, NULL if there is none of that name. */
const FlatView *scene_published(Map *map, const char *space);
char *scene_view(Map *map, const char *space);
/* Everything that a rollback restores: regions, their order, address spaces, counters, views. */
char *scene_text(Map *map);
