/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * CPUID: what a guest's processor says that it can do
 *
 * A vCPU is given all that KVM supports on this host. Without that it has 36 address bits and no
 * 64-bit mode.
 */

#include <linux/kvm.h>
#include <stdint.h>

/* All that KVM supports; from malloc(). -errno. */
int cpuid_get_supported(int kvm_fd, struct kvm_cpuid2 **ret);
/* Bits of a guest-physical address; what KVM assumes at least where it says nothing sensible. */
unsigned cpuid_address_bits(const struct kvm_cpuid2 *cpuid);
/* Puts a vCPU's own APIC id where the host has that of whichever processor it was asked on. */
void cpuid_set_apic_id(struct kvm_cpuid2 *cpuid, uint32_t id);
