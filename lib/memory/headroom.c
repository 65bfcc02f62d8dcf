/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lib/memory/headroom.h"
#include "lib/memory/map-error.h"
#include "lib/util/cleanup.h"
#include "lib/util/size-words.h"

/* What the host keeps for itself is one part in so many of what it has. */
#define KEPT_SHARE 256

/* A path in /sys or /proc, with that of a cgroup in it, which may be long. */
enum { PATH_BYTES = PATH_MAX + 64 };

static FILE *open_file(const char *root, const char *path) {
        char full[2 * PATH_BYTES];

        snprintf(full, sizeof(full), "%s%s", root, path);
        return fopen(full, "re");
}

/* "12\n". -EINVAL: "max\n", or there is none. */
static int read_number(const char *root, const char *path, uint64_t *ret) {
        _cleanup_(fclosep) FILE *file = open_file(root, path);

        return file && fscanf(file, "%" SCNu64, ret) == 1 ? 0 : -EINVAL;
}

/* What changes by the moment, for a message. */
static SizeWords whole_mib(uint64_t bytes) {
        return size_words(bytes & ~((UINT64_C(1) << 20) - 1));
}

/* Huge pages */

static uint64_t huge_number(const char *root, uint64_t page, const char *what) {
        uint64_t number;
        char path[128];

        snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/%s",
                 page / 1024, what);
        return read_number(root, path, &number) < 0 ? 0 : number;
}

int headroom_check_huge(const Headroom *headroom, Detail *detail) {
        const char *root = headroom->root;
        uint64_t page = headroom->page, needed = headroom->bytes / page;
        uint64_t free = huge_number(root, page, "free_hugepages");
        uint64_t reserved = huge_number(root, page, "resv_hugepages");
        uint64_t over = huge_number(root, page, "nr_overcommit_hugepages");
        uint64_t surplus = huge_number(root, page, "surplus_hugepages");

        free = (free > reserved ? free - reserved : 0) + (over > surplus ? over - surplus : 0);
        if (free >= needed)
                return 0;
        return detail_set(detail, MAP_E_NO_MEMORY,
                          "memory of \"%s\": needs %" PRIu64 " huge pages of %s, %" PRIu64
                          " are free (nr_hugepages)",
                          headroom->name, needed, size_words(page).text, free);
}

static int count_huge_on_node(const Headroom *headroom, unsigned node, uint64_t *count) {
        uint64_t free;
        char path[128];
        int r;

        snprintf(path, sizeof(path),
                 "/sys/devices/system/node/node%u/hugepages/hugepages-%" PRIu64 "kB/free_hugepages",
                 node, headroom->page / 1024);
        r = read_number(headroom->root, path, &free);
        if (r == 0)
                *count += free;
        return r;
}

static int check_huge_on_nodes(const Headroom *headroom, Detail *detail) {
        uint64_t nodes = headroom->spec->numa.nodes, needed = headroom->bytes / headroom->page;
        uint64_t free = 0;

        for (unsigned node = 0; node <= NUMA_NODE_MAX; node++)
                if (nodes >> node & 1 && count_huge_on_node(headroom, node, &free) < 0)
                        return 0;
        if (free >= needed)
                return 0;
        return detail_set(detail, MAP_E_NO_MEMORY,
                          "memory of \"%s\": needs %" PRIu64 " huge pages of %s, %" PRIu64
                          " are free on NUMA %s (nr_hugepages)",
                          headroom->name, needed, size_words(headroom->page).text, free,
                          numa_nodes_words(nodes).text);
}

/* Nodes */

/* Adds what a node has and what it could give, in bytes: nothing if there is none. */
static void read_node(const char *root, unsigned node, uint64_t *total, uint64_t *available) {
        static const char *const parts[] = {"MemFree", "Active(file)", "Inactive(file)",
                                            "SReclaimable"};
        _cleanup_(fclosep) FILE *file = NULL;
        char path[64], line[128], key[64];
        uint64_t kib;

        snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/meminfo", node);
        file = open_file(root, path);
        while (file && fgets(line, sizeof(line), file)) {
                if (sscanf(line, "Node %*u %63[^:]: %" SCNu64, key, &kib) != 2)
                        continue;
                if (strcmp(key, "MemTotal") == 0)
                        *total += kib * 1024;
                for (size_t i = 0; i < ELEMENTS_OF(parts); i++)
                        if (strcmp(key, parts[i]) == 0)
                                *available += kib * 1024;
        }
}

