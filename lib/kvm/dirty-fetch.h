/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Dirty fetch: what KVM has logged of a slot, into the page log of the slot's memory
 *
 * KVM logs a page once, and again only when it has been told to forget it: by the same ioctl that
 * gives the log, or, where there is KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, by another one, which is
 * given just the pages that were fetched. So what a guest writes in between stays logged.
 *
 * Source: KVM_GET_DIRTY_LOG, KVM_CLEAR_DIRTY_LOG, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2.
 */

#include "lib/kvm/accelerator.h"
#include "lib/kvm/slot-list.h"

typedef struct DirtyBuffer DirtyBuffer;

/* For the bits of one slot, kept from one to the next. */
struct DirtyBuffer {
        uint64_t *bits;
        uint64_t n_words;
};

void dirty_buffer_deinit(DirtyBuffer *buffer);
/* Room for a slot of so many bytes: then dirty_fetch() does not lack any. -ENOMEM. */
int dirty_buffer_reserve(DirtyBuffer *buffer, const Accelerator *accelerator, uint64_t size);
/*
 * Fetches what is logged of a slot that is logged. Without `clear` KVM may give the same once more.
 * -ENOMEM, -errno of the ioctl.
 */
int dirty_fetch(DirtyBuffer *buffer, Accelerator *accelerator, const Slot *slot, bool clear);

/* Whether a slot with such flags is logged. */
bool dirty_is_logged(const Accelerator *accelerator, const Extent *extent);
