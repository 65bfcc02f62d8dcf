/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Bus table: the rules of KVM's buses, without KVM
 *
 * Answers an operation on one bus as the kernel does, errno included, and remembers what is there.
 *
 *   an ioeventfd of another length than 0, 1, 2, 4, 8, or of 0 with a match     EINVAL
 *   one that ends at 2^64                                                       EINVAL
 *   one that could be meant by a write that another one there is meant by       EEXIST
 *   anything, once there are more than 999 zones                                ENOSPC
 *   removing an ioeventfd that is not there                                     ENOENT
 *   removing a zone                          removes each that covers its range; never refused
 *
 * The kernel counts devices, but leaves ioeventfds out. So it is the zone too many that is let in
 * and then keeps everybody else out.
 *
 * Source: KVM_IOEVENTFD, KVM_REGISTER_COALESCED_MMIO.
 */

#include <urcu/list.h>

#include "lib/kvm/accelerator.h"
#include "lib/util/tree.h"

typedef struct BusTable BusTable;
typedef struct TableDevice TableDevice;

RB_HEAD(TableIOEventFDs, TableDevice);

enum { BUS_ZONES_MAX = 999 }; /* that leave room for more */

struct BusTable {
        struct TableIOEventFDs ioeventfds;
        struct cds_list_head zones; /* oldest first */
        unsigned n_zones;
};

/* Nothing is there. */
void bus_table_init(BusTable *table);
void bus_table_deinit(BusTable *table);

/* 0, or -errno as the kernel gives it; then nothing has changed. */
int bus_table_set(BusTable *table, const BusOp *op);
/* The next ioeventfd by address, the next zone by age, the first for NULL: as they were added. */
const BusOp *bus_table_next_ioeventfd(const BusTable *table, const BusOp *op);
const BusOp *bus_table_next_zone(const BusTable *table, const BusOp *op);
