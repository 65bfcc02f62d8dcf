/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The committer on the real KVM
 *
 * Which slots the kernel has is asked by trying to create another one over them; what they mean is
 * asked of a guest that reads and writes.
 */

#include <inttypes.h>
#include <linux/kvm.h>
#include <string.h>

#include "lib/kvm/slots.h"
#include "lib/memory/commit.h"
#include "tests/common/memory.h"
#include "tests/common/unit.h"
#include "tests/kvm/guest.h"

#define KIB UINT64_C(0x400)
#define MIB UINT64_C(0x100000)

typedef struct VM VM;

enum { PAGE = 4096, CODE = 0x1000 };

struct VM {
        Map *map;
        Accelerator *kvm;
        Slots *slots;
        Guest guest;
        Detail detail;
};

/* 1 MiB of RAM at 0, whose first pages are for the guest's program. */
static int setup(void **state) {
        VM *vm = calloc(1, sizeof(*vm));

        assert_non_null(vm);
        if (accelerator_new_kvm(&vm->kvm, &vm->detail) != 0)
                fail_msg("%s", vm->detail.text);
        vm->map = scene_new();
        assert_int_equal(slots_new(&vm->slots, vm->kvm, "memory"), 0);
        assert_int_equal(listener_register(slots_listener(vm->slots), vm->map, NULL), 0);
        must_add_memory(vm->map, add_region(REGION_RAM, "ram", MIB, "system", 0, 0));
        must_commit(vm->map);
        guest_init(&vm->guest, vm->kvm, CODE, must_host(vm->map, "ram") + CODE);
        *state = vm;
        return 0;
}

static int teardown(void **state) {
        VM *vm = *state;

        guest_deinit(&vm->guest);
        listener_unregister(slots_listener(vm->slots), vm->map);
        slots_free(vm->slots);
        accelerator_free(vm->kvm);
        map_free(vm->map);
        free(vm);
        return 0;
}

/* A slot of one page at an address, with the last number, in the kernel only. */
static int foreign_slot(VM *vm, uint64_t address, uint64_t size) {
        SlotOp op = {vm->kvm->n_slots - 1, 0, address, size, (uintptr_t)must_host(vm->map, "ram")};

        return accelerator_set_slot(vm->kvm, &op);
}

static bool kernel_has(VM *vm, uint64_t address) {
        int r = foreign_slot(vm, address, PAGE);

        if (r == 0)
                assert_int_equal(foreign_slot(vm, address, 0), 0);
        else
                assert_int_equal(r, -EEXIST);
        return r != 0;
}

/* Whether the kernel has a slot on each page of [first, last] and none on the two beside. */
static void assert_kernel_has_just(VM *vm, uint64_t first, uint64_t last) {
        assert_true(first == 0 || !kernel_has(vm, first - PAGE));
        for (uint64_t page = first; page < last; page += PAGE)
                assert_true(kernel_has(vm, page));
        assert_false(kernel_has(vm, last + 1));
}

static void assert_direct(VM *vm, uint64_t address, const uint8_t *host) {
        Access access;

        assert_false(guest_write(&vm->guest, address, 0xc3).trapped);
        assert_int_equal(*host, 0xc3);
        access = guest_read(&vm->guest, address);
        assert_false(access.trapped);
        assert_int_equal(access.byte, 0xc3);
}

static void assert_readonly(VM *vm, uint64_t address, uint8_t *host) {
        Access access;

        *host = 0x77;
        access = guest_read(&vm->guest, address);
        assert_false(access.trapped);
        assert_int_equal(access.byte, 0x77);
        access = guest_write(&vm->guest, address, 0x99);
        assert_true(access.trapped);
        assert_int_equal(access.byte, 0x99);
        assert_int_equal(*host, 0x77);
}

static void assert_hole(VM *vm, uint64_t address) {
        Access access = guest_read(&vm->guest, address);

        assert_true(access.trapped);
        assert_int_equal(access.byte, GUEST_MMIO_ANSWER);
        access = guest_write(&vm->guest, address, 0x42);
        assert_true(access.trapped);
        assert_int_equal(access.byte, 0x42);
}

