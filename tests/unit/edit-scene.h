/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the tests of edits share: a map with a bit of everything, and three ways to try an edit
 *
 *   system              2^64, address space "memory"
 *     ram               0 … 0xfff
 *     bus               0x10000 … 0x1ffff
 *       device  mmio    0x100 … 0x1ff
 *       alias   of ram  0x1000 … 0x1fff
 */

#include "tests/common/scene.h"
#include "tests/common/unit.h"

/* For cmocka: *state is the Map. */
int edit_scene_setup(void **state);
int edit_scene_teardown(void **state);

/*
 * The edit gives this outcome; all the words, separated by "|", are in its message; and everything
 * is as it was.
 */
void refused(Map *map, Edit edit, int outcome, const char *words);
/* The edit can be made, changes something, and its inverse restores everything. */
void reversible(Map *map, Edit edit);
/* The edit is accepted and leaves nothing in the log. */
void changes_nothing(Map *map, Edit edit);
/* Two of these for an ioeventfd. */
void refused_ioeventfd(Map *map, const char *region, uint64_t offset, uint32_t length, bool match,
                       uint64_t data, int outcome, const char *words);
void reversible_ioeventfd(Map *map, const char *region, uint64_t offset, uint32_t length,
                          bool match, uint64_t data);
