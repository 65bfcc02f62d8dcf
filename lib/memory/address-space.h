/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Address spaces, and the views that they share
 *
 * An address space is a name for a root region as somebody sees it. What is seen depends on the
 * root alone, so all address spaces over one root share its View: the current flat view and the
 * ranges that edits have dirtied since it was rendered.
 *
 * Written by the map's thread only.
 *
 * Source: QEMU's AddressSpace.
 */

#include <stddef.h>
#include <stdint.h>
#include <urcu/list.h>

#include "lib/memory/dirty-range.h"
#include "lib/memory/flat-view.h"
#include "lib/memory/region.h"
#include "lib/util/tree.h"

typedef struct AddressSpace AddressSpace;
typedef struct ViewPlan ViewPlan;

struct View {
        struct urcu_ref ref;
        Region *root;              /* counted reference */
        FlatView *current;         /* counted reference; as published */
        DirtyRanges dirty;         /* what has to be rendered again */
        uint32_t n_spaces;         /* that show it; root->view is this while there are any */
        ViewPlan *plan;            /* of the commit that is being made; else NULL */
        struct cds_list_head link; /* in Map.views, while there are any */
};

RB_HEAD(AddressSpaces, AddressSpace);

struct AddressSpace {
        struct urcu_ref ref;
        RB_ENTRY(AddressSpace) by_name;
        View *view;          /* counted reference */
        uint64_t generation; /* of the last commit that changed its sections */
        char name[];
};

RB_PROTOTYPE(AddressSpaces, AddressSpace, by_name, compare_name)

/* A view of nothing yet, for a root that has none. */
int view_new(View **ret, Region *root);
View *view_ref(View *view);
View *view_unref(View *view);
DEFINE_CLEANUP(View *, view_unref);
/* One more, one less address space shows the view: counts, ties it to its root and the list. */
void view_link(View *view, struct cds_list_head *views);
void view_unlink(View *view);

/* Takes a reference to the view. Generation 0: no commit has shown it. -ENOMEM. */
int address_space_new(AddressSpace **ret, const char *name, View *view);
AddressSpace *address_space_ref(AddressSpace *space);
AddressSpace *address_space_unref(AddressSpace *space);
DEFINE_CLEANUP(AddressSpace *, address_space_unref);
