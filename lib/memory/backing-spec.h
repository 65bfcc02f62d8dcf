/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Backing spec: how host memory is to be made
 *
 * What whoever makes a backing may say of it beside its size. All zero is memory as the host gives
 * it: pages of the usual size, from anywhere, each when it is first touched, and out of core dumps.
 *
 * Huge pages are reserved when the file is mapped, on any node: bound nodes may have run out of
 * them when one is touched, which would be a SIGBUS. So who binds huge pages has them populated.
 *
 * Source: memfd_create(2); madvise(2).
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/memory/numa.h"
#include "lib/util/detail.h"

typedef struct BackingSpec BackingSpec;

struct BackingSpec {
        uint64_t huge_page; /* bytes; 0: pages of the usual size */
        NUMA numa;
        bool prealloc; /* all of it is there before anybody sees it (populate.h) */
        bool dump;     /* core dumps of this process have it */
};

/* Whether there is anything to say. */
bool backing_spec_is_usual(const BackingSpec *spec);

/*
 * Whether memory of that spec and size can be made here for region `name`; `page` is that of the
 * file. MAP_E_INVALID_ARGUMENT: no such page size, no such node, huge pages that are bound and not
 * populated. MAP_E_INVALID_RANGE: the size is no multiple of the huge page.
 */
int backing_spec_check(const BackingSpec *spec, const char *name, uint64_t size, Detail *detail);
/* The last of these, which depends on the file's page, not on what was asked for. */
int backing_spec_check_bound(const BackingSpec *spec, const char *name, uint64_t page,
                             Detail *detail);
