/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include "lib/kvm/vcpu-reset.h"

struct VCPUReset {
        struct kvm_regs registers;
        struct kvm_sregs special;
        struct kvm_fpu fpu;
        struct kvm_xcrs xcrs;
        struct kvm_debugregs debug;
        struct kvm_vcpu_events events;
        uint32_t n_msrs;
        struct kvm_msr_entry msrs[];
};

/* Events last: to set registers clears what is pending. */
static const struct {
        unsigned long get, set;
        size_t offset;
} parts[] = {
        {KVM_GET_SREGS, KVM_SET_SREGS, offsetof(VCPUReset, special)},
        {KVM_GET_REGS, KVM_SET_REGS, offsetof(VCPUReset, registers)},
        {KVM_GET_FPU, KVM_SET_FPU, offsetof(VCPUReset, fpu)},
        {KVM_GET_XCRS, KVM_SET_XCRS, offsetof(VCPUReset, xcrs)},
        {KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, offsetof(VCPUReset, debug)},
        {KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, offsetof(VCPUReset, events)},
};

/* One at a time: a list ends at the first that the vCPU does not have. */
static int transfer_msr(int vcpu_fd, unsigned long request, struct kvm_msr_entry *entry) {
        _Alignas(struct kvm_msrs) char room[sizeof(struct kvm_msrs) + sizeof(*entry)] = {};
        struct kvm_msrs *list = (struct kvm_msrs *)room;
        int n;

        list->nmsrs = 1;
        list->entries[0] = *entry;
        n = ioctl(vcpu_fd, request, list);
        *entry = list->entries[0];
        return n < 0 ? -errno : n;
}

static int list_msrs(int kvm_fd, struct kvm_msr_list **ret) {
        _cleanup_(freep) struct kvm_msr_list *list = NULL;
        struct kvm_msr_list none = {};

        if (ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, &none) < 0 && errno != E2BIG)
                return -errno;
        list = malloc(sizeof(*list) + none.nmsrs * sizeof(list->indices[0]));
        if (!list)
                return -ENOMEM;
        list->nmsrs = none.nmsrs;
        if (ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, list) < 0)
                return -errno;
        *ret = TAKE_PTR(list);
        return 0;
}

/* Those that can be read, and be set to what was read. */
static void save_msrs(VCPUReset *reset, int vcpu_fd, const struct kvm_msr_list *list) {
        for (uint32_t i = 0; i < list->nmsrs; i++) {
                struct kvm_msr_entry entry = {.index = list->indices[i]};

                if (transfer_msr(vcpu_fd, KVM_GET_MSRS, &entry) == 1 &&
                    transfer_msr(vcpu_fd, KVM_SET_MSRS, &entry) == 1)
                        reset->msrs[reset->n_msrs++] = entry;
        }
}

int vcpu_reset_new(VCPUReset **ret, int kvm_fd, int vcpu_fd) {
        _cleanup_(vcpu_reset_freep) VCPUReset *reset = NULL;
        _cleanup_(freep) struct kvm_msr_list *list = NULL;
        int r;

        r = list_msrs(kvm_fd, &list);
        if (r < 0)
                return r;
        reset = calloc(1, sizeof(*reset) + list->nmsrs * sizeof(reset->msrs[0]));
        if (!reset)
                return -ENOMEM;
        save_msrs(reset, vcpu_fd, list);
        for (size_t i = 0; i < ELEMENTS_OF(parts); i++)
                if (ioctl(vcpu_fd, parts[i].get, (char *)reset + parts[i].offset) < 0)
                        return -errno;
        *ret = TAKE_PTR(reset);
        return 0;
}

VCPUReset *vcpu_reset_free(VCPUReset *reset) {
        free(reset);
        return NULL;
}

int vcpu_reset_apply(const VCPUReset *reset, int vcpu_fd) {
        for (uint32_t i = 0; i < reset->n_msrs; i++) {
                struct kvm_msr_entry entry = reset->msrs[i];
                int n = transfer_msr(vcpu_fd, KVM_SET_MSRS, &entry);

                if (n < 0)
                        return n;
        }
        for (size_t i = 0; i < ELEMENTS_OF(parts); i++)
                if (ioctl(vcpu_fd, parts[i].set, (char *)reset + parts[i].offset) < 0)
                        return -errno;
        return 0;
}
