/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A vCPU on the real KVM: how runs begin and end
 */

#include <string.h>
#include <time.h>

#include "tests/kvm/processor.h"

/* In the lists of threads that people look at; set by the thread itself. */
static void test_name(void **state) {
        LOAD(*state, VCPU_MODE_REAL, ((const uint8_t[]){0xf4}));
        assert_end(processor_run(*state, 0), VCPU_HALTED, "hlt", AT + 1);
        assert_int_equal(system("grep -qx 'vcpu 0' /proc/$PPID/task/*/comm"), 0);
}

static void test_shutdown(void **state) {
        static const uint8_t program[] = {0x0f, 0x0b}; /* ud2, and no table of interrupts */
        static const uint8_t next[] = {0xf4};

        LOAD(*state, VCPU_MODE_FLAT, program);
        processor_set(*state, "idt.limit", 0);
        assert_int_equal(processor_run(*state, 0).state, VCPU_SHUTDOWN);
        assert_int_equal(processor_exits(*state, "shutdown"), 1);
        /* It can be used again. */
        LOAD(*state, VCPU_MODE_FLAT, next);
        assert_end(processor_run(*state, 0), VCPU_HALTED, "hlt", AT + 1);
        assert_int_equal(processor_exits(*state, "shutdown"), 0);
}

static void test_stop(void **state) {
        static const uint8_t program[] = {
                0x40,       /* inc eax */
                0xeb, 0xfd, /* jmp to it */
        };
        Processor *processor = *state;
        VCPUEnd end;

        LOAD(processor, VCPU_MODE_FLAT, program);
        vcpu_stop(processor->vcpu); /* it does not run: nothing to do */
        assert_int_equal(vcpu_start(processor->vcpu, 0, NULL), 0);
        assert_int_equal(vcpu_state(processor->vcpu), VCPU_RUNNING);
        assert_int_equal(vcpu_start(processor->vcpu, 0, &processor->detail), MAP_E_IN_USE);
        assert_string_equal(processor->detail.text, "vCPU 0 is running");
        assert_int_equal(vcpu_read(processor->vcpu, &(VCPURegisters){}, NULL), MAP_E_IN_USE);
        vcpu_stop(processor->vcpu);
        end = processor_await(processor);
        assert_string_equal(end.reason.text, "stop");
        assert_in_range(end.address, AT, AT + 1);
        assert_int_equal(vcpu_state(processor->vcpu), VCPU_STOPPED);
        assert_false(vcpu_take_end(processor->vcpu, &end));
}

/* Reads of a port and of memory; each is complete when the step is done. */
static void test_step(void **state) {
        static const uint8_t program[] = {
                0xe4, 0x71,                   /* in al, 0x71 */
                0x88, 0xc3,                   /* mov bl, al */
                0xa0, 0x00, 0x00, 0x20, 0x00, /* mov al, [0x200000] */
                0xe6, 0x70,                   /* out 0x70, al */
                0xf4,                         /* hlt */
        };
        Processor *processor = *state;

        LOAD(processor, VCPU_MODE_FLAT, program);
        processor_set(processor, "rax", 0x1100);
        assert_end(processor_run(processor, 1), VCPU_STOPPED, "step", AT + 2);
        assert_int_equal(processor_get(processor, "rax"), 0x1100 | PROCESSOR_ANSWER);
        assert_int_equal(processor_get(processor, "rbx"), 0);
        assert_end(processor_run(processor, 2), VCPU_STOPPED, "step", AT + 11);
        assert_end(processor_run(processor, 2), VCPU_HALTED, "hlt", AT + 12);
        assert_int_equal(processor->n_traps, 3);
        assert_true(processor->traps[0].trap.is_port);
        assert_int_equal(processor->traps[0].trap.address, 0x71);
        assert_false(processor->traps[1].trap.is_port);
        assert_int_equal(processor->traps[1].trap.address, 0x200000);
        assert_true(processor->traps[2].trap.is_write);
        assert_int_equal(processor->traps[2].value, PROCESSOR_ANSWER);
        assert_int_equal(processor_exits(processor, "io"), 2);
        assert_int_equal(processor_exits(processor, "mmio"), 1);
}

/* An access over the end of a slot comes in parts; a step is not done between them. */
static void test_step_of_parts(void **state) {
        static const uint8_t program[] = {
                0xa1, 0xfe, 0xff, 0x1f, 0x00, /* mov eax, [0x1ffffe] */
                0xf4,                         /* hlt */
        };
        Processor *processor = *state;

        LOAD(processor, VCPU_MODE_FLAT, program);
        assert_end(processor_run(processor, 1), VCPU_STOPPED, "step", AT + 5);
        assert_int_equal(processor_get(processor, "rax"), 0x5a5a5a5a);
        assert_int_equal(processor->n_traps, 2);
}

