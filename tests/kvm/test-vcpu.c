/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A vCPU on the real KVM: modes, registers, how runs begin and end
 */

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "tests/common/unit.h"
#include "tests/kvm/processor.h"

enum { AT = 0x1000 };

#define LOAD(processor, mode, program) processor_load(processor, mode, AT, program, sizeof(program))

static void assert_end(VCPUEnd end, VCPUState state, const char *reason, uint64_t address) {
        assert_string_equal(end.reason.text, reason);
        assert_int_equal(end.state, state);
        assert_int_equal(end.address, address);
}

/* Each mode adds, as wide as it can, and halts. */
static void test_real(void **state) {
        static const uint8_t program[] = {
                0xb8, 0x34, 0x12, /* mov ax, 0x1234 */
                0x05, 0x01, 0xf0, /* add ax, 0xf001 */
                0xf4,             /* hlt */
        };

        LOAD(*state, VCPU_MODE_REAL, program);
        assert_end(processor_run(*state, 0), VCPU_HALTED, "hlt", AT + sizeof(program));
        assert_int_equal(processor_get(*state, "rax"), 0x0235);
        assert_int_equal(processor_exits(*state, "hlt"), 1);
}

static void test_flat(void **state) {
        static const uint8_t program[] = {
                0xb8, 0x78, 0x56, 0x34, 0x12,       /* mov eax, 0x12345678 */
                0xa3, 0x00, 0x00, 0x09, 0x00,       /* mov [0x90000], eax */
                0x03, 0x05, 0x00, 0x00, 0x09, 0x00, /* add eax, [0x90000] */
                0xf4,                               /* hlt */
        };
        Processor *processor = *state;
        uint32_t stored;

        LOAD(processor, VCPU_MODE_FLAT, program);
        assert_end(processor_run(processor, 0), VCPU_HALTED, "hlt", AT + sizeof(program));
        assert_int_equal(processor_get(processor, "rax"), 0x2468acf0);
        memcpy(&stored, processor->ram + 0x90000, sizeof(stored));
        assert_int_equal(stored, 0x12345678);
}

static void test_long(void **state) {
        static const uint8_t program[] = {
                0x48, 0xb8, 0xf0, 0xde, 0xbc, 0x9a, 0x78, 0x56, 0x34, 0x12, /* mov rax, … */
                0x48, 0x89, 0x04, 0x25, 0x00, 0x00, 0x09, 0x00,             /* mov [0x90000], rax */
                0x49, 0x89, 0xc7,                                           /* mov r15, rax */
                0xf4,                                                       /* hlt */
        };
        Processor *processor = *state;
        uint64_t stored;

        LOAD(processor, VCPU_MODE_LONG, program);
        assert_end(processor_run(processor, 0), VCPU_HALTED, "hlt", AT + sizeof(program));
        assert_int_equal(processor_get(processor, "r15"), UINT64_C(0x123456789abcdef0));
        memcpy(&stored, processor->ram + 0x90000, sizeof(stored));
        assert_int_equal(stored, UINT64_C(0x123456789abcdef0));
        /* The processor has the host's width: no fault above 36 bits, but an access that traps. */
        assert_int_equal(processor_get(processor, "efer"), 0x500);
}

/* The last byte that the page tables map, and the first that they do not. */
static void test_long_reach(void **state) {
        static const uint8_t program[] = {
                0x8a, 0x03, /* mov al, [rbx] */
                0xf4,       /* hlt */
        };
        Processor *processor = *state;

        LOAD(processor, VCPU_MODE_LONG, program);
        processor_set(processor, "rbx", 0xffffffff);
        assert_end(processor_run(processor, 0), VCPU_HALTED, "hlt", AT + sizeof(program));
        assert_int_equal(processor_get(processor, "rax") & 0xff, PROCESSOR_ANSWER);
        assert_int_equal(processor->traps[0].trap.address, 0xffffffff);
        LOAD(processor, VCPU_MODE_LONG, program);
        processor_set(processor, "rbx", 0x100000000);
        assert_int_equal(processor_run(processor, 0).state, VCPU_SHUTDOWN);
}

static void check_tables(Processor *processor, uint64_t at, uint64_t size, const char *words) {
        const VCPUSetup setup = {VCPU_MODE_LONG, at, size};
        int r;

        rcu_enter();
        r = vcpu_mode_write_tables(&setup, scene_published(processor->map, "memory"),
                                   &processor->detail);
        rcu_leave();
        assert_int_equal(r, MAP_E_INVALID_RANGE);
        assert_string_equal(processor->detail.text, words);
}

