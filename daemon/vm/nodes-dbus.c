/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/vm/nodes-dbus.h"
#include "lib/util/array.h"
#include "lib/util/cleanup.h"

void nodes_deinit(Nodes *nodes) {
        for (size_t i = 0; i < nodes->n; i++)
                free(nodes->paths[i]);
        free(nodes->paths);
        *nodes = (Nodes){};
}

/* Room for one path more, and for the NULL behind it. */
static int nodes_grow(Nodes *nodes) {
        return array_reserve(&nodes->paths, &nodes->allocated, nodes->n, 2);
}

int nodes_add_path(Nodes *nodes, const char *path) {
        int r;

        r = nodes_grow(nodes);
        if (r < 0)
                return r;
        nodes->paths[nodes->n] = strdup(path);
        if (!nodes->paths[nodes->n])
                return -ENOMEM;
        nodes->paths[++nodes->n] = NULL;
        return 0;
}

int nodes_add(Nodes *nodes, const char *prefix, const char *name) {
        int r;

        r = nodes_grow(nodes);
        if (r < 0)
                return r;
        r = sd_bus_path_encode(prefix, name, &nodes->paths[nodes->n]);
        if (r < 0)
                return r;
        nodes->paths[++nodes->n] = NULL;
        return 0;
}

void nodes_take(Nodes *nodes, char ***ret) {
        *ret = TAKE_PTR(nodes->paths);
        *nodes = (Nodes){};
}

int node_decode(const char *path, const char *prefix, char **ret) {
        size_t length = strlen(prefix);

        if (strncmp(path, prefix, length) != 0 || path[length] != '/' ||
            strchr(path + length + 1, '/'))
                return 0;
        return sd_bus_path_decode(path, prefix, ret);
}

bool node_is_within(const char *node, const char *prefix) {
        size_t length = strlen(prefix);

        if (strcmp(prefix, "/") == 0)
                return true;
        return strncmp(node, prefix, length) == 0 && (node[length] == '/' || node[length] == '\0');
}
