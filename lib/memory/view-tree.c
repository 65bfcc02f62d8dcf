/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "lib/memory/view-tree.h"
#include "lib/util/array.h"
#include "lib/util/cleanup.h"

enum {
        CACHE_LINE = 64,
        GROUP = CACHE_LINE / sizeof(uint64_t), /* keys that are compared at once */
};

struct ViewNode {
        struct cds_list_head link; /* in ViewSplice.born or .dead, or in an epoch */
        uint16_t n;
        uint8_t height;                /* 0: a leaf */
        bool fresh;                    /* born by the splice that is on: no published tree has it */
        uint64_t first[VIEW_NODE_MAX]; /* all-ones behind the n-th */
        union {
                ViewNode *children[VIEW_NODE_MAX];
                char items[1]; /* as many as a leaf was made for */
        };
};

/* Nodes of one height, in order. */
typedef struct NodeList {
        ViewNode **nodes;
        size_t n;
        size_t allocated;
} NodeList;

static void node_list_deinit(NodeList *list) {
        free(list->nodes);
}

static int node_list_append(NodeList *list, ViewNode *const *nodes, size_t n) {
        int r;

        r = array_reserve(&list->nodes, &list->allocated, list->n, n);
        if (r < 0)
                return r;
        if (n > 0)
                memcpy(list->nodes + list->n, nodes, n * sizeof(*nodes));
        list->n += n;
        return 0;
}

static void *leaf_item(const ViewNode *leaf, size_t item_size, size_t i) {
        return (char *)leaf->items + i * item_size;
}

_Static_assert(VIEW_NODE_MAX == 4 * GROUP && GROUP == 8, "count_upto() spells them out");

/*
 * How many of the node's keys are at or below an address: first among those that begin a group,
 * then within the group that it falls into. That is two rounds, where halving is five, each of
 * which waits for the one before.
 */
static unsigned count_upto(const ViewNode *node, uint64_t address) {
        const uint64_t *key = node->first;
        unsigned n, low, high;

        if (address == UINT64_MAX)
                return node->n;
        n = GROUP *
            ((key[GROUP] <= address) + (key[2 * GROUP] <= address) + (key[3 * GROUP] <= address));
        key += n;
        low = (key[0] <= address) + (key[1] <= address) + (key[2] <= address) + (key[3] <= address);
        high = (key[4] <= address) + (key[5] <= address) + (key[6] <= address) +
               (key[7] <= address);
        return n + low + high;
}

/* How many are below it. */
static unsigned count_below(const ViewNode *node, uint64_t address) {
        return address == 0 ? 0 : count_upto(node, address - 1);
}

/*
 * Asks for all of a node at once: what a commit has just written has to come from another CPU, a
 * cache line at a time if the search asks for it.
 */
static void node_prefetch(const ViewNode *node) {
        size_t size = offsetof(ViewNode, children) + sizeof(node->children);

        for (size_t at = 0; at < size; at += CACHE_LINE)
                __builtin_prefetch((const char *)node + at);
}

const void *view_tree_floor(const ViewTree *tree, size_t item_size, uint64_t address) {
        const ViewNode *node = tree->root;
        unsigned n;

        if (!node)
                return NULL;
        for (;; node = node->children[n - 1]) {
                node_prefetch(node);
                n = count_upto(node, address);
                if (n == 0)
                        return NULL;
                if (node->height == 0)
                        return leaf_item(node, item_size, n - 1);
        }
}

static const void *cursor_item(const ViewCursor *cursor) {
        return cursor->height == 0
                       ? NULL
                       : leaf_item(cursor->nodes[0], cursor->item_size, cursor->index[0]);
}

/* Down to the first item below children[index] of each level. */
static void cursor_descend(ViewCursor *cursor, unsigned level) {
        for (; level > 0; level--) {
                cursor->nodes[level - 1] = cursor->nodes[level]->children[cursor->index[level]];
                cursor->index[level - 1] = 0;
        }
}

