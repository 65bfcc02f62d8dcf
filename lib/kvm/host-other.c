/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A host that is not x86-64: nobody makes a vCPU
 *
 * What is asked of one could not be answered; it is here because the vCPU's code asks it.
 */

#include <errno.h>

#include "lib/kvm/host.h"
#include "lib/kvm/vcpu-image.h"
#include "lib/kvm/vcpu-mode.h"
#include "lib/kvm/vcpu-registers.h"

enum { BITS = 40 }; /* what KVM gives a guest that asks for nothing else, on arm64 */

bool host_runs_guests(void) {
        return false;
}

unsigned host_address_bits(int kvm_fd) {
        return BITS;
}

int host_equip_vcpu(int kvm_fd, int vcpu_fd, uint32_t apic_id) {
        return -EOPNOTSUPP;
}

uint64_t host_next_instruction(int vcpu_fd) {
        return 0;
}

const char *vcpu_mode_to_string(VCPUMode mode) {
        return NULL;
}

int vcpu_mode_from_string(const char *word) {
        return -EINVAL;
}

void vcpu_mode_set_registers(const VCPUSetup *setup, VCPURegisters *registers) {}

int vcpu_mode_write_tables(const VCPUSetup *setup, const FlatView *view, Detail *detail) {
        return -EOPNOTSUPP;
}

int vcpu_registers_read(VCPURegisters *registers, int vcpu_fd) {
        return -EOPNOTSUPP;
}

int vcpu_registers_write(const VCPURegisters *registers, int vcpu_fd, Detail *detail) {
        return -EOPNOTSUPP;
}

const char *vcpu_register_name(size_t n) {
        return NULL;
}

uint64_t vcpu_register_get(const VCPURegisters *registers, size_t n) {
        return 0;
}

int vcpu_register_set(VCPURegisters *registers, const char *name, uint64_t value, Detail *detail) {
        return -EOPNOTSUPP;
}

int vcpu_image_new(VCPUImage **ret, int kvm_fd, int vcpu_fd) {
        return -EOPNOTSUPP;
}

int vcpu_image_take(VCPUImage **ret, const VCPUImage *like, int vcpu_fd) {
        return -EOPNOTSUPP;
}

int vcpu_image_read(VCPUImage **ret, const VCPUImage *like, const void *bytes, size_t size) {
        return -EPROTO;
}

VCPUImage *vcpu_image_free(VCPUImage *image) {
        return NULL;
}

int vcpu_image_put(const VCPUImage *image, int vcpu_fd, Detail *detail) {
        return -EOPNOTSUPP;
}

int vcpu_image_put_new(const VCPUImage *image, int vcpu_fd, Detail *detail) {
        return -EOPNOTSUPP;
}
