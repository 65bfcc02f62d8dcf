/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "lib/kvm/host.h"
#include "lib/util/cleanup.h"

/* CPUID leaves, and where in them is what matters here. */
enum {
        FEATURES = 1,              /* bits 31:24 of EBX: the first 8 bits of the APIC id */
        TOPOLOGY = 0xb,            /* EDX: the APIC id */
        TOPOLOGY_2 = 0x1f,         /* the same */
        WIDTHS = 0x80000008,       /* bits 7:0 of EAX: physical address bits */
        AMD_TOPOLOGY = 0x8000001e, /* EAX: the APIC id */
        ENTRIES_MAX = 256,         /* KVM itself knows no more */
        BITS_MIN = 36,
        BITS_MAX = 52,
};

bool host_runs_guests(void) {
        return true;
}

static int get_supported_cpuid(int kvm_fd, struct kvm_cpuid2 **ret) {
        _cleanup_(freep) struct kvm_cpuid2 *cpuid = NULL;

        cpuid = calloc(1, sizeof(*cpuid) + ENTRIES_MAX * sizeof(cpuid->entries[0]));
        if (!cpuid)
                return -ENOMEM;
        cpuid->nent = ENTRIES_MAX;
        if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
                return -errno;
        *ret = TAKE_PTR(cpuid);
        return 0;
}

unsigned host_address_bits(int kvm_fd) {
        _cleanup_(freep) struct kvm_cpuid2 *cpuid = NULL;

        if (get_supported_cpuid(kvm_fd, &cpuid) < 0)
                return BITS_MIN;
        for (uint32_t i = 0; i < cpuid->nent; i++) {
                unsigned bits = cpuid->entries[i].eax & 0xff;

                if (cpuid->entries[i].function == WIDTHS && bits >= BITS_MIN)
                        return MIN_OF(bits, (unsigned)BITS_MAX);
        }
        return BITS_MIN;
}

/* KVM tells that of whichever processor it was asked on. */
static void set_apic_id(struct kvm_cpuid2 *cpuid, uint32_t id) {
        for (uint32_t i = 0; i < cpuid->nent; i++) {
                struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

                if (entry->function == FEATURES)
                        entry->ebx = (entry->ebx & 0xffffff) | id << 24;
                else if (entry->function == TOPOLOGY || entry->function == TOPOLOGY_2)
                        entry->edx = id;
                else if (entry->function == AMD_TOPOLOGY)
                        entry->eax = id;
        }
}

int host_equip_vcpu(int kvm_fd, int vcpu_fd, uint32_t apic_id) {
        _cleanup_(freep) struct kvm_cpuid2 *cpuid = NULL;
        int r;

        r = get_supported_cpuid(kvm_fd, &cpuid);
        if (r < 0)
                return r;
        set_apic_id(cpuid, apic_id);
        return ioctl(vcpu_fd, KVM_SET_CPUID2, cpuid) < 0 ? -errno : 0;
}

uint64_t host_next_instruction(int vcpu_fd) {
        struct kvm_regs registers;

        return ioctl(vcpu_fd, KVM_GET_REGS, &registers) < 0 ? 0 : registers.rip;
}