static void test_refused_trap(void **state) {
        static const uint8_t program[] = {
                0x66, 0xba, 0xad, 0x0b, /* mov dx, 0xbad */
                0xed,                   /* in eax, dx */
                0xf4,                   /* hlt */
        };
        Processor *processor = *state;

        LOAD(processor, VCPU_MODE_FLAT, program);
        assert_end(processor_run(processor, 0), VCPU_STOPPED, "nobody takes access 0",
                   PROCESSOR_REFUSED);
        assert_int_equal(processor_get(processor, "rip"), AT + 5);
        assert_int_equal(processor_get(processor, "rax"), 0xffffffff);
        assert_end(processor_run(processor, 0), VCPU_HALTED, "hlt", AT + 6);
}

/* Also if it was the last of its steps: that it was not served is why the run ended. */
static void test_refused_step(void **state) {
        static const uint8_t program[] = {
                0x66, 0xba, 0xad, 0x0b, /* mov dx, 0xbad */
                0xed,                   /* in eax, dx */
                0xf4,                   /* hlt */
        };

        LOAD(*state, VCPU_MODE_FLAT, program);
        assert_end(processor_run(*state, 1), VCPU_STOPPED, "nobody takes access 0",
                   PROCESSOR_REFUSED);
        assert_int_equal(processor_get(*state, "rip"), AT + 5);
}

/* rep outsb: one exit, several items. */
static void test_string_io(void **state) {
        static const uint8_t program[] = {
                0xfc,       /* cld */
                0xf3, 0x6e, /* rep outsb */
                0xf4,       /* hlt */
        };
        Processor *processor = *state;

        LOAD(processor, VCPU_MODE_FLAT, program);
        memcpy(processor->ram + 0x3000, "words", 5);
        processor_set(processor, "rsi", 0x3000);
        processor_set(processor, "rcx", 5);
        processor_set(processor, "rdx", 0x3f8);
        assert_end(processor_run(processor, 0), VCPU_HALTED, "hlt", AT + 4);
        assert_int_equal(processor->n_traps, 5);
        for (unsigned i = 0; i < 5; i++)
                assert_int_equal(processor->traps[i].value, "words"[i]);
}

/* rep insb, three items of one exit: it is the first that counts. */
static void test_refused_string(void **state) {
        static const uint8_t program[] = {
                0xfc,       /* cld */
                0xf3, 0x6c, /* rep insb */
                0xf4,       /* hlt */
        };
        Processor *processor = *state;

        LOAD(processor, VCPU_MODE_FLAT, program);
        memcpy(processor->ram + 0x3000, "\1\2\3\4", 4);
        processor_set(processor, "rdi", 0x3000);
        processor_set(processor, "rcx", 3);
        processor_set(processor, "rdx", PROCESSOR_REFUSED);
        assert_end(processor_run(processor, 0), VCPU_STOPPED, "nobody takes access 0",
                   PROCESSOR_REFUSED);
        assert_int_equal(processor_exits(processor, "io"), 1);
        assert_int_equal(processor->n_traps, 3);
        assert_memory_equal(processor->ram + 0x3000, "\xff\xff\xff\4", 4);
}

/* As fast as can be: no start, no stop gets lost. */
static void test_storm(void **state) {
        static const uint8_t program[] = {0xeb, 0xfe}; /* jmp to itself */
        Processor *processor = *state;

        LOAD(processor, VCPU_MODE_FLAT, program);
        for (unsigned i = 0; i < 3000; i++) {
                assert_int_equal(vcpu_start(processor->vcpu, 0, NULL), 0);
                for (volatile unsigned wait = 0; wait < i % 64 * 16; wait++)
                        ;
                vcpu_stop(processor->vcpu);
                assert_end(processor_await(processor), VCPU_STOPPED, "stop", AT);
        }
}

static void pause_msec(unsigned msec) {
        (void)nanosleep(&(struct timespec){.tv_nsec = msec * 1000000L}, NULL);
}

