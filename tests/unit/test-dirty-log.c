/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What is asked of the kernel about dirty pages, and that none is lost whatever becomes of slots
 */

#include <linux/kvm.h>

#include "lib/kvm/dirty-log.h"
#include "lib/memory/access.h"
#include "lib/memory/commit.h"
#include "tests/common/memory.h"
#include "tests/common/unit.h"
#include "tests/unit/mock-kvm.h"

#define MIB UINT64_C(0x100000)

typedef struct World World;

enum { PAGE = 4096, PAGES = 512 };

struct World {
        Map *map;
        Accelerator *kvm;
        Slots *slots;
        DirtyLog *log;
        Detail detail;
};

/* "ram", 2 MiB at 1 MiB, is slot 0 and not logged. */
static int setup(void **state) {
        World *world = calloc(1, sizeof(*world));

        assert_non_null(world);
        assert_int_equal(mock_kvm_setup(NULL), 0);
        assert_int_equal(accelerator_new_kvm(&world->kvm, &world->detail), 0);
        world->map = scene_new();
        assert_int_equal(slots_new(&world->slots, world->kvm, "memory"), 0);
        assert_int_equal(listener_register(slots_listener(world->slots), world->map, NULL), 0);
        assert_int_equal(dirty_log_new(&world->log, world->kvm, world->slots), 0);
        assert_int_equal(listener_register(dirty_log_listener(world->log), world->map, NULL), 0);
        must_add_memory(world->map, add_region(REGION_RAM, "ram", 2 * MIB, "system", MIB, 0));
        must_commit(world->map);
        free(mock_kvm_take());
        mock_kvm.notes_dirty = true;
        *state = world;
        return 0;
}

static int teardown(void **state) {
        World *world = *state;

        listener_unregister(dirty_log_listener(world->log), world->map);
        listener_unregister(slots_listener(world->slots), world->map);
        dirty_log_free(world->log);
        slots_free(world->slots);
        accelerator_free(world->kvm);
        map_free(world->map);
        free(world);
        return mock_kvm_teardown(NULL);
}

static void start(World *world) {
        must_edit_commit(world->map, set_flags("ram", REGION_DIRTY_LOG, REGION_DIRTY_LOG));
        free(mock_kvm_take());
}

static void start_all(World *world) {
        assert_int_equal(map_log_global_start(world->map, 1, &world->detail), 0);
        free(mock_kvm_take());
}

static void sync_all(World *world, bool clear) {
        assert_int_equal(dirty_log_sync(world->log, NULL, clear, &world->detail), 0);
}

/* The pages of a region that a reader has not seen, which thereby he has. */
static void assert_dirty(World *world, const char *region, PageLogReader reader,
                         const char *expected) {
        PageLog *log = &must_find(world->map, region)->backing->log;
        uint64_t bits[PAGES / 64] = {};
        size_t length;
        char *text;
        FILE *stream = open_memstream(&text, &length);

        assert_non_null(stream);
        page_log_read(log, reader, log->n_pages, true, bits);
        for (unsigned page = 0; page < PAGES; page++)
                if (bits[page / 64] >> page % 64 & 1)
                        fprintf(stream, "%u ", page);
        fclose(stream);
        assert_text(text, expected);
}

static void test_region(void **state) {
        World *world = *state;
        Backing *backing = must_find(world->map, "ram")->backing;

        mock_kvm_write(0, 9);
        start(world);
        must_add_memory(world->map, with_flags(add_region(REGION_RAM, "other", MIB, "system", 0, 0),
                                               REGION_DIRTY_LOG));
        must_commit(world->map);
        free(mock_kvm_take());
        mock_kvm_write(0, 3);
        mock_kvm_write(0, 130);
        mock_kvm_write(0, PAGES - 1);
        mock_kvm_write(1, 7);
        assert_int_equal(dirty_log_sync(world->log, backing, true, &world->detail), 0);
        assert_text(mock_kvm_take(), "0 dirty\n0 clear 0+512\n");
        assert_dirty(world, "ram", PAGE_LOG_REGION, "3 130 511 ");
        assert_dirty(world, "other", PAGE_LOG_REGION, "");
        sync_all(world, true);
        assert_text(mock_kvm_take(), "1 dirty\n1 clear 0+256\n0 dirty\n");
        assert_dirty(world, "ram", PAGE_LOG_REGION, "");
        assert_dirty(world, "other", PAGE_LOG_REGION, "7 ");
}

