/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Accelerator: where memory slots go, ioeventfds and coalesced zones
 *
 * Either a KVM VM (accelerator-kvm.c) or tables that follow the same rules (accelerator-none.c),
 * so that maps behave alike where there is no /dev/kvm. Its limits are asked for once, at
 * construction, and never assumed.
 *
 * An Accelerator belongs to one thread.
 *
 * Source: KVM_SET_USER_MEMORY_REGION, KVM_IOEVENTFD, KVM_REGISTER_COALESCED_MMIO.
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/util/cleanup.h"
#include "lib/util/detail.h"
#include "lib/util/range.h"

typedef struct Accelerator Accelerator;
typedef struct AcceleratorOps AcceleratorOps;
typedef struct BusOp BusOp;
typedef struct SlotOp SlotOp;

struct AcceleratorOps {
        const char *name; /* "kvm", "none" */
        /* One KVM_SET_USER_MEMORY_REGION. -errno as the kernel gives it. */
        int (*set_slot)(Accelerator *accelerator, const SlotOp *op);
        /* KVM_GET_DIRTY_LOG: the bits of all n pages; KVM_CLEAR_DIRTY_LOG: of n from `first` on. */
        int (*get_dirty)(Accelerator *accelerator, uint32_t slot, uint64_t n, uint64_t *bits);
        int (*clear_dirty)(Accelerator *accelerator, uint32_t slot, uint64_t first, uint32_t n,
                           const uint64_t *bits);
        /* One KVM_IOEVENTFD or KVM_(UN)REGISTER_COALESCED_MMIO. -errno as the kernel gives it. */
        int (*set_device)(Accelerator *accelerator, const BusOp *op);
        Accelerator *(*free)(Accelerator *accelerator);
};

struct Accelerator {
        const AcceleratorOps *ops;
        uint32_t n_slots;       /* slots 0 … n_slots - 1 may be used */
        uint64_t slot_size_max; /* bytes; a multiple of the page size */
        uint64_t address_last;  /* last guest-physical address that a guest can reach */
        uint64_t page_size;     /* of the host */
        bool has_readonly;      /* KVM_MEM_READONLY */
        bool clears_by_hand;    /* KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 */
        bool logs_all;          /* every slot is logged, whatever its operations say */
        bool has_port_zones;    /* coalesced zones of I/O ports */
        uint32_t ring_page;     /* of a vCPU's mapping: the coalesced writes; 0: no zones at all */
        int vm_fd;              /* the KVM VM; -1 for the tables */
};

/* As KVM takes it: size 0 deletes; flags are KVM_MEM_READONLY and KVM_MEM_LOG_DIRTY_PAGES. */
struct SlotOp {
        uint32_t slot;
        uint32_t flags;
        uint64_t address; /* guest-physical */
        uint64_t size;    /* bytes */
        uint64_t host;    /* virtual address in this process */
};

/* What KVM calls a device on a bus: an ioeventfd, or a coalesced zone. */
struct BusOp {
        bool remove; /* else add */
        bool ports;  /* on the bus of I/O ports, else on that of memory */
        bool is_zone;
        bool match;      /* of an ioeventfd: only writes of `data` */
        uint32_t length; /* bytes; of an ioeventfd 1, 2, 4, 8, or 0 for any */
        int fd;          /* of an ioeventfd, also to remove it */
        uint64_t address;
        uint64_t data;
};

/* /dev/kvm, which speaks the API version. -errno. */
int kvm_open(int *ret_fd);
/* Whether it can be opened. 0, or -errno. */
int kvm_probe(void);

/* A new VM. MAP_E_KVM with the failing call and errno in the detail. */
int accelerator_new_kvm(Accelerator **ret, Detail *detail);
/* Tables with the same rules, n_slots slots; 0 for the usual number. */
int accelerator_new_none(Accelerator **ret, uint32_t n_slots);
Accelerator *accelerator_free(Accelerator *accelerator);
DEFINE_CLEANUP(Accelerator *, accelerator_free);

/* What is the same for every accelerator; for their constructors. */
void accelerator_init(Accelerator *accelerator, const AcceleratorOps *ops);

/* The KVM VM's descriptor, for what is not a slot; -1 for the tables. Stays the accelerator's. */
static inline int accelerator_vm_fd(const Accelerator *accelerator) {
        return accelerator->vm_fd;
}

/* Of a guest-physical address: the width that address_last has. */
static inline unsigned accelerator_address_bits(const Accelerator *accelerator) {
        return 64 - (unsigned)__builtin_clzll(accelerator->address_last);
}

/* 0, or -errno as the kernel gives it. Logs the slot, too, if the accelerator logs all. */
int accelerator_set_slot(Accelerator *accelerator, const SlotOp *op);

static inline int accelerator_set_device(Accelerator *accelerator, const BusOp *op) {
        return accelerator->ops->set_device(accelerator, op);
}
