/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Memory that is replaced under a guest that uses it
 *
 * The guest goes through 32 pages, round after round. It calls each, for each begins with a
 * function; compares a pattern in it; and writes the number of the round to the first 16 of them,
 * and reads it back. Meanwhile these pages come from one region and then from another with the
 * same contents, in one slot and in several, read-only and not. Whatever the guest finds other than
 * it should be it counts, and whatever leaves KVM is a page that was not there.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/memory/passed-fd.h"
#include "tests/common/unit.h"
#include "tests/kvm/processor.h"
#include "tests/property/random.h"

enum {
        PAGE = 0x1000,
        WINDOW = 0x10000, /* bytes of either half */
        WRITTEN = 0x200000,
        READ = WRITTEN + WINDOW,
        STACK = 0x8000,
        ROUNDS = 0x9000, /* two numbers of 32 bits that the guest counts */
        WRONG = 0x9004,
        N_COMMITS = 10000,
};

static const uint8_t program[] = {
        0x31, 0xc9,                               /*        xor ecx, ecx */
        0x41,                                     /* round: inc ecx */
        0x31, 0xc0,                               /*        xor eax, eax */
        0xbf, 0x00, 0x00, 0x20, 0x00,             /*        mov edi, WRITTEN */
        0xff, 0xd7,                               /* page:  call edi */
        0x81, 0x7f, 0x10, 0xa5, 0xa5, 0xa5, 0xa5, /*        cmp dword [edi+0x10], 0xa5a5a5a5 */
        0x75, 0x33,                               /*        jne wrong */
        0x81, 0xff, 0x00, 0x00, 0x21, 0x00,       /*        cmp edi, READ */
        0x73, 0x0e,                               /*        jae next */
        0x89, 0x8f, 0x00, 0x08, 0x00, 0x00,       /*        mov [edi+0x800], ecx */
        0x39, 0x8f, 0x00, 0x08, 0x00, 0x00,       /*        cmp [edi+0x800], ecx */
        0x75, 0x1d,                               /*        jne wrong */
        0x81, 0xc7, 0x00, 0x10, 0x00, 0x00,       /* next:  add edi, PAGE */
        0x81, 0xff, 0x00, 0x00, 0x22, 0x00,       /*        cmp edi, READ + WINDOW */
        0x72, 0xd1,                               /*        jb page */
        0x3d, 0x20, 0x20, 0x20, 0x20,             /*        cmp eax, 32 * 0x01010101 */
        0x75, 0x08,                               /*        jne wrong */
        0x89, 0x0d, 0x00, 0x90, 0x00, 0x00,       /*        mov [ROUNDS], ecx */
        0xeb, 0xba,                               /*        jmp round */
        0xff, 0x05, 0x04, 0x90, 0x00, 0x00,       /* wrong: inc dword [WRONG] */
        0xeb, 0xb2,                               /*        jmp round */
};

static const uint8_t function[] = {
        0x05, 0x01, 0x01, 0x01, 0x01, /* add eax, 0x01010101 */
        0xc3,                         /* ret */
};

/* Whether vCPUs are held: this program is linked with --wrap for the two. */
static bool hold_is_on;

void __real_run_gate_hold(RunGate *gate);
void __real_run_gate_release(RunGate *gate);
void __wrap_run_gate_hold(RunGate *gate);
void __wrap_run_gate_release(RunGate *gate);

void __wrap_run_gate_hold(RunGate *gate) {
        if (hold_is_on)
                __real_run_gate_hold(gate);
}

void __wrap_run_gate_release(RunGate *gate) {
        if (hold_is_on)
                __real_run_gate_release(gate);
}

static uint32_t number_at(const Processor *processor, uint64_t address) {
        return __atomic_load_n((uint32_t *)(processor->ram + address), __ATOMIC_SEQ_CST);
}

static void fill(uint8_t *memory, size_t size) {
        memset(memory, 0xa5, size);
        for (size_t at = 0; at < size; at += PAGE)
                memcpy(memory + at, function, sizeof(function));
}

/* RAM on a file, mapped for this region alone: at addresses of its own, whoever else has it. */
static void add_on_file(Map *map, const char *name, int fd) {
        _cleanup_(backing_unrefp) Backing *backing = NULL;
        Edit edit = add_region(REGION_RAM, name, WINDOW, "system", WRITTEN, 0);
        PassedFD passed = {.fd = fd};
        static uint64_t last_id = 1000;
        Detail detail;

        if (passed_fd_check(&passed, name, WINDOW, &detail) != 0 ||
            backing_new_passed(&backing, ++last_id, name, WINDOW, NULL, &passed, &detail) != 0)
                fail_msg("%s", detail.text);
        edit.backing = backing;
        must_edit(map, edit);
}

/*
 * The first half: the same memory by way of two regions, "x" and "y", of which one is before the
 * other, and a "patch" that shows some pages of "y". The second: "base", and "cover" upon it.
 */
static void add_windows(Map *map) {
        int fd = memfd_create("window", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, WINDOW), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
        add_on_file(map, "x", fd);
        add_on_file(map, "y", fd);
        safe_close(fd);
        must_edit(map, add_alias("patch", "y", 0, 3 * PAGE, "system", WRITTEN, 2));
        must_add_memory(map, add_region(REGION_RAM, "base", WINDOW, "system", READ, 0));
        must_add_memory(map, add_region(REGION_RAM, "cover", 4 * PAGE, "system", READ, 1));
        must_commit(map);
        fill(must_host(map, "x"), WINDOW);
        fill(must_host(map, "base"), WINDOW);
        fill(must_host(map, "cover"), 4 * PAGE);
}

static void toggle(Map *map, const char *name, uint32_t flag) {
        must_edit(map, set_flags(name, flag, ~must_find(map, name)->state.flags & flag));
}

