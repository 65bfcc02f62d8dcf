/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A guest at work on the real /dev/kvm: what becomes of its writes, as those outside see it
 */

#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "lib/kvm/accelerator.h"
#include "tests/bus/rig.h"
#include "tests/common/unit.h"

#define ID     "0123456789abcdef0123456789abcdef"
#define VCPU_0 RIG_VM "/vcpu/0"
#define DEVICE RIG_VM "/region/device"
#define DIMM   RIG_VM "/region/dimm"

enum { PROGRAM = 0x1000, PAGE = 4096 };

/* 1 MiB of RAM at 0; "device", that keeps what it is told, at 256 MiB; "dimm" at 512 MiB. */
static int setup(void **state) {
        Rig *rig = rig_new();

        rig_call(rig, RIG_PRIVATE, "Private.Setup", "ssua{sv}", "test", ID, UINT32_C(1000), 1,
                 "accelerator", "s", "kvm");
        assert_string_equal(rig->text, "");
        rig_add(rig, RIG_VM, "ram", "ram", 0x100000, "system", 0);
        rig_add(rig, RIG_VM, "device", "mmio", PAGE, "system", 0x10000000);
        rig_add(rig, RIG_VM, "dimm", "ram", 64 * PAGE, "system", 0x20000000);
        rig_call(rig, RIG_VM, "Map.SetHandler", "ssa{sv}", "device", "latch", 0);
        assert_string_equal(rig->text, "5");
        rig_call(rig, RIG_VM, "VM.AddVCPU", "ua{sv}", UINT32_C(0), 1, "mode", "s", "flat");
        assert_string_equal(rig->text, "/vcpu/0");
        *state = rig;
        return 0;
}

static int teardown(void **state) {
        rig_free(*state);
        return 0;
}

/* From the first byte of the program to its HLT. */
static void run(Rig *rig, const uint8_t *program, size_t n) {
        const Region *ram = map_find_region(rig->service->vm->map, "ram");

        memcpy((char *)ram->backing->host + PROGRAM, program, n);
        rig_call(rig, VCPU_0, "VCPU.SetRegisters", "a{st}", 1, "rip", (uint64_t)PROGRAM);
        assert_string_equal(rig->text, "");
        free(rig_log(rig));
        assert_string_equal(rig_call(rig, VCPU_0, "VCPU.Start", ""), "");
        while (!rig->log || !strstr(rig->log, "Stopped"))
                assert_true(sd_event_run(rig->event, UINT64_C(20000000)) > 0);
        assert_string_equal(rig_get(rig, VCPU_0, "org.guestmap1.VCPU", "State"), "halted");
}

static const char *device_writes(Rig *rig) {
        return rig_get(rig, DEVICE, "org.guestmap1.Region", "HandlerWrites");
}

static void assert_register(Rig *rig, const char *words) {
        rig_call(rig, VCPU_0, "VCPU.GetRegisters", "");
        assert_non_null(strstr(rig->text, words));
}

/* What is gathered reaches the device before it is read, and when the guest halts. */
static void test_coalesced(void **state) {
        static const uint8_t write_read[] = {
                0xb8, 0x44, 0x33, 0x22, 0x11,       /* mov eax, 0x11223344 */
                0xa3, 0x00, 0x01, 0x00, 0x10,       /* mov [0x10000100], eax */
                0x8b, 0x1d, 0x00, 0x02, 0x00, 0x10, /* mov ebx, [0x10000200] */
                0xf4,                               /* hlt */
        };
        static const uint8_t write_only[] = {
                0xa3, 0x00, 0x01, 0x00, 0x10, /* mov [0x10000100], eax */
                0xf4,                         /* hlt */
        };
        Rig *rig = *state;

        rig_call(rig, RIG_VM, "Map.AddCoalesced", "stta{sv}", "device", UINT64_C(0x100),
                 UINT64_C(0x10), 0);
        assert_string_equal(rig->text, "6");
        run(rig, write_read, sizeof(write_read));
        assert_register(rig, "rbx: 287454020"); /* 0x11223344 */
        assert_string_equal(device_writes(rig), "1");
        assert_non_null(strstr(rig_get(rig, VCPU_0, "org.guestmap1.VCPU", "Exits"), "mmio: 1"));
        run(rig, write_only, sizeof(write_only));
        assert_string_equal(device_writes(rig), "2");
        assert_non_null(strstr(rig_get(rig, VCPU_0, "org.guestmap1.VCPU", "Exits"), "mmio: 1"));
}

