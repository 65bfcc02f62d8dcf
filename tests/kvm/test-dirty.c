/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Dirty logging on the real KVM: the log has the pages that a guest writes, no others, and none is
 * lost whatever becomes of the slots, while the guest runs
 */

#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/kvm/dirty-log.h"
#include "lib/memory/commit.h"
#include "tests/common/unit.h"
#include "tests/kvm/processor.h"

typedef struct World World;

enum { PAGE = 4096, DIMM_PAGES = 512, WORDS = DIMM_PAGES / 64 };

#define DIMM UINT64_C(0x10000000)

struct World {
        Processor *processor;
        DirtyLog *log;
};

/* "dimm" of 2 MiB at DIMM, beside the processor's RAM. */
static int setup(void **state) {
        World *world = calloc(1, sizeof(*world));
        Processor *processor;

        assert_non_null(world);
        processor_setup((void **)&world->processor);
        processor = world->processor;
        slots_set_gate(processor->slots, &processor->gate);
        assert_int_equal(dirty_log_new(&world->log, processor->kvm, processor->slots), 0);
        assert_int_equal(listener_register(dirty_log_listener(world->log), processor->map, NULL),
                         0);
        must_add_memory(processor->map,
                        add_region(REGION_RAM, "dimm", DIMM_PAGES * PAGE, "system", DIMM, 0));
        must_commit(processor->map);
        *state = world;
        return 0;
}

static int teardown(void **state) {
        World *world = *state;

        listener_unregister(dirty_log_listener(world->log), world->processor->map);
        dirty_log_free(world->log);
        processor_teardown((void **)&world->processor);
        free(world);
        return 0;
}

static void set_log(World *world, bool on) {
        must_edit_commit(world->processor->map,
                         set_flags("dimm", REGION_DIRTY_LOG, on ? REGION_DIRTY_LOG : 0));
}

/* A guest writes one byte to each page of [first, last] of the dimm at its present place. */
static void guest_write(World *world, uint64_t at, unsigned first, unsigned last) {
        static const uint8_t program[] = {
                0x88, 0x03,                               /* again: mov [rbx], al */
                0x48, 0x81, 0xc3, 0x00, 0x10, 0x00, 0x00, /* add rbx, 0x1000 */
                0xff, 0xc9,                               /* dec ecx */
                0x75, 0xf3,                               /* jnz again */
                0xf4,                                     /* hlt */
        };
        Processor *processor = world->processor;

        processor_load(processor, VCPU_MODE_LONG, AT, program, sizeof(program));
        processor_set(processor, "rbx", at + first * (uint64_t)PAGE);
        processor_set(processor, "rcx", last - first + 1);
        assert_int_equal(processor_run(processor, 0).state, VCPU_HALTED);
}

/* What a reader has not seen of the dimm; then he has, and KVM forgets it. */
static void read_dirty(World *world, PageLogReader reader, uint64_t *bits) {
        Backing *backing = must_find(world->processor->map, "dimm")->backing;

        if (dirty_log_sync(world->log, backing, true, &world->processor->detail) != 0)
                fail_msg("%s", world->processor->detail.text);
        page_log_read(&backing->log, reader, DIMM_PAGES, true, bits);
}

static void assert_dirty(World *world, PageLogReader reader, const char *expected) {
        uint64_t bits[WORDS] = {};
        size_t length;
        char *text;
        FILE *stream = open_memstream(&text, &length);

        assert_non_null(stream);
        read_dirty(world, reader, bits);
        for (unsigned page = 0; page < DIMM_PAGES; page++)
                if (bits[page / 64] >> page % 64 & 1)
                        fprintf(stream, "%u ", page);
        fclose(stream);
        assert_text(text, expected);
}

static void test_exactly(void **state) {
        World *world = *state;

        guest_write(world, DIMM, 0, 100);
        set_log(world, true);
        assert_dirty(world, PAGE_LOG_REGION, "");
        guest_write(world, DIMM, 3, 5);
        guest_write(world, DIMM, 511, 511);
        assert_dirty(world, PAGE_LOG_REGION, "3 4 5 511 ");
        assert_dirty(world, PAGE_LOG_REGION, "");
        guest_write(world, DIMM, 4, 4);
        assert_dirty(world, PAGE_LOG_REGION, "4 ");
}

