/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * vCPU exits: why KVM_RUN returned, in words, and what becomes of the vCPU
 *
 * Trapped accesses are served and the vCPU goes on; all others end its run. Which state it is in
 * then depends on the exit; one that is not in the table merely stops it, with the word "other".
 */

#include <stdint.h>

typedef enum VCPUState {
        VCPU_STOPPED,
        VCPU_RUNNING,
        VCPU_HALTED,   /* the guest executed HLT; nothing here sends interrupts */
        VCPU_SHUTDOWN, /* triple fault */
        VCPU_FAILED,   /* the processor or KVM cannot go on */
} VCPUState;

enum {
        VCPU_EXIT_OTHER = 38, /* behind all that KVM has numbers for here */
        N_VCPU_EXITS,
};

const char *vcpu_state_to_string(VCPUState state);
int vcpu_state_from_string(const char *word);

/* The kind, an index below N_VCPU_EXITS, of an exit_reason. */
unsigned vcpu_exit_kind(uint32_t exit_reason);
/* Its word; NULL for an index that is no kind of exit of an x86 guest. */
const char *vcpu_exit_word(unsigned kind);
/* The state it leads to; VCPU_RUNNING: none, it is served. */
VCPUState vcpu_exit_state(unsigned kind);
