/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The nodes of a view tree, seen through a cursor; see tree-shape.h. */

#include "lib/util/array.h"
#include "tests/common/unit.h"
#include "tests/unit/tree-shape.h"

/* What the walk knows about one level. */
typedef struct Level {
        const void *node;
        unsigned index;
        unsigned n_before; /* of the node before, if it has the same parent; else 0 */
} Level;

static bool is_thin(unsigned a, unsigned b) {
        return a + b <= VIEW_NODE_MAX && (a < VIEW_NODE_MAX / 2 || b < VIEW_NODE_MAX / 2);
}

/* The node of a level is left behind: its number of items or children is known. */
static void end_node(TreeShape *shape, Level *level) {
        unsigned n = level->index + 1;

        assert_in_range(n, 1, VIEW_NODE_MAX);
        if (level->n_before > 0)
                shape->n_thin += is_thin(level->n_before, n);
        level->n_before = n;
}

static void begin_node(TreeShape *shape, Level *level, const ViewNode *node) {
        level->node = node;
        assert_int_equal(array_reserve(&shape->nodes, &shape->n_allocated, shape->n_nodes, 1), 0);
        shape->nodes[shape->n_nodes++] = node;
}

/* At each item, levels from the top: whether the parent is another is known by then. */
static void see_item(TreeShape *shape, Level levels[], const ViewCursor *cursor) {
        bool parent_is_new = true;

        for (unsigned l = cursor->height; l-- > 0;) {
                bool is_new = levels[l].node != cursor->nodes[l];
                bool moved = l == 0 || levels[l - 1].node != cursor->nodes[l - 1];

                if (is_new && levels[l].node)
                        end_node(shape, &levels[l]);
                if (parent_is_new)
                        levels[l].n_before = 0;
                if (is_new)
                        begin_node(shape, &levels[l], cursor->nodes[l]);
                assert_int_equal(cursor->index[l], is_new ? 0 : levels[l].index + (moved ? 1 : 0));
                levels[l].index = cursor->index[l];
                parent_is_new = is_new;
        }
}

static int compare_nodes(const void *a, const void *b) {
        uintptr_t x = (uintptr_t) * (const void *const *)a;
        uintptr_t y = (uintptr_t) * (const void *const *)b;

        return (x > y) - (x < y);
}

void tree_shape_init(TreeShape *shape, const ViewTree *tree, size_t item_size) {
        Level levels[VIEW_HEIGHT_MAX] = {};
        ViewCursor cursor;
        const void *item = view_cursor_seek(&cursor, tree, item_size, 0);

        *shape = (TreeShape){.height = cursor.height};
        for (; item; item = view_cursor_next(&cursor), shape->n_items++) {
                assert_int_equal(cursor.height, shape->height);
                see_item(shape, levels, &cursor);
        }
        for (unsigned l = 0; l < shape->height; l++)
                end_node(shape, &levels[l]);
        /* A root with one child would be one level too many. */
        if (shape->height > 1)
                assert_true(levels[shape->height - 1].index > 0);
        assert_int_equal(shape->n_items, tree->n_items);
        if (shape->n_nodes > 0)
                qsort(shape->nodes, shape->n_nodes, sizeof(*shape->nodes), compare_nodes);
}

void tree_shape_deinit(TreeShape *shape) {
        free(shape->nodes);
}

bool tree_shape_has(const TreeShape *shape, const void *node) {
        return shape->n_nodes > 0 &&
               bsearch(&node, shape->nodes, shape->n_nodes, sizeof(*shape->nodes), compare_nodes);
}

size_t tree_shape_missing(const TreeShape *shape, const TreeShape *other) {
        size_t n = 0;

        for (size_t i = 0; i < shape->n_nodes; i++)
                n += !tree_shape_has(other, shape->nodes[i]);
        return n;
}
