/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Dispatch: who gets a guest's access and in which parts, and when a handler comes into force
 */

#include <inttypes.h>
#include <string.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/memory/dispatch.h"
#include "tests/common/memory.h"
#include "tests/common/unit.h"

typedef struct Notebook Notebook;

/* A handler that writes down what it is asked: "r 4@10 " for four bytes read at offset 0x10. */
struct Notebook {
        Handler handler;
        char text[256];
        int answer; /* to all */
        bool freed;
};

static void note(Handler *handler, char what, uint64_t offset, unsigned size, uint64_t value) {
        Notebook *notes = caa_container_of(handler, Notebook, handler);
        size_t n = strlen(notes->text);

        n += (size_t)snprintf(notes->text + n, sizeof(notes->text) - n, "%c %u@%" PRIx64, what,
                              size, offset);
        if (what == 'w')
                n += (size_t)snprintf(notes->text + n, sizeof(notes->text) - n, "=%" PRIx64, value);
        snprintf(notes->text + n, sizeof(notes->text) - n, " ");
}

/* Reads as the low bytes of its offset. */
static int notes_read(Handler *handler, uint64_t offset, unsigned size, uint64_t *ret,
                      const Patience *patience, Detail *reason) {
        Notebook *notes = caa_container_of(handler, Notebook, handler);

        note(handler, 'r', offset, size, 0);
        *ret = offset;
        return notes->answer ? detail_set(reason, notes->answer, "no more reads") : 0;
}

static int notes_write(Handler *handler, uint64_t offset, unsigned size, uint64_t value,
                       const Patience *patience, Detail *reason) {
        Notebook *notes = caa_container_of(handler, Notebook, handler);

        note(handler, 'w', offset, size, value);
        return notes->answer ? detail_set(reason, notes->answer, "no more writes") : 0;
}

static bool notes_same(const Handler *a, const Handler *b) {
        return false;
}

static void notes_free(Handler *handler) {
        caa_container_of(handler, Notebook, handler)->freed = true;
}

static const HandlerOps notes_ops = {
        .kind = "notes",
        .read = notes_read,
        .write = notes_write,
        .same = notes_same,
        .free = notes_free,
};

static const HandlerOps slow_ops = {
        .kind = "slow",
        .waits = true,
        .read = notes_read,
        .write = notes_write,
        .same = notes_same,
        .free = notes_free,
};

/* The notes are the region's, and the caller's to look at until the map has gone. */
static void must_note(Map *map, const char *region, Notebook *notes, const HandlerOps *ops) {
        *notes = (Notebook){};
        handler_init(&notes->handler, ops);
        must_edit_commit(map, set_handler(region, &notes->handler));
        handler_unref(&notes->handler);
}

/*
 * 0-fff ram, 1000-10ff dev, 1100-11ff latch, hole, 2000-2fff rom, 3000-3fff flash (romd),
 * 4000-4fff reserved
 */
static Map *make_map(void) {
        Map *map = scene_new();

        must_add_memory(map, add_region(REGION_RAM, "ram", 0x1000, "system", 0, 0));
        must_edit(map, add_region(REGION_MMIO, "dev", 0x100, "system", 0x1000, 0));
        must_edit(map, add_region(REGION_MMIO, "latch", 0x100, "system", 0x1100, 0));
        must_add_memory(map, with_flags(add_region(REGION_ROM, "rom", 0x1000, "system", 0x2000, 0),
                                        REGION_READONLY));
        must_add_memory(map,
                        with_flags(add_region(REGION_ROMD, "flash", 0x1000, "system", 0x3000, 0),
                                   REGION_DIRECT_READ));
        must_edit(map, add_region(REGION_RESERVED, "no", 0x1000, "system", 0x4000, 0));
        must_set_latch(map, "latch", 0);
        must_commit(map);
        return map;
}

static uint64_t must_read(Dispatcher *dispatcher, uint64_t address, unsigned size) {
        uint64_t value = 0;
        Detail reason = {};

        assert_int_equal(dispatch_read(dispatcher, address, &value, size, &reason), 0);
        return value;
}

static void must_write(Dispatcher *dispatcher, uint64_t address, unsigned size, uint64_t value) {
        Detail reason = {};

        assert_int_equal(dispatch_write(dispatcher, address, &value, size, &reason), 0);
}

