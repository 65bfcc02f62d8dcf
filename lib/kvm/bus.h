/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Bus: the KVM committer of ioeventfds and coalesced zones
 *
 * KVM has two buses, of memory and of I/O ports, and devices on them that answer a guest's write
 * without leaving the guest. This listener on one address space keeps those of one bus equal to
 * what the view announces. prepare() refuses zones beyond the limit (MAP_E_QUOTA_EXCEEDED); apply()
 * removes what goes, then adds what comes, and if the kernel refuses one (MAP_E_KVM) takes those
 * before it back in reverse; undo() takes it all back.
 *
 * What no guest can reach is not put on the bus: KVM's sums would overflow at the end of 64 bits.
 *
 * I1: the devices that a Bus knows of are those that the accelerator has, at every moment.
 * I2: after a commit they are the ioeventfds that the view announces, and what its zones come to
 *     (zone-list.h). If the kernel has refused to take something back, the next commit that
 *     changes the address space restores this.
 *
 * Source: KVM_IOEVENTFD, KVM_REGISTER_COALESCED_MMIO.
 */

#include "lib/kvm/accelerator.h"
#include "lib/memory/listener.h"

typedef struct Bus Bus;

/* `accelerator` must outlive the bus; `space` is copied. -ENOMEM. */
int bus_new(Bus **ret, Accelerator *accelerator, const char *space, bool ports);
/* The listener must have been unregistered. Removes what devices are left. */
Bus *bus_free(Bus *bus);
DEFINE_CLEANUP(Bus *, bus_free);

/* To be registered with the map. */
Listener *bus_listener(Bus *bus);
