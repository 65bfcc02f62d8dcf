/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Edits in words, a line each, numbers in hexadecimal: what a test compares with a string
 *
 *   add ram "dimm" 0x1000 in "system" @0x0 priority 0 flags 0x100
 *   add alias "low" 0x1000 of "dimm" +0x0 flags 0x100
 *   set "dimm" size 0x800 flags 0x0/0x100
 */

#include "daemon/vm/edit-list.h"

/* The caller frees. */
char *edits_text(const EditList *edits);