/* The slots are cut, joined, moved, replaced, taken away. */
static void test_slots_change(void **state) {
        World *world = *state;
        Map *map = world->processor->map;

        set_log(world, true);
        guest_write(world, DIMM, 1, 1);
        must_edit_commit(map, add_region(REGION_MMIO, "hole", PAGE, "system", DIMM + 9 * PAGE, 1));
        guest_write(world, DIMM, 10, 11);
        must_edit_commit(map, remove_region("hole"));
        guest_write(world, DIMM, 9, 9);
        must_edit_commit(map, set_offset("dimm", 2 * DIMM));
        guest_write(world, 2 * DIMM, 200, 200);
        must_edit_commit(map, set_flags("dimm", REGION_READONLY, REGION_READONLY));
        must_edit_commit(map, set_flags("dimm", REGION_READONLY, 0));
        guest_write(world, 2 * DIMM, 300, 300);
        must_edit_commit(map, disable("dimm"));
        assert_dirty(world, PAGE_LOG_REGION, "1 9 10 11 200 300 ");
        must_edit_commit(map, enable("dimm"));
        guest_write(world, 2 * DIMM, 7, 7);
        assert_dirty(world, PAGE_LOG_REGION, "7 ");
}

/* In one commit, which is one ioctl: KVM drops the log with the flag. */
static void test_moved_and_toggled(void **state) {
        World *world = *state;
        Map *map = world->processor->map;

        set_log(world, true);
        guest_write(world, DIMM, 1, 1);
        must_edit(map, set_flags("dimm", REGION_DIRTY_LOG, 0));
        must_edit_commit(map, set_offset("dimm", 2 * DIMM));
        assert_dirty(world, PAGE_LOG_REGION, "1 ");

        assert_int_equal(map_log_global_start(map, 1, &world->processor->detail), 0);
        guest_write(world, 2 * DIMM, 2, 2);
        must_edit(map, set_flags("dimm", REGION_DIRTY_LOG, REGION_DIRTY_LOG));
        must_edit_commit(map, set_offset("dimm", DIMM));
        assert_dirty(world, PAGE_LOG_REGION, "");
        assert_dirty(world, PAGE_LOG_VM, "2 ");
        map_log_global_stop(map, 1);
}

static void test_toggle(void **state) {
        World *world = *state;
        Map *map = world->processor->map;

        assert_int_equal(map_log_global_start(map, 1, &world->processor->detail), 0);
        guest_write(world, DIMM, 1, 1);
        set_log(world, true);
        guest_write(world, DIMM, 2, 2);
        set_log(world, false);
        guest_write(world, DIMM, 3, 3);
        assert_dirty(world, PAGE_LOG_VM, "1 2 3 ");
        assert_dirty(world, PAGE_LOG_REGION, "2 ");
        set_log(world, true);
        guest_write(world, DIMM, 4, 4);
        map_log_global_stop(map, 1);
        guest_write(world, DIMM, 5, 5);
        assert_dirty(world, PAGE_LOG_REGION, "4 5 ");
        assert_dirty(world, PAGE_LOG_VM, "4 ");
}

/* A kernel without the capability forgets what it gives. */
static void test_forgetful(void **state) {
        struct kvm_enable_cap not_manual = {.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2};
        World *world = *state;
        Accelerator *kvm = world->processor->kvm;

        assert_int_equal(ioctl(accelerator_vm_fd(kvm), KVM_ENABLE_CAP, &not_manual), 0);
        kvm->clears_by_hand = false;
        set_log(world, true);
        guest_write(world, DIMM, 1, 2);
        assert_int_equal(dirty_log_sync(world->log, NULL, false, NULL), 0);
        guest_write(world, DIMM, 3, 3);
        assert_dirty(world, PAGE_LOG_REGION, "1 2 3 ");
        guest_write(world, DIMM, 3, 3);
        assert_dirty(world, PAGE_LOG_REGION, "3 ");
}

