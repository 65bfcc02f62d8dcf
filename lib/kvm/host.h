/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Host: what depends on its architecture
 *
 * Guests run on x86-64 (host-x86.c, and the vCPU's registers, modes and images). Elsewhere
 * (host-other.c stands in for all of these) the map works, and KVM has its slots, but there are no
 * vCPUs.
 *
 * Source: KVM_CREATE_VCPU, KVM_GET_SUPPORTED_CPUID, KVM_SET_CPUID2.
 */

#include <stdbool.h>
#include <stdint.h>

/* Whether vCPUs can be made. */
bool host_runs_guests(void);
/* Bits of a guest-physical address, of a vCPU that is given all that this host supports. */
unsigned host_address_bits(int kvm_fd);
/*
 * Gives a new vCPU all that KVM supports here, and its APIC id. Without that it has 36 address bits
 * and no 64-bit mode. -errno.
 */
int host_equip_vcpu(int kvm_fd, int vcpu_fd, uint32_t apic_id);
/* Where it will go on; 0 if KVM does not say. */
uint64_t host_next_instruction(int vcpu_fd);
