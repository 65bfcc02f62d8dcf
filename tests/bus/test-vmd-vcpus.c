/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * vCPUs over D-Bus, on the real /dev/kvm: objects, runs, signals, and that they end with the rest
 */

#include <string.h>
#include <unistd.h>

#include "daemon/vm/vcpu-dbus.h"
#include "daemon/vm/vcpus.h"
#include "tests/bus/rig.h"
#include "tests/common/unit.h"

#define ID      "0123456789abcdef0123456789abcdef"
#define VCPU_0  RIG_VM "/vcpu/0"
#define MIB     UINT64_C(0x100000)
#define TABLES  UINT64_C(0x80000)
#define PROGRAM UINT64_C(0x1000)

/* A VM with 1 MiB of RAM at 0. */
static int setup(void **state) {
        Rig *rig = rig_new();

        rig_call(rig, RIG_PRIVATE, "Private.Setup", "ssua{sv}", "test", ID, UINT32_C(1000), 1,
                 "accelerator", "s", "kvm");
        assert_string_equal(rig->text, "");
        assert_string_equal(rig_add(rig, RIG_VM, "ram", "ram", MIB, "system", 0), "2");
        free(rig_log(rig));
        *state = rig;
        return 0;
}

static int teardown(void **state) {
        rig_free(*state);
        return 0;
}

static const char *add_flat(Rig *rig, uint32_t index) {
        return rig_call(rig, RIG_VM, "VM.AddVCPU", "ua{sv}", index, 1, "mode", "s", "flat");
}

static void write_memory(Rig *rig, uint64_t address, const void *bytes, size_t n) {
        Section section;
        const FlatView *view;

        rcu_enter();
        view = snapshot_find(map_snapshot(rig->service->vm->map), "memory");
        section = section_cut(flat_view_find(view, address), (Range){address, address + n - 1});
        memcpy(section_host(&section), bytes, n);
        rcu_leave();
}

/* vCPU 0 in flat mode, about to execute the bytes. */
static void load(Rig *rig, const uint8_t *program, size_t n) {
        assert_string_equal(add_flat(rig, 0), "/vcpu/0");
        write_memory(rig, PROGRAM, program, n);
        assert_string_equal(rig_call(rig, VCPU_0, "VCPU.SetRegisters", "a{st}", 1, "rip", PROGRAM),
                            "");
        free(rig_log(rig));
}

/* Runs the loop until the log has the words. */
static void await(Rig *rig, const char *words) {
        while (!rig->log || !strstr(rig->log, words))
                assert_true(sd_event_run(rig->event, UINT64_C(20000000)) > 0);
}

static const char *get(Rig *rig, const char *property) {
        return rig_get(rig, VCPU_0, "org.guestmap1.VCPU", property);
}

static const char *get_state(Rig *rig) {
        return get(rig, "State");
}

static void assert_register(Rig *rig, const char *name, uint64_t value) {
        char words[64];

        snprintf(words, sizeof(words), "%s: %" PRIu64, name, value);
        rig_call(rig, VCPU_0, "VCPU.GetRegisters", "");
        if (!strstr(rig->text, words))
                fail_msg("there is no \"%s\" in %s", words, rig->text);
}

static void test_objects(void **state) {
        Rig *rig = *state;

        assert_string_equal(add_flat(rig, 7), "/vcpu/7");
        assert_text(rig_log(rig), "reply\nInterfacesAdded /vcpu/7\n");
        assert_string_equal(add_flat(rig, 0), "/vcpu/0");
        rig_call(rig, RIG_VM "/vcpu", "Introspectable.Introspect", "");
        assert_non_null(strstr(rig->text, "<node name=\"0\"/>\n <node name=\"7\"/>"));
        rig_call(rig, RIG_VM, "ObjectManager.GetManagedObjects", "");
        assert_non_null(strstr(rig->text, "/vcpu/7: "));
        assert_string_equal(rig_get(rig, RIG_VM "/vcpu/7", "org.guestmap1.VCPU", "Index"), "7");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.ListVCPUs", ""),
                            "[(0 /vcpu/0 stopped), (7 /vcpu/7 stopped)]");
        assert_string_equal(get_state(rig), "stopped");
        assert_string_equal(get(rig, "StopReason"), "");

        free(rig_log(rig));
        rig_call(rig, RIG_VM, "VM.RemoveVCPU", "ua{sv}", UINT32_C(7), 0);
        assert_text(rig_log(rig), "reply\nInterfacesRemoved /vcpu/7\n");
        rig_get(rig, RIG_VM "/vcpu/7", "org.guestmap1.VCPU", "Index");
        assert_string_equal(rig->text, "NoSuchVCPU: VM \"test\" has no vCPU 7");
        assert_string_equal(add_flat(rig, 7), "/vcpu/7");
}

