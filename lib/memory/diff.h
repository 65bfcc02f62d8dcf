/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Diff: what one view has that another has not
 *
 * A pure function of two sorted arrays of sections, and of two sorted arrays of what is announced.
 * Every list of the result ascends by address: by construction, so that whoever merges two of them
 * may rely on it.
 *
 * Source: QEMU's FlatView.
 */

#include "lib/memory/sections.h"

typedef struct Diff Diff;
typedef struct Relogged Relogged;

/* A section that stays, but for its dirty logging. */
struct Relogged {
        Section old;
        Section new;
};

struct Diff {
        Sections removed;
        Sections added;
        Relogged *relogged;
        size_t n_relogged;
        size_t n_allocated; /* of relogged */
        AnnouncedList announced_removed;
        AnnouncedList announced_added;
};

/* Compares n_old with n_new sections (of the same windows). Fills removed, added, relogged. */
int diff_sections(Diff *diff, const Section *old, size_t n_old, const Section *new, size_t n_new);
/* The same for ioeventfds and zones. Fills announced_removed and announced_added. */
int diff_announced(Diff *diff, const Announced *old, size_t n_old, const Announced *new,
                   size_t n_new);
/* Two whole views; either may be the empty one. */
int diff_views(Diff *diff, const FlatView *old, const FlatView *new);
/* The order of announced things: by address, ioeventfds before zones, then by key. */
int announced_compare(const Announced *a, const Announced *b);
/* Whether any section differs, if only in its dirty logging. */
bool diff_has_sections(const Diff *diff);
bool diff_is_empty(const Diff *diff);
void diff_deinit(Diff *diff);
