/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * tree: the regions of a layout, printed in the manner of QEMU's "info mtree"
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/names.h"
#include "client/json-read.h"
#include "client/layout.h"
#include "client/mtree-print.h"
#include "client/region-tree.h"
#include "client/verb.h"
#include "lib/util/range.h"

/* What an alias shows: " @target first-last". */
static void print_window(const RegionNode *node) {
        Range window;

        if (!*node->target_name)
                return;
        printf(" @%s", node->target_name);
        if (range_from_size(node->size, &window) &&
            range_shift_up(window, node->target_offset, &window))
                printf(" %016" PRIx64 "-%016" PRIx64, window.first, window.last);
}

static void print_node(void *context, const RegionNode *node, unsigned depth, uint64_t base) {
        const Output *output = context;
        Paint paint = node->enabled ? PAINT_NONE : PAINT_FAINT;
        Range range;

        paint_begin(output, paint);
        printf("%*s", output->plain ? 0 : 2 * (int)depth, "");
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

static void print_subtree(const Output *output, const RegionNode *root) {
        region_tree_walk(root, 0, print_node, (void *)output);
}

/* An empty line between two trees. */
static void print_gap(const Output *output, bool *begun) {
        if (*begun && !output->plain)
                putchar('\n');
        *begun = true;
}

static void print_heading(const Output *output, const char *what, const char *name) {
        if (!output->plain)
                print_line(output, PAINT_HEADER, "%s: %s", what, name);
}

/* The names of all spaces that show one root, then the tree that they all show. */
static void print_root(const Output *output, json_object *spaces, const char *root,
                       RegionNode *node) {
        node->marked = true;
        for (size_t i = 0; i < json_length(spaces); i++) {
                json_object *space = json_object_array_get_idx(spaces, i);

                if (strcmp(json_get_text(space, "root"), root) == 0)
                        print_heading(output, "address-space", json_get_text(space, "name"));
        }
        print_subtree(output, node);
}

static void print_spaces(const Output *output, const RegionTree *tree, json_object *spaces,
                         bool *begun) {
        for (size_t i = 0; i < json_length(spaces); i++) {
                json_object *space = json_object_array_get_idx(spaces, i);
                const char *root = json_get_text(space, "root");
                RegionNode *node = region_tree_find(tree, root);

                if (!node || node->marked)
                        continue;
                print_gap(output, begun);
                print_root(output, spaces, root, node);
        }
}

/* What aliases show, and what waits to be placed. */
static void print_unplaced(const Output *output, const RegionTree *tree, bool *begun) {
        for (size_t i = 0; i < tree->n; i++) {
                const RegionNode *node = &tree->nodes[i];

                if (node->parent || node->marked)
                        continue;
                print_gap(output, begun);
                print_heading(output, "region", node->name);
                print_subtree(output, node);
        }
}

int verb_tree(Client *client, char **arguments) {
        _cleanup_(json_putp) json_object *layout = NULL;
        _cleanup_(freep) char *path = NULL;
        RegionTree tree;
        bool begun = false;
        int r;

        if (client_given(client, OPTION_DISABLED) && !client_given(client, OPTION_MTREE))
                return fail("--disabled goes with --mtree: without it all is shown");
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
        if (client_given(client, OPTION_MTREE)) {
                mtree_print_tree(&client->output, layout, client_given(client, OPTION_DISABLED));
                return 0;
        }
        region_tree_init(&tree, json_get_list(layout, "regions"));
        print_spaces(&client->output, &tree, json_get_list(layout, "address-spaces"), &begun);
        print_unplaced(&client->output, &tree, &begun);
        region_tree_deinit(&tree);
        return 0;
}
