/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Dispatch: what becomes of an access that left the guest
 *
 * The guest's access goes to whoever answers at its address in what is published at that moment. It
 * is split where sections end, and what a handler gets is cut to widths that it takes.
 *
 *   memory that has no slot            its backing, as if there were one
 *   mmio; romd unless it is read       the region's handler
 *     directly
 *   what a handler does not take,      reads give all-ones, writes are dropped, both are counted
 *     reserved, no handler, nothing
 *   writes to read-only memory         dropped and counted
 *   writes that an ioeventfd is for    signalled, and nobody else gets them
 *
 * Whom an access may wait for, a handler or who else has an eventfd, is called outside of read-side
 * sections.
 *
 * A Dispatcher belongs to one thread, that of a vCPU, registered with RCU. Its counts anybody may
 * read. While one thread postpones writes another may make them.
 *
 * Source: KVM_RUN, KVM_IOEVENTFD.
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/memory/reader.h"
#include "lib/util/detail.h"

typedef struct Dispatcher Dispatcher;
typedef struct PendingWrite PendingWrite;

struct Dispatcher {
        Reader reader;
        const Patience *patience; /* of the thread, with handlers that wait; NULL: endless */
        uint64_t n_unassigned;    /* atomic: pieces that nobody answered */
        uint64_t n_readonly;      /* atomic: writes that read-only memory did not take */
};

/* A write of a guest's that is still to be made. */
struct PendingWrite {
        Handler *handler;     /* counted reference: who had the region when it was written; */
        IOEventFD *ioeventfd; /* or this is, which was for the write */
        uint64_t address;     /* of the guest */
        uint64_t offset;      /* in the region */
        uint8_t size;         /* in bytes */
        uint8_t data[8];
};

/* Accesses are those of an address space, which may come and go. Borrows map and name. */
void dispatcher_init(Dispatcher *dispatcher, const Map *map, const char *space);

/* How many parts of accesses nobody took, by any thread. */
uint64_t dispatcher_n_unanswered(const Dispatcher *dispatcher);

/*
 * An access of 1 to 8 bytes, not beyond 2^64. 0, or what a handler that cannot go on returned, with
 * its reason: the vCPU stops. Outside of read-side sections.
 */
int dispatch_read(Dispatcher *dispatcher, uint64_t address, void *data, unsigned size,
                  Detail *reason);
int dispatch_write(Dispatcher *dispatcher, uint64_t address, const void *data, unsigned size,
                   Detail *reason);
/*
 * Whom a write is for, as of now, so that it can be made later. It lies in one section; what does
 * not is cut off. False: it is for nobody, and is done with as by dispatch_write().
 */
bool dispatch_postpone(Dispatcher *dispatcher, uint64_t address, const void *data, unsigned size,
                       PendingWrite *ret);
/* Whether to make it may take a while. */
bool pending_write_waits(const PendingWrite *write);
void pending_write_deinit(PendingWrite *write);
/* As dispatch_write(), but by any thread. The reference stays where it is. */
int dispatch_make(Dispatcher *dispatcher, const PendingWrite *write, const Patience *patience,
                  Detail *reason);