/* A counter in memory stands still while the gate is held or closed, and goes on afterwards. */
static void test_held(void **state) {
        static const uint8_t program[] = {
                0xff, 0x05, 0x00, 0x00, 0x09, 0x00, /* inc dword [0x90000] */
                0xeb, 0xf8,                         /* jmp to it */
        };
        Processor *processor = *state;
        volatile uint32_t *counter = (void *)(processor->ram + 0x90000);
        uint32_t before;

        LOAD(processor, VCPU_MODE_FLAT, program);
        assert_int_equal(vcpu_start(processor->vcpu, 0, NULL), 0);
        for (unsigned i = 0; i < 200; i++) {
                (i % 2 ? run_gate_hold : run_gate_close)(&processor->gate);
                before = *counter;
                if (i % 20 < 2)
                        pause_msec(2);
                assert_int_equal(*counter, before);
                (i % 2 ? run_gate_release : run_gate_open)(&processor->gate);
                while (*counter == before)
                        ;
        }
        assert_int_equal(run_gate_pauses(&processor->gate).count, 100);
        vcpu_stop(processor->vcpu);
        assert_string_equal(processor_await(processor).reason.text, "stop");
}

/* Stopping works while the gate is closed, without a further instruction. */
static void test_stop_while_closed(void **state) {
        static const uint8_t program[] = {0xe4, 0x71, 0xf4}; /* in al, 0x71; hlt */
        Processor *processor = *state;

        LOAD(processor, VCPU_MODE_FLAT, program);
        run_gate_close(&processor->gate);
        assert_int_equal(vcpu_start(processor->vcpu, 0, NULL), 0);
        pause_msec(5);
        vcpu_stop(processor->vcpu);
        assert_end(processor_await(processor), VCPU_STOPPED, "stop", AT);
        assert_int_equal(vcpu_start(processor->vcpu, 0, NULL), 0);
        run_gate_open(&processor->gate);
        assert_end(processor_await(processor), VCPU_HALTED, "hlt", AT + 3);
}

/* The end of a vCPU that runs, or waits at the gate, is no matter. */
static void test_free_while_running(void **state) {
        static const uint8_t program[] = {0xeb, 0xfe};
        Processor *processor = *state;

        LOAD(processor, VCPU_MODE_FLAT, program);
        assert_int_equal(vcpu_start(processor->vcpu, 0, NULL), 0);
        pause_msec(2);
        run_gate_close(&processor->gate);
        processor->vcpu = vcpu_free(processor->vcpu);
}

static void test_refused_vcpu(void **state) {
        Processor *processor = *state;
        _cleanup_(vcpu_freep) VCPU *vcpu = NULL;

        assert_int_equal(vcpu_new(&vcpu, processor->kvm, &processor->gate, 0, &processor_ops, NULL),
                         0);
        assert_int_equal(vcpu_make(vcpu, &processor->detail), MAP_E_KVM);
        assert_string_equal(processor->detail.text, "vCPU 0: KVM_CREATE_VCPU: File exists");
}

static bool no_threads;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *data);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *data);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *data) {
        return no_threads ? EAGAIN : __real_pthread_create(thread, attributes, start, data);
}

/* The kernel has it by then, and would not make another one. */
static void test_made_at_last(void **state) {
        static const uint8_t program[] = {0xf4}; /* hlt */
        Processor *processor = *state;

        processor->vcpu = vcpu_free(processor->vcpu);
        assert_int_equal(vcpu_new(&processor->vcpu, processor->kvm, &processor->gate, 1,
                                  &processor_ops, processor),
                         0);
        no_threads = true;
        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(vcpu_make(processor->vcpu, &processor->detail), MAP_E_KVM);
                assert_string_equal(processor->detail.text,
                                    "vCPU 1: its thread: Resource temporarily unavailable");
        }
        no_threads = false;
        assert_int_equal(vcpu_make(processor->vcpu, &processor->detail), 0);
        assert_int_equal(vcpu_make(processor->vcpu, &processor->detail), 0);
        LOAD(processor, VCPU_MODE_FLAT, program);
        assert_end(processor_run(processor, 0), VCPU_HALTED, "hlt", AT + 1);
}

PROCESSOR_TESTS(PROCESSOR_TEST(test_name), PROCESSOR_TEST(test_shutdown), PROCESSOR_TEST(test_stop),
                PROCESSOR_TEST(test_step), PROCESSOR_TEST(test_step_of_parts),
                PROCESSOR_TEST(test_refused_trap), PROCESSOR_TEST(test_refused_step),
                PROCESSOR_TEST(test_string_io), PROCESSOR_TEST(test_refused_string),
                PROCESSOR_TEST(test_storm), PROCESSOR_TEST(test_held),
                PROCESSOR_TEST(test_stop_while_closed), PROCESSOR_TEST(test_free_while_running),
                PROCESSOR_TEST(test_refused_vcpu), PROCESSOR_TEST(test_made_at_last));
