/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "api/names.h"
#include "client/position.h"

/* Deeper than the service renders. */
enum { DEPTH_MAX = 128 };

typedef struct Node Node;

/* What matters of a region. */
struct Node {
        char *parent;
        uint64_t offset, size;
        int enabled;
};

static void node_deinit(Node *node) {
        free(node->parent);
}

static int get(Client *client, const char *path, const char *property, char type, void *ret) {
        return client_property(client, path, GUESTMAP_INTERFACE_REGION, property, type, ret);
}

static int node_read(Client *client, const char *vm_path, const char *region, Node *node) {
        _cleanup_(freep) char *path = NULL;
        int r;

        r = client_find_region(client, vm_path, region, &path);
        if (r == 0)
                r = get(client, path, "Parent", 's', &node->parent);
        if (r == 0)
                r = get(client, path, "Offset", 't', &node->offset);
        if (r == 0)
                r = get(client, path, "Size", 't', &node->size);
        if (r == 0)
                r = get(client, path, "Enabled", 'b', &node->enabled);
        return r;
}

/* Whether anything of the extent, as offsets in the region, can be seen in it. */
static bool clip(Range *extent, const Node *node) {
        Range own;

        return node->enabled && range_from_size(node->size, &own) &&
               range_intersect(*extent, own, extent);
}

/* One step up: from offsets in the region to offsets in its parent, which replaces its name. */
static int climb(Client *client, const char *vm_path, char **region, bool is_root,
                 Position *position) {
        _cleanup_(node_deinit) Node node = {};
        int r;

        r = node_read(client, vm_path, *region, &node);
        if (r < 0)
                return r;
        if (!clip(&position->extent, &node))
                return fail("nothing that is placed in region \"%s\" would be seen", *region);
        if (is_root)
                return 0;
        position->base += node.offset;
        if (!range_shift_up(position->extent, node.offset, &position->extent))
                return fail("region \"%s\" lies beyond 2^64", *region);
        free(*region);
        *region = TAKE_PTR(node.parent);
        return 0;
}

int position_find(Client *client, const char *vm_path, const char *root, const char *region,
                  Position *ret) {
        _cleanup_(freep) char *at = must(strdup(region));
        Position position = {.extent = RANGE_WHOLE};
        bool is_root = false;

        for (int depth = 0; !is_root; depth++) {
                int r;

                if (!*at || depth > DEPTH_MAX)
                        return fail("region \"%s\" is not below \"%s\", the root of the address "
                                    "space",
                                    region, root);
                is_root = strcmp(at, root) == 0;
                r = climb(client, vm_path, &at, is_root, &position);
                if (r < 0)
                        return r;
        }
        *ret = position;
        return 0;
}
