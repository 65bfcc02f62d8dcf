/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Epoch: how long what old views need lives
 *
 * Sections point at regions, and what is announced at ioeventfds and zones, without counting them;
 * views share the nodes of their trees without counting them. Copying must cost nothing.
 *
 * Each view of a root holds the epoch in which it was made. When a commit replaces the view, what
 * the old one has and the new one has not (regions that lost a section, ioeventfds, zones, nodes)
 * is left to the old view's epoch, which also takes a reference to its successor's. An epoch ends
 * when its view and all views before it have gone, and lets go of what was left to it; a region
 * dies when the tree and every such epoch have let go of it.
 *
 * So a commit pays for what it hides, not for what it keeps, and whoever holds an old view may use
 * everything that the view shows.
 *
 * Epochs are linked and filled by the map's thread and unreferenced by any.
 *
 * Source: this project.
 */

#include <stddef.h>
#include <urcu/list.h>
#include <urcu/ref.h>

#include "lib/memory/ioeventfd.h"
#include "lib/memory/region.h"

typedef struct Epoch Epoch;
typedef struct Hidden Hidden;

/* Something that a view no longer shows; any of the three may be NULL. Counted references. */
struct Hidden {
        Region *region;
        IOEventFD *ioeventfd;
        Coalesced *coalesced;
};

struct Epoch {
        struct urcu_ref ref;
        Epoch *next; /* counted reference, once the view was replaced */
        size_t n_hidden;
        Hidden *hidden;
        struct cds_list_head nodes; /* of view-tree.h: owned */
};

/* One that keeps nothing yet. -ENOMEM. */
int epoch_new(Epoch **ret);
Epoch *epoch_ref(Epoch *epoch);
Epoch *epoch_unref(Epoch *epoch);
DEFINE_CLEANUP(Epoch *, epoch_unref);

/*
 * Ends the time of `epoch`: `next` follows. Takes over `hidden`, an array from malloc(). Called
 * once per epoch, whose nodes are in place by then; cannot fail.
 */
void epoch_close(Epoch *epoch, Epoch *next, Hidden *hidden, size_t n_hidden);
/* Gives up the references of n hidden things, and the array. */
void hidden_free(Hidden *hidden, size_t n);
