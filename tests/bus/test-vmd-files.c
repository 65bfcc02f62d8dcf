/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Guests on the real /dev/kvm in memory that is a file without seals: they run in it, and stop when
 * its owner cuts it off
 */

#include <fcntl.h>
#include <string.h>

#include "lib/kvm/accelerator.h"
#include "tests/bus/rig.h"
#include "tests/common/unit.h"

#define ID     "0123456789abcdef0123456789abcdef"
#define VCPU_0 RIG_VM "/vcpu/0"
#define FILE_0 UINT64_C(0x100000) /* where the guest has it */
#define VCPU   "org.guestmap1.VCPU"

#define CUT_OFF "memory of \"file\": the file has 4KiB, the region uses it up to 16KiB"

typedef struct Guest {
        Rig *rig;
        int file; /* on a disk for the most part */
} Guest;

/* RAM of the service's own, and a file behind it. */
static int setup(void **state) {
        Guest *guest = calloc(1, sizeof(*guest));

        assert_non_null(guest);
        guest->file = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        assert_true(guest->file >= 0);
        assert_int_equal(ftruncate(guest->file, 0x4000), 0);
        guest->rig = rig_new();
        rig_call(guest->rig, RIG_PRIVATE, "Private.Setup", "ssua{sv}", "test", ID, UINT32_C(1000),
                 1, "accelerator", "s", "kvm");
        rig_add(guest->rig, RIG_VM, "ram", "ram", FILE_0, "system", 0);
        rig_call(guest->rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "file", "ram",
                 UINT64_C(0x4000), "system", FILE_0, 0, 1, "fd", "h", guest->file);
        assert_string_equal(guest->rig->text, "3");
        rig_call(guest->rig, RIG_VM, "VM.AddVCPU", "ua{sv}", UINT32_C(0), 1, "mode", "s", "flat");
        assert_string_equal(guest->rig->text, "/vcpu/0");
        *state = guest;
        return 0;
}

static int teardown(void **state) {
        Guest *guest = *state;

        rig_free(guest->rig);
        close(guest->file);
        free(guest);
        return 0;
}

/* From there on, until it stops: why it did. */
static const char *run(Rig *rig, uint64_t address) {
        rig_call(rig, VCPU_0, "VCPU.SetRegisters", "a{st}", 1, "rip", address);
        free(rig_log(rig));
        rig_call(rig, VCPU_0, "VCPU.Start", "");
        while (!rig->log || !strstr(rig->log, "Stopped"))
                assert_true(sd_event_run(rig->event, UINT64_C(20000000)) > 0);
        return rig_get(rig, VCPU_0, VCPU, "StopReason");
}

static void put_program(Rig *rig, uint64_t address, const uint8_t *program, size_t n) {
        for (size_t i = 0; i < n; i++)
                assert_string_equal(rig_call(rig, RIG_MEMORY, "AddressSpace.Write", "tay",
                                             address + i, 1, program[i]),
                                    "");
}

static const uint8_t store_and_halt[] = {
        0xc7, 0x05, 0x00, 0x20, 0x10, 0x00, 0x78, 0x56, 0x34, 0x12, /* mov [0x102000], 0x12345678 */
        0xf4,                                                       /* hlt */
};

static void test_guest_runs_in_it(void **state) {
        Guest *guest = *state;
        uint32_t value;

        put_program(guest->rig, FILE_0 + 0x1000, store_and_halt, sizeof(store_and_halt));
        assert_string_equal(run(guest->rig, FILE_0 + 0x1000), "hlt");
        assert_int_equal(pread(guest->file, &value, sizeof(value), 0x2000), sizeof(value));
        assert_int_equal(value, 0x12345678);
}

static void assert_ends_with(const char *text, const char *end) {
        size_t n = strlen(text), length = strlen(end);

        if (n < length || strcmp(text + n - length, end) != 0)
                fail_msg("\"%s\" does not end with \"%s\"", text, end);
}

/* What KVM makes of a page that is gone depends on the processor: an error, or a trapped access. */
static void test_guest_stores_beyond(void **state) {
        Guest *guest = *state;
        Rig *rig = guest->rig;

        put_program(rig, 0x1000, store_and_halt, sizeof(store_and_halt));
        assert_string_equal(run(rig, 0x1000), "hlt");
        assert_int_equal(ftruncate(guest->file, 0x1000), 0);
        assert_ends_with(run(rig, 0x1000), CUT_OFF);

        /* The process lives, so does what else it has, and the guest goes on when it can. */
        assert_string_equal(
                rig_call(rig, RIG_MEMORY, "AddressSpace.Read", "tt", UINT64_C(0x1000), UINT64_C(2)),
                "[199, 5]");
        assert_int_equal(ftruncate(guest->file, 0x4000), 0);
        assert_string_equal(run(rig, 0x1000), "hlt");
}

static void test_guest_runs_beyond(void **state) {
        Guest *guest = *state;
        Rig *rig = guest->rig;

        put_program(rig, FILE_0 + 0x1000, store_and_halt, sizeof(store_and_halt));
        assert_string_equal(run(rig, FILE_0 + 0x1000), "hlt");
        assert_int_equal(ftruncate(guest->file, 0x1000), 0);
        assert_ends_with(run(rig, FILE_0 + 0x1000), ": " CUT_OFF);
        assert_string_equal(rig_get(rig, VCPU_0, VCPU, "State"), "failed");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_guest_runs_in_it),
                TEST(test_guest_stores_beyond),
                TEST(test_guest_runs_beyond),
        };
        int r = kvm_probe();

        if (r < 0) {
                printf("1..0 # SKIP /dev/kvm cannot be used here: %s\n", strerror(-r));
                return 0; /* to a reader of TAP, that line says it all */
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
