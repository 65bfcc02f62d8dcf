/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * vCPU image: all that the kernel knows of a vCPU, as bytes
 *
 * Put into a vCPU it makes that one the same: the one that it was taken of, which is put back into
 * an earlier state, or a new one in another process.
 *
 *   part: number of the ioctl that gets it; size of the argument in bytes; the argument
 *   image: parts, each from a multiple of 8 on, in the order in which they are put
 *
 * Which parts there are, and how large, is up to the host; so is what they mean. Images of all
 * vCPUs of one host are alike in that, and no others fit.
 *
 * Source: KVM_GET_REGS, KVM_GET_SREGS, KVM_GET_MSRS, KVM_GET_XSAVE, KVM_GET_VCPU_EVENTS.
 */

#include <stddef.h>
#include <stdint.h>

#include "lib/util/cleanup.h"
#include "lib/util/detail.h"

typedef struct VCPUImage VCPUImage;

struct VCPUImage {
        size_t size;
        _Alignas(uint64_t) uint8_t bytes[];
};

/* Of a vCPU that was just made and has its CPUID. -errno. */
int vcpu_image_new(VCPUImage **ret, int kvm_fd, int vcpu_fd);
/* Of one that does not run, alike to one that was taken before. -errno. */
int vcpu_image_take(VCPUImage **ret, const VCPUImage *like, int vcpu_fd);
/* From bytes. -EPROTO: they are not those of an image alike. -ENOMEM. */
int vcpu_image_read(VCPUImage **ret, const VCPUImage *like, const void *bytes, size_t size);
VCPUImage *vcpu_image_free(VCPUImage *image);
DEFINE_CLEANUP(VCPUImage *, vcpu_image_free);

/* Puts it, but for the CPUID: that of one that has run stays. MAP_E_KVM: which part, and why. */
int vcpu_image_put(const VCPUImage *image, int vcpu_fd, Detail *detail);
/* Puts all of it, into a vCPU that has not run yet. MAP_E_KVM. */
int vcpu_image_put_new(const VCPUImage *image, int vcpu_fd, Detail *detail);
