/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Extents in pages, all of them of one backing whose offsets are its host addresses
 */

#include "lib/kvm/extent.h"

#define PAGE UINT64_C(0x1000)

enum { RO = 2, LOG = 1 }; /* KVM_MEM_READONLY, KVM_MEM_LOG_DIRTY_PAGES */

/* Guest pages [first, first + n) on host page `host`. */
Extent pages(uint64_t first, uint64_t n, uint64_t host, uint32_t flags);
/* " first+n@host", and " ro", " log"; numbers in hex. */
void pages_write(FILE *stream, const Extent *extent);