static void swap(Map *map, Random *random) {
        must_edit(map, set_priority("x", must_find(map, "x")->state.priority > 0 ? -1 : 1));
}

static void move_patch(Map *map, Random *random) {
        uint64_t offset = random_below(random, 14) * PAGE;

        must_edit(map, set_target_offset("patch", offset));
        must_edit(map, set_offset("patch", WRITTEN + offset));
}

static void toggle_patch(Map *map, Random *random) {
        toggle(map, "patch", REGION_ENABLED);
}

static void move_cover(Map *map, Random *random) {
        must_edit(map, set_offset("cover", READ + random_below(random, 13) * PAGE));
}

static void reflag_base(Map *map, Random *random) {
        toggle(map, "base", REGION_READONLY);
}

static void reflag_cover(Map *map, Random *random) {
        toggle(map, "cover", REGION_READONLY);
}

static void change(Map *map, Random *random) {
        static void (*const changes[])(Map *, Random *) = {
                swap, move_patch, toggle_patch, move_cover, reflag_base, reflag_cover,
        };
        uint64_t n = 1 + random_below(random, 2);

        while (n-- > 0)
                changes[random_below(random, ELEMENTS_OF(changes))](map, random);
        must_commit(map);
}

static void start(Processor *processor) {
        add_windows(processor->map);
        processor_load(processor, VCPU_MODE_FLAT, 0x1000, program, sizeof(program));
        processor_set(processor, "rsp", STACK);
        assert_int_equal(vcpu_start(processor->vcpu, 0, NULL), 0);
        while (number_at(processor, ROUNDS) < 2)
                ;
}

/* Whether the guest has seen nothing of it all, so far. */
static bool is_unharmed(Processor *processor) {
        VCPUEnd end;

        return number_at(processor, WRONG) == 0 && !vcpu_take_end(processor->vcpu, &end) &&
               __atomic_load_n(&processor->n_traps, __ATOMIC_SEQ_CST) == 0;
}

static void test_held(void **state) {
        Processor *processor = *state;
        Random random = {1};
        PauseStatistics pauses;
        uint32_t rounds;

        hold_is_on = true;
        start(processor);
        for (unsigned i = 0; i < N_COMMITS; i++) {
                change(processor->map, &random);
                assert_true(is_unharmed(processor));
        }
        rounds = number_at(processor, ROUNDS);
        while (number_at(processor, ROUNDS) < rounds + 2)
                assert_true(is_unharmed(processor));
        vcpu_stop(processor->vcpu);
        assert_string_equal(processor_await(processor).reason.text, "stop");
        assert_int_equal(processor_exits(processor, "mmio"), 0);
        pauses = run_gate_pauses(&processor->gate);
        assert_true(pauses.count > N_COMMITS / 2);
        printf("# %u rounds beside %d commits; %" PRIu64 " pauses of %" PRIu64
               " us, at most %" PRIu64 "\n",
               rounds, N_COMMITS, pauses.count, pauses.total_usec / pauses.count, pauses.max_usec);
}

/* That the above sees anything: without the hold, the same is noticed, and soon. */
static void test_not_held(void **state) {
        Processor *processor = *state;
        Random random = {1};
        unsigned n = 0;

        hold_is_on = false;
        start(processor);
        while (n < N_COMMITS && is_unharmed(processor)) {
                change(processor->map, &random);
                n++;
        }
        assert_true(n < N_COMMITS);
        printf("# noticed by %u commits\n", n);
        hold_is_on = true;
}

/* What takes no memory away holds up nobody. */
static void test_nobody_paused(void **state) {
        Processor *processor = *state;
        Map *map = processor->map;

        hold_is_on = true;
        start(processor);
        must_add_memory(map, add_region(REGION_RAM, "dimm", MIB, "system", 0x40000000, 0));
        must_commit(map);
        must_edit_commit(map, add_region(REGION_MMIO, "device", PAGE, "system", 0x50000000, 0));
        must_edit_commit(map, set_offset("device", 0x60000000));
        must_edit_commit(map, set_flags("base", REGION_DIRTY_LOG, REGION_DIRTY_LOG));
        must_edit_commit(map, remove_region("device"));
        assert_int_equal(run_gate_pauses(&processor->gate).count, 0);
        must_edit_commit(map, remove_region("dimm"));
        assert_int_equal(run_gate_pauses(&processor->gate).count, 1);
        assert_true(is_unharmed(processor));
}

/* A commit that the kernel refuses half way has not been, for the guest either. */
static void test_refused(void **state) {
        Processor *processor = *state;
        Map *map = processor->map;
        SlotOp foreign = {processor->kvm->n_slots - 1, 0, 0x40000000, PAGE,
                          (uintptr_t)processor->ram};

        hold_is_on = true;
        start(processor);
        assert_int_equal(accelerator_set_slot(processor->kvm, &foreign), 0);
        for (unsigned i = 0; i < 100; i++) {
                _cleanup_(commit_freep) Commit *commit = NULL;
                Detail detail;

                swap(map, NULL);
                reflag_base(map, NULL);
                must_add_memory(map, add_region(REGION_RAM, "dimm", MIB, "system", 0x40000000, 0));
                assert_int_equal(commit_new(&commit, map, &detail), 0);
                assert_int_equal(commit_apply(commit, &detail), MAP_E_KVM);
                map_rollback(map, 0);
                assert_true(is_unharmed(processor));
        }
        assert_int_equal(run_gate_pauses(&processor->gate).count, 100);
}

PROCESSOR_TESTS(PROCESSOR_TEST(test_held), PROCESSOR_TEST(test_not_held),
                PROCESSOR_TEST(test_nobody_paused), PROCESSOR_TEST(test_refused));
