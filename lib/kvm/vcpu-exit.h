/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * vCPU exits: why KVM_RUN returned, in words, and what becomes of the vCPU
 *
 * Trapped accesses are served and the vCPU goes on; all others end its run. Which state it is in
 * then depends on the exit; one that is not in the table merely stops it, with the word "other".
 *
 * Source: KVM_RUN.
 */

#include <stdbool.h>
#include <stdint.h>

struct kvm_run;

typedef struct Trap Trap;

typedef enum VCPUState {
        VCPU_STOPPED,
        VCPU_RUNNING,
        VCPU_HALTED,   /* the guest executed HLT; nothing here sends interrupts */
        VCPU_SHUTDOWN, /* triple fault */
        VCPU_FAILED,   /* the processor or KVM cannot go on */
} VCPUState;

/* An access of the guest that no slot served. */
struct Trap {
        bool is_port; /* IN or OUT; else memory */
        bool is_write;
        uint32_t length; /* bytes, 1 to 8 */
        uint64_t address;
        void *data; /* what the guest wrote, or where goes what it is to read */
};

enum {
        VCPU_EXIT_OTHER = 38, /* behind all that KVM has numbers for here */
        N_VCPU_EXITS,
};

/* The word of the D-Bus contract, and back: -EINVAL for any other word. */
const char *vcpu_state_to_string(VCPUState state);
int vcpu_state_from_string(const char *word);

/* The kind, an index below N_VCPU_EXITS, of an exit_reason. */
unsigned vcpu_exit_kind(uint32_t exit_reason);
/* Its word; NULL for an index that is no kind of exit of an x86 guest. */
const char *vcpu_exit_word(unsigned kind);
/* The state it leads to; VCPU_RUNNING: none, it is served. */
VCPUState vcpu_exit_state(unsigned kind);
/*
 * How many accesses the guest has left for, and the first: what the others have written, or are to
 * read, lies behind, and all else is the same. A repeated instruction has several, for one port.
 */
uint32_t vcpu_exit_traps(struct kvm_run *run, Trap *ret);