/* A commit that must fail with this outcome; then the edits are undone. */
static void assert_commit_fails(VM *vm, int outcome, const char *words) {
        _cleanup_(commit_freep) Commit *commit = NULL;
        uint64_t generation = vm->map->generation;
        int r;

        r = commit_new(&commit, vm->map, &vm->detail);
        if (r == 0)
                r = commit_apply(commit, &vm->detail);
        assert_int_equal(r, outcome);
        assert_string_equal(vm->detail.text, words);
        map_rollback(vm->map, 0);
        assert_int_equal(vm->map->generation, generation);
}

/* The same, where the kernel refuses to create a slot for a region. */
static void assert_create_fails(VM *vm, const char *region, uint32_t slot, Range range, int error) {
        char words[256];

        snprintf(words, sizeof(words),
                 "region \"%s\": slot %u: create 0x%" PRIx64 "-0x%" PRIx64 " of backing %" PRIu64
                 ": %s",
                 region, slot, range.first, range.last, must_find(vm->map, region)->backing->id,
                 strerror(error));
        assert_commit_fails(vm, MAP_E_KVM, words);
}

static void test_accepted(void **state) {
        VM *vm = *state;
        Map *map = vm->map;

        must_add_memory(map, add_region(REGION_RAM, "high", 64 * KIB, "system", 2 * MIB, 0));
        must_add_memory(map, add_region(REGION_ROM, "rom", 64 * KIB, "system", 3 * MIB, 0));
        must_add_memory(map, add_region(REGION_ROMD, "flash", 64 * KIB, "system", 4 * MIB, 0));
        must_edit(map, add_alias("alias", "high", 4 * KIB, 16 * KIB, "system", 5 * MIB, 0));
        must_edit(map, add_region(REGION_MMIO, "mmio", 64 * KIB, "system", 6 * MIB, 0));
        must_add_memory(map, add_region(REGION_RAM, "far", 64 * KIB, "system",
                                        vm->kvm->address_last + 1 - 32 * KIB, 0));
        must_commit(map);
        assert_kernel_has_just(vm, 0, MIB - 1);
        assert_kernel_has_just(vm, 2 * MIB, 2 * MIB + 64 * KIB - 1);
        assert_kernel_has_just(vm, 3 * MIB, 3 * MIB + 64 * KIB - 1);
        assert_kernel_has_just(vm, 5 * MIB, 5 * MIB + 16 * KIB - 1);
        assert_false(kernel_has(vm, 6 * MIB));
        assert_true(kernel_has(vm, vm->kvm->address_last + 1 - PAGE));
        assert_int_equal(slots_trapped(vm->slots), 32 * KIB);

        must_edit_commit(map, remove_region("rom"));
        assert_false(kernel_has(vm, 3 * MIB));
        listener_unregister(slots_listener(vm->slots), map);
        assert_int_equal(slots_used(vm->slots), 0);
        assert_false(kernel_has(vm, 0));
        assert_false(kernel_has(vm, 2 * MIB));
        assert_int_equal(listener_register(slots_listener(vm->slots), map, NULL), 0);
        assert_kernel_has_just(vm, 0, MIB - 1);
}

/*
 * Longer than one slot may be. The kernel's own limit is near 8 TiB, but it keeps 8 bytes or more
 * for each page of a slot, so a smaller one has to do.
 */
static void test_split(void **state) {
        VM *vm = *state;
        uint8_t *host;

        vm->kvm->slot_size_max = 64 * KIB;
        must_add_memory(vm->map, add_region(REGION_RAM, "long", 160 * KIB, "system", 2 * MIB, 0));
        must_commit(vm->map);
        assert_int_equal(slots_used(vm->slots), 4);
        assert_kernel_has_just(vm, 2 * MIB, 2 * MIB + 160 * KIB - 1);
        host = must_host(vm->map, "long");
        assert_direct(vm, 2 * MIB, host);
        assert_direct(vm, 2 * MIB + 64 * KIB, host + 64 * KIB);
        assert_direct(vm, 2 * MIB + 160 * KIB - 1, host + 160 * KIB - 1);
        must_edit_commit(vm->map, set_size("long", 96 * KIB));
        assert_int_equal(slots_used(vm->slots), 3);
        assert_kernel_has_just(vm, 2 * MIB, 2 * MIB + 96 * KIB - 1);
}

