/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A guest whose device is another process, which need not answer: what stops the guest, what does
 * not, and that no write goes astray
 */

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/kvm/accelerator.h"
#include "tests/bus/rig.h"
#include "tests/common/unit.h"

#define ID     "0123456789abcdef0123456789abcdef"
#define VCPU_0 RIG_VM "/vcpu/0"
#define DEVICE RIG_VM "/region/device"
#define OTHER  RIG_VM "/region/other"

enum { PROGRAM = 0x1000, PAGE = 4096, RECORD = 32 };

typedef struct World World;

struct World {
        Rig *rig;
        int peer; /* the device's other end */
};

/* A guest may be told to stop for a minute before the peer's time is up. */
static void set_socket(World *world) {
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        rig_call(world->rig, RIG_VM, "Map.SetHandler", "ssa{sv}", "device", "socket", 2, "fd", "h",
                 pair[0], "timeout-usec", "t", UINT64_C(60000000));
        assert_false(sd_bus_message_is_method_error(world->rig->reply, NULL));
        close(pair[0]);
        world->peer = pair[1];
}

/* 1 MiB of RAM at 0; "device" at 256 MiB, with a coalesced zone of 16 bytes at 0x100. */
static int setup(void **state) {
        World *world = calloc(1, sizeof(*world));
        Rig *rig = rig_new();

        assert_non_null(world);
        world->rig = rig;
        rig_call(rig, RIG_PRIVATE, "Private.Setup", "ssua{sv}", "test", ID, UINT32_C(1000), 1,
                 "accelerator", "s", "kvm");
        assert_string_equal(rig->text, "");
        rig_add(rig, RIG_VM, "ram", "ram", 0x100000, "system", 0);
        rig_add(rig, RIG_VM, "device", "mmio", PAGE, "system", 0x10000000);
        rig_call(rig, RIG_VM, "Map.AddCoalesced", "stta{sv}", "device", UINT64_C(0x100),
                 UINT64_C(0x10), 0);
        rig_call(rig, RIG_VM, "VM.AddVCPU", "ua{sv}", UINT32_C(0), 1, "mode", "s", "flat");
        assert_string_equal(rig->text, "/vcpu/0");
        set_socket(world);
        *state = world;
        return 0;
}

static int teardown(void **state) {
        World *world = *state;

        if (world->rig)
                rig_free(world->rig);
        close(world->peer);
        free(world);
        return 0;
}

static void start(Rig *rig, const uint8_t *program, size_t n) {
        const Region *ram = map_find_region(rig->service->vm->map, "ram");

        memcpy((char *)ram->backing->host + PROGRAM, program, n);
        rig_call(rig, VCPU_0, "VCPU.SetRegisters", "a{st}", 1, "rip", (uint64_t)PROGRAM);
        assert_string_equal(rig->text, "");
        free(rig_log(rig));
        assert_string_equal(rig_call(rig, VCPU_0, "VCPU.Start", ""), "");
}

static void await_stop(Rig *rig) {
        while (!strstr(rig->log, "Stopped"))
                assert_true(sd_event_run(rig->event, UINT64_C(20000000)) > 0);
}

static void assert_stopped(Rig *rig, const char *reason, const char *address) {
        assert_string_equal(rig_get(rig, VCPU_0, "org.guestmap1.VCPU", "State"), "stopped");
        assert_string_equal(rig_get(rig, VCPU_0, "org.guestmap1.VCPU", "StopReason"), reason);
        assert_string_equal(rig_get(rig, VCPU_0, "org.guestmap1.VCPU", "StopAddress"), address);
}

/* The guest's next request: its offset, and of a write its data. */
static void assert_request(const World *world, uint64_t offset, uint64_t data) {
        uint64_t request[4];

        assert_int_equal(recv(world->peer, request, RECORD, MSG_WAITALL), RECORD);
        assert_int_equal(request[2], offset);
        assert_int_equal(request[3], data);
}

static void give_value(const World *world, uint64_t value) {
        const uint64_t reply[4] = {value};

        assert_int_equal(send(world->peer, reply, RECORD, MSG_NOSIGNAL), RECORD);
}

#define TOLD_TO_STOP "handler: region \"device\": told to stop before there was an answer"

/* It is not waited for; its late answer is nobody's. */
static void test_stop(void **state) {
        static const uint8_t program[] = {
                0x8b, 0x1d, 0x00, 0x02, 0x00, 0x10, /* mov ebx, [0x10000200] */
                0x8b, 0x1d, 0x04, 0x02, 0x00, 0x10, /* mov ebx, [0x10000204] */
                0xf4,                               /* hlt */
        };
        World *world = *state;
        Rig *rig = world->rig;

        start(rig, program, sizeof(program));
        assert_request(world, 0x200, 0);
        assert_string_equal(rig_call(rig, VCPU_0, "VCPU.Stop", ""), "");
        assert_stopped(rig, TOLD_TO_STOP, "268435968");
        free(rig_log(rig));
        give_value(world, 1);
        assert_string_equal(rig_call(rig, VCPU_0, "VCPU.Start", ""), "");
        assert_request(world, 0x204, 0);
        give_value(world, 2);
        await_stop(rig);
        assert_string_equal(rig_get(rig, VCPU_0, "org.guestmap1.VCPU", "StopReason"), "hlt");
        rig_call(rig, VCPU_0, "VCPU.GetRegisters", "");
        assert_non_null(strstr(rig->text, "rbx: 2,"));
        assert_string_equal(rig_get(rig, DEVICE, "org.guestmap1.Region", "HandlerReads"), "1");
}

