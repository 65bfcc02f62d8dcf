/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * NUMA: which nodes memory comes from
 *
 * Nodes are a set, of those from 0 to 63: a bit each, since every edit has room for one. The kernel
 * could have 1,024; no machine that is known to run guests does.
 *
 * Source: mbind(2); /sys/devices/system/node.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/util/detail.h"

typedef struct NUMA NUMA;
typedef struct NUMAChoice NUMAChoice;

typedef enum NUMAPolicy {
        NUMA_ANYWHERE,
        NUMA_BIND,       /* from these nodes only */
        NUMA_PREFERRED,  /* from these nodes while they have any */
        NUMA_INTERLEAVE, /* page by page from one after the other, while it has any */
} NUMAPolicy;

enum { NUMA_NODE_MAX = 63 };

struct NUMA {
        NUMAPolicy policy;
        uint64_t nodes; /* of the policy */
};

/* What a caller says of it; text is borrowed. */
struct NUMAChoice {
        uint32_t has_node;
        uint32_t node;
        const char *nodes;  /* instead; NULL: not given */
        const char *policy; /* NULL: not given, which binds */
};

/* "node 3" or "nodes 0-1,3". */
typedef struct NUMAWords {
        char text[128];
} NUMAWords;

/* "bind", "preferred", "interleave"; -EINVAL. */
int numa_policy_from_string(const char *word);
const char *numa_policy_to_string(NUMAPolicy policy);

static inline bool numa_is_one(uint64_t nodes) {
        return (nodes & (nodes - 1)) == 0;
}

/* Reads a list such as "0-1,3"; -EINVAL. */
int numa_nodes_parse(const char *list, uint64_t *ret);
/* The list; with what it is a list of in front, for a message. */
NUMAWords numa_nodes_list(uint64_t nodes);
NUMAWords numa_nodes_words(uint64_t nodes);

/* What was chosen for region `name`; MAP_E_INVALID_ARGUMENT. */
int numa_choose(NUMA *ret, const NUMAChoice *choice, const char *name, Detail *detail);
/* Whether the host has all the nodes; MAP_E_INVALID_ARGUMENT. */
int numa_check(const NUMA *numa, const char *name, Detail *detail);
/*
 * Has a mapping's pages come from there. MAP_E_INVALID_ARGUMENT: the process may have none from
 * there.
 */
int numa_bind(const NUMA *numa, const char *name, void *host, size_t size, Detail *detail);