/* Somebody has a slot where one should come: EEXIST, after other operations have succeeded. */
static void test_exists_undone(void **state) {
        VM *vm = *state;
        Map *map = vm->map;

        must_add_memory(map, add_region(REGION_RAM, "bar", 64 * KIB, "system", 2 * MIB, 0));
        must_edit_commit(map, set_flags("ram", REGION_DIRTY_LOG, REGION_DIRTY_LOG));
        must_host(map, "bar")[0] = 0x11;
        assert_int_equal(foreign_slot(vm, 8 * MIB, PAGE), 0);

        must_add_memory(map, add_region(REGION_RAM, "dimm0", 64 * KIB, "system", 4 * MIB, 0));
        must_add_memory(map, add_region(REGION_RAM, "dimm1", 64 * KIB, "system", 8 * MIB, 0));
        must_edit(map, set_offset("bar", 3 * MIB));
        must_edit(map, set_flags("ram", REGION_DIRTY_LOG, 0));
        assert_create_fails(vm, "dimm1", 3, (Range){8 * MIB, 8 * MIB + 64 * KIB - 1}, EEXIST);

        assert_int_equal(foreign_slot(vm, 8 * MIB, 0), 0);
        assert_int_equal(slots_used(vm->slots), 2);
        assert_int_equal(slots_first(vm->slots, 0)->extent.flags, KVM_MEM_LOG_DIRTY_PAGES);
        assert_kernel_has_just(vm, 2 * MIB, 2 * MIB + 64 * KIB - 1);
        assert_false(kernel_has(vm, 3 * MIB));
        assert_false(kernel_has(vm, 4 * MIB));
        assert_int_equal(guest_read(&vm->guest, 2 * MIB).byte, 0x11);
        assert_hole(vm, 3 * MIB);
        assert_hole(vm, 4 * MIB);

        /* The same again, now that the place is free. */
        must_add_memory(map, add_region(REGION_RAM, "dimm1", 64 * KIB, "system", 8 * MIB, 0));
        must_edit_commit(map, set_offset("bar", 3 * MIB));
        assert_int_equal(guest_read(&vm->guest, 3 * MIB).byte, 0x11);
        assert_direct(vm, 8 * MIB, must_host(map, "dimm1"));
}

/* An address that the kernel knows to be too high, had the committer believed otherwise: EINVAL. */
static void test_invalid_undone(void **state) {
        VM *vm = *state;
        Map *map = vm->map;
        uint64_t too_high = UINT64_C(1) << 62;

        vm->kvm->address_last = UINT64_MAX;
        must_add_memory(map, add_region(REGION_RAM, "low", 64 * KIB, "system", 2 * MIB, 0));
        must_add_memory(map, add_region(REGION_RAM, "high", 64 * KIB, "system", too_high, 0));
        must_edit(map, set_size("ram", MIB / 2));
        assert_create_fails(vm, "high", 2, (Range){too_high, too_high + 64 * KIB - 1}, EINVAL);
        assert_int_equal(slots_used(vm->slots), 1);
        assert_kernel_has_just(vm, 0, MIB - 1);
        assert_direct(vm, MIB - 1, must_host(map, "ram") + MIB - 1);
        assert_hole(vm, 2 * MIB);
}

static void add_one_page_alias(Map *map, uint32_t i) {
        char name[32];

        snprintf(name, sizeof(name), "alias%" PRIu32, i);
        must_edit(map,
                  add_alias(name, "ram", 0, PAGE, "system", 16 * MIB + 2 * PAGE * (uint64_t)i, 0));
}

