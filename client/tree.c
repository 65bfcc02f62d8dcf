/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * tree: the regions of a layout, linked as the tree they are and printed in the manner of QEMU's
 * "info mtree"
 *
 * I1: `index` is the position in the document: of equal siblings the later one wins.
 * I2: children of a node are linked by address; at one address, the one that wins comes first.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "client/json-read.h"
#include "client/layout.h"
#include "client/verb.h"
#include "lib/util/range.h"

typedef struct Node Node;
typedef struct Tree Tree;

struct Node {
        const char *name;
        const char *kind;
        const char *parent_name; /* "": not placed */
        const char *target;      /* "": not an alias */
        uint64_t size;
        uint64_t offset;
        uint64_t target_offset;
        int64_t priority;
        bool enabled;
        bool readonly;
        bool printed; /* as the root of an address space */
        size_t index;
        Node *parent;
        Node *child; /* the first one */
        Node *next;  /* sibling */
};

struct Tree {
        Node *nodes;
        Node **by_name;
        Node **by_place;
        size_t n;
        bool begun; /* something has been printed */
};

static int compare_names(const void *a, const void *b) {
        return strcmp((*(Node *const *)a)->name, (*(Node *const *)b)->name);
}

/* Last sibling first, so that putting each before its siblings leaves them in order. */
static int compare_places(const void *a, const void *b) {
        const Node *x = *(Node *const *)a, *y = *(Node *const *)b;

        if (x->offset != y->offset)
                return x->offset > y->offset ? -1 : 1;
        if (x->priority != y->priority)
                return x->priority < y->priority ? -1 : 1;
        return x->index < y->index ? -1 : 1;
}

static void node_init(Node *node, json_object *region, size_t index) {
        *node = (Node){
                .name = json_get_text(region, "name"),
                .kind = json_get_text(region, "kind"),
                .parent_name = json_get_text(region, "parent"),
                .target = json_get_text(region, "target"),
                .size = json_get_number(region, "size"),
                .offset = json_get_number(region, "offset"),
                .target_offset = json_get_number(region, "target-offset"),
                .priority = json_get_int(region, "priority"),
                .enabled = json_get_bool(region, "enabled", true),
                .readonly = json_get_bool(region, "readonly", false),
                .index = index,
        };
}

static Node *tree_find(const Tree *tree, const char *name) {
        Node key = {.name = name}, *pointer = &key, **found;

        found = bsearch(&pointer, tree->by_name, tree->n, sizeof(*tree->by_name), compare_names);
        return found ? *found : NULL;
}

static void tree_link(Tree *tree) {
        qsort(tree->by_name, tree->n, sizeof(*tree->by_name), compare_names);
        qsort(tree->by_place, tree->n, sizeof(*tree->by_place), compare_places);
        for (size_t i = 0; i < tree->n; i++) {
                Node *node = tree->by_place[i];

                node->parent = tree_find(tree, node->parent_name);
                if (!node->parent)
                        continue;
                node->next = node->parent->child;
                node->parent->child = node;
        }
}

static void tree_init(Tree *tree, json_object *regions) {
        tree->n = json_length(regions);
        tree->nodes = must(calloc(tree->n + 1, sizeof(*tree->nodes)));
        tree->by_name = must(calloc(tree->n + 1, sizeof(*tree->by_name)));
        tree->by_place = must(calloc(tree->n + 1, sizeof(*tree->by_place)));
        for (size_t i = 0; i < tree->n; i++) {
                node_init(&tree->nodes[i], json_object_array_get_idx(regions, i), i);
                tree->by_name[i] = tree->by_place[i] = &tree->nodes[i];
        }
        tree_link(tree);
}

static void tree_deinit(Tree *tree) {
        free(tree->nodes);
        free(tree->by_name);
        free(tree->by_place);
}