static void test_memory(void **state) {
        Map *map = make_map();
        Dispatcher guest;

        dispatcher_init(&guest, map, "memory");
        must_write(&guest, 0xff0, 8, UINT64_C(0x1122334455667788));
        assert_int_equal(must_read(&guest, 0xff4, 4), 0x11223344);
        assert_int_equal(must_host(map, "ram")[0xff0], 0x88);
        must_host(map, "rom")[3] = 7;
        assert_int_equal(must_read(&guest, 0x2003, 1), 7);
        must_write(&guest, 0x2003, 1, 9);
        assert_int_equal(must_host(map, "rom")[3], 7);
        assert_int_equal(guest.n_readonly, 1);
        assert_int_equal(guest.n_unassigned, 0);
        map_free(map);
}

static void test_nobody(void **state) {
        Map *map = make_map();
        Dispatcher guest, nowhere;

        dispatcher_init(&guest, map, "memory");
        assert_true(must_read(&guest, 0x1800, 8) == UINT64_MAX);
        assert_int_equal(must_read(&guest, 0x4000, 2), 0xffff);
        assert_int_equal(must_read(&guest, 0x1000, 4), 0xffffffff); /* dev has no handler yet */
        must_write(&guest, 0x1800, 4, 1);
        assert_int_equal(guest.n_unassigned, 4);
        assert_true(must_read(&guest, UINT64_MAX - 7, 8) == UINT64_MAX);

        dispatcher_init(&nowhere, map, "none such");
        assert_int_equal(must_read(&nowhere, 0, 2), 0xffff);
        assert_int_equal(nowhere.n_unassigned, 1);
        map_free(map);
}

/* ram | dev | latch, and a hole at the end. */
static void test_split(void **state) {
        Map *map = make_map();
        Dispatcher guest;
        Notebook notes;

        must_note(map, "dev", &notes, &notes_ops);
        dispatcher_init(&guest, map, "memory");
        must_write(&guest, 0xffd, 8, UINT64_C(0x8877665544332211));
        assert_int_equal(must_host(map, "ram")[0xfff], 0x33);
        assert_string_equal(notes.text, "w 4@0=77665544 w 1@4=88 ");
        notes.text[0] = '\0';
        must_write(&guest, 0x10fe, 4, 0x44332211);
        assert_string_equal(notes.text, "w 2@fe=2211 ");
        assert_int_equal(must_read(&guest, 0x1100, 2), 0x4433);
        assert_int_equal(must_read(&guest, 0x11fe, 4), 0xffff0000);
        map_free(map);
        assert_true(notes.freed);
}

static void test_widths(void **state) {
        Map *map = make_map();
        Dispatcher guest;
        Notebook notes;

        must_note(map, "dev", &notes, &notes_ops);
        dispatcher_init(&guest, map, "memory");
        notes.handler.widths = (HandlerWidths){2, 4, false};
        assert_true(must_read(&guest, 0x1010, 8) == UINT64_C(0x0000001400000010));
        assert_string_equal(notes.text, "r 4@10 r 4@14 ");
        notes.text[0] = '\0';
        assert_int_equal(must_read(&guest, 0x1011, 1), 0xff);
        assert_string_equal(notes.text, "");
        assert_int_equal(guest.n_unassigned, 1);
        /* A byte at either end is too narrow. */
        assert_int_equal(must_read(&guest, 0x1021, 4), 0xff0022ff);
        assert_string_equal(notes.text, "r 2@22 ");
        notes.text[0] = '\0';
        notes.handler.widths.unaligned = true;
        must_write(&guest, 0x1021, 4, 0x12345678);
        assert_string_equal(notes.text, "w 4@21=12345678 ");
        map_free(map);
}

static void test_rom_device(void **state) {
        Map *map = make_map();
        Dispatcher guest;
        Notebook notes;

        must_note(map, "flash", &notes, &notes_ops);
        dispatcher_init(&guest, map, "memory");
        must_host(map, "flash")[0x10] = 0x5a;
        assert_int_equal(must_read(&guest, 0x3010, 1), 0x5a);
        must_write(&guest, 0x3010, 1, 0x90);
        assert_string_equal(notes.text, "w 1@10=90 ");
        assert_int_equal(must_host(map, "flash")[0x10], 0x5a);
        must_edit_commit(map, set_flags("flash", REGION_DIRECT_READ, 0));
        assert_int_equal(must_read(&guest, 0x3010, 1), 0x10);
        assert_string_equal(notes.text, "w 1@10=90 r 1@10 ");
        map_free(map);
}