/* All the slots that the kernel says it has, and not one more. */
static void test_limit(void **state) {
        VM *vm = *state;
        uint32_t limit = vm->kvm->n_slots;
        char words[128];

        for (uint32_t i = 0; i < limit; i++)
                add_one_page_alias(vm->map, i);
        snprintf(words, sizeof(words),
                 "address space \"memory\": %u slots are needed, the limit is %u", limit + 1,
                 limit);
        assert_commit_fails(vm, MAP_E_NO_SLOTS, words);
        assert_int_equal(slots_used(vm->slots), 1);
        assert_false(kernel_has(vm, 16 * MIB));

        for (uint32_t i = 0; i < limit - 1; i++)
                add_one_page_alias(vm->map, i);
        must_commit(vm->map);
        assert_int_equal(slots_used(vm->slots), limit);
        assert_direct(vm, 16 * MIB + 2 * PAGE * (limit - 2), must_host(vm->map, "ram"));
        assert_hole(vm, 16 * MIB + 2 * PAGE * (limit - 1));
}

static void test_ram_and_alias(void **state) {
        VM *vm = *state;
        uint8_t *host = must_host(vm->map, "ram");

        must_edit_commit(vm->map,
                         add_alias("window", "ram", 0x80000, 64 * KIB, "system", 0xe0000000, 0));
        assert_direct(vm, 0x5000, host + 0x5000);
        assert_direct(vm, MIB - 1, host + MIB - 1);
        assert_direct(vm, 0xe0000123, host + 0x80123);
        assert_false(guest_write(&vm->guest, 0x80456, 0x64).trapped);
        assert_int_equal(guest_read(&vm->guest, 0xe0000456).byte, 0x64);
        assert_hole(vm, MIB);
        assert_hole(vm, 0xe0010000);
}

static void test_rom(void **state) {
        VM *vm = *state;
        Map *map = vm->map;

        must_add_memory(map, add_region(REGION_ROM, "rom", 64 * KIB, "system", 0xffff0000, 0));
        must_edit(map,
                  with_flags(add_alias("shadow", "ram", 0xf0000, 64 * KIB, "system", 0xf0000, 1),
                             REGION_READONLY));
        must_commit(map);
        assert_readonly(vm, 0xfffffff0, must_host(map, "rom") + 0xfff0);
        /* RAM seen through a read-only alias, as a chipset write-protects shadow RAM. */
        assert_readonly(vm, 0xf1234, must_host(map, "ram") + 0xf1234);
        assert_direct(vm, 0xeffff, must_host(map, "ram") + 0xeffff);

        must_edit_commit(map, set_flags("shadow", REGION_READONLY, 0));
        assert_direct(vm, 0xf1234, must_host(map, "ram") + 0xf1234);
        must_edit_commit(map, set_flags("rom", REGION_READONLY, 0));
        assert_direct(vm, 0xfffffff0, must_host(map, "rom") + 0xfff0);
}

static void test_rom_device(void **state) {
        VM *vm = *state;
        Map *map = vm->map;

        must_add_memory(
                map, with_flags(add_region(REGION_ROMD, "flash", 64 * KIB, "system", 0xff000000, 0),
                                REGION_DIRECT_READ));
        must_commit(map);
        assert_readonly(vm, 0xff000010, must_host(map, "flash") + 0x10);
        must_edit_commit(map, set_flags("flash", REGION_DIRECT_READ, 0));
        assert_hole(vm, 0xff000010);
        must_edit_commit(map, set_flags("flash", REGION_DIRECT_READ, REGION_DIRECT_READ));
        assert_readonly(vm, 0xff000010, must_host(map, "flash") + 0x10);
}

static void test_hole(void **state) {
        VM *vm = *state;

        must_edit(vm->map, add_region(REGION_MMIO, "vga", 128 * KIB, "system", 0xa0000, 1));
        must_edit_commit(vm->map, add_region(REGION_RESERVED, "gap", PAGE, "system", 0xd0000, 1));
        assert_hole(vm, 0xa0000);
        assert_hole(vm, 0xbffff);
        assert_hole(vm, 0xd0800);
        assert_hole(vm, 0x80000000);
        assert_direct(vm, 0x9ffff, must_host(vm->map, "ram") + 0x9ffff);
        assert_direct(vm, 0xc0000, must_host(vm->map, "ram") + 0xc0000);
        must_edit_commit(vm->map, disable("vga"));
        assert_direct(vm, 0xa0000, must_host(vm->map, "ram") + 0xa0000);
}

