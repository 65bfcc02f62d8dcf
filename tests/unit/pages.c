/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <linux/kvm.h>

#include "tests/unit/pages.h"

_Static_assert(RO == KVM_MEM_READONLY && LOG == KVM_MEM_LOG_DIRTY_PAGES, "flags are KVM's");

static Backing backing = {.ref = {.refcount = 1}, .id = 1};

Extent pages(uint64_t first, uint64_t n, uint64_t host, uint32_t flags) {
        return (Extent){
                .range = {first * PAGE, (first + n) * PAGE - 1},
                .host = host * PAGE,
                .backing = &backing,
                .offset = host * PAGE,
                .flags = flags,
        };
}

void pages_write(FILE *stream, const Extent *extent) {
        fprintf(stream, " %" PRIx64 "+%" PRIx64 "@%" PRIx64 "%s%s", extent->range.first / PAGE,
                range_size(extent->range) / PAGE, extent->host / PAGE,
                extent->flags & RO ? " ro" : "", extent->flags & LOG ? " log" : "");
}
