/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Headroom: whether the host has so much memory left, and if not, which limit says so
 *
 * To touch memory that the host does not have is to be killed, by SIGBUS where huge pages have run
 * out, by the OOM killer where a cgroup or all of the host has. So whoever populates memory asks
 * before each step. What the kernel does not tell is no limit.
 *
 * Any thread.
 *
 * Source: /sys/kernel/mm/hugepages; /sys/devices/system/node; /proc/meminfo; cgroups(7).
 */

#include <stdint.h>

#include "lib/memory/backing-spec.h"
#include "lib/util/detail.h"

typedef struct Headroom Headroom;

/* What is wanted. */
struct Headroom {
        const char *name; /* of the region */
        const BackingSpec *spec;
        uint64_t page;    /* bytes of one of the file's pages */
        uint64_t bytes;   /* more than there are already */
        const char *root; /* in front of /sys and /proc; "" but in tests */
};

/*
 * Pages of the usual size: those that the cgroups of this process let it have, and that the host,
 * or the nodes that they are bound to, has free or can free. Huge pages: on bound nodes; others are
 * reserved. MAP_E_NO_MEMORY.
 */
int headroom_check(const Headroom *headroom, Detail *detail);
/* Whether the host lacks huge pages that are not reserved yet. MAP_E_NO_MEMORY. */
int headroom_check_huge(const Headroom *headroom, Detail *detail);
