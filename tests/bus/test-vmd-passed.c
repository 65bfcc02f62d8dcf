/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Memory that a caller passes in with AddRegion: it is the guest's, it stays the caller's, and what
 * will not do is refused in words and leaves nothing behind
 */

#include <fcntl.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/bus/rig.h"
#include "tests/common/unit.h"

enum { FILE_SIZE = 0x4000 };

static int make_memfd(int seals) {
        int fd = memfd_create("passed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, FILE_SIZE), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
        return fd;
}

/* On whatever the working directory is, a disk for the most part. */
static int make_file(void) {
        int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, FILE_SIZE), 0);
        return fd;
}

static const char *rig_read(Rig *rig, uint64_t at, uint64_t n) {
        return rig_call(rig, RIG_MEMORY, "AddressSpace.Read", "tt", at, n);
}

static const char *rig_pass(Rig *rig, const char *path, const char *kind, uint64_t size, int fd,
                            uint64_t offset) {
        return rig_call(rig, path, "Map.AddRegion", "sststia{sv}", "dimm", kind, size, "system",
                        UINT64_C(0x10000), 0, 2, "fd", "h", fd, "fd-offset", "t", offset);
}

static int count_fds(void) {
        int n = 0;

        for (int fd = 0; fd < 1024; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

static void test_memory_is_shared(void **state) {
        _cleanup_(closep) int fd = make_memfd(F_SEAL_SHRINK);
        Rig *rig = rig_new_vm();
        char byte;

        assert_int_equal(pwrite(fd, "abc", 3, 0x1010), 3);
        assert_string_equal(rig_pass(rig, RIG_VM, "ram", 0x2000, fd, 0x1000), "2");
        assert_string_equal(rig_read(rig, 0x10010, 4), "[97, 98, 99, 0]");
        assert_string_equal(
                rig_call(rig, RIG_MEMORY, "AddressSpace.Write", "tay", UINT64_C(0x11fff), 1, 'z'),
                "");
        assert_int_equal(pread(fd, &byte, 1, 0x2fff), 1);
        assert_int_equal(byte, 'z');
        rig_free(rig);
}

/* Offsets that callers get are those in the file. */
static void test_offsets(void **state) {
        _cleanup_(closep) int fd = make_memfd(F_SEAL_SHRINK);
        Rig *rig = rig_new_vm();

        rig_pass(rig, RIG_VM, "ram", 0x2000, fd, 0x1000);
        assert_string_equal(rig_call(rig, RIG_VM "/region/dimm", "Region.GetMemory", "b", true),
                            "fd 4096 8192");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetBacking", "tb", UINT64_C(1), false),
                            "fd 12288");
        assert_string_equal(rig_call(rig, RIG_MEMORY, "AddressSpace.GetMemoryTable", ""),
                            "2 [(65536 73727 1 4096 0)]");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetSlots", ""), "[(0 65536 73727 4096 1 0)]");
        rig_free(rig);
}

/* It has no seals, and its owner cuts it off: who looks there is told so, and all else goes on. */
static void test_file_cut_off(void **state) {
        static const char cut_off[] =
                "NoMemory: memory of \"dimm\": the file has 4352B, the "
                "region uses it up to 12KiB";
        _cleanup_(closep) int fd = make_file();
        Rig *rig = rig_new_vm();
        struct stat status;

        assert_int_equal(pwrite(fd, "abc", 3, 0x1010), 3);
        rig_add(rig, RIG_VM, "ram", "ram", 0x10000, "system", 0);
        assert_string_equal(rig_pass(rig, RIG_VM, "ram", 0x2000, fd, 0x1000), "3");
        assert_string_equal(rig_read(rig, 0x10010, 4), "[97, 98, 99, 0]");
        assert_string_equal(rig_call(rig, RIG_MEMORY, "AddressSpace.Write", "tay", UINT64_C(0xffff),
                                     3, 'x', 'y', 'z'),
                            "");
        assert_string_equal(rig_read(rig, 0xfffe, 4), "[0, 120, 121, 122]");

        assert_int_equal(ftruncate(fd, 0x1100), 0);
        assert_string_equal(rig_read(rig, 0x100ff, 1), "[0]");
        assert_string_equal(rig_read(rig, 0x100ff, 2), cut_off);
        assert_string_equal(rig_read(rig, 0xfffe, 0x2002), cut_off);
        assert_string_equal(
                rig_call(rig, RIG_MEMORY, "AddressSpace.Write", "tay", UINT64_C(0x11000), 1, 'x'),
                cut_off);
        assert_int_equal(fstat(fd, &status), 0);
        assert_int_equal(status.st_size, 0x1100);
        assert_string_equal(rig_read(rig, 0xfffe, 2), "[0, 120]");
        assert_string_equal(rig_remove(rig, RIG_VM, "dimm"), "4");
        rig_free(rig);
}

static void test_transaction(void **state) {
        _cleanup_(closep) int fd = make_memfd(F_SEAL_SHRINK);
        Rig *rig = rig_new_vm();

        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        assert_string_equal(rig_pass(rig, RIG_VM "/transaction/1", "rom", 0x2000, fd, 0), "0");
        assert_string_equal(rig_flat(rig, RIG_MEMORY), "1 []");
        rig_call(rig, RIG_VM "/transaction/1", "Transaction.Commit", "a{sv}", 0);
        assert_string_equal(rig_flat(rig, RIG_MEMORY), "2 [(65536 73727 dimm 0 rom 1)]");
        rig_free(rig);
}

/* The file is the caller's: its mode stays, it outlives the region, and no descriptor is kept. */
static void test_it_stays_the_callers(void **state) {
        _cleanup_(closep) int fd = make_memfd(F_SEAL_SHRINK);
        int n_fds = count_fds();
        Rig *rig = rig_new_vm();
        struct stat status;

        assert_int_equal(fchmod(fd, 0640), 0);
        rig_pass(rig, RIG_VM, "ram", 0x2000, fd, 0);
        rig_call(rig, RIG_MEMORY, "AddressSpace.Write", "tay", UINT64_C(0x10000), 1, 'a');
        assert_string_equal(rig_remove(rig, RIG_VM, "dimm"), "3");
        assert_int_equal(fstat(fd, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0640);
        assert_string_equal(rig_pass(rig, RIG_VM, "ram", 0x2000, fd, 0), "4");
        assert_string_equal(rig_read(rig, 0x10000, 1), "[97]");
        rig_free(rig);
        assert_int_equal(count_fds(), n_fds);
}

static void assert_refused(Rig *rig, const char *kind, uint64_t size, int fd, uint64_t offset,
                           const char *words) {
        char *before = rig_state(rig);
        int n_fds;

        rig_call(rig, RIG_VM, "Peer.Ping", "");
        n_fds = count_fds();
        assert_string_equal(rig_pass(rig, RIG_VM, kind, size, fd, offset), words);
        assert_text(rig_state(rig), before);
        rig_call(rig, RIG_VM, "Peer.Ping", "");
        assert_int_equal(count_fds(), n_fds);
        free(before);
}

static void test_refused(void **state) {
        _cleanup_(closep) int good = make_memfd(F_SEAL_SHRINK), bad = make_memfd(F_SEAL_WRITE);
        _cleanup_(closep) int zero = open("/dev/zero", O_RDWR | O_CLOEXEC), readonly = -1;
        Rig *rig = rig_new_vm();
        char path[64];

        snprintf(path, sizeof(path), "/proc/self/fd/%d", good);
        readonly = open(path, O_RDONLY | O_CLOEXEC);
        assert_refused(rig, "ram", 0x1000, bad, 0,
                       "InvalidArgs: memory of \"dimm\": the descriptor is of a file that is "
                       "sealed against writing");
        assert_refused(rig, "ram", 0x1000, zero, 0,
                       "InvalidArgs: memory of \"dimm\": the descriptor is of a character "
                       "device, not of a regular file or a dax device");
        assert_refused(rig, "ram", 0x1000, readonly, 0,
                       "InvalidArgs: memory of \"dimm\": the descriptor is not open for reading "
                       "and writing");
        assert_refused(rig, "ram", 0x4000, good, 0x1000,
                       "InvalidRange: memory of \"dimm\": 16KiB at offset 0x1000 reach "
                       "beyond the end of the file (size 16KiB)");
        assert_refused(rig, "ram", 0x1000, good, 0x10,
                       "InvalidRange: memory of \"dimm\": offset 0x10 in the file is no multiple "
                       "of its page size, 4KiB");
        assert_refused(rig, "mmio", 0x1000, good, 0,
                       "InvalidArgs: region \"dimm\": a region of kind mmio has no memory that a "
                       "descriptor could be");
        assert_string_equal(rig_call(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "dimm", "ram",
                                     UINT64_C(0x1000), "system", UINT64_C(0), 0, 1, "fd-offset",
                                     "t", UINT64_C(0)),
                            "InvalidArgs: region \"dimm\": option \"fd-offset\" needs option "
                            "\"fd\"");
        rig_free(rig);
}

static const char *add_ioeventfd(Rig *rig, uint64_t data, int fd) {
        return rig_call(rig, RIG_VM, "Map.AddIOEventFD", "stubta{sv}", "dev", UINT64_C(0),
                        UINT32_C(2), true, data, 1, "fd", "h", fd);
}

/* Also where nobody would look at it: on accelerator none, and a region that is not there yet. */
static void test_doorbells(void **state) {
        _cleanup_(closep) int bell = eventfd(0, EFD_CLOEXEC), file = make_memfd(0);
        Rig *rig = rig_new_vm();

        rig_call(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "dev", "mmio", UINT64_C(0x1000),
                 "system", UINT64_C(0), 0, 1, "enabled", "b", false);
        assert_string_equal(add_ioeventfd(rig, 1, file),
                            "InvalidArgs: region \"dev\": the descriptor is no eventfd");
        assert_string_equal(add_ioeventfd(rig, 0x10000, bell),
                            "InvalidRange: region \"dev\": data 0x10000 is wider than a write of "
                            "2 bytes");
        assert_string_equal(add_ioeventfd(rig, 0xffff, bell), "3");
        rig_free(rig);
}

#define LAYOUT(dimm)                                                                               \
        "{\"guestmap\": 1, \"regions\": ["                                                         \
        "{\"name\": \"system\", \"kind\": \"container\", \"size\": \"2^64\"}, "                    \
        "{\"name\": \"dimm\", \"kind\": \"ram\", \"size\": \"0x2000\", \"parent\": \"system\", "   \
        "\"offset\": \"0x10000\"" dimm "}], "                                                      \
        "\"address-spaces\": [{\"name\": \"memory\", \"root\": \"system\"}]}"

#define PASSED LAYOUT(", \"backing\": \"fd\", \"fd-offset\": \"0x1000\"")

/* The generation after the document, or why not; fd -1: without one. */
static const char *apply(Rig *rig, const char *path, const char *document, const char *name,
                         int fd) {
        if (fd < 0)
                rig_call(rig, path, "Map.Apply", "sa{sv}", document, 0);
        else
                rig_call(rig, path, "Map.Apply", "sa{sv}", document, 1, "fds", "a{sh}", 1, name,
                         fd);
        if (!sd_bus_message_is_method_error(rig->reply, NULL))
                rig->text[strcspn(rig->text, " ")] = '\0';
        return rig->text;
}

static const char *read_byte(Rig *rig) {
        return rig_read(rig, 0x10000, 1);
}

static void test_layout(void **state) {
        _cleanup_(closep) int fd = make_memfd(F_SEAL_SHRINK);
        Rig *rig = rig_new_vm();
        char *layout;

        assert_int_equal(pwrite(fd, "a", 1, 0x1000), 1);
        assert_string_equal(apply(rig, RIG_VM, PASSED, "dimm", fd), "2");
        assert_string_equal(read_byte(rig), "[97]");
        /* It is there: nothing changes, with a descriptor or without. */
        assert_string_equal(apply(rig, RIG_VM, PASSED, "dimm", fd), "2");
        assert_string_equal(apply(rig, RIG_VM, PASSED, NULL, -1), "2");
        layout = strdup(rig_call(rig, RIG_VM, "VM.GetLayout", "a{sv}", 0));
        assert_non_null(strstr(layout, "\"backing\":\"fd\",\"fd-offset\":\"0x1000\""));
        assert_string_equal(apply(rig, RIG_VM, layout, NULL, -1), "2");
        free(layout);
        /* Memory of the service's own is other memory. */
        assert_string_equal(apply(rig, RIG_VM, LAYOUT(""), NULL, -1), "3");
        assert_string_equal(read_byte(rig), "[0]");
        assert_string_equal(apply(rig, RIG_VM, PASSED, NULL, -1),
                            "InvalidArgs: region \"dimm\": its memory is to be passed in, and "
                            "option \"fds\" has none for it");
        assert_string_equal(apply(rig, RIG_VM, PASSED, "dimm", fd), "4");
        assert_string_equal(read_byte(rig), "[97]");
        rig_free(rig);
}

#define PATCH                                                                                      \
        "{\"guestmap\": 1, \"edits\": [{\"add-region\": {\"name\": \"dimm\", \"kind\": \"ram\", "  \
        "\"size\": \"0x2000\", \"parent\": \"system\", \"offset\": \"0x10000\", "                  \
        "\"backing\": \"fd\"}}]}"

static void test_patch(void **state) {
        _cleanup_(closep) int fd = make_memfd(F_SEAL_SHRINK), bad = make_memfd(F_SEAL_WRITE);
        Rig *rig = rig_new_vm();

        assert_int_equal(pwrite(fd, "a", 1, 0), 1);
        assert_string_equal(apply(rig, RIG_VM, PATCH, NULL, -1),
                            "InvalidArgs: edit 1: region \"dimm\": its memory is to be passed in, "
                            "and option \"fds\" has none for it");
        assert_string_equal(apply(rig, RIG_VM, PATCH, "dimm", bad),
                            "InvalidArgs: edit 1: memory of \"dimm\": the descriptor is of a file "
                            "that is sealed against writing");
        rig_call(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
        assert_string_equal(apply(rig, RIG_VM "/transaction/1", PATCH, "dimm", fd), "0");
        rig_call(rig, RIG_VM "/transaction/1", "Transaction.Commit", "a{sv}", 0);
        assert_string_equal(read_byte(rig), "[97]");
        rig_free(rig);
}

static void test_documents_refused(void **state) {
        _cleanup_(closep) int fd = make_memfd(F_SEAL_SHRINK);
        Rig *rig = rig_new_vm();

        assert_string_equal(apply(rig, RIG_VM, PASSED, "dinn", fd),
                            "InvalidArgs: option \"fds\": the document has no region \"dinn\" with "
                            "\"backing\": \"fd\"");
        assert_string_equal(apply(rig, RIG_VM, LAYOUT(""), "dimm", fd),
                            "InvalidArgs: option \"fds\": the document has no region \"dimm\" with "
                            "\"backing\": \"fd\"");
        assert_string_equal(apply(rig, RIG_VM, LAYOUT(", \"backing\": \"file\""), NULL, -1),
                            "InvalidDocument: regions[1].backing: must be \"fd\", or not be there");
        assert_string_equal(apply(rig, RIG_VM, LAYOUT(", \"fd-offset\": 4096"), NULL, -1),
                            "InvalidDocument: regions[1].fd-offset: only with \"backing\": \"fd\"");
        assert_string_equal(rig_call(rig, RIG_VM, "Map.Apply", "sa{sv}", PASSED, 1, "fds", "a{sh}",
                                     2, "dimm", fd, "dimm", fd),
                            "InvalidArgs: region \"dimm\" is given two descriptors");
        assert_string_equal(rig_call(rig, RIG_VM, "Map.Apply", "sa{sv}", PASSED, 1, "fds", "h", fd),
                            "InvalidArgs: option \"fds\" is of type h, not a{sh}");
        rig_free(rig);
}

UNIT_TESTS(cmocka_unit_test(test_memory_is_shared), cmocka_unit_test(test_offsets),
           cmocka_unit_test(test_file_cut_off), cmocka_unit_test(test_transaction),
           cmocka_unit_test(test_it_stays_the_callers), cmocka_unit_test(test_refused),
           cmocka_unit_test(test_doorbells), cmocka_unit_test(test_layout),
           cmocka_unit_test(test_patch), cmocka_unit_test(test_documents_refused));