/* The rest of the access is not made, and the vCPU is told why. */
static void test_stop(void **state) {
        Map *map = make_map();
        Detail reason = {};
        Dispatcher guest;
        uint64_t value = 0;
        Notebook notes;

        must_note(map, "dev", &notes, &notes_ops);
        notes.answer = 3;
        dispatcher_init(&guest, map, "memory");
        assert_int_equal(dispatch_read(&guest, 0x10fe, &value, 4, &reason), 3);
        assert_string_equal(reason.text, "no more reads");
        value = 1;
        assert_int_equal(dispatch_write(&guest, 0x1004, &value, 8, &reason), 3);
        assert_string_equal(reason.text, "no more writes");
        assert_string_equal(notes.text, "r 2@fe w 4@4=1 ");
        map_free(map);
}

/* One that waits is kept by the access that waits for it. */
static void test_one_that_waits(void **state) {
        Map *map = make_map();
        Dispatcher guest;
        Notebook notes;

        must_note(map, "dev", &notes, &slow_ops);
        dispatcher_init(&guest, map, "memory");
        assert_int_equal(must_read(&guest, 0x1020, 4), 0x20);
        must_write(&guest, 0x1020, 4, 5);
        assert_string_equal(notes.text, "r 4@20 w 4@20=5 ");
        assert_int_equal(notes.handler.ref.refcount, 2); /* the region's two */
        map_free(map);
        assert_true(notes.freed);
}

static uint64_t rung(int fd) {
        uint64_t n = 0;

        return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void test_ioeventfd(void **state) {
        int any = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), seven;
        IOEventFD *ioeventfd = NULL;
        Map *map = make_map();
        Dispatcher guest;
        Notebook notes;

        seven = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        assert_int_equal(ioeventfd_new(&ioeventfd, 0x10, 0, false, 0, any), 0);
        must_edit(map, add_ioeventfd("dev", ioeventfd));
        ioeventfd_unref(ioeventfd);
        assert_int_equal(ioeventfd_new(&ioeventfd, 0x20, 4, true, 7, seven), 0);
        must_edit(map, add_ioeventfd("dev", ioeventfd));
        ioeventfd_unref(ioeventfd);
        must_note(map, "dev", &notes, &notes_ops);
        dispatcher_init(&guest, map, "memory");

        must_write(&guest, 0x1010, 1, 1);
        must_write(&guest, 0x1010, 8, 2);
        assert_int_equal(rung(any), 2);
        must_write(&guest, 0x1020, 4, 7);
        assert_int_equal(rung(seven), 1);
        assert_string_equal(notes.text, "");
        must_write(&guest, 0x1020, 4, 8);
        must_write(&guest, 0x1020, 2, 7);
        must_write(&guest, 0x1024, 4, 7);
        assert_int_equal(rung(seven), 0);
        assert_string_equal(notes.text, "w 4@20=8 w 2@20=7 w 4@24=7 ");
        assert_int_equal(must_read(&guest, 0x1010, 1), 0x10);
        assert_int_equal(rung(any), 0);
        map_free(map);
}

/* Who has the descriptor, too, may fill the counter and let writes wait until it is not full. */
static void test_full_ioeventfd(void **state) {
        int any = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), others = dup(any);
        IOEventFD *ioeventfd = NULL;
        Map *map = make_map();
        Dispatcher guest;

        assert_int_equal(ioeventfd_new(&ioeventfd, 0x10, 0, false, 0, any), 0);
        must_edit_commit(map, add_ioeventfd("dev", ioeventfd));
        ioeventfd_unref(ioeventfd);
        dispatcher_init(&guest, map, "memory");
        assert_int_equal(eventfd_write(others, UINT64_MAX - 1), 0);
        assert_int_equal(fcntl(others, F_SETFL, 0), 0);
        must_write(&guest, 0x1010, 4, 1);
        assert_true(rung(others) == UINT64_MAX - 1);
        must_write(&guest, 0x1010, 4, 1);
        assert_int_equal(rung(others), 1);
        assert_int_equal(dispatcher_n_unanswered(&guest), 0);
        map_free(map);
        close(others);
}

/* Who postpones must not wait, so that is no time to signal. */
static void test_postponed_ioeventfd(void **state) {
        int any = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), kept = dup(any);
        IOEventFD *ioeventfd = NULL;
        Map *map = make_map();
        PendingWrite write;
        Detail reason = {};
        Dispatcher guest;

        assert_int_equal(ioeventfd_new(&ioeventfd, 0x10, 0, false, 0, any), 0);
        must_edit_commit(map, add_ioeventfd("dev", ioeventfd));
        ioeventfd_unref(ioeventfd);
        dispatcher_init(&guest, map, "memory");
        assert_true(dispatch_postpone(&guest, 0x1010, "\1", 1, &write));
        assert_true(pending_write_waits(&write));
        assert_int_equal(rung(kept), 0);
        must_edit_commit(map, remove_region("dev"));
        assert_int_equal(dispatch_make(&guest, &write, NULL, &reason), 0);
        assert_int_equal(rung(kept), 1);
        pending_write_deinit(&write);
        map_free(map);
        close(kept);
}

