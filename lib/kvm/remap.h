/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Remap: a range of guest addresses in which a commit changes what is mapped, alike everywhere
 *
 * What a commit removes and adds are sections, and most of a section often comes back as it was:
 * RAM in which a window opens is one section before and two after, and but for the window every
 * address leads where it did. Remaps are what is left once that is set aside.
 *
 * Source: this project.
 */

#include "lib/kvm/extent.h"

typedef struct Remap Remap;
typedef struct Remaps Remaps;

struct Remap {
        Range range;
        const Extent *to; /* what the range becomes part of; borrowed; NULL: nothing */
        bool in_place;    /* the memory stays, only its logging changes */
};

struct Remaps {
        Remap *items; /* ascending by address, disjoint */
        size_t n;
        size_t allocated;
};

/*
 * Appends what differs between two sets of extents, each of them ascending and disjoint. `now` must
 * outlive the remaps. -ENOMEM.
 */
int remaps_compare(Remaps *remaps, const Extents *had, const Extents *now);
void remaps_deinit(Remaps *remaps);