/* What is gathered and nobody takes is counted, too. */
static void test_coalesced_for_nobody(void **state) {
        static const uint8_t program[] = {
                0xa3, 0x00, 0x01, 0x00, 0x20, /* mov [0x20000100], eax */
                0xa3, 0x04, 0x01, 0x00, 0x20, /* mov [0x20000104], eax */
                0xf4,                         /* hlt */
        };
        Rig *rig = *state;

        rig_add(rig, RIG_VM, "bare", "mmio", 0x1000, "system", 0x20000000);
        rig_call(rig, RIG_VM, "Map.AddCoalesced", "stta{sv}", "bare", UINT64_C(0x100),
                 UINT64_C(0x10), 0);
        run(rig, program, sizeof(program));
        assert_non_null(strstr(rig_get(rig, VCPU_0, "org.guestmap1.VCPU", "Exits"), "mmio: 0"));
        assert_string_equal(rig_get(rig, VCPU_0, "org.guestmap1.VCPU", "Unanswered"), "2");
}

/* The eventfd of an ioeventfd of length 4 at the beginning of the device. */
static uint64_t rings(Rig *rig) {
        eventfd_t n = 0;
        int fd;

        rig_call(rig, DEVICE, "Region.GetIOEventFD", "tubt", UINT64_C(0), UINT32_C(4), false,
                 UINT64_C(0));
        assert_true(sd_bus_message_rewind(rig->reply, true) >= 0);
        assert_true(sd_bus_message_read(rig->reply, "h", &fd) >= 0);
        (void)eventfd_read(fd, &n);
        return n;
}

static void test_ioeventfd(void **state) {
        static const uint8_t program[] = {
                0xa3, 0x00, 0x00, 0x00, 0x10,       /* mov [0x10000000], eax */
                0xa3, 0x00, 0x00, 0x00, 0x10,       /* mov [0x10000000], eax */
                0x66, 0xa3, 0x00, 0x00, 0x00, 0x10, /* mov [0x10000000], ax */
                0xf4,                               /* hlt */
        };
        Rig *rig = *state;

        rig_call(rig, RIG_VM, "Map.AddIOEventFD", "stubta{sv}", "device", UINT64_C(0), UINT32_C(4),
                 false, UINT64_C(0), 0);
        assert_string_equal(rig->text, "6");
        run(rig, program, sizeof(program));
        assert_int_equal(rings(rig), 2);
        assert_string_equal(device_writes(rig), "1");
        /* Where it is hidden the write traps, and is nobody's. */
        rig_add(rig, RIG_VM, "cover", "reserved", 4, "system", 0x10000000);
        assert_string_equal(rig->text, "7");
        run(rig, program, sizeof(program));
        assert_int_equal(rings(rig), 0);
        assert_string_equal(device_writes(rig), "1");
}

/* The pages that are noted, of the 64 that the dimm has. */
static uint64_t dirty(Rig *rig) {
        uint64_t generation, page_size, bits;
        uint64_t *mapped;
        int fd;

        rig_call(rig, DIMM, "Region.GetDirty", "b", true);
        assert_true(sd_bus_message_rewind(rig->reply, true) >= 0);
        assert_true(sd_bus_message_read(rig->reply, "tth", &generation, &page_size, &fd) >= 0);
        mapped = mmap(NULL, sizeof(bits), PROT_READ, MAP_SHARED, fd, 0);
        assert_ptr_not_equal(mapped, MAP_FAILED);
        bits = *mapped;
        munmap(mapped, sizeof(bits));
        return bits;
}

/* In a slot, and in a page that has none because something lies over a part of it. */
static void test_dirty(void **state) {
        static const uint8_t program[] = {
                0xa3, 0x00, 0x30, 0x00, 0x20, /* mov [0x20003000], eax */
                0xa3, 0x00, 0x50, 0x00, 0x20, /* mov [0x20005000], eax */
                0xf4,                         /* hlt */
        };
        Rig *rig = *state;

        rig_call(rig, DIMM, "Region.StartDirtyLog", "");
        assert_string_equal(rig->text, "");
        rig_call(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "cover", "mmio", UINT64_C(8),
                 "system", UINT64_C(0x20005800), 1, 0);
        assert_string_equal(rig->text, "7");
        run(rig, program, sizeof(program));
        assert_non_null(strstr(rig_get(rig, VCPU_0, "org.guestmap1.VCPU", "Exits"), "mmio: 1"));
        assert_int_equal(dirty(rig), 1 << 3 | 1 << 5);
        assert_int_equal(dirty(rig), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_coalesced),
                TEST(test_coalesced_for_nobody),
                TEST(test_ioeventfd),
                TEST(test_dirty),
        };
        int r = kvm_probe();

        if (r < 0) {
                printf("1..0 # SKIP /dev/kvm cannot be used here: %s\n", strerror(-r));
                return 0; /* to a reader of TAP, that line says it all */
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