static void test_refused(void **state) {
        Rig *rig = *state;

        add_flat(rig, 0);
        assert_string_equal(add_flat(rig, 0), "InUse: VM \"test\" has a vCPU 0");
        assert_string_equal(add_flat(rig, 256), "InvalidRange: vCPU 256: the highest index is 255");
        rig_call(rig, RIG_VM, "VM.AddVCPU", "ua{sv}", UINT32_C(1), 1, "mode", "s", "tiny");
        assert_string_equal(rig->text, "InvalidArgs: mode \"tiny\" is none of real, flat, long");
        rig_call(rig, RIG_VM, "VM.AddVCPU", "ua{sv}", UINT32_C(1), 1, "turbo", "b", true);
        assert_string_equal(rig->text, "InvalidArgs: unknown option \"turbo\"");
        rig_call(rig, RIG_VM, "VM.AddVCPU", "ua{sv}", UINT32_C(1), 1, "mode", "s", "long");
        assert_string_equal(rig->text,
                            "InvalidArgs: mode long: page-tables must say where they are to be");
        rig_call(rig, RIG_VM, "VM.AddVCPU", "ua{sv}", UINT32_C(1), 1, "page-tables", "t", TABLES);
        assert_string_equal(rig->text, "InvalidArgs: mode real: it has no page tables");
        rig_call(rig, RIG_VM, "VM.AddVCPU", "ua{sv}", UINT32_C(1), 2, "mode", "s", "long",
                 "page-tables", "t", MIB - 0x4000);
        assert_string_equal(rig->text, "InvalidRange: page-tables: there is no RAM at 0x100000");
        rig_call(rig, RIG_VM, "VM.RemoveVCPU", "ua{sv}", UINT32_C(1), 0);
        assert_string_equal(rig->text, "NoSuchVCPU: VM \"test\" has no vCPU 1");
        rig_call(rig, VCPU_0, "VCPU.SetRegisters", "a{st}", 2, "rbx", UINT64_C(1), "eax",
                 UINT64_C(2));
        assert_string_equal(rig->text, "InvalidArgs: unknown register \"eax\"");
        assert_register(rig, "rbx", 0);
        assert_string_equal(rig_call(rig, VCPU_0, "VCPU.Step", "u", UINT32_C(0)),
                            "InvalidArgs: a step is of one exit or more");
}

static void test_none(void **state) {
        static const char *const words = "NotSupported: VM \"test\": accelerator \"none\" runs no "
                                         "vCPUs";
        Rig *rig = rig_new_vm();

        assert_string_equal(add_flat(rig, 0), words);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.Pause", ""), words);
        assert_string_equal(rig_call(rig, RIG_VM, "VM.Resume", ""), words);
        rig_free(rig);
}

/* Which mode it is: 0x40 and 0x48 are instructions of their own where they are no prefix. */
static void test_modes(void **state) {
        static const struct {
                const char *mode;
                uint64_t rax, rbx;
        } modes[] = {{"real", 1, 0x10000}, {"flat", 1, 0x10000}, {"long", 0, 0}};
        static const uint8_t program[] = {
                0x40, /* inc ax, inc eax; a prefix without effect in long mode */
                0x90, /* nop */
                0xf4, /* hlt */
        };
        Rig *rig = *state;

        for (uint32_t i = 0; i < ELEMENTS_OF(modes); i++) {
                const bool has_tables = strcmp(modes[i].mode, "long") == 0;

                rig_call(rig, RIG_VM, "VM.AddVCPU", "ua{sv}", UINT32_C(0), has_tables ? 2 : 1,
                         "mode", "s", modes[i].mode, "page-tables", "t", TABLES);
                assert_string_equal(rig->text, "/vcpu/0");
                write_memory(rig, PROGRAM, program, sizeof(program));
                rig_call(rig, VCPU_0, "VCPU.SetRegisters", "a{st}", 4, "rip", PROGRAM, "rax",
                         UINT64_C(0), "cs.base", UINT64_C(0), "cs.selector",
                         i == 0 ? UINT64_C(0) : UINT64_C(8));
                assert_string_equal(rig->text, "");
                rig_call(rig, VCPU_0, "VCPU.Start", "");
                await(rig, "Stopped");
                assert_string_equal(get_state(rig), "halted");
                assert_register(rig, "rax", modes[i].rax);
                rig_call(rig, RIG_VM, "VM.RemoveVCPU", "ua{sv}", UINT32_C(0), 0);
                free(rig_log(rig));
        }
}