static int check_nodes(const Headroom *headroom, Detail *detail) {
        bool bound = headroom->spec->numa.policy == NUMA_BIND;
        uint64_t nodes = bound ? headroom->spec->numa.nodes : UINT64_MAX;
        uint64_t total = 0, available = 0, kept;
        char who[160] = "the host has";

        for (unsigned node = 0; node <= NUMA_NODE_MAX; node++)
                if (nodes >> node & 1)
                        read_node(headroom->root, node, &total, &available);
        kept = total / KEPT_SHARE;
        available = available > kept ? available - kept : 0;
        if (total == 0 || headroom->bytes <= available)
                return 0;
        if (bound)
                snprintf(who, sizeof(who), "NUMA %s %s", numa_nodes_words(nodes).text,
                         numa_is_one(nodes) ? "has" : "have");
        return detail_set(detail, MAP_E_NO_MEMORY, "memory of \"%s\": needs %s, %s %s available",
                          headroom->name, size_words(headroom->bytes).text, who,
                          whole_mib(available).text);
}

/* Cgroups, version 2 */

/* Of this process, as systemd and the kernel call it: "/guestmap.slice/x.service". */
static int read_cgroup(const char *root, char path[static PATH_MAX]) {
        _cleanup_(fclosep) FILE *file = open_file(root, "/proc/self/cgroup");

        while (file && fgets(path, PATH_MAX, file))
                if (strncmp(path, "0::/", 4) == 0) {
                        path[strcspn(path, "\n")] = '\0';
                        memmove(path, path + 3, strlen(path + 3) + 1);
                        return 0;
                }
        return -ENOENT;
}

/* What it could give back of what it uses: pages of files, above all. */
static uint64_t read_reclaimable(const char *root, const char *cgroup) {
        static const char *const parts[] = {"active_file", "inactive_file", "slab_reclaimable"};
        _cleanup_(fclosep) FILE *file = NULL;
        char path[PATH_BYTES], key[64];
        uint64_t bytes, sum = 0;

        snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.stat", cgroup);
        file = open_file(root, path);
        while (file && fscanf(file, "%63s %" SCNu64, key, &bytes) == 2)
                for (size_t i = 0; i < ELEMENTS_OF(parts); i++)
                        if (strcmp(key, parts[i]) == 0)
                                sum += bytes;
        return sum;
}

static int check_cgroup(const Headroom *headroom, const char *cgroup, Detail *detail) {
        char limit[PATH_BYTES], used[PATH_BYTES];
        uint64_t max, current, left;

        snprintf(limit, sizeof(limit), "/sys/fs/cgroup%s/memory.max", cgroup);
        snprintf(used, sizeof(used), "/sys/fs/cgroup%s/memory.current", cgroup);
        if (read_number(headroom->root, limit, &max) < 0 ||
            read_number(headroom->root, used, &current) < 0)
                return 0;
        left = max > current ? max - current : 0;
        left = MIN_OF(max, left + read_reclaimable(headroom->root, cgroup));
        if (headroom->bytes <= left)
                return 0;
        return detail_set(detail, MAP_E_NO_MEMORY,
                          "memory of \"%s\": needs %s, cgroup %s has %s left of its MemoryMax, %s",
                          headroom->name, size_words(headroom->bytes).text, cgroup,
                          whole_mib(left).text, size_words(max).text);
}

/* Those above it have limits, too; the root has none. */
static int check_cgroups(const Headroom *headroom, Detail *detail) {
        char cgroup[PATH_MAX];
        int r = 0;

        if (read_cgroup(headroom->root, cgroup) < 0)
                return 0;
        while (r == 0 && *cgroup) {
                r = check_cgroup(headroom, cgroup, detail);
                *strrchr(cgroup, '/') = '\0';
        }
        return r;
}

int headroom_check(const Headroom *headroom, Detail *detail) {
        int r;

        if (headroom->page > (uint64_t)sysconf(_SC_PAGESIZE))
                return headroom->spec->numa.policy == NUMA_BIND
                               ? check_huge_on_nodes(headroom, detail)
                               : 0;
        r = check_cgroups(headroom, detail);
        return r != 0 ? r : check_nodes(headroom, detail);
}
