/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A guest that goes on in another VM, with the same memory, where it was
 */

#include <string.h>

#include "tests/kvm/processor.h"

enum {
        COUNT = 0x90000,
        SECRET = 0x90010, /* 16 bytes, for an SSE register */
        COPY = 0x90020,   /* what it has */
};

/* Counts for ever, tells each time, and writes what it has in a register. */
static const uint8_t counting[] = {
        0x0f, 0x20, 0xe0,                               /* mov rax, cr4 */
        0x0d, 0x00, 0x06, 0x00, 0x00,                   /* or eax, 0x600: SSE */
        0x0f, 0x22, 0xe0,                               /* mov cr4, rax */
        0x0f, 0x10, 0x04, 0x25, 0x10, 0x00, 0x09, 0x00, /* movups xmm0, [SECRET] */
        0x0f, 0x11, 0x04, 0x25, 0x20, 0x00, 0x09, 0x00, /* again: movups [COPY], xmm0 */
        0x48, 0xff, 0x04, 0x25, 0x00, 0x00, 0x09, 0x00, /* inc qword [COUNT] */
        0xe4, 0x10,                                     /* in al, 0x10 */
        0xeb, 0xec,                                     /* jmp again */
};
static const char secret[] = "in no other place";

static void load_counting(Processor *processor) {
        LOAD(processor, VCPU_MODE_LONG, counting);
        memcpy(processor->ram + SECRET, secret, 16);
}

static uint64_t read_64(const Processor *processor, uint64_t at) {
        uint64_t value;

        memcpy(&value, processor->ram + at, sizeof(value));
        return value;
}

/* Another VM, whose vCPU and memory are what those of this one are. */
static Processor *move(Processor *from) {
        _cleanup_(vcpu_image_freep) VCPUImage *image = NULL;
        Processor *to;

        assert_int_equal(processor_setup((void **)&to), 0);
        if (vcpu_save(from->vcpu, &image, &from->detail) != 0)
                fail_msg("%s", from->detail.text);
        memcpy(to->ram, from->ram, MIB);
        memset(to->ram + SECRET, 0, 32);
        if (vcpu_restore(to->vcpu, image->bytes, image->size, vcpu_last_end(from->vcpu),
                         &to->detail) != 0)
                fail_msg("%s", to->detail.text);
        return to;
}

static void assert_same_registers(Processor *a, Processor *b) {
        for (size_t i = 0; vcpu_register_name(i); i++)
                assert_int_equal(processor_get(a, vcpu_register_name(i)),
                                 processor_get(b, vcpu_register_name(i)));
}

/* Of the access that ended the run the guest has what was read. */
static void test_steps(void **state) {
        Processor *from = *state, *to;

        load_counting(from);
        assert_string_equal(processor_run(from, 7).reason.text, "step");
        to = move(from);
        assert_same_registers(from, to);
        assert_int_equal(processor_get(to, "rax") & 0xff, PROCESSOR_ANSWER);
        assert_string_equal(processor_run(to, 5).reason.text, "step");
        assert_int_equal(read_64(to, COUNT), 12);
        assert_memory_equal(to->ram + COPY, secret, 16);
        processor_teardown((void **)&to);
}

/* Stopped wherever it was. */
static void test_stopped(void **state) {
        Processor *from = *state, *to;
        uint64_t count;

        load_counting(from);
        assert_int_equal(vcpu_start(from->vcpu, 0, NULL), 0);
        while (__atomic_load_n(&from->n_traps, __ATOMIC_RELAXED) < 1000)
                sched_yield();
        vcpu_stop(from->vcpu);
        assert_string_equal(processor_await(from).reason.text, "stop");
        count = read_64(from, COUNT);
        to = move(from);
        assert_same_registers(from, to);
        assert_string_equal(processor_run(to, 100).reason.text, "step");
        assert_true(read_64(to, COUNT) - count <= 100);
        assert_true(read_64(to, COUNT) - count >= 99);
        assert_memory_equal(to->ram + COPY, secret, 16);
        processor_teardown((void **)&to);
}

static void test_halted(void **state) {
        static const uint8_t program[] = {
                0xf4,                         /* hlt */
                0xb8, 0x78, 0x56, 0x34, 0x12, /* mov eax, 0x12345678 */
                0xf4,                         /* hlt */
        };
        Processor *from = *state, *to;

        LOAD(from, VCPU_MODE_FLAT, program);
        assert_int_equal(processor_run(from, 0).state, VCPU_HALTED);
        to = move(from);
        assert_int_equal(vcpu_state(to->vcpu), VCPU_HALTED);
        assert_string_equal(vcpu_last_end(to->vcpu)->reason.text, "hlt");
        assert_int_equal(vcpu_last_end(to->vcpu)->address, AT + 1);
        assert_int_equal(processor_run(to, 0).state, VCPU_HALTED);
        assert_int_equal(processor_get(to, "rax"), 0x12345678);
        processor_teardown((void **)&to);
}

/* One instruction that reads and writes memory of a device: the second half is still to come. */
static void test_within_an_instruction(void **state) {
        static const uint8_t program[] = {
                0x48, 0xff, 0x03, /* inc qword [rbx] */
                0xf4,             /* hlt */
        };
        Processor *from = *state, *to;

        LOAD(from, VCPU_MODE_LONG, program);
        processor_set(from, "rbx", 0xd0000000);
        assert_string_equal(processor_run(from, 1).reason.text, "step");
        to = move(from);
        assert_int_equal(processor_run(to, 0).state, VCPU_HALTED);
        assert_int_equal(from->n_traps + to->n_traps, 2);
        processor_teardown((void **)&to);
}

static void assert_refused(Processor *processor, const VCPUImage *image, size_t size) {
        const VCPUEnd end = {};

        assert_int_equal(
                vcpu_restore(processor->vcpu, image->bytes, size, &end, &processor->detail),
                MAP_E_KVM);
        assert_string_equal(processor->detail.text, "vCPU 0: what was saved: Protocol error");
}

/* Of parts that are other ones, or whose numbers of entries reach behind their ends. */
static void test_refused(void **state) {
        _cleanup_(vcpu_image_freep) VCPUImage *image = NULL;
        Processor *processor = *state;
        uint64_t *words;

        assert_int_equal(vcpu_save(processor->vcpu, &image, &processor->detail), 0);
        words = (uint64_t *)image->bytes;
        assert_refused(processor, image, image->size - 8);
        for (unsigned i = 0; i < 3; i++) {
                words[i] ^= 0x10000;
                assert_refused(processor, image, image->size);
                words[i] ^= 0x10000;
        }
        assert_int_equal(vcpu_start(processor->vcpu, 1, NULL), 0);
        assert_int_equal(vcpu_save(processor->vcpu, &image, NULL), MAP_E_IN_USE);
        vcpu_stop(processor->vcpu);
        processor_await(processor);
}

PROCESSOR_TESTS(PROCESSOR_TEST(test_steps), PROCESSOR_TEST(test_stopped),
                PROCESSOR_TEST(test_halted), PROCESSOR_TEST(test_within_an_instruction),
                PROCESSOR_TEST(test_refused));
