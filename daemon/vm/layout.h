/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Layout: what a map shall be
 *
 * Kept as the edits that would make it from nothing, in the document's order: one that adds for
 * each region, with the ioeventfds and zones that are added to it, and one for each address space.
 * converge.h makes it from something.
 *
 * I1: after layout_resolve() names are unique, every parent and target is in the layout, no parent
 *     is an alias.
 */

#include <stddef.h>

#include "daemon/vm/edit-list.h"
#include "lib/util/detail.h"

typedef struct Layout Layout;
typedef struct LayoutRegion LayoutRegion;

struct LayoutRegion {
        Edit add;         /* EDIT_ADD_REGION or EDIT_ADD_ALIAS */
        EditList devices; /* EDIT_ADD_IOEVENTFD, EDIT_ADD_COALESCED, EDIT_SET_HANDLER of this one.
                           * A handler that is NULL: the socket that it has */
        LayoutRegion *parent;
        LayoutRegion *target;
};

struct Layout {
        LayoutRegion *regions;
        size_t n_regions;
        size_t n_allocated;
        EditList spaces; /* EDIT_ADD_ADDRESS_SPACE */
        LayoutRegion **by_name;
        Edit **spaces_by_name;
};

/* Takes over both; on failure, too. */
int layout_add_region(Layout *layout, Edit *add, EditList *devices);
/*
 * Ties names to what they name, once everything has been added. VM_E_INVALID_DOCUMENT (a name
 * stands twice), MAP_E_NO_SUCH_REGION, MAP_E_INVALID_KIND; the detail says where in the document.
 */
int layout_resolve(Layout *layout, Detail *detail);
/* NULL: no such region. After layout_resolve(). */
LayoutRegion *layout_find(const Layout *layout, const char *name);
Edit *layout_find_space(const Layout *layout, const char *name);
void layout_deinit(Layout *layout);