static void test_tables_refused(void **state) {
        Processor *processor = *state;
        uint64_t gib = UINT64_C(1) << 30;

        memset(processor->ram, 0x77, MIB);
        check_tables(processor, 0x1001, gib,
                     "page-tables 0x1001: they begin with a page of 4096 bytes");
        check_tables(processor, UINT64_MAX - 0xfff, gib,
                     "page-tables 0xfffffffffffff000: they begin with a page of 4096 bytes");
        check_tables(processor, 0x1000, 0,
                     "mapped-size 0x0: it is not a number of GiB from 1 to 512");
        check_tables(processor, 0x1000, 513 * gib,
                     "mapped-size 0x8040000000: it is not a number of GiB from 1 to 512");
        check_tables(processor, MIB - 2 * 4096, gib, "page-tables: there is no RAM at 0x100000");
        must_edit_commit(processor->map,
                         with_flags(add_alias("rom", "ram", 0x2000, 4 * KIB, "system", 0x3000, 1),
                                    REGION_READONLY));
        check_tables(processor, 0x1000, gib, "page-tables: there is no RAM at 0x3000");
        for (size_t i = 0; i < MIB; i++)
                assert_int_equal(processor->ram[i], 0x77);
}

static void test_registers(void **state) {
        Processor *processor = *state;
        VCPURegisters registers;

        /* Each gets a number of its own and gives it back; those of the processor's modes aside. */
        assert_int_equal(vcpu_read(processor->vcpu, &registers, NULL), 0);
        for (size_t i = 0; vcpu_register_name(i); i++) {
                const char *name = vcpu_register_name(i);

                if (strncmp(name, "cr", 2) != 0 && strcmp(name, "efer") != 0 &&
                    strcmp(name, "rflags") != 0)
                        assert_int_equal(vcpu_register_set(&registers, name, 0x1000 + i, NULL), 0);
        }
        assert_int_equal(vcpu_write(processor->vcpu, &registers, &processor->detail), 0);
        for (size_t i = 0; vcpu_register_name(i); i++) {
                const char *name = vcpu_register_name(i);

                if (strncmp(name, "cr", 2) != 0 && strcmp(name, "efer") != 0 &&
                    strcmp(name, "rflags") != 0)
                        assert_int_equal(processor_get(processor, name), 0x1000 + i);
        }
        processor_set(processor, "cr2", 0x123456789abc);
        assert_int_equal(processor_get(processor, "cr2"), 0x123456789abc);
}

