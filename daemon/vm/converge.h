/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Converge: from what a map is to what a layout says, by the fewest edits
 *
 * A region of the map is kept if the layout has one of the same name and kind (and target, if it is
 * an alias whose target is kept); its state is changed where it differs. All others go, and what
 * the layout has beside the kept ones is added. The edits come in an order in which each can be
 * made:
 *
 *   1. ioeventfds, zones and address spaces that go
 *   2. kept regions that leave their parent, because it goes or because nothing replaces it
 *   3. regions that go, children before parents, aliases before targets
 *   4. regions that come or change, parents before children, targets before aliases
 *   5. address spaces, ioeventfds and zones that come
 *
 * Neither map has a loop, but a mixture of the two may. Parents alone never make one: a region is
 * placed when all that the layout has above it is where it belongs. Aliases do, rarely. That is
 * tried before the edits are given out; then all that changes its place is taken out in step 2, and
 * from there on the tree is part of what the layout says.
 */

#include "daemon/vm/edit-list.h"
#include "daemon/vm/layout.h"
#include "lib/memory/map.h"
#include "lib/util/detail.h"

/*
 * Appends the edits. The tree is left as it is. MAP_E_WOULD_LOOP when the layout has a region
 * inside itself; whether its aliases close a loop is for map_edit() to say.
 */
int converge(const Layout *layout, Map *map, EditList *edits, Detail *detail);
