/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * View plan: one root's next flat view
 *
 * What a commit does about one View, prepared without changing anything that a reader sees: the
 * dirty ranges become windows, what shows in them is rendered and compared with the old view, and
 * where it differs it is spliced into a tree that shares the rest with the old one.
 *
 * I1: while a plan lives, its View's `plan` is this one.
 * I2: view_plan_publish() cannot fail: all that it needs was allocated before.
 *
 * Source: this project.
 */

#include "lib/memory/address-space.h"
#include "lib/memory/commit.h"
#include "lib/memory/diff.h"
#include "lib/memory/epoch.h"
#include "lib/memory/view-tree.h"
#include "lib/util/detail.h"

/* One root that is rendered again, or is seen no more. */
struct ViewPlan {
        View *view;     /* counted reference; its `plan` is this */
        FlatView *old;  /* borrowed from the snapshot that is replaced */
        FlatView *new;  /* counted reference */
        Hidden *hidden; /* what the diff removes, counted, for the old view's epoch */
        size_t n_hidden;
        ViewSplice splice;
        Diff diff;
};

/*
 * Renders what is dirty, for the commit that is being made. Any outcome of render(); -ENOMEM.
 * Deinit on failure, too.
 */
int view_plan_render(ViewPlan *plan, View *view, const Commit *commit, Detail *detail);
/* For a view that no address space shows any more: its last readers keep all that it shows. */
int view_plan_end(ViewPlan *plan, View *view, FlatView *empty);
/* The view's successor takes over. */
void view_plan_publish(ViewPlan *plan);
/* Once that is in force: the old view goes when its last reader has. */
void view_plan_retire(ViewPlan *plan);
/* Gives up what is not published. */
void view_plan_deinit(ViewPlan *plan);
