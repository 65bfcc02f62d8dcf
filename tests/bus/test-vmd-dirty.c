/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * StartDirtyLog, StopDirtyLog and GetDirty: what is given, in which form, and when it is refused
 *
 * Pages are written through AddressSpace.Write; what guests write is tried in tests/kvm.
 */

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "daemon/vm/dirty.h"
#include "tests/bus/rig.h"
#include "tests/common/unit.h"

#define RIG_RAM RIG_VM "/region/ram"

enum { PAGE = 4096, PAGES = 200 };

/* "ram" of 200 pages at 0, "more" of one and a half behind it. Generation 3. */
static Rig *rig_new_memory(void) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "ram", "ram", PAGES * PAGE, "system", 0);
        rig_add(rig, RIG_VM, "more", "ram", PAGE + PAGE / 2, "system", PAGES * PAGE);
        assert_string_equal(rig->text, "3");
        free(rig_log(rig));
        return rig;
}

static void write_byte(Rig *rig, uint64_t address) {
        assert_string_equal(
                rig_call(rig, RIG_MEMORY, "AddressSpace.Write", "tay", address, 1, 0x77), "");
}

/* A file that came in the last reply, mapped. */
typedef struct Given {
        uint8_t *at;
        size_t size;
} Given;

static void given_deinit(Given *given) {
        munmap(given->at, given->size);
}

static Given must_be_given(Rig *rig, uint64_t generation) {
        uint64_t told, page_size;
        struct stat status;
        Given given;
        int fd, seals;

        assert_true(sd_bus_message_rewind(rig->reply, true) >= 0);
        assert_true(sd_bus_message_read(rig->reply, "tth", &told, &page_size, &fd) >= 0);
        assert_int_equal(told, generation);
        assert_int_equal(page_size, PAGE);
        seals = fcntl(fd, F_GET_SEALS);
        assert_int_equal(seals, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
        assert_int_equal(fstat(fd, &status), 0);
        given.size = (size_t)status.st_size;
        given.at = mmap(NULL, given.size, PROT_READ, MAP_SHARED, fd, 0);
        assert_ptr_not_equal(given.at, MAP_FAILED);
        return given;
}

static void assert_bits(const uint8_t *bytes, uint64_t n_pages, const char *expected) {
        size_t length;
        char *text;
        FILE *stream = open_memstream(&text, &length);

        assert_non_null(stream);
        for (uint64_t page = 0; page < n_pages; page++)
                if (bytes[page / 8] >> page % 8 & 1)
                        fprintf(stream, "%u ", (unsigned)page);
        fclose(stream);
        assert_text(text, expected);
}

static void assert_region(Rig *rig, bool clear, uint64_t generation, const char *expected) {
        _cleanup_(given_deinit) Given given = {};

        rig_call(rig, RIG_RAM, "Region.GetDirty", "b", clear);
        given = must_be_given(rig, generation);
        assert_int_equal(given.size, 4 * sizeof(uint64_t));
        assert_bits(given.at, given.size * 8, expected);
}

static void test_region(void **state) {
        Rig *rig = rig_new_memory();

        assert_string_equal(rig_call(rig, RIG_RAM, "Region.GetDirty", "b", true),
                            "NotSupported: region \"ram\": its "
                            "dirty log was never started");
        write_byte(rig, 7 * PAGE);
        assert_string_equal(rig_call(rig, RIG_RAM, "Region.StartDirtyLog", ""), "");
        assert_string_equal(rig_get(rig, RIG_RAM, "org.guestmap1.Region", "DirtyLog"), "true");
        assert_region(rig, true, 4, "");

        write_byte(rig, 3 * PAGE);
        write_byte(rig, 130 * PAGE + 5);
        write_byte(rig, PAGES * PAGE - 1);
        write_byte(rig, PAGES * PAGE);
        assert_region(rig, false, 4, "3 130 199 ");
        assert_region(rig, true, 4, "3 130 199 ");
        assert_region(rig, true, 4, "");

        /* Stopped it can still be read, and started again it begins anew. */
        write_byte(rig, 8 * PAGE);
        rig_call(rig, RIG_RAM, "Region.StopDirtyLog", "");
        write_byte(rig, 10 * PAGE);
        assert_region(rig, false, 5, "8 ");
        rig_call(rig, RIG_RAM, "Region.StartDirtyLog", "");
        assert_region(rig, false, 6, "");
        /* Started once more it goes on. */
        write_byte(rig, 9 * PAGE);
        rig_call(rig, RIG_RAM, "Region.StartDirtyLog", "");
        assert_region(rig, false, 6, "9 ");
        rig_free(rig);
}

static void test_not_memory(void **state) {
        Rig *rig = rig_new_memory();

        rig_add(rig, RIG_VM, "device", "mmio", PAGE, "system", 0x10000000);
        assert_string_equal(rig_call(rig, RIG_VM "/region/device", "Region.StartDirtyLog", ""),
                            "InvalidKind: region \"device\": "
                            "dirty-log is for memory, this is mmio");
        assert_string_equal(rig_call(rig, RIG_VM "/region/device", "Region.GetDirty", "b", false),
                            "NotSupported: region \"device\": "
                            "its dirty log was never started");
        rig_free(rig);
}

static const char *start(Rig *rig, const char *reason) {
        return rig_call(rig, RIG_VM, "VM.StartDirtyLog", "sa{sv}", reason, 0);
}

static const char *stop(Rig *rig, const char *reason) {
        return rig_call(rig, RIG_VM, "VM.StopDirtyLog", "sa{sv}", reason, 0);
}

static void assert_row(const Given *given, unsigned n, uint64_t backing, uint64_t n_pages,
                       uint64_t n_dirty, const char *expected) {
        const DirtyIndex *index = (const DirtyIndex *)given->at;
        const DirtyRow *row = (const DirtyRow *)(index + 1) + n;

        assert_true(n < index->n_rows);
        assert_int_equal(row->backing, backing);
        assert_int_equal(row->n_pages, n_pages);
        assert_int_equal(row->n_dirty, n_dirty);
        assert_int_equal(row->offset % sizeof(uint64_t), 0);
        assert_true(row->offset + (n_pages + 63) / 64 * 8 <= given->size);
        assert_bits(given->at + row->offset, n_pages, expected);
}

static Given get_vm(Rig *rig, bool clear, uint64_t n_rows) {
        const DirtyIndex *index;
        Given given;

        rig_call(rig, RIG_VM, "VM.GetDirty", "b", clear);
        given = must_be_given(rig, 3);
        index = (const DirtyIndex *)given.at;
        assert_memory_equal(index->magic, "gmdirty\1", 8);
        assert_int_equal(index->generation, 3);
        assert_int_equal(index->page_size, PAGE);
        assert_int_equal(index->n_rows, n_rows);
        return given;
}

static void test_vm(void **state) {
        Rig *rig = rig_new_memory();
        Given given;

        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetDirty", "b", true),
                            "NotSupported: VM \"test\": its "
                            "dirty log was never started");
        write_byte(rig, 7 * PAGE);
        assert_string_equal(start(rig, "migration"), "");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetSlots", ""),
                            "[(0 0 819199 0 1 1), (1 819200 823295 0 2 1)]");
        write_byte(rig, 3 * PAGE);
        write_byte(rig, PAGES * PAGE + PAGE); /* in the part of it that has no slot */
        given = get_vm(rig, false, 2);
        assert_row(&given, 0, 1, PAGES, 1, "3 ");
        assert_row(&given, 1, 2, 2, 1, "1 ");
        given_deinit(&given);
        given = get_vm(rig, true, 2);
        assert_row(&given, 0, 1, PAGES, 1, "3 ");
        given_deinit(&given);

        /* A reason more, a reason less. */
        start(rig, "rate");
        stop(rig, "migration");
        write_byte(rig, 4 * PAGE);
        given = get_vm(rig, false, 2);
        assert_row(&given, 0, 1, PAGES, 1, "4 ");
        assert_row(&given, 1, 2, 2, 0, "");
        given_deinit(&given);
        stop(rig, "rate");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetSlots", ""),
                            "[(0 0 819199 0 1 0), (1 819200 823295 0 2 0)]");
        given = get_vm(rig, true, 2);
        assert_row(&given, 0, 1, PAGES, 1, "4 ");
        given_deinit(&given);
        start(rig, "rate");
        given = get_vm(rig, true, 2);
        assert_row(&given, 0, 1, PAGES, 0, "");
        given_deinit(&given);
        rig_free(rig);
}

