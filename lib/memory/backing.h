/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Backing: the host memory behind a ram, rom or romd region
 *
 * A memfd, sealed against shrinking and growing, or part of a file that a caller passed in
 * (passed-fd.h); mapped MAP_SHARED, without reserving memory but huge pages, for as long as anybody
 * holds a reference. The mapping is rounded up to whole pages; bytes of the last page beyond `size`
 * belong to nobody. Of what kind the pages are, and whether all are there, its spec says.
 *
 * I1: What is not sealed is never loaded from or stored to by this process, which could die of it:
 *     KVM uses it, and backing_read() and backing_write() have the kernel copy.
 *
 * Immutable after construction but for its count, which any thread may touch, its page log, how far
 * it is populated, and how it is kept, which is settled before others see it.
 *
 * Source: memfd_create(2); fcntl(2); mmap(2); process_vm_readv(2).
 */

#include <stdbool.h>
#include <stdint.h>
#include <urcu/ref.h>

#include "lib/memory/backing-spec.h"
#include "lib/memory/kept.h"
#include "lib/memory/page-log.h"
#include "lib/memory/passed-fd.h"
#include "lib/util/cleanup.h"
#include "lib/util/detail.h"

typedef struct Backing Backing;

/* Bytes of memory that a thread of its own is made to free: the kernel takes long for it. */
#define BACKING_LARGE (UINT64_C(64) << 20)

struct Backing {
        struct urcu_ref ref;
        uint64_t id;     /* unique within the VM, from 1, never used again */
        uint64_t stored; /* number under which others keep the file: `id` of whoever came first */
        uint64_t size;   /* in bytes, as asked for */
        uint64_t offset; /* in the file; 0 but for one that was passed in */
        bool passed;     /* the file is a caller's, and so is its mode */
        bool sealed;     /* the file is, against shrinking (I1) */
        bool in_memory;  /* its pages are host memory, not a disk's or a device's */
        BackingSpec spec;
        int fd;             /* read-write */
        Kept *kept;         /* the backing's share of that; NULL: nobody keeps it */
        void *host;         /* page-aligned */
        size_t mapped;      /* bytes mapped at host, a multiple of: */
        uint64_t page;      /* bytes of a page of the file */
        uint64_t populated; /* atomic: bytes of these that populate.h has taken */
        PageLog log;        /* of pages as the host has them */
};

/*
 * Makes a memfd of `size` bytes as the spec says, NULL: as usual; `name` is for /proc/PID/maps only
 * and may be cut short. It is not populated: that is populate.h's.
 * MAP_E_INVALID_RANGE: size 0 or 2^64. MAP_E_NO_MEMORY: the kernel refuses the file or the mapping.
 * Any of backing_spec_check().
 */
int backing_new_memfd(Backing **ret, uint64_t id, const char *name, uint64_t size,
                      const BackingSpec *spec, Detail *detail);

/*
 * The same on a file of a caller's, who keeps his descriptor. MAP_E_INVALID_ARGUMENT besides, also
 * if the spec asks for other pages than the file has.
 */
int backing_new_passed(Backing **ret, uint64_t id, const char *name, uint64_t size,
                       const BackingSpec *spec, PassedFD *passed, Detail *detail);

/*
 * One that had a file once, in another process, part of a caller's if `passed`: a map can be made
 * again before it is known which files are left. Until it is adopted or renewed it has none, and
 * nobody may look at the memory. MAP_E_INVALID_RANGE: size 0 or 2^64.
 */
int backing_new_absent(Backing **ret, uint64_t id, const char *name, uint64_t size,
                       const BackingSpec *spec, bool passed, uint64_t offset, Detail *detail);
static inline bool backing_is_absent(const Backing *backing) {
        return backing->fd < 0;
}
/* Gives it that file and its contents; the caller keeps fd. Any of backing_new_passed(). */
int backing_adopt(Backing *backing, const char *name, int fd, Detail *detail);
/* Gives it a new memfd, empty. MAP_E_NO_MEMORY. */
int backing_renew(Backing *backing, const char *name, Detail *detail);

Backing *backing_ref(Backing *backing);
/* The last one closes the file. The memory, if it is large, is there for a while yet. */
Backing *backing_unref(Backing *backing);
DEFINE_CLEANUP(Backing *, backing_unref);

/* How much of it populate.h has taken from the host: all of `mapped`, in the end. */
static inline uint64_t backing_populated(const Backing *backing) {
        return __atomic_load_n(&backing->populated, __ATOMIC_RELAXED);
}
static inline bool backing_is_populated(const Backing *backing) {
        return backing->mapped > 0 && backing_populated(backing) == backing->mapped;
}
static inline void backing_note_populated(Backing *backing, uint64_t bytes) {
        __atomic_fetch_add(&backing->populated, bytes, __ATOMIC_RELAXED);
}
static inline void backing_forget_populated(Backing *backing) {
        __atomic_store_n(&backing->populated, 0, __ATOMIC_RELAXED);
}

/* Notes that somebody has written those bytes: not for guests that write to a slot. */
void backing_mark(Backing *backing, uint64_t offset, uint64_t size);

/*
 * Copy bytes out, and in; what was never written is zero and, in sealed memory, takes none by being
 * read. -errno; MAP_E_NO_MEMORY: region `name`'s file is too short, or has no page to give.
 */
int backing_read(const Backing *backing, const char *name, uint64_t offset, void *data, size_t size,
                 Detail *detail);
int backing_write(const Backing *backing, const char *name, uint64_t offset, const void *data,
                  size_t size, Detail *detail);

/*
 * Whether it is the file's fault that its memory could not be used, which failed with that errno,
 * or without one: it is not as long as it was; if there was no page to be had, it cannot grow any.
 * MAP_E_NO_MEMORY.
 */
int backing_check_file(const Backing *backing, const char *name, int error, Detail *detail);

/*
 * Bytes of host memory, or of its disk, that the file takes: of pages that somebody has touched. Of
 * a caller's file no more than the size, whichever part of it that is.
 */
uint64_t backing_resident(const Backing *backing);

/*
 * A new descriptor of the memory, read-only if so asked: then one that no holder under another uid
 * can turn into a writable one, unless the file was passed in with a mode that lets him. The caller
 * closes it. -EACCES, -EPERM: such a file does not let this process open it again.
 */
int backing_open(const Backing *backing, bool writable, int *ret_fd);
