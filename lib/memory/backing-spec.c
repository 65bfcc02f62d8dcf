/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <inttypes.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/memory/backing-spec.h"
#include "lib/memory/map-error.h"
#include "lib/util/string-table.h"

static const char *const policies[] = {
        [NUMA_BIND] = "bind",
        [NUMA_PREFERRED] = "preferred",
};

STRING_TABLE(numa_policy, NUMAPolicy, policies);

bool backing_spec_is_usual(const BackingSpec *spec) {
        return spec->huge_page == 0 && spec->policy == NUMA_ANYWHERE && !spec->prealloc &&
               !spec->dump;
}

PageSize page_size_words(uint64_t page) {
        static const char *const units[] = {"", "KiB", "MiB", "GiB"};
        PageSize words;
        size_t unit = 0;

        for (; page > 0 && page % 1024 == 0 && unit + 1 < ELEMENTS_OF(units); unit++)
                page /= 1024;
        snprintf(words.text, sizeof(words.text), "%" PRIu64 "%s", page, units[unit]);
        return words;
}

int backing_spec_set_policy(BackingSpec *spec, bool node_given, const char *policy,
                            const char *name, Detail *detail) {
        int r = policy ? numa_policy_from_string(policy) : NUMA_BIND;

        if (policy && !node_given)
                return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                                  "memory of \"%s\": a numa-policy needs a numa-node", name);
        if (r < 0)
                return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                                  "memory of \"%s\": numa-policy \"%.64s\" is neither bind nor "
                                  "preferred",
                                  name, policy);
        if (node_given)
                spec->policy = (NUMAPolicy)r;
        return 0;
}

static bool has_page_size(uint64_t page) {
        char path[96];

        snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB",
                 page / 1024);
        return page % 1024 == 0 && access(path, F_OK) == 0;
}

static bool has_node(uint32_t node) {
        char path[64];

        snprintf(path, sizeof(path), "/sys/devices/system/node/node%" PRIu32, node);
        return node <= NUMA_NODE_MAX && access(path, F_OK) == 0;
}

/* The sizes that there are, for a message. */
static void list_page_sizes(char *text, size_t size) {
        DIR *directory = opendir("/sys/kernel/mm/hugepages");
        const struct dirent *entry;
        uint64_t kib;

        snprintf(text, size, "none");
        for (size_t n = 0; directory && n < size && (entry = readdir(directory));)
                if (sscanf(entry->d_name, "hugepages-%" SCNu64 "kB", &kib) == 1)
                        n += (size_t)snprintf(text + n, size - n, "%s%s", n > 0 ? ", " : "",
                                              page_size_words(kib * 1024).text);
        if (directory)
                closedir(directory);
}

static int check_page(const BackingSpec *spec, const char *name, uint64_t size, Detail *detail) {
        char sizes[128];

        if (spec->huge_page == 0)
                return 0;
        if (!has_page_size(spec->huge_page)) {
                list_page_sizes(sizes, sizeof(sizes));
                return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                                  "memory of \"%s\": there are no huge pages of %s; the host has: "
                                  "%s",
                                  name, page_size_words(spec->huge_page).text, sizes);
        }
        if (size % spec->huge_page != 0)
                return detail_set(detail, MAP_E_INVALID_RANGE,
                                  "memory of \"%s\": size 0x%" PRIx64
                                  " is no multiple of its huge pages, of %s",
                                  name, size, page_size_words(spec->huge_page).text);
        return 0;
}

static int check_node(const BackingSpec *spec, const char *name, Detail *detail) {
        if (spec->policy == NUMA_ANYWHERE || has_node(spec->node))
                return 0;
        return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                          "memory of \"%s\": there is no NUMA node %" PRIu32, name, spec->node);
}

int backing_spec_check_bound(const BackingSpec *spec, const char *name, uint64_t page,
                             Detail *detail) {
        if (page <= (uint64_t)sysconf(_SC_PAGESIZE) || spec->policy != NUMA_BIND || spec->prealloc)
                return 0;
        return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                          "memory of \"%s\": huge pages are not reserved on NUMA node %" PRIu32
                          ", to which they are bound, unless prealloc is set",
                          name, spec->node);
}

int backing_spec_check(const BackingSpec *spec, const char *name, uint64_t size, Detail *detail) {
        int r;

        r = check_page(spec, name, size, detail);
        if (r == 0)
                r = check_node(spec, name, detail);
        return r != 0 ? r : backing_spec_check_bound(spec, name, spec->huge_page, detail);
}

int backing_spec_bind(const BackingSpec *spec, const char *name, void *host, size_t size,
                      Detail *detail) {
        enum { BITS = 8 * sizeof(unsigned long) };
        static const int modes[] = {[NUMA_BIND] = MPOL_BIND, [NUMA_PREFERRED] = MPOL_PREFERRED};
        unsigned long nodes[(NUMA_NODE_MAX + 1) / BITS] = {};

        if (spec->policy == NUMA_ANYWHERE)
                return 0;
        nodes[spec->node / BITS] = 1UL << spec->node % BITS;
        /* The kernel takes one bit less than it is told of. */
        if (syscall(SYS_mbind, host, size, modes[spec->policy], nodes, NUMA_NODE_MAX + 2UL, 0) == 0)
                return 0;
        return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                          "memory of \"%s\": the kernel gives guestmap-vmd none of NUMA node "
                          "%" PRIu32 ": %s",
                          name, spec->node, strerror(errno));
}
