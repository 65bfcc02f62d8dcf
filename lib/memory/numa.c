/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <linux/mempolicy.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/memory/map-error.h"
#include "lib/memory/numa.h"
#include "lib/util/cleanup.h"
#include "lib/util/string-table.h"

static const char *const policies[] = {
        [NUMA_BIND] = "bind",
        [NUMA_PREFERRED] = "preferred",
        [NUMA_INTERLEAVE] = "interleave",
};

STRING_TABLE(numa_policy, NUMAPolicy, policies);

static uint64_t range_mask(unsigned first, unsigned last) {
        return UINT64_MAX >> (NUMA_NODE_MAX - last) & UINT64_MAX << first;
}

/* A number that a list may go on behind; -EINVAL. */
static int parse_node(const char **list) {
        unsigned node = 0;
        const char *end = *list;

        for (; *end >= '0' && *end <= '9' && node <= NUMA_NODE_MAX; end++)
                node = node * 10 + (unsigned)(*end - '0');
        if (end == *list || node > NUMA_NODE_MAX)
                return -EINVAL;
        *list = end;
        return (int)node;
}

int numa_nodes_parse(const char *list, uint64_t *ret) {
        uint64_t nodes = 0;

        for (;; list++) {
                int first = parse_node(&list), last = first;

                if (first >= 0 && *list == '-') {
                        list++;
                        last = parse_node(&list);
                }
                if (first < 0 || last < first || (*list && *list != ','))
                        return -EINVAL;
                nodes |= range_mask((unsigned)first, (unsigned)last);
                if (!*list)
                        break;
        }
        *ret = nodes;
        return 0;
}

NUMAWords numa_nodes_list(uint64_t nodes) {
        NUMAWords words = {};
        size_t n = 0;

        for (unsigned first = 0; first <= NUMA_NODE_MAX; first++) {
                unsigned last = first;

                if (!(nodes >> first & 1))
                        continue;
                while (last < NUMA_NODE_MAX && nodes >> (last + 1) & 1)
                        last++;
                n += (size_t)snprintf(words.text + n, sizeof(words.text) - n, "%s%u", n ? "," : "",
                                      first);
                if (last > first)
                        n += (size_t)snprintf(words.text + n, sizeof(words.text) - n, "-%u", last);
                first = last;
        }
        return words;
}

NUMAWords numa_nodes_words(uint64_t nodes) {
        NUMAWords words;

        snprintf(words.text, sizeof(words.text), "node%s %.100s", numa_is_one(nodes) ? "" : "s",
                 numa_nodes_list(nodes).text);
        return words;
}

static int choose_nodes(uint64_t *ret, const NUMAChoice *choice, const char *name, Detail *detail) {
        if (choice->has_node && choice->nodes)
                return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                                  "memory of \"%s\": of numa-node and numa-nodes there can be one "
                                  "only",
                                  name);
        if (choice->has_node && choice->node > NUMA_NODE_MAX)
                return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                                  "memory of \"%s\": numa-node %" PRIu32
                                  " is beyond %u, the last that there can be",
                                  name, choice->node, NUMA_NODE_MAX);
        if (choice->nodes && numa_nodes_parse(choice->nodes, ret) < 0)
                return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                                  "memory of \"%s\": numa-nodes \"%.64s\" is no list of nodes from "
                                  "0 to %u, such as 0-1,3",
                                  name, choice->nodes, NUMA_NODE_MAX);
        if (choice->has_node)
                *ret = UINT64_C(1) << choice->node;
        return 0;
}

int numa_choose(NUMA *ret, const NUMAChoice *choice, const char *name, Detail *detail) {
        int policy = choice->policy ? numa_policy_from_string(choice->policy) : NUMA_BIND, r;
        uint64_t nodes = 0;

        if (policy < 0)
                return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                                  "memory of \"%s\": numa-policy \"%.64s\" is none of bind, "
                                  "preferred, interleave",
                                  name, choice->policy);
        r = choose_nodes(&nodes, choice, name, detail);
        if (r != 0)
                return r;
        if (choice->policy && nodes == 0)
                return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                                  "memory of \"%s\": a numa-policy needs a numa-node", name);
        if (nodes != 0)
                *ret = (NUMA){(NUMAPolicy)policy, nodes};
        return 0;
}

static bool has_node(unsigned node) {
        char path[64];

        snprintf(path, sizeof(path), "/sys/devices/system/node/node%u", node);
        return access(path, F_OK) == 0;
}

/* Those that there are, for a message. */
static NUMAWords host_nodes(void) {
        uint64_t nodes = 0;

        for (unsigned node = 0; node <= NUMA_NODE_MAX; node++)
                nodes |= (uint64_t)has_node(node) << node;
        return nodes ? numa_nodes_list(nodes) : (NUMAWords){"none"};
}

int numa_check(const NUMA *numa, const char *name, Detail *detail) {
        for (unsigned node = 0; node <= NUMA_NODE_MAX; node++)
                if (numa->nodes >> node & 1 && !has_node(node))
                        return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                                          "memory of \"%s\": there is no NUMA node %u; the host "
                                          "has: %s",
                                          name, node, host_nodes().text);
        return 0;
}

/* To prefer several is another mode than to prefer one, which older kernels know, too. */
static int mode_of(const NUMA *numa) {
        static const int modes[] = {
                [NUMA_BIND] = MPOL_BIND,
                [NUMA_PREFERRED] = MPOL_PREFERRED,
                [NUMA_INTERLEAVE] = MPOL_INTERLEAVE,
        };

        return numa->policy == NUMA_PREFERRED && !numa_is_one(numa->nodes) ? MPOL_PREFERRED_MANY
                                                                           : modes[numa->policy];
}

int numa_bind(const NUMA *numa, const char *name, void *host, size_t size, Detail *detail) {
        /* The kernel takes one bit less than it is told of. */
        enum { BITS = NUMA_NODE_MAX + 2 };

        if (numa->policy == NUMA_ANYWHERE || syscall(SYS_mbind, host, size, mode_of(numa),
                                                     &numa->nodes, (unsigned long)BITS, 0) == 0)
                return 0;
        return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                          "memory of \"%s\": the kernel gives guestmap-vmd none of NUMA %s: %s",
                          name, numa_nodes_words(numa->nodes).text, strerror(errno));
}