static void test_registers_refused(void **state) {
        Processor *processor = *state;
        VCPURegisters registers;
        Detail *detail = &processor->detail;

        assert_int_equal(vcpu_read(processor->vcpu, &registers, NULL), 0);
        assert_int_equal(vcpu_register_set(&registers, "eax", 0, detail), MAP_E_INVALID_ARGUMENT);
        assert_string_equal(detail->text, "unknown register \"eax\"");
        assert_int_equal(vcpu_register_set(&registers, "cs.selector", 0x10000, detail),
                         MAP_E_INVALID_RANGE);
        assert_string_equal(detail->text, "register cs.selector: 0x10000 has more than 16 bits");
        assert_int_equal(vcpu_register_set(&registers, "rax", 1, detail), 0);
        assert_int_equal(vcpu_register_set(&registers, "cr8", 0x1000, detail), 0);
        assert_int_equal(vcpu_register_set(&registers, "cr0", UINT64_C(1) << 31, detail), 0);
        assert_int_equal(vcpu_write(processor->vcpu, &registers, detail), MAP_E_KVM);
        assert_string_equal(detail->text, "vCPU 0: KVM_SET_SREGS: Invalid argument");
        assert_int_equal(processor_get(processor, "rax"), 0);
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

/* What the guest did to its processor does not outlive a reset. */
static void test_reset(void **state) {
        static const uint8_t program[] = {
                0xb9, 0x82, 0x00, 0x00, 0xc0, /* mov ecx, LSTAR */
                0x0f, 0x30,                   /* wrmsr */
                0x0f, 0x23, 0xd8,             /* mov dr3, eax */
                0xf4,                         /* hlt */
        };
        static const uint8_t look[] = {
                0xb9, 0x82, 0x00, 0x00, 0xc0, /* mov ecx, LSTAR */
                0x0f, 0x32,                   /* rdmsr */
                0x0f, 0x21, 0xdb,             /* mov ebx, dr3 */
                0xf4,                         /* hlt */
        };
        Processor *processor = *state;

        LOAD(processor, VCPU_MODE_FLAT, program);
        processor_set(processor, "rax", 0x1234);
        assert_end(processor_run(processor, 0), VCPU_HALTED, "hlt", AT + sizeof(program));
        LOAD(processor, VCPU_MODE_FLAT, look);
        assert_end(processor_run(processor, 0), VCPU_HALTED, "hlt", AT + sizeof(look));
        assert_int_equal(processor_get(processor, "rax"), 0);
        assert_int_equal(processor_get(processor, "rbx"), 0);
}

/* Nor does what is in the registers of its floating-point unit. */
static void test_reset_of_vectors(void **state) {
        static const uint8_t program[] = {
                0x0f, 0x20, 0xe0,                               /* mov eax, cr4 */
                0x0d, 0x00, 0x02, 0x00, 0x00,                   /* or eax, OSFXSR */
                0x0f, 0x22, 0xe0,                               /* mov cr4, eax */
                0xf3, 0x0f, 0x7f, 0x05, 0x00, 0x01, 0x09, 0x00, /* movdqu [0x90100], xmm0 */
                0xf3, 0x0f, 0x6f, 0x05, 0x00, 0x00, 0x09, 0x00, /* movdqu xmm0, [0x90000] */
                0xf3, 0x0f, 0x7f, 0x05, 0x00, 0x02, 0x09, 0x00, /* movdqu [0x90200], xmm0 */
                0xf4,                                           /* hlt */
        };
        static const uint8_t zeros[16];
        Processor *processor = *state;

        memset(processor->ram + 0x90000, 0x77, 16);
        for (unsigned i = 0; i < 2; i++) {
                memset(processor->ram + 0x90100, 0xee, 0x200);
                LOAD(processor, VCPU_MODE_FLAT, program);
                assert_end(processor_run(processor, 0), VCPU_HALTED, "hlt", AT + sizeof(program));
                assert_memory_equal(processor->ram + 0x90100, zeros, 16);
                assert_memory_equal(processor->ram + 0x90200, processor->ram + 0x90000, 16);
        }
}

/* Its own number, whichever processor of the host was asked. */
static void test_apic_id(void **state) {
        static const uint8_t program[] = {
                0xb8, 0x01, 0x00, 0x00, 0x00, /* mov eax, 1 */
                0x0f, 0xa2,                   /* cpuid */
                0xf4,                         /* hlt */
        };

        Processor *processor = *state;

        LOAD(processor, VCPU_MODE_FLAT, program);
        assert_end(processor_run(processor, 0), VCPU_HALTED, "hlt", AT + sizeof(program));
        assert_int_equal(processor_get(processor, "rbx") >> 24, 0);
        processor_new_vcpu(processor, 5);
        LOAD(processor, VCPU_MODE_FLAT, program);
        assert_end(processor_run(processor, 0), VCPU_HALTED, "hlt", AT + sizeof(program));
        assert_int_equal(processor_get(processor, "rbx") >> 24, 5);
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

/* In the lists of threads that people look at; set by the thread itself. */
static void test_name(void **state) {
        LOAD(*state, VCPU_MODE_REAL, ((const uint8_t[]){0xf4}));
        assert_end(processor_run(*state, 0), VCPU_HALTED, "hlt", AT + 1);
        assert_int_equal(system("grep -qx 'vcpu 0' /proc/$PPID/task/*/comm"), 0);
}

#define TEST(function)                                                                             \
        cmocka_unit_test_setup_teardown(function, processor_setup, processor_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_name),
                TEST(test_real),
                TEST(test_flat),
                TEST(test_long),
                TEST(test_long_reach),
                TEST(test_tables_refused),
                TEST(test_registers),
                TEST(test_registers_refused),
                TEST(test_shutdown),
                TEST(test_stop),
                TEST(test_step),
                TEST(test_step_of_parts),
                TEST(test_refused_trap),
                TEST(test_refused_step),
                TEST(test_string_io),
                TEST(test_refused_string),
                TEST(test_reset),
                TEST(test_reset_of_vectors),
                TEST(test_apic_id),
                TEST(test_storm),
                TEST(test_held),
                TEST(test_stop_while_closed),
                TEST(test_free_while_running),
                TEST(test_refused_vcpu),
                TEST(test_made_at_last),
        };

        processor_need_kvm();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