/* Without `clear` the kernel is not told to forget, and nothing is seen twice for that. */
static void test_look(void **state) {
        World *world = *state;

        start(world);
        mock_kvm_write(0, 3);
        sync_all(world, false);
        sync_all(world, false);
        assert_text(mock_kvm_take(), "0 dirty\n0 dirty\n");
        sync_all(world, true);
        assert_dirty(world, "ram", PAGE_LOG_REGION, "3 ");
        sync_all(world, true);
        assert_dirty(world, "ram", PAGE_LOG_REGION, "");
}

/* The kernel forgets by itself: what it gave must not be lost then either. */
static void test_forgetful_kernel(void **state) {
        World *world = *state;

        mock_kvm.manual_dirty_log = 0;
        world->kvm->clears_by_hand = false;
        start(world);
        mock_kvm_write(0, 3);
        sync_all(world, false);
        mock_kvm_write(0, 4);
        sync_all(world, true);
        assert_text(mock_kvm_take(), "0 dirty\n0 dirty\n");
        assert_dirty(world, "ram", PAGE_LOG_REGION, "3 4 ");
}

/* A guest writes to a guest address, in whatever slot that is. */
static void guest_write(World *world, uint64_t address) {
        const Slot *slot = slots_first(world->slots, address);

        assert_non_null(slot);
        assert_true(slot->extent.range.first <= address);
        mock_kvm_write(slot->number, (address - slot->extent.range.first) / PAGE);
}

/* Cut, moved, hidden, re-flagged: in whatever slot a page was written, it is told. */
static void test_slots_change(void **state) {
        World *world = *state;
        Map *map = world->map;

        start(world);
        guest_write(world, MIB + 3 * PAGE);
        guest_write(world, MIB + 500 * PAGE);
        must_edit_commit(map, add_region(REGION_MMIO, "window", PAGE, "system", MIB + 8 * PAGE, 1));
        assert_int_equal(slots_used(world->slots), 2);
        guest_write(world, MIB + 9 * PAGE);
        must_edit_commit(map, disable("window"));
        guest_write(world, MIB + 8 * PAGE);
        must_edit_commit(map, set_offset("ram", 8 * MIB));
        guest_write(world, 8 * MIB + 10 * PAGE);
        must_edit_commit(map, set_flags("ram", REGION_READONLY, REGION_READONLY));
        must_edit_commit(map, set_flags("ram", REGION_READONLY, 0));
        guest_write(world, 8 * MIB + 11 * PAGE);
        must_edit_commit(map, set_size("ram", MIB));
        must_edit_commit(map, disable("ram"));
        assert_int_equal(slots_used(world->slots), 0);
        sync_all(world, true);
        assert_dirty(world, "ram", PAGE_LOG_REGION, "3 8 9 10 11 500 ");
}

/* One backing at two places: a page is a page. */
static void test_alias(void **state) {
        World *world = *state;

        must_edit(world->map, add_alias("again", "ram", 5 * PAGE, MIB, "system", 16 * MIB, 0));
        start(world);
        guest_write(world, 16 * MIB + PAGE);
        guest_write(world, MIB + 7 * PAGE);
        sync_all(world, true);
        assert_dirty(world, "ram", PAGE_LOG_REGION, "6 7 ");
}

/* Whether the kernel logs all its slots, or none. */
static void assert_logged(bool logged) {
        const SlotOp *op = slot_table_next(&mock_kvm.table, NULL);

        for (; op; op = slot_table_next(&mock_kvm.table, op))
                assert_int_equal(op->flags & KVM_MEM_LOG_DIRTY_PAGES,
                                 logged ? KVM_MEM_LOG_DIRTY_PAGES : 0);
}

