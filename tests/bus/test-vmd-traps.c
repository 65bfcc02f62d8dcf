/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Handlers at work on the real /dev/kvm: what a guest reads, and who hears of what it writes
 */

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/kvm/accelerator.h"
#include "tests/bus/rig.h"
#include "tests/common/unit.h"

#define ID      "0123456789abcdef0123456789abcdef"
#define DEV     RIG_VM "/region/dev"
#define PORT    RIG_VM "/region/port"
#define VCPU_0  RIG_VM "/vcpu/0"
#define REGION  "org.guestmap1.Region"
#define PROGRAM UINT64_C(0x1000)

/* RAM, registers and a port, and a vCPU. */
static int setup(void **state) {
        Rig *rig = rig_new();

        rig_call(rig, RIG_PRIVATE, "Private.Setup", "ssua{sv}", "test", ID, UINT32_C(1000), 1,
                 "accelerator", "s", "kvm");
        rig_add(rig, RIG_VM, "ram", "ram", 0x100000, "system", 0);
        rig_add(rig, RIG_VM, "dev", "mmio", 0x1000, "system", 0x200000);
        rig_add(rig, RIG_VM, "port", "mmio", 0x10, "io", 0x70);
        rig_call(rig, RIG_VM, "VM.AddVCPU", "ua{sv}", UINT32_C(0), 1, "mode", "s", "flat");
        assert_string_equal(rig->text, "/vcpu/0");
        *state = rig;
        return 0;
}

static int teardown(void **state) {
        rig_free(*state);
        return 0;
}

/* Executes the bytes, up to their HLT. */
static void run(Rig *rig, const uint8_t *program, size_t n) {
        for (size_t i = 0; i < n; i++)
                assert_string_equal(rig_call(rig, RIG_MEMORY, "AddressSpace.Write", "tay",
                                             PROGRAM + i, 1, program[i]),
                                    "");
        rig_call(rig, VCPU_0, "VCPU.SetRegisters", "a{st}", 1, "rip", PROGRAM);
        free(rig_log(rig));
        rig_call(rig, VCPU_0, "VCPU.Start", "");
        while (!rig->log || !strstr(rig->log, "Stopped"))
                assert_true(sd_event_run(rig->event, UINT64_C(20000000)) > 0);
}

static void assert_register(Rig *rig, const char *name, uint64_t value) {
        char words[64];

        snprintf(words, sizeof(words), "%s: %llu", name, (unsigned long long)value);
        rig_call(rig, VCPU_0, "VCPU.GetRegisters", "");
        if (!strstr(rig->text, words))
                fail_msg("there is no \"%s\" in %s", words, rig->text);
}

static const char *set_value(Rig *rig, const char *path, const char *region, const char *handler,
                             uint64_t value) {
        return rig_call(rig, path, "Map.SetHandler", "ssa{sv}", region, handler, 1, "value", "t",
                        value);
}

static void test_guest(void **state) {
        static const uint8_t program[] = {
                0xb9, 0x44, 0x33, 0x22, 0x11,       /* mov ecx, 0x11223344 */
                0x8b, 0x1d, 0x00, 0x00, 0x20, 0x00, /* mov ebx, [0x200000] */
                0x89, 0x0d, 0x08, 0x00, 0x20, 0x00, /* mov [0x200008], ecx */
                0x8a, 0x15, 0x02, 0x00, 0x20, 0x00, /* mov dl, [0x200002] */
                0xe4, 0x71,                         /* in al, 0x71 */
                0xf4,                               /* hlt */
        };
        Rig *rig = *state;

        run(rig, program, sizeof(program));
        assert_register(rig, "rbx", 0xffffffff);
        assert_register(rig, "rdx", 0xff);
        assert_register(rig, "rax", 0xff);

        set_value(rig, RIG_VM, "dev", "constant", 0xa1b2c3d4);
        set_value(rig, RIG_VM, "port", "constant", 0x5a00);
        run(rig, program, sizeof(program));
        assert_register(rig, "rbx", 0xa1b2c3d4);
        assert_register(rig, "rdx", 0xb2);
        assert_register(rig, "rax", 0x5a);

        set_value(rig, RIG_VM, "dev", "latch", 5);
        run(rig, program, sizeof(program));
        assert_register(rig, "rbx", 5);
        assert_register(rig, "rdx", 0x22);
        assert_string_equal(rig_get(rig, DEV, REGION, "HandlerReads"), "2");
        assert_string_equal(rig_get(rig, DEV, REGION, "HandlerWrites"), "1");
        assert_string_equal(rig_get(rig, PORT, REGION, "HandlerReads"), "2");
}

/* The other end of a socket: answers twice, the offset and 0x100, then goes. */
static void *answer_twice(void *data) {
        int fd = *(int *)data;
        uint64_t request[4];

        for (int i = 0; i < 2; i++) {
                uint64_t reply[4] = {};

                if (recv(fd, request, sizeof(request), MSG_WAITALL) != sizeof(request))
                        break;
                reply[0] = request[2] + 0x100;
                if (send(fd, reply, sizeof(reply), MSG_NOSIGNAL) != sizeof(reply))
                        break;
        }
        close(fd);
        return NULL;
}

