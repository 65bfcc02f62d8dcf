/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the tests of rendering share: a map with container "root" (2^64), and short words for edits
 */

#include "lib/memory/render.h"
#include "tests/common/scene.h"
#include "tests/common/unit.h"

/* For cmocka: *state is the Map. */
int render_scene_setup(void **state);
int render_scene_teardown(void **state);

/* The sections of a window of a root, as text; the caller frees. */
char *render_text(Map *map, const char *root, Range window);
/* Rendering "root", or a window of any root, gives this text. */
void check(Map *map, const char *expected);
void check_in(Map *map, const char *root, Range window, const char *expected);

void ram(Map *map, const char *name, uint64_t size, const char *parent, uint64_t offset,
         int32_t priority);
void container(Map *map, const char *name, uint64_t size, const char *parent, uint64_t offset,
               int32_t priority);
void alias(Map *map, const char *name, const char *target, uint64_t target_offset, uint64_t size,
           const char *parent, uint64_t offset);