/* What an alias shows: " @target first-last". */
static void print_window(const Node *node) {
        Range window;

        if (!*node->target)
                return;
        printf(" @%s", node->target);
        if (range_from_size(node->size, &window) &&
            range_shift_up(window, node->target_offset, &window))
                printf(" %016" PRIx64 "-%016" PRIx64, window.first, window.last);
}

static void print_node(const Output *output, const Node *node, unsigned depth, uint64_t base) {
        Paint paint = node->enabled ? PAINT_NONE : PAINT_FAINT;
        Range range;

        paint_begin(output, paint);
        printf("%*s", 2 * (int)depth, "");
        if (range_from_size(node->size, &range) && range_shift_up(range, base, &range))
                printf("%016" PRIx64 "-%016" PRIx64, range.first, range.last);
        else
                printf("%016" PRIx64 "-(empty)         ", base);
        printf(" (prio %" PRIi64 ", %s): %s", node->priority, node->kind, node->name);
        print_window(node);
        printf("%s%s", node->readonly ? " [readonly]" : "", node->enabled ? "" : " [disabled]");
        paint_end(output, paint);
        putchar('\n');
}

/*
 * A region and all below it, in depth-first order. Walks along the links instead of calling
 * itself: nothing bounds the depth of a tree.
 */
static void print_subtree(const Output *output, const Node *root) {
        const Node *node = root;
        unsigned depth = 1;
        uint64_t base = 0;

        for (;;) {
                print_node(output, node, depth, base);
                if (node->child) {
                        node = node->child;
                        base += node->offset;
                        depth++;
                        continue;
                }
                while (node != root && !node->next) {
                        base -= node->offset;
                        node = node->parent;
                        depth--;
                }
                if (node == root)
                        return;
                base += node->next->offset - node->offset;
                node = node->next;
        }
}

/* An empty line between two trees. */
static void print_gap(Tree *tree) {
        if (tree->begun)
                putchar('\n');
        tree->begun = true;
}

/* The names of all spaces that show one root, then the tree that they all show. */
static void print_root(const Output *output, json_object *spaces, const char *root, Node *node) {
        node->printed = true;
        for (size_t i = 0; i < json_length(spaces); i++) {
                json_object *space = json_object_array_get_idx(spaces, i);

                if (strcmp(json_get_text(space, "root"), root) == 0)
                        print_line(output, PAINT_HEADER, "address-space: %s",
                                   json_get_text(space, "name"));
        }
        print_subtree(output, node);
}

static void print_spaces(const Output *output, Tree *tree, json_object *spaces) {
        for (size_t i = 0; i < json_length(spaces); i++) {
                json_object *space = json_object_array_get_idx(spaces, i);
                const char *root = json_get_text(space, "root");
                Node *node = tree_find(tree, root);

                if (!node || node->printed)
                        continue;
                print_gap(tree);
                print_root(output, spaces, root, node);
        }
}

/* What aliases show, and what waits to be placed. */
static void print_unplaced(const Output *output, Tree *tree) {
        for (size_t i = 0; i < tree->n; i++) {
                const Node *node = &tree->nodes[i];

                if (node->parent || node->printed)
                        continue;
                print_gap(tree);
                print_line(output, PAINT_HEADER, "region: %s", node->name);
                print_subtree(output, node);
        }
}

int verb_tree(Client *client, char **arguments) {
        _cleanup_(json_putp) json_object *layout = NULL;
        _cleanup_(freep) char *path = NULL;
        Tree tree = {};
        int r;

        r = client_find_vm(client, arguments[0], &path);
        if (r < 0)
                return r;
        r = layout_fetch(client, path, &layout);
        if (r < 0)
                return r;
        if (client->output.json != JSON_OFF) {
                json_print(&client->output, layout);
                return 0;
        }
        tree_init(&tree, json_get_list(layout, "regions"));
        print_spaces(&client->output, &tree, json_get_list(layout, "address-spaces"));
        print_unplaced(&client->output, &tree);
        tree_deinit(&tree);
        return 0;
}
