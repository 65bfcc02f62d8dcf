/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Processor: a KVM VM with RAM, the committer and one vCPU, for programs of a few bytes
 *
 * 1 MiB of RAM, "ram", lies at 0 and is committed. Whatever traps is written down, up to a number,
 * and answered by ANSWER bytes.
 */

#include "lib/kvm/slots.h"
#include "lib/kvm/vcpu.h"
#include "tests/common/memory.h"
#include "tests/common/unit.h"

#define KIB UINT64_C(0x400)
#define MIB UINT64_C(0x100000)

typedef struct NotedTrap NotedTrap;
typedef struct Processor Processor;

enum { AT = 0x1000 }; /* where programs lie */

enum {
        PROCESSOR_TRAPS_MAX = 64,
        PROCESSOR_ANSWER = 0x5a,
        PROCESSOR_REFUSED = 0xbad, /* an access to this port or address is not served */
};

struct NotedTrap {
        Trap trap; /* data: unused */
        uint64_t value;
};

struct Processor {
        Map *map;
        Accelerator *kvm;
        Slots *slots;
        RunGate gate;
        VCPU *vcpu;
        Detail detail;
        uint8_t *ram;

        int ended_fd; /* eventfd */
        NotedTrap traps[PROCESSOR_TRAPS_MAX];
        unsigned n_traps; /* atomic; also those that are not written down */
};

/* What its vCPU calls, with itself. */
extern const VCPUOps processor_ops;

/* For cmocka's setup and teardown. Every failure ends the test. */
int processor_setup(void **state);
int processor_teardown(void **state);

/* In the place of the one there is, which stays in the kernel: of an index that had none. */
void processor_new_vcpu(Processor *processor, uint32_t index);

/* Puts the vCPU into a mode, and the program where it begins: at `rip`, with segments from 0. */
void processor_load(Processor *processor, VCPUMode mode, uint64_t rip, const uint8_t *program,
                    size_t size);
#define LOAD(processor, mode, program) processor_load(processor, mode, AT, program, sizeof(program))
/* The state of the vCPU once its run has ended. */
VCPUEnd processor_await(Processor *processor);
/* Starts, awaits. */
VCPUEnd processor_run(Processor *processor, uint32_t steps);
void assert_end(VCPUEnd end, VCPUState state, const char *reason, uint64_t address);

uint64_t processor_get(Processor *processor, const char *name);
void processor_set(Processor *processor, const char *name, uint64_t value);
uint64_t processor_exits(Processor *processor, const char *word);

/* Ends the program, as skipped and saying why, where there is no KVM. */
void processor_need_kvm(void);

#define PROCESSOR_TEST(function)                                                                   \
        cmocka_unit_test_setup_teardown(function, processor_setup, processor_teardown)

/* main() of a program with these tests. */
#define PROCESSOR_TESTS(...)                                                                       \
        int main(void) {                                                                           \
                const struct CMUnitTest tests_[] = {__VA_ARGS__};                                  \
                                                                                                   \
                processor_need_kvm();                                                              \
                return cmocka_run_group_tests(tests_, NULL, NULL);                                 \
        }                                                                                          \
        struct processor_tests_semicolon_
