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
 */

#include <bsd/sys/tree.h>
#include <stddef.h>
#include <stdint.h>
#include <urcu/list.h>

#include "lib/memory/dirty-range.h"
#include "lib/memory/flat-view.h"
#include "lib/memory/region.h"

typedef struct AddressSpace AddressSpace;

struct View {
        Region *root;              /* counted reference */
        FlatView *current;         /* counted reference; as published */
        DirtyRanges dirty;         /* what has to be rendered again */
        uint32_t n_spaces;         /* that show it */
        struct cds_list_head link; /* in Map.views */
};

RB_HEAD(AddressSpaces, AddressSpace);

struct AddressSpace {
        struct urcu_ref ref;
        RB_ENTRY(AddressSpace) by_name;
        View *view;
        FlatView *published; /* counted; what the last commit gave this space, NULL before the first */
        uint64_t generation; /* of the last commit that changed what is seen */
        char name[];
};

RB_PROTOTYPE(AddressSpaces, AddressSpace, by_name, address_space_compare);

int address_space_new(AddressSpace **ret, const char *name);
AddressSpace *address_space_ref(AddressSpace *space);
AddressSpace *address_space_unref(AddressSpace *space);
DEFINE_CLEANUP(AddressSpace *, address_space_unref);
