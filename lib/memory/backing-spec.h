/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Backing spec: how host memory is to be made
 *
 * What whoever makes a backing may say of it beside its size. All zero is memory as the host gives
 * it: pages of the usual size, from anywhere, each when it is first touched, and out of core dumps.
 *
 * Huge pages are reserved when the file is mapped, on any node: a bound node may have run out of
 * them when one is touched, which would be a SIGBUS. So who binds huge pages has them populated.
 *
 * Source: memfd_create(2); mbind(2); madvise(2).
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/util/detail.h"

typedef struct BackingSpec BackingSpec;

typedef enum NUMAPolicy {
        NUMA_ANYWHERE,
        NUMA_BIND,      /* from that node only */
        NUMA_PREFERRED, /* from that node while it has any */
} NUMAPolicy;

enum { NUMA_NODE_MAX = 1023 };

struct BackingSpec {
        uint64_t huge_page; /* bytes; 0: pages of the usual size */
        NUMAPolicy policy;
        uint32_t node; /* of the policy */
        bool prealloc; /* all of it is there before anybody sees it (populate.h) */
        bool dump;     /* core dumps of this process have it */
};

/* "bind", "preferred"; -EINVAL. */
int numa_policy_from_string(const char *word);
const char *numa_policy_to_string(NUMAPolicy policy);

/* Whether there is anything to say. */
bool backing_spec_is_usual(const BackingSpec *spec);

/*
 * The policy by its word, NULL if there is none; `node_given` if `node` is set. A node alone is
 * bound to. MAP_E_INVALID_ARGUMENT.
 */
int backing_spec_set_policy(BackingSpec *spec, bool node_given, const char *policy,
                            const char *name, Detail *detail);

/*
 * Whether memory of that spec and size can be made here for region `name`; `page` is that of the
 * file. MAP_E_INVALID_ARGUMENT: no such page size, no such node, huge pages that are bound and not
 * populated. MAP_E_INVALID_RANGE: the size is no multiple of the huge page.
 */
int backing_spec_check(const BackingSpec *spec, const char *name, uint64_t size, Detail *detail);
/* The last of these, which depends on the file's page, not on what was asked for. */
int backing_spec_check_bound(const BackingSpec *spec, const char *name, uint64_t page,
                             Detail *detail);

/*
 * Has a mapping's pages come from where the spec says. MAP_E_INVALID_ARGUMENT: the process may have
 * none from there.
 */
int backing_spec_bind(const BackingSpec *spec, const char *name, void *host, size_t size,
                      Detail *detail);

/* A size of pages as people say it: "2MiB". */
typedef struct PageSize {
        char text[24];
} PageSize;
PageSize page_size_words(uint64_t page);
