/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Nodes: objects named by what they stand for, below a prefix
 */

#include <stddef.h>
#include <stdbool.h>
#include <systemd/sd-bus.h>

typedef struct Nodes Nodes;

/* Paths for an enumerator, ending in NULL. */
struct Nodes {
        char **paths;
        size_t n;
        size_t allocated;
};

void nodes_deinit(Nodes *nodes);
/* Adds a path, or that of `name` below the prefix. -ENOMEM. */
int nodes_add_path(Nodes *nodes, const char *path);
int nodes_add(Nodes *nodes, const char *prefix, const char *name);
/* Hands the paths out as an enumerator does. */
void nodes_take(Nodes *nodes, char ***ret);

/*
 * The name that stands in `path` right below the prefix. 1 and a string from malloc(); 0 where
 * there can be no object (the prefix itself, paths further down); -ENOMEM.
 */
int node_decode(const char *path, const char *prefix, char **ret);

/*
 * Whether `node` is `prefix` or below it: whether an enumerator of its is to speak. ObjectManager
 * asks for all that is below itself; sd-bus asks once more for each object that it finds, and
 * taking part in that would be quadratic.
 */
bool node_is_within(const char *node, const char *prefix);