static void test_run(void **state) {
        static const uint8_t program[] = {0x43, 0xf4}; /* inc ebx; hlt */
        Rig *rig = *state;

        load(rig, program, sizeof(program));
        rig_call(rig, VCPU_0, "VCPU.Start", "");
        await(rig, "Stopped");
        assert_text(rig_log(rig),
                    "reply\n"
                    "PropertiesChanged @/vcpu/0 org.guestmap1.VCPU {State: running} []\n"
                    "PropertiesChanged @/vcpu/0 org.guestmap1.VCPU {State: halted} []\n"
                    "Stopped @/vcpu/0 hlt 4098\n");
        assert_register(rig, "rbx", 1);
        assert_string_equal(get_state(rig), "halted");
        assert_string_equal(get(rig, "StopReason"), "hlt");
        assert_string_equal(get(rig, "StopAddress"), "4098");
        assert_non_null(strstr(get(rig, "Exits"), "hlt: 1, mmio: 0, "));
}

/* Ports and memory where nobody answers: all-ones, and what is written is dropped. */
static void test_traps(void **state) {
        static const uint8_t program[] = {
                0xe4, 0x71,                               /* in al, 0x71 */
                0x8b, 0x1d, 0x00, 0x00, 0x20, 0x00,       /* mov ebx, [0x200000] */
                0x89, 0x0d, 0x00, 0x00, 0x20, 0x00,       /* mov [0x200000], ecx */
                0x8b, 0x15, 0x02, 0x08, 0x40, 0x00,       /* mov edx, [0x400802] */
                0xc6, 0x05, 0x03, 0x08, 0x40, 0x00, 0x77, /* mov byte [0x400803], 0x77 */
                0x8b, 0x35, 0x02, 0x08, 0x40, 0x00,       /* mov esi, [0x400802] */
                0xf4,                                     /* hlt */
        };
        Rig *rig = *state;

        /* RAM that shares its page with nothing, but is no whole page: it has no slot. */
        rig_add(rig, RIG_VM, "scrap", "ram", 0x800, "system", 0x400800);
        load(rig, program, sizeof(program));
        write_memory(rig, 0x400802, "abcd", 4);
        rig_call(rig, VCPU_0, "VCPU.Start", "");
        await(rig, "Stopped");
        assert_register(rig, "rax", 0xff);
        assert_register(rig, "rbx", 0xffffffff);
        assert_register(rig, "rdx", 0x64636261);
        assert_register(rig, "rsi", 0x64637761);
        rig_get(rig, VCPU_0, "org.guestmap1.VCPU", "Exits");
        assert_non_null(strstr(rig->text, "io: 1, "));
        assert_non_null(strstr(rig->text, "mmio: 5, "));
        assert_string_equal(get(rig, "Unanswered"), "3");
}

/* Answered when the steps are done; and a Stop ends an endless run, and both are answered. */
static void test_step(void **state) {
        static const uint8_t program[] = {
                0xe4, 0x71, /* in al, 0x71 */
                0x43,       /* inc ebx */
                0xe4, 0x72, /* in al, 0x72 */
                0xeb, 0xfe, /* jmp to itself */
        };
        Rig *rig = *state;

        load(rig, program, sizeof(program));
        assert_string_equal(rig_call(rig, VCPU_0, "VCPU.Step", "u", UINT32_C(2)), "");
        assert_text(rig_log(rig),
                    "PropertiesChanged @/vcpu/0 org.guestmap1.VCPU {State: running} []\n"
                    "reply\n"
                    "PropertiesChanged @/vcpu/0 org.guestmap1.VCPU {State: stopped} []\n"
                    "Stopped @/vcpu/0 step 4101\n");
        assert_register(rig, "rbx", 1);

        free(rig_log(rig));
        rig_send(rig, VCPU_0, "VCPU.Step", "u", UINT32_C(1));
        assert_false(rig->answered);
        assert_string_equal(rig_call(rig, VCPU_0, "VCPU.Start", ""), "InUse: vCPU 0 is running");
        assert_string_equal(rig_call(rig, VCPU_0, "VCPU.GetRegisters", ""),
                            "InUse: vCPU 0 is running");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.RemoveVCPU", "ua{sv}", UINT32_C(0), 0),
                            "InUse: vCPU 0 is running");
        free(rig_log(rig));
        assert_string_equal(rig_call(rig, VCPU_0, "VCPU.Stop", ""), "");
        assert_text(rig_log(rig),
                    "reply\nreply\n"
                    "PropertiesChanged @/vcpu/0 org.guestmap1.VCPU {State: stopped} []\n"
                    "Stopped @/vcpu/0 stop 4101\n");
        assert_string_equal(rig_call(rig, VCPU_0, "VCPU.Stop", ""), "");
}