static void test_global(void **state) {
        World *world = *state;
        Map *map = world->map;

        guest_write(world, MIB);
        assert_int_equal(map_log_global_start(map, 1, &world->detail), 0);
        assert_int_equal(map_log_global_start(map, 2, &world->detail), 0);
        assert_logged(true);
        must_add_memory(map, add_region(REGION_RAM, "dimm", MIB, "system", 8 * MIB, 0));
        must_add_memory(map, add_region(REGION_ROM, "rom", PAGE, "system", 0, 0));
        must_commit(map);
        guest_write(world, MIB + 3 * PAGE);
        guest_write(world, 8 * MIB + 4 * PAGE);
        must_edit_commit(map, disable("dimm"));
        sync_all(world, true);
        assert_dirty(world, "ram", PAGE_LOG_VM, "3 ");
        assert_dirty(world, "dimm", PAGE_LOG_VM, "4 ");
        assert_false(page_log_has(&must_find(map, "ram")->backing->log, PAGE_LOG_REGION));

        /* The last reason ends it; what was logged until then can still be had. */
        guest_write(world, MIB + 5 * PAGE);
        map_log_global_stop(map, 1);
        guest_write(world, MIB + 6 * PAGE);
        map_log_global_stop(map, 2);
        guest_write(world, MIB + 7 * PAGE);
        assert_logged(false);
        assert_dirty(world, "ram", PAGE_LOG_VM, "5 6 ");
}

/* Two readers, each of which sees every page once, from where he began. */
static void test_both(void **state) {
        World *world = *state;

        start(world);
        guest_write(world, MIB + 1 * PAGE);
        start_all(world);
        guest_write(world, MIB + 2 * PAGE);
        sync_all(world, true);
        assert_dirty(world, "ram", PAGE_LOG_VM, "2 ");
        guest_write(world, MIB + 3 * PAGE);
        must_edit_commit(world->map, set_flags("ram", REGION_DIRTY_LOG, 0));
        guest_write(world, MIB + 4 * PAGE);
        start(world);
        guest_write(world, MIB + 5 * PAGE);
        sync_all(world, true);
        assert_dirty(world, "ram", PAGE_LOG_REGION, "5 ");
        assert_dirty(world, "ram", PAGE_LOG_VM, "3 4 5 ");

        /* That all are logged no more does not end the log of one. */
        map_log_global_stop(world->map, 1);
        guest_write(world, MIB + 6 * PAGE);
        sync_all(world, true);
        assert_dirty(world, "ram", PAGE_LOG_REGION, "6 ");
}

/* A log that is stopped can be read until it starts again, and then it is empty. */
static void test_restart(void **state) {
        World *world = *state;
        Map *map = world->map;

        start(world);
        guest_write(world, MIB);
        must_edit_commit(map, set_flags("ram", REGION_DIRTY_LOG, 0));
        guest_write(world, MIB + 1 * PAGE);
        start(world);
        guest_write(world, MIB + 2 * PAGE);
        sync_all(world, true);
        assert_dirty(world, "ram", PAGE_LOG_REGION, "2 ");

        /* Off and on in one commit is no change. */
        guest_write(world, MIB + 3 * PAGE);
        must_edit(map, set_flags("ram", REGION_DIRTY_LOG, 0));
        must_edit(map, set_flags("ram", REGION_DIRTY_LOG, REGION_DIRTY_LOG));
        must_edit_commit(map, add_region(REGION_MMIO, "device", PAGE, "system", 0, 0));
        must_edit(map, set_flags("ram", REGION_DIRTY_LOG, 0));
        must_edit(map, set_flags("ram", REGION_DIRTY_LOG, REGION_DIRTY_LOG));
        map_rollback(map, 0);
        sync_all(world, true);
        assert_dirty(world, "ram", PAGE_LOG_REGION, "3 ");

        /* Nobody shows it meanwhile. */
        guest_write(world, MIB + 4 * PAGE);
        must_edit_commit(map, move_region("ram", NULL, 0, 0));
        must_edit_commit(map, set_flags("ram", REGION_DIRTY_LOG, 0));
        must_edit_commit(map, set_flags("ram", REGION_DIRTY_LOG, REGION_DIRTY_LOG));
        must_edit_commit(map, move_region("ram", "system", 0, 0));
        sync_all(world, true);
        assert_dirty(world, "ram", PAGE_LOG_REGION, "");
}

/* Bytes that somebody writes for a guest, or for himself. */
static void test_written(void **state) {
        static const AccessOps nobody;
        World *world = *state;
        uint8_t bytes[PAGE + 2] = {};
        const FlatView *view;

        start(world);
        rcu_enter();
        view = scene_published(world->map, "memory");
        assert_int_equal(access_write(view, (Range){MIB + 3 * PAGE - 1, MIB + 4 * PAGE}, bytes,
                                      &nobody, NULL, NULL),
                         0);
        assert_int_equal(access_write(view, (Range){MIB + 9 * PAGE, MIB + 9 * PAGE + 7}, bytes,
                                      &nobody, NULL, NULL),
                         0);
        assert_int_equal(access_read(view, (Range){MIB, MIB + PAGE}, bytes, &nobody, NULL, NULL),
                         0);
        rcu_leave();
        assert_dirty(world, "ram", PAGE_LOG_REGION, "2 3 4 9 ");
}

