/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Zone lists: the coalesced zones of an address space, as announced and as KVM can keep them
 *
 * A view announces zones as devices asked for them: two may overlap, or be equal once they are cut
 * to the section that shows them. But to KVM, taking a zone away is taking away each zone that
 * covers its range. So KVM gets what overlapping zones come to: disjoint ones. Zones that merely
 * touch stay two, a write across their border is a write to neither.
 *
 * All lists ascend by first, then by last byte.
 *
 * Source: KVM_REGISTER_COALESCED_MMIO.
 */

#include <stddef.h>

#include "lib/memory/diff.h"
#include "lib/util/range.h"

typedef struct ZoneList ZoneList;

struct ZoneList {
        Range *items;
        size_t n;
        size_t allocated;
};

/* KVM takes a zone away only if its bytes can be counted in 31 bits. */
#define ZONE_SIZE_MAX (UINT64_C(1) << 30)

void zone_list_deinit(ZoneList *list);
/* Whether any zone comes or goes. */
bool diff_has_zones(const Diff *diff);
/* Appends what is announced once a change is in force, `before` being what was. -ENOMEM. */
int zone_list_change(ZoneList *after, const ZoneList *before, const Diff *diff);
/*
 * Appends the zones for KVM: disjoint, none of them longer than ZONE_SIZE_MAX, none beyond `last`,
 * which no access reaches. Stops at n_max + 1 of them. -ENOMEM.
 */
int zone_list_join(ZoneList *joined, const ZoneList *announced, uint64_t last, size_t n_max);