/* Of two that lie at one place the guest has the one of higher priority, whichever that is. */
static void test_priority(void **state) {
        VM *vm = *state;
        Map *map = vm->map;

        must_add_memory(map, add_region(REGION_RAM, "a", 64 * KIB, "system", 2 * MIB, 0));
        must_add_memory(map, add_region(REGION_RAM, "b", 32 * KIB, "system", 2 * MIB, 1));
        must_commit(map);
        must_host(map, "a")[0x10] = 0xaa;
        must_host(map, "b")[0x10] = 0xbb;
        assert_int_equal(guest_read(&vm->guest, 2 * MIB + 0x10).byte, 0xbb);
        assert_direct(vm, 2 * MIB + 32 * KIB, must_host(map, "a") + 32 * KIB);
        must_edit_commit(map, set_priority("b", -1));
        assert_int_equal(guest_read(&vm->guest, 2 * MIB + 0x10).byte, 0xaa);
        assert_direct(vm, 2 * MIB, must_host(map, "a"));
        must_edit_commit(map, set_priority("a", -2));
        assert_int_equal(guest_read(&vm->guest, 2 * MIB + 0x10).byte, 0xbb);
        assert_direct(vm, 2 * MIB, must_host(map, "b"));
}

/* What is disabled is not there, its memory is. */
static void test_disabled(void **state) {
        VM *vm = *state;
        Map *map = vm->map;

        must_add_memory(map, add_region(REGION_RAM, "dimm", 64 * KIB, "system", 2 * MIB, 0));
        must_commit(map);
        assert_direct(vm, 2 * MIB, must_host(map, "dimm"));
        must_edit_commit(map, disable("dimm"));
        assert_hole(vm, 2 * MIB);
        assert_int_equal(must_host(map, "dimm")[0], 0xc3);
        must_edit_commit(map, enable("dimm"));
        assert_int_equal(guest_read(&vm->guest, 2 * MIB).byte, 0xc3);
        assert_direct(vm, 2 * MIB + 64 * KIB - 1, must_host(map, "dimm") + 64 * KIB - 1);
}

/* Added, moved and taken out again while the vCPU is there and has seen what was there before. */
static void test_hotplug(void **state) {
        VM *vm = *state;
        Map *map = vm->map;
        uint64_t at = 0x40000000;

        assert_hole(vm, at);
        must_add_memory(map, add_region(REGION_RAM, "dimm1", 128 * MIB, "system", at, 0));
        must_commit(map);
        assert_direct(vm, at, must_host(map, "dimm1"));
        assert_direct(vm, at + 128 * MIB - 1, must_host(map, "dimm1") + 128 * MIB - 1);
        assert_hole(vm, at + 128 * MIB);

        must_edit_commit(map, set_offset("dimm1", at + 64 * MIB));
        assert_hole(vm, at);
        assert_int_equal(guest_read(&vm->guest, at + 64 * MIB).byte, 0xc3);
        assert_direct(vm, at + 192 * MIB - 1, must_host(map, "dimm1") + 128 * MIB - 1);

        must_edit_commit(map, remove_region("dimm1"));
        assert_hole(vm, at + 64 * MIB);
        assert_hole(vm, at + 192 * MIB - 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_accepted),      TEST(test_split),
                TEST(test_exists_undone), TEST(test_invalid_undone),
                TEST(test_limit),         TEST(test_ram_and_alias),
                TEST(test_rom),           TEST(test_rom_device),
                TEST(test_hole),          TEST(test_priority),
                TEST(test_disabled),      TEST(test_hotplug),
        };
        int r = kvm_probe();

        if (r < 0) {
                printf("1..0 # SKIP /dev/kvm cannot be used here: %s\n", strerror(-r));
                return 0; /* to a reader of TAP, that line says it all */
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