enum { ROUNDS = 300, ROUND = 0x9000 /* where the guest reads its number */ };

/* One of the things that may happen to the slots and their logs; "window" is an alias. */
static void change_something(Map *map, unsigned round) {
        switch (round % 6) {
        case 0:
                must_edit_commit(map, disable("window"));
                break;
        case 1:
                must_edit_commit(map, enable("window"));
                break;
        case 2:
                assert_int_equal(map_log_global_start(map, 1, NULL), 0);
                break;
        case 3:
                must_edit_commit(map, set_flags("window", REGION_READONLY, REGION_READONLY));
                break;
        case 4:
                must_edit_commit(map, set_flags("window", REGION_READONLY, 0));
                break;
        default:
                map_log_global_stop(map, 1);
        }
}

/*
 * With the guest held: copies what it has written since the last time. Returns how many pages that
 * are, and of these *lost have not been told of.
 */
static unsigned follow(World *world, uint32_t *copies, unsigned *lost) {
        const uint8_t *host = must_host(world->processor->map, "dimm");
        uint64_t bits[WORDS] = {};
        unsigned n = 0;

        read_dirty(world, PAGE_LOG_REGION, bits);
        for (unsigned page = 0; page < DIMM_PAGES; page++) {
                uint32_t count = *(const uint32_t *)(host + page * PAGE);

                if (copies[page] == count)
                        continue;
                n++;
                *lost += !(bits[page / 64] >> page % 64 & 1);
                copies[page] = count;
        }
        return n;
}

/*
 * A guest writes the round's number to one page after the other, and then waits for the next round:
 * a write that is lost is not soon followed by one that is not. Meanwhile slots are cut and
 * replaced, and logs begin and end.
 */
static void test_while_it_runs(void **state) {
        static const uint8_t program[] = {
                0x48, 0xbb, 0x00, 0x00, 0x00, 0x10, 0,    0, 0, 0, /* again: mov rbx, DIMM */
                0xb9, 0x00, 0x02, 0x00, 0x00,                      /* mov ecx, DIMM_PAGES */
                0x8b, 0x14, 0x25, 0x00, 0x90, 0x00, 0x00,          /* mov edx, [ROUND] */
                0x89, 0x13,                                        /* next: mov [rbx], edx */
                0x48, 0x81, 0xc3, 0x00, 0x10, 0x00, 0x00,          /* add rbx, 0x1000 */
                0xff, 0xc9,                                        /* dec ecx */
                0x75, 0xf3,                                        /* jnz next */
                0x3b, 0x14, 0x25, 0x00, 0x90, 0x00, 0x00,          /* wait: cmp edx, [ROUND] */
                0x74, 0xf7,                                        /* je wait */
                0xeb, 0xd2,                                        /* jmp again */
        };
        World *world = *state;
        Processor *processor = world->processor;
        uint32_t *number = (uint32_t *)(processor->ram + ROUND);
        uint32_t copies[DIMM_PAGES] = {};
        unsigned n = 0, lost = 0;

        set_log(world, true);
        must_edit_commit(processor->map, add_alias("window", "dimm", 32 * PAGE, 384 * PAGE,
                                                   "system", DIMM + 64 * PAGE, 1));
        processor_load(processor, VCPU_MODE_LONG, AT, program, sizeof(program));
        assert_int_equal(vcpu_start(processor->vcpu, 0, &processor->detail), 0);
        for (unsigned round = 0; round < ROUNDS; round++) {
                __atomic_store_n(number, round, __ATOMIC_RELAXED);
                usleep(2000);
                change_something(processor->map, round);
                run_gate_hold(&processor->gate);
                n += follow(world, copies, &lost);
                run_gate_release(&processor->gate);
        }
        vcpu_stop(processor->vcpu);
        (void)processor_await(processor);
        assert_int_equal(lost, 0);
        assert_true(n > DIMM_PAGES);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

PROCESSOR_TESTS(TEST(test_exactly), TEST(test_slots_change), TEST(test_moved_and_toggled),
                TEST(test_toggle), TEST(test_forgetful), TEST(test_while_it_runs));