const void *view_cursor_next(ViewCursor *cursor) {
        for (unsigned level = 0; level < cursor->height; level++)
                if (++cursor->index[level] < cursor->nodes[level]->n) {
                        cursor_descend(cursor, level);
                        return cursor_item(cursor);
                }
        cursor->height = 0;
        return NULL;
}

const void *view_cursor_seek(ViewCursor *cursor, const ViewTree *tree, size_t item_size,
                             uint64_t address) {
        const ViewNode *node = tree->root;
        unsigned below;

        *cursor = (ViewCursor){.item_size = item_size};
        if (!node)
                return NULL;
        cursor->height = node->height + 1;
        for (;; node = node->children[cursor->index[node->height]]) {
                cursor->nodes[node->height] = node;
                below = count_below(node, address);
                if (node->height == 0)
                        break;
                cursor->index[node->height] = below > 0 ? below - 1 : 0;
        }
        cursor->index[0] = below;
        if (below < node->n)
                return cursor_item(cursor);
        cursor->index[0] = node->n - 1;
        return view_cursor_next(cursor);
}

static int node_new(ViewNode **ret, ViewSplice *splice, unsigned height, unsigned n,
                    size_t item_size) {
        size_t payload = height == 0 ? n * item_size : VIEW_NODE_MAX * sizeof(ViewNode *);
        ViewNode *node;

        node = malloc(offsetof(ViewNode, items) + payload);
        if (!node)
                return -ENOMEM;
        node->n = n;
        node->height = height;
        node->fresh = true;
        memset(node->first + n, 0xff, (VIEW_NODE_MAX - n) * sizeof(node->first[0]));
        cds_list_add(&node->link, &splice->born);
        *ret = node;
        return 0;
}

/* The node is in no tree from here on. */
static void node_drop(ViewSplice *splice, ViewNode *node) {
        if (node->fresh) {
                cds_list_del(&node->link);
                free(node);
        } else {
                cds_list_add(&node->link, &splice->dead);
        }
}

static void subtree_drop(ViewSplice *splice, ViewNode *node) {
        for (unsigned i = 0; node->height > 0 && i < node->n; i++)
                subtree_drop(splice, node->children[i]);
        node_drop(splice, node);
}

/* The k-th of `parts` parts, as even as can be, of n things: where it ends. */
static size_t part_end(size_t n, size_t parts, size_t k) {
        return n / parts * (k + 1) + MIN_OF(k + 1, n % parts);
}

static size_t parts_of(size_t n) {
        return (n + VIEW_NODE_MAX - 1) / VIEW_NODE_MAX;
}

/* Three runs of items, one after the other, as if they were one array. */
typedef struct Items {
        const char *runs[3];
        size_t n[3];
        size_t size;
} Items;

static const void *items_at(const Items *items, size_t i) {
        unsigned run = 0;

        while (i >= items->n[run])
                i -= items->n[run++];
        return items->runs[run] + i * items->size;
}

/* Leaves that hold the items, evenly. */
static int make_leaves(ViewSplice *splice, const Items *items, NodeList *out) {
        size_t n = items->n[0] + items->n[1] + items->n[2], parts = parts_of(n), at = 0;
        int r;

        for (size_t k = 0; k < parts; k++) {
                size_t end = part_end(n, parts, k);
                ViewNode *leaf;

                r = node_new(&leaf, splice, 0, end - at, items->size);
                if (r == 0)
                        r = node_list_append(out, &leaf, 1);
                if (r < 0)
                        return r;
                for (unsigned i = 0; at < end; at++, i++) {
                        void *item = memcpy(leaf_item(leaf, items->size, i), items_at(items, at),
                                            items->size);

                        leaf->first[i] = ((Range *)item)->first;
                }
        }
        return 0;
}