static void test_refused(void **state) {
        Rig *rig = rig_new_memory();

        assert_string_equal(start(rig, "curiosity"),
                            "InvalidArgs: reason "
                            "\"curiosity\" is neither \"migration\" nor \"rate\"");
        assert_string_equal(stop(rig, ""), "InvalidArgs: reason \"\" is "
                                           "neither \"migration\" nor \"rate\"");
        assert_string_equal(
                rig_call(rig, RIG_VM, "VM.StartDirtyLog", "sa{sv}", "rate", 1, "x", "b", true),
                "InvalidArgs: unknown option \"x\"");
        assert_string_equal(stop(rig, "rate"), "");
        rig_free(rig);
}

/* Of region and VM it is noted apart; regions that come later are noted, too. */
static void test_both(void **state) {
        Rig *rig = rig_new_memory();
        Given given;

        rig_call(rig, RIG_VM, "VM.StartDirtyLog", "sa{sv}", "rate", 0);
        write_byte(rig, 1 * PAGE);
        rig_call(rig, RIG_RAM, "Region.StartDirtyLog", "");
        write_byte(rig, 2 * PAGE);
        assert_region(rig, true, 4, "2 ");
        rig_add(rig, RIG_VM, "dimm", "ram", 64 * PAGE, "system", 0x10000000);
        write_byte(rig, 0x10000000 + 5 * PAGE);
        rig_call(rig, RIG_VM, "VM.GetDirty", "b", true);
        given = must_be_given(rig, 5);
        assert_int_equal(((const DirtyIndex *)given.at)->n_rows, 3);
        assert_row(&given, 0, 1, PAGES, 2, "1 2 ");
        assert_row(&given, 2, 3, 64, 1, "5 ");
        given_deinit(&given);

        /* Each ends for itself. */
        rig_call(rig, RIG_VM, "VM.StopDirtyLog", "sa{sv}", "rate", 0);
        write_byte(rig, 6 * PAGE);
        assert_region(rig, true, 5, "6 ");
        rig_call(rig, RIG_VM, "VM.GetDirty", "b", true);
        given = must_be_given(rig, 5);
        assert_row(&given, 0, 1, PAGES, 0, "");
        given_deinit(&given);
        rig_free(rig);
}

UNIT_TESTS(cmocka_unit_test(test_region), cmocka_unit_test(test_not_memory),
           cmocka_unit_test(test_vm), cmocka_unit_test(test_refused), cmocka_unit_test(test_both));
