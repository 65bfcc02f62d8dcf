/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * vCPUs of a VM
 *
 * The kernel keeps a vCPU as long as its VM. One that is removed is therefore kept here, too,
 * asleep, and put back into its first state when its index is added again.
 *
 * What a guest's access traps at is looked up in the published views, by the vCPU's own thread: in
 * the address space that the slots follow, or in "io" for ports (dispatch.h). Before that, and when
 * a run ends, what guests have written to coalesced zones is made up for.
 *
 * All functions are for the loop's thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/kvm/vcpu.h"
#include "lib/util/detail.h"

typedef struct VCPUs VCPUs;
typedef struct VM VM;

enum { VCPUS_MAX = 256 };

/* Of a VM that has its map, its accelerator and its ring. -errno. */
int vcpus_new(VCPUs **ret, VM *vm);
/* Ends all runs. */
VCPUs *vcpus_free(VCPUs *vcpus);
DEFINE_CLEANUP(VCPUs *, vcpus_free);

/* An eventfd that becomes readable when a run has ended. */
int vcpus_ended_fd(const VCPUs *vcpus);

/* VM_E_NOT_SUPPORTED: with this accelerator there are none. */
int vcpus_check_supported(const VCPUs *vcpus, Detail *detail);
/*
 * VM_E_NOT_SUPPORTED, MAP_E_KVM; MAP_E_IN_USE: the index; MAP_E_INVALID_RANGE: index, page tables.
 * A vCPU that cannot be set up is not there.
 */
int vcpus_add(VCPUs *vcpus, uint32_t index, const VCPUSetup *setup, Detail *detail);
/* VM_E_NO_SUCH_VCPU, MAP_E_IN_USE: it is running. */
int vcpus_remove(VCPUs *vcpus, uint32_t index, Detail *detail);
/* It is there again, as it was. */
void vcpus_undo_remove(VCPUs *vcpus, uint32_t index);

/*
 * Makes one of an index that there was in another process, stopped, as vcpu_restore() does. Any
 * outcome of vcpus_add(), of vcpu_restore(). On failure it is not there.
 */
int vcpus_restore(VCPUs *vcpus, uint32_t index, const void *image, size_t size, const VCPUEnd *end,
                  Detail *detail);
/* None of them, of which none runs, is there any more. */
void vcpus_clear(VCPUs *vcpus);
/*
 * Ends all runs, takes their ends, and says of each index whether it was running, for as long as
 * nobody stopped it. MAP_E_IN_USE: one does not stop in so many microseconds.
 */
int vcpus_stop(VCPUs *vcpus, uint64_t usec, bool *ran, Detail *detail);

/* VM_E_NO_SUCH_VCPU. */
int vcpus_find(const VCPUs *vcpus, uint32_t index, VCPU **ret, Detail *detail);
/*
 * How many parts of its accesses nobody took, since it was added; and of coalesced writes, whoever
 * made them.
 */
uint64_t vcpus_n_unanswered(const VCPUs *vcpus, const VCPU *vcpu);
/* Exits of a kind of all vCPUs that there have been. */
uint64_t vcpus_n_exits(const VCPUs *vcpus, unsigned kind);
/* The next one by index; the first for NULL. */
VCPU *vcpus_next(const VCPUs *vcpus, const VCPU *after);

/* No guest executes an instruction between the two, whatever state its vCPU is in. */
void vcpus_pause(VCPUs *vcpus);
void vcpus_resume(VCPUs *vcpus);
bool vcpus_are_paused(const VCPUs *vcpus);