static const char *set_socket(Rig *rig, int fd, uint64_t timeout_usec) {
        return rig_call(rig, RIG_VM, "Map.SetHandler", "ssa{sv}", "dev", "socket", 2, "fd", "h", fd,
                        "timeout-usec", "t", timeout_usec);
}

static void test_socket(void **state) {
        static const uint8_t program[] = {
                0x8b, 0x1d, 0x20, 0x00, 0x20, 0x00, /* mov ebx, [0x200020] */
                0x89, 0x1d, 0x24, 0x00, 0x20, 0x00, /* mov [0x200024], ebx */
                0x8b, 0x15, 0x28, 0x00, 0x20, 0x00, /* mov edx, [0x200028] */
                0xf4,                               /* hlt */
        };
        Rig *rig = *state;
        pthread_t thread;
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        set_socket(rig, pair[0], 10000000);
        close(pair[0]);
        assert_int_equal(pthread_create(&thread, NULL, answer_twice, &pair[1]), 0);
        run(rig, program, sizeof(program));
        pthread_join(thread, NULL);
        /* The third access found nobody: the vCPU stopped there, and said so. */
        assert_non_null(strstr(rig->log, "handler: region \"dev\": "));
        assert_non_null(strstr(rig->log, " 2097192\n"));
        assert_register(rig, "rbx", 0x120);
        assert_string_equal(rig_get(rig, VCPU_0, "org.guestmap1.VCPU", "State"), "stopped");

        /* Another socket, and one that nobody answers; what is asked there is not waited for. */
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        set_socket(rig, pair[0], 1000);
        run(rig, program, sizeof(program));
        assert_non_null(strstr(rig->log, "no answer within 1000 microseconds"));
        close(pair[0]);
        close(pair[1]);
}

static void test_log(void **state) {
        static const uint8_t program[] = {
                0x66, 0x8b, 0x1d, 0x20, 0x00, 0x20, 0x00, /* mov bx, [0x200020] */
                0xb9, 0x44, 0x33, 0x22, 0x11,             /* mov ecx, 0x11223344 */
                0x89, 0x0d, 0x08, 0x00, 0x20, 0x00,       /* mov [0x200008], ecx */
                0xf4,                                     /* hlt */
        };
        Rig *rig = *state;

        assert_string_equal(rig_call(rig, RIG_VM, "Map.SetHandler", "ssa{sv}", "dev", "log", 0),
                            "5");
        run(rig, program, sizeof(program));
        rig_settle(rig);
        assert_non_null(strstr(rig->log, "Accessed @/region/dev 32 2 false 0 {}\n"
                                         "Accessed @/region/dev 8 4 true 287454020 {}\n"));
        assert_register(rig, "rbx", 0xffff);
        assert_string_equal(rig_get(rig, DEV, REGION, "HandlerReads"), "1");
}

/* In, out and in again of direct-read mode: the contents stay, the handler hears the commands. */
static void test_rom_device(void **state) {
        static const uint8_t program[] = {
                0x8b, 0x1d, 0x00, 0x00, 0x30, 0x00,       /* mov ebx, [0x300000] */
                0xc6, 0x05, 0x00, 0x00, 0x30, 0x00, 0x90, /* mov byte [0x300000], 0x90 */
                0x8b, 0x15, 0x00, 0x00, 0x30, 0x00,       /* mov edx, [0x300000] */
                0xf4,                                     /* hlt */
        };
        Rig *rig = *state;

        rig_add(rig, RIG_VM, "flash", "romd", 0x1000, "system", 0x300000);
        set_value(rig, RIG_VM, "flash", "latch", 0);
        run(rig, program, sizeof(program));
        assert_register(rig, "rbx", 0);
        assert_register(rig, "rdx", 0);
        rig_call(rig, RIG_VM, "Map.SetRegion", "sa{sv}a{sv}", "flash", 1, "romd", "b", false, 0);
        run(rig, program, sizeof(program));
        assert_register(rig, "rbx", 0x90);
        assert_register(rig, "rdx", 0x90);
        rig_call(rig, RIG_VM, "Map.SetRegion", "sa{sv}a{sv}", "flash", 1, "romd", "b", true, 0);
        run(rig, program, sizeof(program));
        assert_register(rig, "rbx", 0);
        assert_string_equal(rig_get(rig, RIG_VM "/region/flash", REGION, "HandlerWrites"), "3");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_guest),
                TEST(test_socket),
                TEST(test_log),
                TEST(test_rom_device),
        };
        int r = kvm_probe();

        if (r < 0) {
                printf("1..0 # SKIP /dev/kvm cannot be used here: %s\n", strerror(-r));
                return 0; /* to a reader of TAP, that line says it all */
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