/* Inner nodes over nodes of one height, evenly. */
static int make_inner(ViewSplice *splice, ViewNode *const *children, size_t n, NodeList *out) {
        size_t parts = parts_of(n), at = 0;
        int r;

        for (size_t k = 0; k < parts; k++) {
                size_t end = part_end(n, parts, k);
                ViewNode *node;

                r = node_new(&node, splice, children[0]->height + 1, end - at, 0);
                if (r == 0)
                        r = node_list_append(out, &node, 1);
                if (r < 0)
                        return r;
                for (unsigned i = 0; at < end; at++, i++) {
                        node->children[i] = children[at];
                        node->first[i] = children[at]->first[0];
                }
        }
        return 0;
}

static int append_merging(ViewSplice *splice, NodeList *list, ViewNode *node, size_t item_size);

/* The children of two neighbours in one node; the two that meet were under different nodes yet. */
static int merge_inner(ViewSplice *splice, ViewNode *a, ViewNode *b, size_t item_size,
                       NodeList *out) {
        _cleanup_(node_list_deinit) NodeList children = {};
        int r;

        r = node_list_append(&children, a->children, a->n);
        if (r == 0)
                r = append_merging(splice, &children, b->children[0], item_size);
        if (r == 0)
                r = node_list_append(&children, b->children + 1, b->n - 1);
        return r == 0 ? make_inner(splice, children.nodes, children.n, out) : r;
}

/* Two neighbours of one height in one node. */
static int merge_two(ViewSplice *splice, ViewNode *a, ViewNode *b, size_t item_size,
                     NodeList *out) {
        Items items = {{a->items, b->items, NULL}, {a->n, b->n, 0}, item_size};
        int r;

        r = a->height == 0 ? make_leaves(splice, &items, out)
                           : merge_inner(splice, a, b, item_size, out);
        if (r == 0) {
                node_drop(splice, a);
                node_drop(splice, b);
        }
        return r;
}

/* Appends a node, as one with the last of the list if that is worth it: half of either is empty. */
static int append_merging(ViewSplice *splice, NodeList *list, ViewNode *node, size_t item_size) {
        ViewNode *last = list->n > 0 ? list->nodes[list->n - 1] : NULL;

        if (last && last->n + node->n <= VIEW_NODE_MAX &&
            MIN_OF(last->n, node->n) < VIEW_NODE_MAX / 2) {
                list->n--;
                return merge_two(splice, last, node, item_size, list);
        }
        return node_list_append(list, &node, 1);
}

static int replace(ViewSplice *splice, ViewNode *node, Range window, const Items *new,
                   NodeList *out);

static int replace_leaf(ViewSplice *splice, ViewNode *leaf, Range window, const Items *new,
                        NodeList *out) {
        unsigned before = count_below(leaf, window.first), upto = count_upto(leaf, window.last);
        Items items = {
                .runs = {leaf->items, new->runs[0], leaf_item(leaf, new->size, upto)},
                .n = {before, new->n[0], leaf->n - upto},
                .size = new->size,
        };
        int r;

        r = make_leaves(splice, &items, out);
        if (r == 0)
                node_drop(splice, leaf);
        return r;
}

/* The children that the window touches give way to others; the new items come with the first. */
static int replace_children(ViewSplice *splice, ViewNode *node, Range window, const Items *new,
                            unsigned from, unsigned to, NodeList *out) {
        const Items nothing = {.size = new->size};
        int r = 0;

        for (unsigned i = from; r == 0 && i <= to; i++) {
                ViewNode *child = node->children[i];
                bool inside = i > from && i < to;

                if (inside)
                        subtree_drop(splice, child);
                else
                        r = replace(splice, child, window, i == from ? new : &nothing, out);
        }
        return r;
}

