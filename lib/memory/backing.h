/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Backing: the host memory behind a ram, rom or romd region
 *
 * A memfd, sealed against shrinking and growing, mapped MAP_SHARED and MAP_NORESERVE for as long as
 * anybody holds a reference. The mapping is rounded up to whole host pages; bytes of the last page
 * beyond `size` read as zero and belong to nobody.
 *
 * Immutable after construction but for its count, which any thread may touch.
 */

#include <stdbool.h>
#include <stdint.h>
#include <urcu/ref.h>

#include "lib/util/cleanup.h"
#include "lib/util/detail.h"

typedef struct Backing Backing;

struct Backing {
        struct urcu_ref ref;
        uint64_t id;   /* unique within the VM, from 1, never used again */
        uint64_t size; /* in bytes, as asked for */
        int fd;        /* read-write */
        void *host;    /* page-aligned */
        size_t mapped; /* bytes mapped at host */
};

/*
 * Makes a memfd of `size` bytes; `name` is for /proc/PID/maps only and may be cut short.
 * MAP_E_INVALID_RANGE: size 0 or 2^64. MAP_E_NO_MEMORY: the kernel refuses the file or the mapping.
 */
int backing_new_memfd(Backing **ret, uint64_t id, const char *name, uint64_t size, Detail *detail);

Backing *backing_ref(Backing *backing);
Backing *backing_unref(Backing *backing);
DEFINE_CLEANUP(Backing *, backing_unref);

/*
 * A new descriptor of the memory, read-only if so asked: then one that no holder under another uid
 * can turn into a writable one. The caller closes it.
 */
int backing_open(const Backing *backing, bool writable, int *ret_fd);
