/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Faults on demand in another process
 *
 * preload.c, loaded into a program before all else, lets the n-th call from now fail that asks the
 * kernel or the allocator for something. The test and the program share a page, a memfd that the
 * program inherits and finds by FAULT_FD.
 */

#include <stdatomic.h>
#include <stdbool.h>

#define FAULT_FD "FAULT_FD"

typedef struct FaultPage FaultPage;

typedef enum FaultKind {
        FAULT_ALLOCATION,
        FAULT_WRITE, /* write, pwrite, pwritev, ftruncate, rename, fsync, fdatasync */
        FAULT_IOCTL,
        FAULT_MAP,     /* mmap, madvise, mbind */
        FAULT_FILE,    /* memfd_create, eventfd, socketpair, dup by fcntl, open */
        FAULT_PROCESS, /* fork, pthread_create */
        FAULT_PASS,    /* sendmsg with descriptors */
        FAULT_KINDS,
} FaultKind;

struct FaultPage {
        atomic_int kind;    /* that is counted; negative: none */
        atomic_long n;      /* calls of that kind until one fails; none when it is 0 */
        atomic_bool failed; /* it has */
};

static inline void fault_arm(FaultPage *page, int kind, long n) {
        atomic_store(&page->failed, false);
        atomic_store(&page->n, n);
        atomic_store(&page->kind, kind);
}

/* Whether the fault came about; none comes any more. */
static inline bool fault_disarm(FaultPage *page) {
        atomic_store(&page->kind, -1);
        return atomic_load(&page->failed);
}
