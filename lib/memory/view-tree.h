/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * View tree: a sorted sequence that shares with its predecessor what did not change
 *
 * A B+tree of items of one size, each of which begins with a Range; sorted by the first byte. A
 * tree is never changed: a splice makes a new one that replaces a window's items and shares all
 * nodes but those on the way there. So a commit of one region among a million copies one path,
 * three or four nodes, and a snapshot of a view is a pointer.
 *
 * Nodes are not counted. Trees follow one another in one line, so the nodes that a splice leaves
 * out are needed by the old tree and those before it only: the splice lists them, and they go with
 * the old view's epoch (epoch.h). Counting them instead would touch every child of a copied node,
 * thirty cache misses where there is now one.
 *
 * I1: all leaves are at the same depth; no node is empty.
 * I2: first[i] of an inner node is the first[0] of its child i.
 * I3: of two neighbours under one node both are half full, or they hold more than one node could.
 * I4: nodes are immutable once their tree is published; `link` is the map's thread's alone.
 *
 * Source: this project.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <urcu/list.h>

#include "lib/util/range.h"

typedef struct ViewCursor ViewCursor;
typedef struct ViewNode ViewNode;
typedef struct ViewSplice ViewSplice;
typedef struct ViewTree ViewTree;

enum {
        VIEW_NODE_MAX = 32,
        VIEW_HEIGHT_MAX = 16, /* more than any memory holds, by I3 */
};

struct ViewTree {
        ViewNode *root; /* NULL: no items */
        size_t n_items;
};

struct ViewCursor {
        size_t item_size;
        unsigned height; /* 0: at the end */
        const ViewNode *nodes[VIEW_HEIGHT_MAX];
        unsigned index[VIEW_HEIGHT_MAX];
};

/* Nodes that come and go while one tree is made of another. */
struct ViewSplice {
        struct cds_list_head born;
        struct cds_list_head dead;
};

/* The last item that begins at or before an address, NULL if there is none. */
const void *view_tree_floor(const ViewTree *tree, size_t item_size, uint64_t address);

/* To the first item that begins at or behind an address; the item, or NULL at the end. */
const void *view_cursor_seek(ViewCursor *cursor, const ViewTree *tree, size_t item_size,
                             uint64_t address);
const void *view_cursor_next(ViewCursor *cursor);

/* Nothing was born, nothing is dead. */
void view_splice_init(ViewSplice *splice);
/*
 * Replaces the items that begin in the window by n others, which begin there too. May be called for
 * one window after the other: tree is taken from and given back to. -ENOMEM: what was born is
 * still listed, and view_splice_abandon() frees it.
 */
int view_tree_splice(ViewTree *tree, ViewSplice *splice, size_t item_size, Range window,
                     const void *items, size_t n);
/* All nodes of a tree that is replaced by nothing. */
void view_splice_kill(ViewSplice *splice, ViewTree *tree);
/* The new tree is not wanted: it is as if nothing had happened. */
void view_splice_abandon(ViewSplice *splice);
/* The new tree is published. What is dead goes to the front of *dead, to be freed in time. */
void view_splice_settle(ViewSplice *splice, struct cds_list_head *dead);

/* Frees nodes that nobody can see any more: a list of them, or a whole tree. */
void view_nodes_free(struct cds_list_head *nodes);
void view_tree_free(ViewTree tree);
