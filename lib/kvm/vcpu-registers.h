/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * vCPU registers, by name
 *
 *   rax rbx rcx rdx rsi rdi rsp rbp r8 … r15 rip rflags
 *   cr0 cr2 cr3 cr4 cr8 efer
 *   cs ds es fs gs ss tr ldt, each .base .limit .selector
 *   gdt idt, each .base .limit
 *
 * A value set is what the vCPU has next: to set cs.selector loads no descriptor and leaves cs.base
 * as it is, as KVM has it.
 *
 * Source: KVM_GET_REGS, KVM_GET_SREGS; Intel SDM.
 */

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/util/detail.h"

typedef struct VCPURegisters VCPURegisters;

struct VCPURegisters {
        struct kvm_regs general;
        struct kvm_sregs special;
};

/* Of a vCPU that does not run. -errno. */
int vcpu_registers_read(VCPURegisters *ret, int vcpu_fd);
/* All or none. MAP_E_KVM: the kernel refuses them. */
int vcpu_registers_write(const VCPURegisters *registers, int vcpu_fd, Detail *detail);

/* The name of the n-th register, from 0; NULL behind the last. */
const char *vcpu_register_name(size_t n);
uint64_t vcpu_register_get(const VCPURegisters *registers, size_t n);
/* MAP_E_INVALID_ARGUMENT: no such register; MAP_E_INVALID_RANGE: it has fewer bits. */
int vcpu_register_set(VCPURegisters *registers, const char *name, uint64_t value, Detail *detail);