/* Visible with the commit and not before; a rollback leaves whom there was. */
static void test_commit(void **state) {
        Map *map = make_map();
        Dispatcher guest;

        dispatcher_init(&guest, map, "memory");
        must_set_constant(map, "dev", 1);
        assert_int_equal(must_read(&guest, 0x1000, 1), 0xff);
        must_commit(map);
        assert_int_equal(must_read(&guest, 0x1000, 1), 1);
        must_set_constant(map, "dev", 2);
        must_set_constant(map, "dev", 3);
        map_rollback(map, 0);
        assert_int_equal(must_read(&guest, 0x1000, 1), 1);
        must_set_constant(map, "dev", 2);
        must_set_constant(map, "dev", 3);
        must_commit(map);
        assert_int_equal(must_read(&guest, 0x1000, 1), 3);
        map_free(map);
}

/* A commit that changes a handler alone has a generation; setting the same again has none. */
static void test_generations(void **state) {
        Map *map = make_map();

        assert_int_equal(map->generation, 2);
        must_set_constant(map, "dev", 1);
        must_commit(map);
        assert_int_equal(map->generation, 3);
        must_set_constant(map, "dev", 1);
        assert_int_equal(map_mark(map), 0);
        must_commit(map);
        assert_int_equal(map->generation, 3);
        /* There and back is no change. */
        must_edit(map, add_region(REGION_MMIO, "new", 0x100, "system", 0x8000, 0));
        must_set_constant(map, "new", 1);
        must_edit(map, remove_region("new"));
        must_commit(map);
        assert_int_equal(map->generation, 3);
        map_free(map);
}

/* Who reads an older snapshot has the handlers of that one, as long as he reads it. */
static void test_snapshots(void **state) {
        uint64_t before, value = 0;
        const Region *dev;
        Map *map = make_map();

        must_set_constant(map, "dev", 1);
        must_commit(map);
        dev = must_find(map, "dev");
        rcu_register();
        rcu_enter();
        before = map_snapshot(map)->generation;
        must_set_constant(map, "dev", 2);
        must_commit(map);
        handler_read(handler_in_force(dev, before), 0, 1, &value, NULL, NULL);
        assert_int_equal(value, 1);
        handler_read(handler_in_force(dev, map_snapshot(map)->generation), 0, 1, &value, NULL,
                     NULL);
        assert_int_equal(value, 2);
        assert_null(handler_in_force(dev, 1));
        rcu_leave();
        rcu_unregister();
        map_free(map);
}

static void test_refused(void **state) {
        _cleanup_(handler_unrefp) Handler *none = NULL;
        Map *map = make_map();
        Detail detail = {};
        Edit edit;

        assert_int_equal(handler_new_constant(&none, 1), 0);
        edit = set_handler("ram", none);
        assert_int_equal(map_edit(map, &edit, &detail), MAP_E_INVALID_KIND);
        assert_string_equal(detail.text, "region \"ram\": this is for mmio and romd, not for ram");
        edit = set_handler("nobody", none);
        assert_int_equal(map_edit(map, &edit, &detail), MAP_E_NO_SUCH_REGION);
        map_free(map);
}

/* A region takes its handler along when it goes. */
static void test_removal(void **state) {
        Map *map = make_map();
        Dispatcher guest;
        Notebook notes;

        must_note(map, "dev", &notes, &notes_ops);
        dispatcher_init(&guest, map, "memory");
        must_edit_commit(map, remove_region("dev"));
        assert_int_equal(must_read(&guest, 0x1000, 1), 0xff);
        rcu_barrier_all();
        rcu_barrier_all();
        assert_true(notes.freed);
        map_free(map);
}

UNIT_TESTS(cmocka_unit_test(test_memory), cmocka_unit_test(test_nobody),
           cmocka_unit_test(test_split), cmocka_unit_test(test_widths),
           cmocka_unit_test(test_rom_device), cmocka_unit_test(test_stop),
           cmocka_unit_test(test_one_that_waits), cmocka_unit_test(test_ioeventfd),
           cmocka_unit_test(test_full_ioeventfd), cmocka_unit_test(test_postponed_ioeventfd),
           cmocka_unit_test(test_commit), cmocka_unit_test(test_generations),
           cmocka_unit_test(test_snapshots), cmocka_unit_test(test_refused),
           cmocka_unit_test(test_removal));
