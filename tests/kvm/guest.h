/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Guest: a vCPU in real mode that reads or writes one byte
 *
 * Two instructions, an access through ES and HLT, lie in guest memory; the segment's base is the
 * address. If the access is served from a slot, KVM_RUN ends with HLT; if it traps, there is an
 * MMIO exit first.
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/kvm/accelerator.h"

typedef struct Access Access;
typedef struct Guest Guest;

struct Guest {
        int vcpu_fd;
        struct kvm_run *run;
        size_t run_size;
        uint64_t code; /* guest address of 16 bytes below 64 KiB, all the guest's program */
        uint8_t *host; /* the same in this process */
};

struct Access {
        bool trapped; /* an MMIO exit at that very address */
        uint8_t byte; /* read, or handed to user space by a trapped write */
};

enum { GUEST_MMIO_ANSWER = 0x5a }; /* what a trapped read gives */

/* Creates vCPU 0. Every failure ends the test. */
void guest_init(Guest *guest, const Accelerator *kvm, uint64_t code, uint8_t *host);
void guest_deinit(Guest *guest);

/* Addresses below 4 GiB. */
Access guest_read(Guest *guest, uint64_t address);
Access guest_write(Guest *guest, uint64_t address, uint8_t byte);