static void test_destroy(void **state) {
        static const uint8_t program[] = {
                0x8b, 0x1d, 0x00, 0x02, 0x00, 0x10, /* mov ebx, [0x10000200] */
                0xf4,                               /* hlt */
        };
        World *world = *state;

        start(world->rig, program, sizeof(program));
        assert_request(world, 0x200, 0);
        world->rig = rig_free(world->rig);
}

/* Nobody is there for what was gathered: that stops the vCPU, at the next access or at its end. */
static void test_nobody(void **state) {
        static const uint8_t write_halt[] = {
                0xa3, 0x04, 0x01, 0x00, 0x10, /* mov [0x10000104], eax */
                0xf4,                         /* hlt */
        };
        static const uint8_t write_read[] = {
                0xa3, 0x08, 0x01, 0x00, 0x10,       /* mov [0x10000108], eax */
                0x8b, 0x1d, 0x00, 0x10, 0x00, 0x10, /* mov ebx, [0x10001000] */
                0xf4,                               /* hlt */
        };
        World *world = *state;
        Rig *rig = world->rig;

        rig_add(rig, RIG_VM, "other", "mmio", PAGE, "system", 0x10001000);
        rig_call(rig, RIG_VM, "Map.SetHandler", "ssa{sv}", "other", "latch", 1, "value", "t",
                 UINT64_C(7));
        shutdown(world->peer, SHUT_RDWR);
        start(rig, write_halt, sizeof(write_halt));
        await_stop(rig);
        assert_stopped(rig, "handler: region \"device\": Broken pipe", "268435716");
        start(rig, write_read, sizeof(write_read));
        await_stop(rig);
        assert_stopped(rig, "handler: region \"device\": its socket failed before", "268435720");
        /* The read was another device's, which did answer. */
        rig_call(rig, VCPU_0, "VCPU.GetRegisters", "");
        assert_non_null(strstr(rig->text, "rbx: 7,"));
        assert_string_equal(rig_get(rig, DEVICE, "org.guestmap1.Region", "HandlerWrites"), "0");
}

/* Writes eax to a gathered register, says so in memory, and goes on without leaving. */
static const uint8_t write_on[] = {
        0xa3, 0x0c, 0x01, 0x00, 0x10,       /* mov [0x1000010c], eax */
        0xff, 0x05, 0x00, 0x40, 0x00, 0x00, /* inc dword [0x4000] */
        0xeb, 0xf8,                         /* jmp to the inc */
};

static void start_write_on(World *world) {
        const Region *ram = map_find_region(world->rig->service->vm->map, "ram");
        uint32_t *said = (void *)((char *)ram->backing->host + 0x4000);

        *said = 0;
        rig_call(world->rig, VCPU_0, "VCPU.SetRegisters", "a{st}", 1, "rax", UINT64_C(0x1234));
        start(world->rig, write_on, sizeof(write_on));
        while (__atomic_load_n(said, __ATOMIC_RELAXED) == 0)
                usleep(1000);
}

/* What was written before a commit goes to whoever was there, while the guest runs on. */
static void test_commit(void **state) {
        World *world = *state;
        Rig *rig = world->rig;

        start_write_on(world);
        rig_call(rig, RIG_VM, "Map.Apply", "sa{sv}",
                 "{\"guestmap\": 1, \"edits\": ["
                 "{\"add-region\": {\"name\": \"other\", \"kind\": \"mmio\", \"size\": 4096, "
                 "\"parent\": \"system\", \"offset\": 268435456, \"priority\": 1}}, "
                 "{\"set-handler\": {\"region\": \"other\", \"handler\": \"latch\"}}]}",
                 0);
        assert_false(sd_bus_message_is_method_error(rig->reply, NULL));
        assert_request(world, 0x10c, 0x1234);
        give_value(world, 0);
        assert_string_equal(rig_call(rig, VCPU_0, "VCPU.Stop", ""), "");
        assert_string_equal(rig_get(rig, VCPU_0, "org.guestmap1.VCPU", "StopReason"), "stop");
        assert_string_equal(rig_get(rig, OTHER, "org.guestmap1.Region", "HandlerWrites"), "0");
        assert_string_equal(rig_get(rig, DEVICE, "org.guestmap1.Region", "HandlerWrites"), "1");
}

/* The region stays, and its next handler gets nothing of it. */
static void test_next_handler(void **state) {
        World *world = *state;
        Rig *rig = world->rig;

        start_write_on(world);
        rig_call(rig, RIG_VM, "Map.SetHandler", "ssa{sv}", "device", "latch", 0);
        assert_false(sd_bus_message_is_method_error(rig->reply, NULL));
        assert_request(world, 0x10c, 0x1234);
        give_value(world, 0);
        assert_string_equal(rig_call(rig, VCPU_0, "VCPU.Stop", ""), "");
        assert_string_equal(rig_get(rig, DEVICE, "org.guestmap1.Region", "HandlerWrites"), "0");
}

static void test_clear(void **state) {
        World *world = *state;

        start_write_on(world);
        rig_call(world->rig, RIG_VM, "Map.ClearCoalesced", "sa{sv}", "device", 0);
        assert_request(world, 0x10c, 0x1234);
        give_value(world, 0);
        assert_string_equal(rig_call(world->rig, VCPU_0, "VCPU.Stop", ""), "");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_stop),   TEST(test_destroy), TEST(test_nobody),
                TEST(test_commit), TEST(test_clear),   TEST(test_next_handler),
        };

        if (kvm_probe() < 0) {
                printf("1..0 # SKIP /dev/kvm cannot be used here\n");
                return 0;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
