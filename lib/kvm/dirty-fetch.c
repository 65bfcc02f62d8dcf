/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * KVM holds the lock of its page tables while it forgets, and guests that fault wait for that. So
 * it is told in pieces, and not of those without a bit.
 */

#include <linux/kvm.h>

#include "lib/kvm/dirty-fetch.h"

enum { PIECE_PAGES = 65536 }; /* a multiple of 64, as KVM wants it; of 4 KiB: 256 MiB */

void dirty_buffer_deinit(DirtyBuffer *buffer) {
        free(buffer->bits);
        *buffer = (DirtyBuffer){};
}

int dirty_buffer_reserve(DirtyBuffer *buffer, const Accelerator *accelerator, uint64_t size) {
        uint64_t n_words = page_log_words(size / accelerator->page_size);
        uint64_t *bits;

        if (n_words <= buffer->n_words)
                return 0;
        bits = malloc(n_words * sizeof(*bits));
        if (!bits)
                return -ENOMEM;
        free(buffer->bits);
        buffer->bits = bits;
        buffer->n_words = n_words;
        return 0;
}

static bool has_bits(const uint64_t *bits, uint64_t n_pages) {
        for (uint64_t i = 0; i < page_log_words(n_pages); i++)
                if (bits[i] != 0)
                        return true;
        return false;
}

static int forget(const DirtyBuffer *buffer, Accelerator *accelerator, uint32_t slot,
                  uint64_t n_pages) {
        int r = 0;

        for (uint64_t first = 0; r == 0 && first < n_pages; first += PIECE_PAGES) {
                const uint64_t *bits = buffer->bits + first / 64;
                uint32_t n = (uint32_t)MIN_OF(n_pages - first, (uint64_t)PIECE_PAGES);

                if (has_bits(bits, n))
                        r = accelerator->ops->clear_dirty(accelerator, slot, first, n, bits);
        }
        return r;
}

int dirty_fetch(DirtyBuffer *buffer, Accelerator *accelerator, const Slot *slot, bool clear) {
        const Extent *extent = &slot->extent;
        uint64_t page = accelerator->page_size;
        uint64_t n_pages = range_size(extent->range) / page;
        int r;

        r = dirty_buffer_reserve(buffer, accelerator, range_size(extent->range));
        if (r == 0)
                r = accelerator->ops->get_dirty(accelerator, slot->number, n_pages, buffer->bits);
        if (r < 0)
                return r;
        page_log_merge(&extent->backing->log,
                       (extent->host - (uintptr_t)extent->backing->host) / page, buffer->bits,
                       n_pages);
        return clear && accelerator->clears_by_hand
                       ? forget(buffer, accelerator, slot->number, n_pages)
                       : 0;
}

bool dirty_is_logged(const Accelerator *accelerator, const Extent *extent) {
        return accelerator->logs_all || extent->flags & KVM_MEM_LOG_DIRTY_PAGES;
}