static int replace_inner(ViewSplice *splice, ViewNode *node, Range window, const Items *new,
                         NodeList *out) {
        unsigned from = count_below(node, window.first), to = count_upto(node, window.last);
        _cleanup_(node_list_deinit) NodeList replaced = {}, children = {};
        int r;

        /* The child that begins before the window may reach into it. */
        from -= from > 0;
        to = MAX_OF(to, from + 1) - 1;
        r = replace_children(splice, node, window, new, from, to, &replaced);
        if (r == 0)
                r = node_list_append(&children, node->children, from);
        for (size_t i = 0; r == 0 && i < replaced.n; i++)
                r = append_merging(splice, &children, replaced.nodes[i], new->size);
        if (r == 0 && to + 1u < node->n)
                r = append_merging(splice, &children, node->children[to + 1], new->size);
        if (r == 0 && to + 2u < node->n)
                r = node_list_append(&children, node->children + to + 2, node->n - to - 2);
        if (r == 0)
                r = make_inner(splice, children.nodes, children.n, out);
        if (r == 0)
                node_drop(splice, node);
        return r;
}

/* Appends the nodes, of the same height, that take the node's place. */
static int replace(ViewSplice *splice, ViewNode *node, Range window, const Items *new,
                   NodeList *out) {
        return node->height == 0 ? replace_leaf(splice, node, window, new, out)
                                 : replace_inner(splice, node, window, new, out);
}

/* One root over the nodes of the list, or what is left of a root with one child. */
static int make_root(ViewSplice *splice, NodeList *level, ViewNode **ret) {
        while (level->n > 1) {
                NodeList above = {};
                int r = make_inner(splice, level->nodes, level->n, &above);

                node_list_deinit(level);
                *level = above;
                if (r < 0)
                        return r;
        }
        *ret = level->n > 0 ? level->nodes[0] : NULL;
        while (*ret && (*ret)->height > 0 && (*ret)->n == 1) {
                ViewNode *only = *ret;

                *ret = only->children[0];
                node_drop(splice, only);
        }
        return 0;
}

static size_t count_items(const ViewTree *tree, size_t item_size, Range window) {
        ViewCursor cursor;
        const Range *item = view_cursor_seek(&cursor, tree, item_size, window.first);
        size_t n = 0;

        for (; item && item->first <= window.last; item = view_cursor_next(&cursor))
                n++;
        return n;
}

int view_tree_splice(ViewTree *tree, ViewSplice *splice, size_t item_size, Range window,
                     const void *items, size_t n) {
        _cleanup_(node_list_deinit) NodeList nodes = {};
        Items new = {.runs = {items}, .n = {n}, .size = item_size};
        size_t n_removed = count_items(tree, item_size, window);
        int r;

        if (n == 0 && n_removed == 0)
                return 0;
        r = tree->root ? replace(splice, tree->root, window, &new, &nodes)
                       : make_leaves(splice, &new, &nodes);
        if (r == 0)
                r = make_root(splice, &nodes, &tree->root);
        if (r == 0)
                tree->n_items += n - n_removed;
        return r;
}

void view_splice_init(ViewSplice *splice) {
        CDS_INIT_LIST_HEAD(&splice->born);
        CDS_INIT_LIST_HEAD(&splice->dead);
}

void view_splice_kill(ViewSplice *splice, ViewTree *tree) {
        if (tree->root)
                subtree_drop(splice, tree->root);
        *tree = (ViewTree){};
}

void view_splice_abandon(ViewSplice *splice) {
        view_nodes_free(&splice->born);
        view_splice_init(splice);
}

void view_splice_settle(ViewSplice *splice, struct cds_list_head *dead) {
        ViewNode *node;

        cds_list_for_each_entry(node, &splice->born, link)
                node->fresh = false;
        cds_list_splice(&splice->dead, dead);
        view_splice_init(splice);
}

void view_nodes_free(struct cds_list_head *nodes) {
        ViewNode *node, *next;

        cds_list_for_each_entry_safe(node, next, nodes, link)
                free(node);
        CDS_INIT_LIST_HEAD(nodes);
}

static void subtree_free(ViewNode *node) {
        for (unsigned i = 0; node->height > 0 && i < node->n; i++)
                subtree_free(node->children[i]);
        free(node);
}

void view_tree_free(ViewTree tree) {
        if (tree.root)
                subtree_free(tree.root);
}
