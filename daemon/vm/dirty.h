/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Dirty pages, as those who ask get them: sealed memfds with bitmaps
 *
 * A bitmap is 64-bit words, little-endian: bit i % 64 of word i / 64 is set if page i was written.
 *
 * That of a region is all there is in its file. The file of a VM begins with a DirtyIndex, behind
 * which lie its rows, by backing id, and then the bitmaps; what begins with zeros takes no memory.
 * org.guestmap1(5) says the same.
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/vm/vm.h"

typedef struct DirtyIndex DirtyIndex;
typedef struct DirtyRow DirtyRow;

/* All of it little-endian, as x86 has it. */
struct DirtyIndex {
        char magic[8]; /* "gmdirty\1" */
        uint64_t generation;
        uint64_t page_size;
        uint64_t n_rows;
};

struct DirtyRow {
        uint64_t backing;
        uint64_t n_pages;
        uint64_t n_dirty;
        uint64_t offset; /* of the bitmap in the file */
};

/*
 * What was written since the log was started, or since this was asked for with `clear`. A log that
 * is stopped can still be read. The caller closes the file. VM_E_NOT_SUPPORTED: it was never
 * started; MAP_E_NO_MEMORY; MAP_E_KVM.
 */
int dirty_get_region(VM *vm, const Region *region, bool clear, int *ret_fd, Detail *detail);
int dirty_get_vm(VM *vm, bool clear, int *ret_fd, Detail *detail);

/* Why all of a VM is logged: "migration", "rate"; a bit. VM_E_INVALID_ARGUMENTS. */
int dirty_reason_from_string(const char *word, unsigned *ret, Detail *detail);