static size_t n_calls(const Rig *rig) {
        const struct cds_list_head *calls = &rig->service->vcpu_calls, *at;
        size_t n = 0;

        for (at = calls->next; at != calls; at = at->next)
                n++;
        return n;
}

static size_t n_replies(Rig *rig) {
        _cleanup_(freep) char *log = rig_log(rig);
        size_t n = 0;

        for (const char *at = log; (at = strstr(at, "reply\n")); at++)
                n++;
        return n;
}

/*
 * Where a run does not end no user can have all of the room, and who leaves makes room: guestmapd
 * hears of its calls.
 */
static void test_many_stops(void **state) {
        static const uint8_t program[] = {0xeb, 0xfe}; /* jmp to itself */
        Rig *rig = *state;

        load(rig, program, sizeof(program));
        run_gate_hold(&rig->service->vm->gate);
        rig_call(rig, VCPU_0, "VCPU.Start", "");
        rig_announce(rig, ":1.1", 2001);
        rig_announce(rig, ":1.2", 1000);
        rig->sender = ":1.1";
        for (unsigned i = 0; i < VCPU_CALLS_USER_MAX; i++)
                rig_send(rig, VCPU_0, "VCPU.Stop", "");
        assert_false(rig->answered);
        assert_string_equal(rig_call(rig, VCPU_0, "VCPU.Stop", ""),
                            "QuotaExceeded: VM \"test\": 256 calls of uid 2001 wait for vCPUs to "
                            "stop, the limit is 256");
        rig->sender = NULL;
        free(rig_log(rig));
        rig_call(rig, RIG_PRIVATE, "Private.CallerGone", "s", ":1.1");
        assert_int_equal(n_calls(rig), 0);
        assert_int_equal(n_replies(rig), VCPU_CALLS_USER_MAX + 1);
        rig->sender = ":1.2";
        rig_send(rig, VCPU_0, "VCPU.Stop", "");
        assert_int_equal(n_calls(rig), 1);
        run_gate_release(&rig->service->vm->gate);
        assert_string_equal(rig_wait(rig), "");
        assert_int_equal(n_calls(rig), 0);
}

static void test_shutdown(void **state) {
        static const uint8_t program[] = {0x0f, 0x0b}; /* ud2 */
        Rig *rig = *state;

        load(rig, program, sizeof(program));
        rig_call(rig, VCPU_0, "VCPU.SetRegisters", "a{st}", 1, "idt.limit", UINT64_C(0));
        rig_call(rig, VCPU_0, "VCPU.Start", "");
        await(rig, "Stopped");
        assert_string_equal(get_state(rig), "shutdown");
}

static const uint8_t counting[] = {
        0xff, 0x05, 0x00, 0x00, 0x09, 0x00, /* inc dword [0x90000] */
        0xeb, 0xf8,                         /* jmp to it */
};

/* What that has come to. */
static volatile uint32_t *counter_of(Rig *rig) {
        const Region *ram = map_find_region(rig->service->vm->map, "ram");

        return (volatile uint32_t *)((char *)ram->backing->host + 0x90000);
}

/* Until the guest has counted on. */
static void await_count(volatile uint32_t *counter, uint32_t before) {
        for (unsigned ms = 0; *counter == before; ms++) {
                assert_true(ms < 20000);
                usleep(1000);
        }
}

