/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * vCPU reset: what a vCPU was when it was new
 *
 * The kernel keeps a vCPU as long as its VM: one that is removed and added again is the same one,
 * put back into the state in which it was made.
 */

#include <linux/kvm.h>

#include "lib/util/cleanup.h"

typedef struct VCPUReset VCPUReset;

/* Of a vCPU that was just made and has its CPUID. -errno. */
int vcpu_reset_new(VCPUReset **ret, int kvm_fd, int vcpu_fd);
VCPUReset *vcpu_reset_free(VCPUReset *reset);
DEFINE_CLEANUP(VCPUReset *, vcpu_reset_free);

/* Puts it back. -errno. */
int vcpu_reset_apply(const VCPUReset *reset, int vcpu_fd);
