/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The verbs of map_edit(), and what they share
 *
 * Each verb checks first and changes then; between its first change and its last nothing can fail.
 *
 * Source: QEMU's docs/devel/memory.rst.
 */

#include "lib/memory/edit.h"
#include "lib/memory/map.h"
#include "lib/util/detail.h"

/*
 * For map_edit(), each for the verb of its name (edit.h): 0, -ENOMEM, or a positive MapError with
 * its detail. On failure nothing has changed.
 */
int edit_add_region(Map *map, const Edit *edit, Detail *detail);
int edit_remove_region(Map *map, const Edit *edit, Detail *detail);
int edit_move_region(Map *map, const Edit *edit, Detail *detail);
int edit_set_region(Map *map, const Edit *edit, Detail *detail);
int edit_add_ioeventfd(Map *map, const Edit *edit, Detail *detail);
int edit_remove_ioeventfd(Map *map, const Edit *edit, Detail *detail);
int edit_add_coalesced(Map *map, const Edit *edit, Detail *detail);
int edit_clear_coalesced(Map *map, const Edit *edit, Detail *detail);
int edit_set_handler(Map *map, const Edit *edit, Detail *detail);

/* MAP_E_INVALID_NAME, MAP_E_NO_SUCH_REGION, MAP_E_QUOTA_EXCEEDED, with their words. */
int edit_check_name(const char *name, Detail *detail);
int edit_find_region(Map *map, const char *name, Region **ret, Detail *detail);
int edit_check_quota(uint64_t used, uint64_t more, uint64_t limit, const char *quota,
                     Detail *detail);