static void test_pause(void **state) {
        Rig *rig = *state;
        volatile uint32_t *counter = counter_of(rig);
        uint32_t before;

        load(rig, counting, sizeof(counting));
        assert_string_equal(rig_call(rig, VCPU_0, "VCPU.Start", ""), "");
        free(rig_log(rig));
        rig_call(rig, RIG_VM, "VM.Pause", "");
        assert_text(rig_log(rig), "reply\nPropertiesChanged org.guestmap1.VM {State: paused} []\n");
        before = *counter;
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "State"), "paused");
        assert_non_null(strstr(rig_call(rig, RIG_PRIVATE, "Private.Describe", ""), " paused "));
        assert_string_equal(get_state(rig), "running");
        free(rig_log(rig));
        rig_call(rig, RIG_VM, "VM.Pause", "");
        assert_text(rig_log(rig), "reply\n");
        assert_int_equal(*counter, before);
        rig_call(rig, RIG_VM, "VM.Resume", "");
        assert_text(rig_log(rig),
                    "reply\nPropertiesChanged org.guestmap1.VM {State: running} []\n");
        await_count(counter, before);
        rig_call(rig, RIG_VM, "VM.Pause", "");
        assert_string_equal(rig_call(rig, VCPU_0, "VCPU.Stop", ""), "");
        assert_string_equal(get_state(rig), "stopped");
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "PauseUSec"),
                            "{count: 0, total: 0, max: 0}");
}

/* Memory comes in the guest's way and goes again: it goes on, and only the going is felt. */
static void test_live_commits(void **state) {
        Rig *rig = *state;

        load(rig, counting, sizeof(counting));
        rig_call(rig, VCPU_0, "VCPU.Start", "");
        await_count(counter_of(rig), 0);
        rig_add(rig, RIG_VM, "dimm", "ram", MIB, "system", 16 * MIB);
        rig_add(rig, RIG_VM, "device", "mmio", 0x1000, "system", 32 * MIB);
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "PauseUSec"),
                            "{count: 0, total: 0, max: 0}");
        for (unsigned i = 0; i < 50; i++)
                rig_call(rig, RIG_VM, "Map.SetRegion", "sa{sv}a{sv}", "dimm", 1, "offset", "t",
                         (17 + i % 2) * MIB, 0);
        rig_get(rig, RIG_VM, "org.guestmap1.VM", "PauseUSec");
        assert_int_equal(strncmp(rig->text, "{count: 50, total: ", 19), 0);
        assert_string_equal(get_state(rig), "running");
        assert_non_null(strstr(get(rig, "Exits"), "mmio: 0, "));
}

/* The guest does not mind who is connected; and it is taken down while it runs. */
static void test_connection_lost(void **state) {
        static const uint8_t program[] = {0xeb, 0xfe}; /* jmp to itself */
        Rig *rig = *state;

        load(rig, program, sizeof(program));
        rig_call(rig, VCPU_0, "VCPU.Start", "");
        rig_send(rig, VCPU_0, "Properties.Get", "ss", "org.guestmap1.VCPU", "State");
        rig_reconnect(rig);
        assert_string_equal(get_state(rig), "running");
        assert_string_equal(rig_call(rig, VCPU_0, "VCPU.Stop", ""), "");
        rig_send(rig, VCPU_0, "VCPU.Step", "u", UINT32_C(1));
        rig_reconnect(rig);
        assert_string_equal(get_state(rig), "running");
}

/* A call that waits goes with the connection; what ends meanwhile can be asked for later. */
static void test_ends_unheard(void **state) {
        static const uint8_t program[] = {0xf4}; /* hlt */
        Rig *rig = *state;

        load(rig, program, sizeof(program));
        rig_call(rig, RIG_VM, "VM.Pause", "");
        rig_send(rig, VCPU_0, "VCPU.Step", "u", UINT32_C(1));
        service_detach(rig->service);
        vcpus_resume(rig->service->vm->vcpus);
        while (vcpu_state(vcpus_next(rig->service->vm->vcpus, NULL)) == VCPU_RUNNING)
                assert_true(sd_event_run(rig->event, UINT64_C(20000000)) > 0);
        rig_reconnect(rig);
        assert_string_equal(get_state(rig), "halted");
        assert_string_equal(get(rig, "StopReason"), "hlt");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_objects),      TEST(test_refused),      cmocka_unit_test(test_none),
                TEST(test_modes),        TEST(test_run),          TEST(test_traps),
                TEST(test_step),         TEST(test_many_stops),   TEST(test_shutdown),
                TEST(test_pause),        TEST(test_ends_unheard), TEST(test_connection_lost),
                TEST(test_live_commits),
        };
        int r = kvm_probe();

        if (r < 0) {
                printf("1..0 # SKIP /dev/kvm cannot be used here: %s\n", strerror(-r));
                return EXIT_SUCCESS; /* to a reader of TAP, that line says it all */
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
