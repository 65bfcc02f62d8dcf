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
 * Immutable after construction but for the count, how it is kept, which is settled before others
 * see it, and what ties them to their region: a region has its ioeventfds by key and its zones by
 * range, each key once.
 *
 * Source: QEMU's memory_region_add_eventfd(), memory_region_add_coalescing(); KVM_IOEVENTFD.
 */

#include <stdbool.h>
#include <stdint.h>
#include <urcu/ref.h>

#include "lib/memory/kept.h"
#include "lib/util/cleanup.h"
#include "lib/util/range.h"
#include "lib/util/tree.h"

typedef struct Coalesced Coalesced;
typedef struct IOEventFD IOEventFD;

struct IOEventFD {
        struct urcu_ref ref;
        uint64_t offset;
        uint64_t data;
        uint32_t length; /* 0, 1, 2, 4, 8 */
        bool match;
        bool linked; /* into Region.ioeventfds; this and the next two: the map's thread only */
        bool fresh;  /* added since the last commit */
        RB_ENTRY(IOEventFD) by_key;
        uint64_t stored; /* number under which others keep the descriptor; 0: nobody does */
        Kept *kept;      /* the ioeventfd's share of that; NULL: nobody does */
        int fd;          /* owned */
};

struct Coalesced {
        struct urcu_ref ref;
        Range range; /* offsets in the region */
        bool linked; /* into Region.coalesced; this and the next two: the map's thread only */
        bool fresh;  /* added since the last commit */
        RB_ENTRY(Coalesced) by_range;
};

RB_HEAD(IOEventFDs, IOEventFD);
RB_HEAD(Zones, Coalesced);

/* Takes over fd on success. -EINVAL: a length that is none of 0, 1, 2, 4, 8, or 0 with match. */
int ioeventfd_new(IOEventFD **ret, uint64_t offset, uint32_t length, bool match, uint64_t data,
                  int fd);
IOEventFD *ioeventfd_ref(IOEventFD *ioeventfd);
IOEventFD *ioeventfd_unref(IOEventFD *ioeventfd);
DEFINE_CLEANUP(IOEventFD *, ioeventfd_unref);
/*
 * As the kernel does for a write that it knows of. Outside of read-side sections, and not by who
 * must not wait: whoever else has the descriptor may let writes to it block, and fill the counter.
 */
void ioeventfd_signal(const IOEventFD *ioeventfd);

/* Whether one write could concern both: "the same doorbell". */
bool ioeventfd_collides(const IOEventFD *a, const IOEventFD *b);

/* Order by offset, length, match, data: <0, 0, >0. */
int ioeventfd_compare(const IOEventFD *a, const IOEventFD *b);

/* Into a region's, which has none of that key, and out of them. */
void ioeventfd_link(IOEventFD *ioeventfd, struct IOEventFDs *ioeventfds);
void ioeventfd_unlink(IOEventFD *ioeventfd, struct IOEventFDs *ioeventfds);
/* Of a region's: the one with that key (the fd is not looked at), one that collides; or NULL. */
IOEventFD *ioeventfds_find(const struct IOEventFDs *ioeventfds, const IOEventFD *key);
IOEventFD *ioeventfds_colliding(const struct IOEventFDs *ioeventfds, const IOEventFD *with);
/* Ascending, from an offset on: for (i = ioeventfds_first(all, from); i; i = ioeventfd_next(i)). */
IOEventFD *ioeventfds_first(const struct IOEventFDs *ioeventfds, uint64_t from);
IOEventFD *ioeventfd_next(const IOEventFD *ioeventfd);

/* A zone of offsets in a region. -ENOMEM. */
int coalesced_new(Coalesced **ret, Range range);
Coalesced *coalesced_ref(Coalesced *coalesced);
Coalesced *coalesced_unref(Coalesced *coalesced);
DEFINE_CLEANUP(Coalesced *, coalesced_unref);

/* The same for zones; from those that begin at an offset on. */
void coalesced_link(Coalesced *coalesced, struct Zones *zones);
void coalesced_unlink(Coalesced *coalesced, struct Zones *zones);
Coalesced *zones_find(const struct Zones *zones, Range range);
Coalesced *zones_first(const struct Zones *zones, uint64_t from);
Coalesced *coalesced_next(const Coalesced *coalesced);
