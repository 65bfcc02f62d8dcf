/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a vCPU on the real KVM begins with: modes, registers, resets
 */

#include <inttypes.h>
#include <string.h>

#include "tests/kvm/processor.h"

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

PROCESSOR_TESTS(PROCESSOR_TEST(test_real), PROCESSOR_TEST(test_flat), PROCESSOR_TEST(test_long),
                PROCESSOR_TEST(test_long_reach), PROCESSOR_TEST(test_tables_refused),
                PROCESSOR_TEST(test_registers), PROCESSOR_TEST(test_registers_refused),
                PROCESSOR_TEST(test_reset), PROCESSOR_TEST(test_reset_of_vectors),
                PROCESSOR_TEST(test_apic_id));
