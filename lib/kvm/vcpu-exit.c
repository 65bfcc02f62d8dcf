/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <linux/kvm.h>

#include "lib/kvm/vcpu-exit.h"
#include "lib/util/string-table.h"

typedef struct ExitKind {
        const char *word;
        VCPUState state;
} ExitKind;

static const ExitKind kinds[N_VCPU_EXITS] = {
        [KVM_EXIT_UNKNOWN] = {"unknown", VCPU_FAILED},
        [KVM_EXIT_EXCEPTION] = {"exception", VCPU_FAILED},
        [KVM_EXIT_IO] = {"io", VCPU_RUNNING},
        [KVM_EXIT_HYPERCALL] = {"hypercall", VCPU_STOPPED},
        [KVM_EXIT_DEBUG] = {"debug", VCPU_STOPPED},
        [KVM_EXIT_HLT] = {"hlt", VCPU_HALTED},
        [KVM_EXIT_MMIO] = {"mmio", VCPU_RUNNING},
        [KVM_EXIT_SHUTDOWN] = {"shutdown", VCPU_SHUTDOWN},
        [KVM_EXIT_FAIL_ENTRY] = {"fail-entry", VCPU_FAILED},
        [KVM_EXIT_INTR] = {"interrupted", VCPU_RUNNING},
        [KVM_EXIT_INTERNAL_ERROR] = {"internal-error", VCPU_FAILED},
        [KVM_EXIT_SYSTEM_EVENT] = {"system-event", VCPU_STOPPED},
        [KVM_EXIT_NOTIFY] = {"notify", VCPU_STOPPED},
        [VCPU_EXIT_OTHER] = {"other", VCPU_STOPPED},
};

static const char *const states[] = {
        [VCPU_STOPPED] = "stopped",   [VCPU_RUNNING] = "running", [VCPU_HALTED] = "halted",
        [VCPU_SHUTDOWN] = "shutdown", [VCPU_FAILED] = "failed",
};

STRING_TABLE(vcpu_state, VCPUState, states);

unsigned vcpu_exit_kind(uint32_t exit_reason) {
        return exit_reason < N_VCPU_EXITS && kinds[exit_reason].word ? exit_reason
                                                                     : VCPU_EXIT_OTHER;
}

const char *vcpu_exit_word(unsigned kind) {
        return kinds[kind].word;
}

VCPUState vcpu_exit_state(unsigned kind) {
        return kinds[kind].state;
}

uint32_t vcpu_exit_traps(struct kvm_run *run, Trap *ret) {
        switch (run->exit_reason) {
        case KVM_EXIT_MMIO:
                *ret = (Trap){
                        .is_write = run->mmio.is_write,
                        .length = run->mmio.len,
                        .address = run->mmio.phys_addr,
                        .data = run->mmio.data,
                };
                return 1;
        case KVM_EXIT_IO:
                *ret = (Trap){
                        .is_port = true,
                        .is_write = run->io.direction == KVM_EXIT_IO_OUT,
                        .length = run->io.size,
                        .address = run->io.port,
                        .data = (char *)run + run->io.data_offset,
                };
                return run->io.count;
        default:
                return 0;
        }
}
