/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A flat view made of given sections and announced things, without a map
 *
 * It has an epoch of its own, to which its nodes are left at once: they go with the view's last
 * reference, and flat_view_unref() is all the teardown there is. What the items point at stays the
 * caller's.
 */

#include "lib/memory/flat-view.h"

/* Copies both arrays, which are sorted. Ends the program if it cannot. */
FlatView *made_view(const Section *sections, size_t n_sections, const Announced *announced,
                    size_t n_announced);
