/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * VM: what one guestmap-vmd owns
 *
 * The map, the accelerator with its slots and buses, and the numbers that go up and never back:
 * backing ids, transaction ids. Knows nothing of D-Bus or JSON; the files that do get at everything
 * from here.
 *
 * Once it is set up, every change goes through a Change (change.h): edits are in the map, a commit
 * is made of them and applied, or they are rolled back.
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/vm/counters.h"
#include "daemon/vm/journal-facts.h"
#include "daemon/vm/vm-error.h"
#include "daemon/vm/vm-limits.h"
#include "lib/kvm/accelerator.h"
#include "lib/kvm/bus.h"
#include "lib/kvm/coalesced.h"
#include "lib/kvm/dirty-log.h"
#include "lib/kvm/run-gate.h"
#include "lib/kvm/slots.h"
#include "lib/memory/commit.h"
#include "lib/memory/handler-log.h"
#include "lib/memory/map.h"
#include "lib/memory/transaction.h"
#include "lib/util/detail.h"

typedef struct FDStore FDStore;
typedef struct Ration Ration;
typedef struct Record Record;
typedef struct VCPUs VCPUs;
typedef struct VM VM;

/* What was not there any more when the VM was made again, and is new and empty. */
enum {
        VM_LOST_MEMORY = 1 << 0,
        VM_LOST_VCPUS = 1 << 1,
        VM_LOST_IOEVENTFDS = 1 << 2,
        VM_LOST_HANDLERS = 1 << 3,
};

struct VM {
        char *name;
        char *id;           /* 32 hexadecimal digits */
        uint32_t owner;     /* uid */
        char *memory_space; /* the address space that slots and memory bus follow */
        Map *map;
        Accelerator *accelerator;
        Bus *memory_bus;
        Bus *port_bus; /* follows the address space "io" */
        CoalescedRing *ring;
        Slots *slots;
        DirtyLog *dirty_log;
        RunGate gate; /* that the vCPUs pass */
        VCPUs *vcpus;
        AccessLog *access_log; /* of all handlers that take notes */
        FDStore *store;        /* where descriptors are kept; borrowed; NULL: nowhere */
        Ration *ration;        /* of RAM; borrowed; NULL: there is no limit to it */
        Record *record;        /* of the journal; owned, for good; NULL: none is kept */
        const char *directory; /* of the facts; borrowed; NULL: they end with the process */
        Facts facts;
        Counters counters;
        uint64_t last_backing;
        unsigned lost;       /* VM_LOST_* */
        VMLimits limits;     /* those of the map are in force there */
        int descriptors_max; /* number from which on they are kept for other things than the map */
};

/*
 * An empty VM: no regions, no address spaces, generation 0. `accelerator` is "kvm" or "none".
 * MAP_E_KVM, VM_E_NOT_SUPPORTED (no usable /dev/kvm), VM_E_INVALID_ARGUMENTS.
 */
int vm_new(VM **ret, const char *name, const char *id, uint32_t owner, const char *accelerator,
           const char *memory_space, Detail *detail);
/* For an empty VM. Those of vm_limits_default hold until then. */
void vm_set_limits(VM *vm, const VMLimits *limits);
VM *vm_free(VM *vm);
DEFINE_CLEANUP(VM *, vm_free);

/* "running", "paused" or "vcpus-lost". */
const char *vm_state(const VM *vm);

/* The map of a new VM without a layout: `system` and `io`, roots of `memory` and `io`. Commits. */
int vm_populate(VM *vm, Detail *detail);

/*
 * A descriptor of a backing to give away. MAP_E_NO_MEMORY; VM_E_NOT_SUPPORTED: read-only of a file
 * that was passed in and whose mode forbids it.
 */
int vm_open_backing(const Backing *backing, bool writable, int *ret_fd, Detail *detail);
