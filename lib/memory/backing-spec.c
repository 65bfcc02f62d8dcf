/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/memory/backing-spec.h"
#include "lib/memory/map-error.h"
#include "lib/util/size-words.h"

bool backing_spec_is_usual(const BackingSpec *spec) {
        return spec->huge_page == 0 && spec->numa.policy == NUMA_ANYWHERE && !spec->prealloc &&
               !spec->dump;
}

static bool has_page_size(uint64_t page) {
        char path[96];

        snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB",
                 page / 1024);
        return page % 1024 == 0 && access(path, F_OK) == 0;
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
                                              size_words(kib * 1024).text);
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
                                  name, size_words(spec->huge_page).text, sizes);
        }
        if (size % spec->huge_page != 0)
                return detail_set(detail, MAP_E_INVALID_RANGE,
                                  "memory of \"%s\": size %s is no multiple of its huge pages, of "
                                  "%s",
                                  name, size_words(size).text, size_words(spec->huge_page).text);
        return 0;
}

int backing_spec_check_bound(const BackingSpec *spec, const char *name, uint64_t page,
                             Detail *detail) {
        if (page <= (uint64_t)sysconf(_SC_PAGESIZE) || spec->numa.policy != NUMA_BIND ||
            spec->prealloc)
                return 0;
        return detail_set(detail, MAP_E_INVALID_ARGUMENT,
                          "memory of \"%s\": huge pages are not reserved on NUMA %s, to which they "
                          "are bound, unless prealloc is set",
                          name, numa_nodes_words(spec->numa.nodes).text);
}

int backing_spec_check(const BackingSpec *spec, const char *name, uint64_t size, Detail *detail) {
        int r;

        r = check_page(spec, name, size, detail);
        if (r == 0)
                r = numa_check(&spec->numa, name, detail);
        return r != 0 ? r : backing_spec_check_bound(spec, name, spec->huge_page, detail);
}
