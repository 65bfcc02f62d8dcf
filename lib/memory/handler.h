/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Handler: who answers a region's trapped accesses
 *
 * A region of registers, or a ROM device, may be given a handler. Where there is none guests read
 * all-ones, and what they write is dropped.
 *
 * A handler belongs to one region and comes into force once, with the commit that makes it the
 * region's: for readers of the snapshot that this commit publishes and those after it, not for who
 * still reads the one before. So the handlers and views that one commit changes change together.
 *
 * I1: Region.handler is as the edits have it, the map's thread's alone. Region.serving is
 *     rcu_publish()ed: the newest handler that is in force.
 * I2: `since` and `before` are set before a handler is published. `before` is followed by readers
 *     of older snapshots only, for whom it is still there: it is retired when its successor's
 *     snapshot has been published.
 *
 * An access that a handler gets is 1, 2, 4 or 8 bytes wide and, unless it takes others, aligned to
 * its width in the region. What guests do is cut to that; what is narrower than a handler wants is
 * as if nobody answered. Handlers are called by vCPU threads, by several at a time.
 *
 * Source: QEMU's MemoryRegionOps.
 */

#include <stdbool.h>
#include <stdint.h>
#include <urcu/ref.h>

#include "lib/memory/kept.h"
#include "lib/util/cleanup.h"
#include "lib/util/detail.h"
#include "lib/util/rcu.h"

typedef struct Handler Handler;
typedef struct HandlerOps HandlerOps;
typedef struct HandlerWidths HandlerWidths;
typedef struct Patience Patience;
typedef struct Region Region;

struct HandlerOps {
        const char *kind;
        /* It may wait for others: it is called outside of read-side sections. */
        bool waits;
        /*
         * `size` bytes at an offset in the region, as a number in guest byte order, little-endian.
         * 0, or anything else with a reason: the vCPU stops. -ECANCELED: the patience, which may
         * be NULL, was over before the handler was asked; -EINTR: before it answered.
         */
        int (*read)(Handler *handler, uint64_t offset, unsigned size, uint64_t *ret,
                    const Patience *patience, Detail *reason);
        int (*write)(Handler *handler, uint64_t offset, unsigned size, uint64_t value,
                     const Patience *patience, Detail *reason);
        /* Whether two of this kind, of equal widths, are the same to those who set them. */
        bool (*same)(const Handler *a, const Handler *b);
        void (*free)(Handler *handler);
};

struct HandlerWidths {
        uint8_t min; /* 1, 2, 4 or 8 */
        uint8_t max; /* the same, no less than min */
        bool unaligned;
};

#define HANDLER_WIDTHS_ANY ((HandlerWidths){1, 8, false})

/* Handler.stored of one in the place of a socket's: there was a socket, which is gone. */
#define HANDLER_SOCKET_LOST UINT64_MAX

/* What every handler begins with. */
struct Handler {
        struct urcu_ref ref;
        RcuHead rcu;
        const HandlerOps *ops;
        HandlerWidths widths;
        uint64_t since;    /* generation with which it came into force */
        Handler *before;   /* whom it replaced; NULL: nobody */
        uint64_t n_reads;  /* atomic: that it answered */
        uint64_t n_writes; /* atomic: that it took */
        uint64_t stored;   /* of a socket: number under which others keep it; 0: nobody does */
        Kept *kept;        /* the handler's share of that; both before others see it */
};

/*
 * The built-in ones. none: guests read all-ones. constant: they read the value. latch: they read
 * what was written last, at first the value. Both are eight bytes, little-endian, over and over
 * from the region's first byte to its last. -ENOMEM.
 */
int handler_new_none(Handler **ret);
int handler_new_constant(Handler **ret, uint64_t value);
int handler_new_latch(Handler **ret, uint64_t value);

/* For constructors: one reference, which is the caller's. */
void handler_init(Handler *handler, const HandlerOps *ops);
Handler *handler_ref(Handler *handler);
Handler *handler_unref(Handler *handler);
DEFINE_CLEANUP(Handler *, handler_unref);

/* The value that a constant or latch was made with; false: it is neither. */
bool handler_value(const Handler *handler, uint64_t *ret);
/* Whether min and max are such widths. */
bool handler_widths_are_valid(const HandlerWidths *widths);
/* NULL is nobody, and the same as none. */
bool handler_same(const Handler *a, const Handler *b);

/* Counted, and then the handler's own. The width is one that it takes. */
int handler_read(Handler *handler, uint64_t offset, unsigned size, uint64_t *ret,
                 const Patience *patience, Detail *reason);
int handler_write(Handler *handler, uint64_t offset, unsigned size, uint64_t value,
                  const Patience *patience, Detail *reason);
/* How wide an access of at most n bytes at the offset is; it may be narrower than widths.min. */
unsigned handler_width(const Handler *handler, uint64_t offset, uint64_t n);

/*
 * For commit.c. First region->handler is to be in force from a generation on; then its snapshot is
 * published; then whom it replaced goes, once per region: readers who came later do not ask for it.
 */
void handler_publish(Region *region, uint64_t generation);
void handler_retire(Region *region);
/* Whose the region is in the snapshot of a generation. Between rcu_enter() and rcu_leave(). */
Handler *handler_in_force(const Region *region, uint64_t generation);
