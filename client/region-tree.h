/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Region tree: the regions of a layout document, linked as the tree they are
 *
 * I1: `index` is the position in the document: of equal siblings the later one wins.
 * I2: `child` and `next` link the children of a node by address; at one address, the one that wins
 *     comes first.
 * I3: `top` and `under` link them in the order in which they win, whatever their addresses.
 *
 * Text is borrowed from the document.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/json-print.h"

typedef struct RegionNode RegionNode;
typedef struct RegionTree RegionTree;

struct RegionNode {
        const char *name;
        const char *kind;
        const char *parent_name; /* "": not placed */
        const char *target_name; /* "": not an alias */
        uint64_t size;
        uint64_t offset;
        uint64_t target_offset;
        int64_t priority;
        bool enabled;
        bool readonly;
        bool nonvolatile;
        bool romd;   /* of kind romd: in direct-read mode */
        bool marked; /* whoever goes through the tree may set it */
        size_t index;
        RegionNode *parent;
        RegionNode *target;
        RegionNode *child;
        RegionNode *next;
        RegionNode *top;
        RegionNode *under;
};

struct RegionTree {
        RegionNode *nodes; /* as in the document */
        RegionNode **by_name;
        size_t n;
};

/* `first` is the address at which the region begins; it wraps. */
typedef void RegionVisit(void *context, const RegionNode *node, unsigned depth, uint64_t first);

/* `regions` is the list of a layout. */
void region_tree_init(RegionTree *tree, json_object *regions);
void region_tree_deinit(RegionTree *tree);
/* NULL if there is none of that name. */
RegionNode *region_tree_find(const RegionTree *tree, const char *name);
/* A region, at depth 1, and all below it, in depth-first order of addresses. */
void region_tree_walk(const RegionNode *root, uint64_t first, RegionVisit *visit, void *context);
