/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * vCPU: a processor of a KVM VM, and the thread that runs it
 *
 * The thread is there as long as the vCPU is, and sleeps while it does not run. A run begins with
 * vcpu_start() and ends by itself, with what the guest did, or by vcpu_stop(); then it says so:
 * `ended` is called, and vcpu_take_end() gives what has happened, once for each run.
 *
 * A run that is ended from outside, or by its number of steps, ends between two instructions:
 * KVM_RUN is entered once more, with immediate_exit, to finish the one whose access was served
 * last. What the registers are then is what the guest would see.
 *
 * What the guest does that leaves KVM_RUN goes to `trap`, in the vCPU's own thread, which is
 * registered with RCU and outside of the gate: who answers it may take his time, and holds up
 * nobody but this vCPU, until that is told to stop.
 *
 * Everything but the callbacks belongs to one thread, that of the owner.
 *
 * Source: KVM_CREATE_VCPU, KVM_RUN.
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/kvm/accelerator.h"
#include "lib/kvm/run-gate.h"
#include "lib/kvm/vcpu-exit.h"
#include "lib/kvm/vcpu-image.h"
#include "lib/kvm/vcpu-mode.h"
#include "lib/kvm/vcpu-registers.h"
#include "lib/util/detail.h"
#include "lib/util/patience.h"

typedef struct VCPU VCPU;
typedef struct VCPUEnd VCPUEnd;
typedef struct VCPUOps VCPUOps;

/* Called by the vCPU's thread. */
struct VCPUOps {
        /* 0: served. Else the run ends, with the detail as its reason: what was written is dropped,
         * what is read is all-ones. */
        int (*trap)(void *userdata, const Trap *trap, Detail *reason);
        /* There is something for vcpu_take_end(). */
        void (*ended)(void *userdata);
        /* Makes what guests have written without leaving: before an access is served, when the
         * gate's runners are nudged, and at the end of a run. 0: there is none left. Else the run
         * ends, with the reason, and it is called again, but for -ECANCELED: its patience
         * is over. May be NULL. */
        int (*catch_up)(void *userdata, uint64_t *ret_address, Detail *reason);
        /* The processor or KVM cannot go on, for a reason in one word, and KVM with an errno, which
         * is 0 otherwise: says more, if anything is known. May be NULL. */
        void (*explain)(void *userdata, int error, Detail *reason);
};

struct VCPUEnd {
        VCPUState state;
        uint64_t address; /* of the access that ended it; else of the next instruction */
        Detail reason;    /* "stop", "step", an exit's word, an errno's name, what explain()
                           * made of it, or trap()'s */
};

/* Nothing but its index yet. The accelerator, the gate and the ops must outlive it. -errno. */
int vcpu_new(VCPU **ret, const Accelerator *kvm, RunGate *gate, uint32_t index, const VCPUOps *ops,
             void *userdata);
/*
 * Makes it in the kernel, in real mode, and its thread; nothing if it is made. The kernel keeps a
 * vCPU as long as its VM, so what fails half-way can be tried again, but with this VCPU only.
 * MAP_E_KVM with the failing call in the detail.
 */
int vcpu_make(VCPU *vcpu, Detail *detail);
/* Ends a run that is on, and the thread. */
VCPU *vcpu_free(VCPU *vcpu);
DEFINE_CLEANUP(VCPU *, vcpu_free);

/* Its number, which is its APIC id. */
uint32_t vcpu_index(const VCPU *vcpu);
/* What the kernel shares with it: struct kvm_run, and pages behind that. Until it is freed. */
void *vcpu_mapping(const VCPU *vcpu);
/* Whether it runs, or ran last, for a number of steps. */
bool vcpu_is_stepping(const VCPU *vcpu);
/* How long its thread waits, for those whom it calls; for the thread, until it is freed. */
const Patience *vcpu_patience(const VCPU *vcpu);
/* It counts as running until the end of its run was taken. */
VCPUState vcpu_state(const VCPU *vcpu);
/* Exits of a kind, vcpu-exit.h, since it was made or reset. */
uint64_t vcpu_n_exits(const VCPU *vcpu, unsigned kind);
uint64_t vcpu_n_exits_ever(const VCPU *vcpu, unsigned kind);

/* Runs, for so many exits, for 0 without end. MAP_E_IN_USE: it is running. */
int vcpu_start(VCPU *vcpu, uint32_t steps, Detail *detail);
/* Asks a run to end, if one is on. The vCPU's patience is over. */
void vcpu_stop(VCPU *vcpu);
/* Whether a run has ended since the last time. */
bool vcpu_take_end(VCPU *vcpu, VCPUEnd *ret);
/* The end that was taken last; all zero where there was none. */
const VCPUEnd *vcpu_last_end(const VCPU *vcpu);

/* Of one that does not run: MAP_E_IN_USE. */
int vcpu_read(const VCPU *vcpu, VCPURegisters *ret, Detail *detail);
int vcpu_write(const VCPU *vcpu, const VCPURegisters *registers, Detail *detail);
/* All that it is. MAP_E_IN_USE; MAP_E_KVM. */
int vcpu_save(const VCPU *vcpu, VCPUImage **ret, Detail *detail);
/* Bytes of that, which are as many whatever it is. */
size_t vcpu_saved_size(const VCPU *vcpu);
/* Makes a new one, which has not run, what another was, whose last run ended so. MAP_E_KVM. */
int vcpu_restore(VCPU *vcpu, const void *bytes, size_t size, const VCPUEnd *end, Detail *detail);
/* As it was made, in the registers of a mode. MAP_E_IN_USE, MAP_E_KVM. */
int vcpu_reset(VCPU *vcpu, const VCPUSetup *setup, Detail *detail);
