/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Ioeventfds and coalesced zones: what a device asks of the accelerator about its own registers
 *
 * Both belong to an mmio or romd region and are placed by offset in it; where the region is seen,
 * and as far as it is, they are announced to listeners at the address that results (flat-view.h).
 *
 * An IOEventFD says: when the guest writes here, signal this descriptor instead of leaving the
 * guest. Length 0 means a write of any width, without a value to match.
 *
 * Immutable after construction but for the count.
 */

#include <stdbool.h>
#include <stdint.h>
#include <urcu/ref.h>
#include <urcu/list.h>

#include "lib/util/cleanup.h"
#include "lib/util/range.h"

typedef struct Coalesced Coalesced;
typedef struct IOEventFD IOEventFD;

struct IOEventFD {
        struct urcu_ref ref;
        struct cds_list_head region_link; /* in Region.ioeventfds; the map's thread only */
        uint64_t offset;
        uint64_t data;
        uint32_t length; /* 0, 1, 2, 4, 8 */
        bool match;
        bool fresh; /* added since the last commit; the map's thread only */
        int fd;     /* owned */
};

struct Coalesced {
        struct urcu_ref ref;
        struct cds_list_head region_link; /* in Region.coalesced; the map's thread only */
        Range range;                      /* offsets in the region */
        bool fresh;                       /* added since the last commit; the map's thread only */
};

/* Takes over fd on success. -EINVAL: a length that is none of 0, 1, 2, 4, 8, or 0 with match. */
int ioeventfd_new(IOEventFD **ret, uint64_t offset, uint32_t length, bool match, uint64_t data,
                  int fd);
IOEventFD *ioeventfd_ref(IOEventFD *ioeventfd);
IOEventFD *ioeventfd_unref(IOEventFD *ioeventfd);
DEFINE_CLEANUP(IOEventFD *, ioeventfd_unref);

/* Whether one write could concern both: "the same doorbell". */
bool ioeventfd_collides(const IOEventFD *a, const IOEventFD *b);

/* Order by offset, length, match, data: <0, 0, >0. */
int ioeventfd_compare(const IOEventFD *a, const IOEventFD *b);

int coalesced_new(Coalesced **ret, Range range);
Coalesced *coalesced_ref(Coalesced *coalesced);
Coalesced *coalesced_unref(Coalesced *coalesced);
DEFINE_CLEANUP(Coalesced *, coalesced_unref);
