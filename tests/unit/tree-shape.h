/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Tree shape: which nodes a view tree has, and how full they are
 *
 * Nodes are opaque, yet a cursor that goes over all items shows each of them: a node begins where
 * the cursor's node of a level changes, and ends with the index that it had last.
 */

#include "lib/memory/view-tree.h"

typedef struct TreeShape TreeShape;

struct TreeShape {
        unsigned height;
        size_t n_items;
        size_t n_thin;      /* pairs of neighbours under one node that should have been merged */
        const void **nodes; /* sorted */
        size_t n_nodes;
        size_t n_allocated;
};

/* Ends the test if the cursor does not meet the tree's nodes as it should. */
void tree_shape_init(TreeShape *shape, const ViewTree *tree, size_t item_size);
void tree_shape_deinit(TreeShape *shape);
bool tree_shape_has(const TreeShape *shape, const void *node);
/* How many nodes one has that the other has not. */
size_t tree_shape_missing(const TreeShape *shape, const TreeShape *other);
