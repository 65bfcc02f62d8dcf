/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/ioctl.h>

#include "lib/kvm/cpuid.h"
#include "lib/util/cleanup.h"

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

int cpuid_get_supported(int kvm_fd, struct kvm_cpuid2 **ret) {
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

unsigned cpuid_address_bits(const struct kvm_cpuid2 *cpuid) {
        for (uint32_t i = 0; i < cpuid->nent; i++) {
                unsigned bits = cpuid->entries[i].eax & 0xff;

                if (cpuid->entries[i].function == WIDTHS && bits >= BITS_MIN)
                        return MIN_OF(bits, (unsigned)BITS_MAX);
        }
        return BITS_MIN;
}

void cpuid_set_apic_id(struct kvm_cpuid2 *cpuid, uint32_t id) {
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
