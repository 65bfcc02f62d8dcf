/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Backing: the host memory behind a ram, rom or romd region
 *
 * A memfd, sealed against shrinking and growing, or part of a file that a caller passed in
 * (passed-fd.h); mapped MAP_SHARED, without reserving memory, for as long as anybody holds a
 * reference. The mapping is rounded up to whole pages; bytes of the last page beyond `size` belong
 * to nobody.
 *
 * Immutable after construction but for its count, which any thread may touch, its page log, and how
 * it is kept, which is settled before others see it.
 */

#include <stdbool.h>
#include <stdint.h>
#include <urcu/ref.h>

#include "lib/memory/kept.h"
#include "lib/memory/page-log.h"
#include "lib/memory/passed-fd.h"
#include "lib/util/cleanup.h"
#include "lib/util/detail.h"

typedef struct Backing Backing;

struct Backing {
        struct urcu_ref ref;
        uint64_t id;     /* unique within the VM, from 1, never used again */
        uint64_t stored; /* number under which others keep the file: `id` of whoever came first */
        uint64_t size;   /* in bytes, as asked for */
        uint64_t offset; /* in the file; 0 but for one that was passed in */
        bool passed;     /* the file is a caller's, and so is its mode */
        int fd;          /* read-write */
        Kept *kept;      /* the backing's share of that; NULL: nobody keeps it */
        void *host;      /* page-aligned */
        size_t mapped;   /* bytes mapped at host */
        PageLog log;     /* of pages as the host has them */
};

/*
 * Makes a memfd of `size` bytes; `name` is for /proc/PID/maps only and may be cut short.
 * MAP_E_INVALID_RANGE: size 0 or 2^64. MAP_E_NO_MEMORY: the kernel refuses the file or the mapping.
 */
int backing_new_memfd(Backing **ret, uint64_t id, const char *name, uint64_t size, Detail *detail);

/* The same on a file of a caller's, who keeps his descriptor. MAP_E_INVALID_ARGUMENT besides. */
int backing_new_passed(Backing **ret, uint64_t id, const char *name, uint64_t size,
                       PassedFD *passed, Detail *detail);

/*
 * One that had a file once, in another process, part of a caller's if `passed`: a map can be made
 * again before it is known which files are left. Until it is adopted or renewed it has none, and
 * nobody may look at the memory. MAP_E_INVALID_RANGE: size 0 or 2^64.
 */
int backing_new_absent(Backing **ret, uint64_t id, const char *name, uint64_t size, bool passed,
                       uint64_t offset, Detail *detail);
static inline bool backing_is_absent(const Backing *backing) {
        return backing->fd < 0;
}
/* Gives it that file and its contents; the caller keeps fd. Any of backing_new_passed(). */
int backing_adopt(Backing *backing, const char *name, int fd, Detail *detail);
/* Gives it a new memfd, empty. MAP_E_NO_MEMORY. */
int backing_renew(Backing *backing, const char *name, Detail *detail);

Backing *backing_ref(Backing *backing);
Backing *backing_unref(Backing *backing);
DEFINE_CLEANUP(Backing *, backing_unref);

/* Notes that somebody has written those bytes: not for guests that write to a slot. */
void backing_mark(Backing *backing, uint64_t offset, uint64_t size);

/* Copies bytes out; what was never written is zero and takes no memory by being read. */
int backing_read(const Backing *backing, uint64_t offset, void *data, size_t size);

/*
 * Bytes of host memory that the file takes: of pages that somebody has touched. Of a caller's file
 * no more than the size, whichever part of it that is.
 */
uint64_t backing_resident(const Backing *backing);

/*
 * A new descriptor of the memory, read-only if so asked: then one that no holder under another uid
 * can turn into a writable one, unless the file was passed in with a mode that lets him. The caller
 * closes it. -EACCES: such a file does not let this process open it again.
 */
int backing_open(const Backing *backing, bool writable, int *ret_fd);
