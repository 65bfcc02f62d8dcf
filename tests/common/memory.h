/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Memory for scenes: regions with a memfd behind them
 *
 *   must_add_memory(map, add_region(REGION_RAM, "pc.ram", 0x100000, NULL, 0, 0));
 */

#include "tests/common/scene.h"

/* Makes the edit, which adds a ram, rom or romd region, with a new memfd of its size. */
void must_add_memory(Map *map, Edit edit);
/* Where a region's bytes are in this process. */
uint8_t *must_host(Map *map, const char *name);
