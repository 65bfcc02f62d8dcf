/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Rendering: from the tree to sections
 *
 * render() is a pure function of the tree below a root and a window of the address space. It works
 * out, depth first, who is visible where. Positions are kept as offsets in the region at hand plus
 * one delta modulo 2^64, so that a window which is inside the address space stays inside.
 *
 * The result for a window equals what the result for the whole space shows there, cut at the
 * window's ends.
 *
 * Source: QEMU's docs/devel/memory.rst.
 */

#include "lib/memory/flat-view.h"
#include "lib/memory/sections.h"
#include "lib/util/detail.h"

enum {
        RENDER_DEPTH_MAX = 128, /* containers and aliases on one path */
        RENDER_VISITS_MAX = 4 * 1024 * 1024,
};

/*
 * Appends to `sections` those visible in `window`. Sections are merged among themselves.
 * MAP_E_TOO_LARGE: nested deeper than RENDER_DEPTH_MAX, or more than RENDER_VISITS_MAX regions were
 * met (aliases of aliases multiply). -ENOMEM.
 */
int render(const Region *root, Range window, Sections *sections, Detail *detail);
