/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <string.h>

#include "client/json-read.h"
#include "client/region-tree.h"

static int compare_names(const void *a, const void *b) {
        return strcmp((*(RegionNode *const *)a)->name, (*(RegionNode *const *)b)->name);
}

/* The last comes first, here and below: putting each before its siblings leaves them in order. */
static int compare_ranks(const void *a, const void *b) {
        const RegionNode *x = *(RegionNode *const *)a, *y = *(RegionNode *const *)b;

        if (x->priority != y->priority)
                return x->priority < y->priority ? -1 : 1;
        return x->index < y->index ? -1 : 1;
}

static int compare_places(const void *a, const void *b) {
        const RegionNode *x = *(RegionNode *const *)a, *y = *(RegionNode *const *)b;

        if (x->offset != y->offset)
                return x->offset > y->offset ? -1 : 1;
        return compare_ranks(a, b);
}

static void node_init(RegionNode *node, json_object *region, size_t index) {
        *node = (RegionNode){
                .name = json_get_text(region, "name"),
                .kind = json_get_text(region, "kind"),
                .parent_name = json_get_text(region, "parent"),
                .target_name = json_get_text(region, "target"),
                .size = json_get_number(region, "size"),
                .offset = json_get_number(region, "offset"),
                .target_offset = json_get_number(region, "target-offset"),
                .priority = json_get_int(region, "priority"),
                .enabled = json_get_bool(region, "enabled", true),
                .readonly = json_get_bool(region, "readonly", false),
                .nonvolatile = json_get_bool(region, "nonvolatile", false),
                .romd = json_get_bool(region, "romd", true),
                .index = index,
        };
}

RegionNode *region_tree_find(const RegionTree *tree, const char *name) {
        RegionNode key = {.name = name}, *pointer = &key, **found;

        found = bsearch(&pointer, tree->by_name, tree->n, sizeof(*tree->by_name), compare_names);
        return found ? *found : NULL;
}

static void link_places(RegionTree *tree, RegionNode **order) {
        qsort(order, tree->n, sizeof(*order), compare_places);
        for (size_t i = 0; i < tree->n; i++) {
                RegionNode *node = order[i];

                node->parent = region_tree_find(tree, node->parent_name);
                node->target = region_tree_find(tree, node->target_name);
                if (!node->parent)
                        continue;
                node->next = node->parent->child;
                node->parent->child = node;
        }
}

static void link_ranks(RegionTree *tree, RegionNode **order) {
        qsort(order, tree->n, sizeof(*order), compare_ranks);
        for (size_t i = 0; i < tree->n; i++) {
                RegionNode *node = order[i];

                if (!node->parent)
                        continue;
                node->under = node->parent->top;
                node->parent->top = node;
        }
}

void region_tree_init(RegionTree *tree, json_object *regions) {
        _cleanup_(freep) RegionNode **order = NULL;

        tree->n = json_length(regions);
        tree->nodes = must(calloc(tree->n + 1, sizeof(*tree->nodes)));
        tree->by_name = must(calloc(tree->n + 1, sizeof(*tree->by_name)));
        order = must(calloc(tree->n + 1, sizeof(*order)));
        for (size_t i = 0; i < tree->n; i++) {
                node_init(&tree->nodes[i], json_object_array_get_idx(regions, i), i);
                tree->by_name[i] = order[i] = &tree->nodes[i];
        }
        qsort(tree->by_name, tree->n, sizeof(*tree->by_name), compare_names);
        link_places(tree, order);
        link_ranks(tree, order);
}

void region_tree_deinit(RegionTree *tree) {
        free(tree->nodes);
        free(tree->by_name);
}

/* Walks along the links instead of calling itself: nothing bounds the depth of a tree. */
void region_tree_walk(const RegionNode *root, uint64_t first, RegionVisit *visit, void *context) {
        const RegionNode *node = root;
        unsigned depth = 1;

        for (;;) {
                visit(context, node, depth, first);
                if (node->child) {
                        node = node->child;
                        first += node->offset;
                        depth++;
                        continue;
                }
                while (node != root && !node->next) {
                        first -= node->offset;
                        node = node->parent;
                        depth--;
                }
                if (node == root)
                        return;
                first += node->next->offset - node->offset;
                node = node->next;
        }
}
