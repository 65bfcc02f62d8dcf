/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * vCPU modes: how a guest finds its processor
 *
 *   real   as after a reset: 16 bits, at 0xfffffff0
 *   flat   32-bit protected mode, all segments from 0 to 4 GiB, paging off, at 0
 *   long   64-bit mode, at 0, with page tables that map addresses to themselves
 *
 * The page tables of long mode lie in guest memory, which must be RAM all over: one page of level
 * 4, one of level 3, one of level 2 for each GiB that is mapped, in this order; pages of 2 MiB,
 * which all processors have.
 *
 * Source: KVM_SET_SREGS; Intel SDM.
 */

#include <stdint.h>

#include "lib/kvm/vcpu-registers.h"
#include "lib/memory/flat-view.h"

typedef struct VCPUSetup VCPUSetup;

typedef enum VCPUMode {
        VCPU_MODE_REAL,
        VCPU_MODE_FLAT,
        VCPU_MODE_LONG,
} VCPUMode;

/* What is asked for of a new vCPU. */
struct VCPUSetup {
        VCPUMode mode;
        uint64_t page_tables; /* guest address, of whole pages */
        uint64_t mapped_size; /* bytes that they map from 0 on */
};

/* The word of the D-Bus contract, and back: -EINVAL for any other word. */
const char *vcpu_mode_to_string(VCPUMode mode);
int vcpu_mode_from_string(const char *word);

/* From the registers after a reset to those of the mode. */
void vcpu_mode_set_registers(const VCPUSetup *setup, VCPURegisters *registers);
/*
 * Writes the page tables, of long mode only, into what a view shows; between rcu_enter() and
 * rcu_leave(). MAP_E_INVALID_RANGE: an address or size that cannot be, no RAM there.
 */
int vcpu_mode_write_tables(const VCPUSetup *setup, const FlatView *view, Detail *detail);