static void on_published(Listener *listener, const Commit *commit) {
        const PageLog *fresh = &must_find(commit->map, "fresh")->backing->log;
        const PageLog *ram = &must_find(commit->map, "ram")->backing->log;

        assert_true(page_log_is_on(fresh, PAGE_LOG_VM));
        assert_true(page_log_is_on(ram, PAGE_LOG_REGION));
}

/* As soon as guests can write to it: vCPUs that were held go on then. */
static void test_on_when_published(void **state) {
        static const ListenerOps ops = {.published = on_published};
        Listener waiting = {.ops = &ops};
        World *world = *state;

        assert_int_equal(listener_register(&waiting, world->map, NULL), 0);
        start_all(world);
        must_add_memory(world->map, add_region(REGION_RAM, "fresh", MIB, "system", 8 * MIB, 0));
        must_edit_commit(world->map, set_flags("ram", REGION_DIRTY_LOG, REGION_DIRTY_LOG));
        listener_unregister(&waiting, world->map);
}

/* The kernel does not give its log: the commit that would lose it fails. */
static void test_fetch_fails(void **state) {
        World *world = *state;
        _cleanup_(commit_freep) Commit *commit = NULL;

        start(world);
        guest_write(world, MIB + 3 * PAGE);
        mock_kvm.dirty_errno = -ENOMEM;
        assert_int_equal(dirty_log_sync(world->log, NULL, true, &world->detail), MAP_E_KVM);
        assert_string_equal(world->detail.text, "slot 0: its dirty log: Cannot allocate memory");
        must_edit(world->map, disable("ram"));
        assert_int_equal(commit_new(&commit, world->map, &world->detail), 0);
        assert_int_equal(commit_apply(commit, &world->detail), MAP_E_KVM);
        commit = commit_free(commit);
        map_rollback(world->map, 0);
        mock_kvm.dirty_errno = 0;
        must_edit_commit(world->map, disable("ram"));
        assert_dirty(world, "ram", PAGE_LOG_REGION, "3 ");
}

/* The kernel refuses to log one of the slots: none is. */
static void test_start_fails(void **state) {
        World *world = *state;

        must_add_memory(world->map, add_region(REGION_RAM, "dimm", MIB, "system", 8 * MIB, 0));
        must_commit(world->map);
        free(mock_kvm_take());
        mock_kvm.fail_at = 2;
        mock_kvm.fail_errno = -ENOMEM;
        assert_int_equal(map_log_global_start(world->map, 1, &world->detail), MAP_E_KVM);
        assert_string_equal(world->detail.text, "slot 1: dirty log on: Cannot allocate memory");
        assert_int_equal(world->map->log_global, 0);
        assert_logged(false);
        mock_kvm.fail_at = 0;
        start_all(world);
        assert_logged(true);
        map_log_global_stop(world->map, 1);
}

/* Long slots are cleared in pieces, where there is something. */
static void test_pieces(void **state) {
        World *world = *state;

        must_add_memory(world->map, with_flags(add_region(REGION_RAM, "long", 1024 * MIB + PAGE,
                                                          "system", 64 * MIB, 0),
                                               REGION_DIRTY_LOG));
        must_commit(world->map);
        free(mock_kvm_take());
        guest_write(world, 64 * MIB + 70000 * (uint64_t)PAGE);
        guest_write(world, 64 * MIB + 1024 * MIB);
        sync_all(world, true);
        assert_text(mock_kvm_take(), "1 dirty\n1 clear 65536+65536\n1 clear 262144+1\n");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

UNIT_TESTS(TEST(test_region), TEST(test_look), TEST(test_forgetful_kernel), TEST(test_slots_change),
           TEST(test_alias), TEST(test_global), TEST(test_both), TEST(test_restart),
           TEST(test_written), TEST(test_on_when_published), TEST(test_fetch_fails),
           TEST(test_start_fails), TEST(test_pieces));
