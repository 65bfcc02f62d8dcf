/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One entry for each call on an own connection that does more than look: who, what, which result
 */

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api/names.h"
#include "daemon/common/message-ids.h"
#include "daemon/common/rights.h"
#include "lib/kvm/accelerator.h"
#include "tests/bus/rig-own.h"
#include "tests/bus/slow-jobs.h"
#include "tests/common/caught-journal.h"
#include "tests/common/unit.h"

#define ID          "0123456789abcdef0123456789abcdef"
#define RAM         RIG_VM "/region/ram"
#define DEVICE      RIG_VM "/region/device"
#define NO_REGION   RIG_VM "/region/none"
#define VCPU_0      RIG_VM "/vcpu/0"
#define NO_VCPU     RIG_VM "/vcpu/9"
#define TRANSACTION RIG_VM "/transaction/"
#define PAGE        UINT64_C(0x1000)
#define PATCH       "{\"guestmap\": 1, \"edits\": []}"
#define TIMEOUT     UINT64_C(60000000)

enum { SEEN_DONE = 1, SEEN_ERROR = 2 };

typedef struct Scene Scene;

/* One that is client of a VM on a connection of its own, and what has been seen of its audit. */
struct Scene {
        Rig *rig;
        sd_bus *own, *guestmapd;
        CaughtJournal journal;
        unsigned seen[128]; /* of the same row of method_rights */
};

static void need_kvm(void) {
        int r = kvm_probe();

        if (r >= 0)
                return;
        print_message("# /dev/kvm cannot be used here: %s\n", strerror(-r));
        skip();
}

static Scene *scene_new(const char *accelerator, uint32_t rights) {
        Scene *scene = calloc(1, sizeof(*scene));
        Rig *rig = rig_new();

        assert_non_null(scene);
        scene->rig = rig;
        caught_journal_begin(&scene->journal);
        rig_call(rig, RIG_PRIVATE, "Private.Setup", "ssua{sv}", "test", ID, UINT32_C(1000), 1,
                 "accelerator", "s", accelerator);
        assert_string_equal(rig->text, "");
        scene->own = rig_connect_as(rig, STRANGER, rights);
        scene->guestmapd = rig_use(rig, scene->own);
        rig_call(rig, RIG_VM, "VM.GetSlots", ""); /* descriptors may be sent behind the greeting */
        while (caught_journal_take(&scene->journal))
                ;
        return scene;
}

static void scene_free(Scene *scene) {
        rig_use(scene->rig, scene->guestmapd);
        if (scene->own)
                rig_leave(scene->rig, scene->own);
        rig_free(scene->rig);
        caught_journal_end(&scene->journal);
        free(scene);
}

static const char *field(Scene *scene, const char *key) {
        return caught_journal_field(&scene->journal, key) ?: "";
}

static void assert_no_entry(Scene *scene) {
        if (caught_journal_take(&scene->journal))
                fail_msg("an entry too many: %s %s", field(scene, "GUESTMAP_MEMBER"),
                         field(scene, "MESSAGE"));
}

/* "Member region: result, generation", of the next entry; the caller frees. */
static char *next_entry(Scene *scene) {
        char *text = calloc(1, 512);
        size_t n;

        if (!caught_journal_take(&scene->journal))
                return text;
        if (strcmp(field(scene, "GUESTMAP_CALLER_UID"), "4711") != 0)
                fail_msg("not of the client: %s", field(scene, "MESSAGE"));
        assert_int_equal(strncmp(field(scene, "GUESTMAP_CALLER"), "connection ", 11), 0);
        assert_string_equal(field(scene, "GUESTMAP_VM"), "test");
        n = (size_t)snprintf(text, 512, "%s", field(scene, "GUESTMAP_MEMBER"));
        if (field(scene, "GUESTMAP_REGION")[0])
                n += (size_t)snprintf(text + n, 512 - n, " %s", field(scene, "GUESTMAP_REGION"));
        n += (size_t)snprintf(text + n, 512 - n, ": %s", field(scene, "GUESTMAP_RESULT"));
        if (field(scene, "GUESTMAP_GENERATION")[0])
                snprintf(text + n, 512 - n, ", %s", field(scene, "GUESTMAP_GENERATION"));
        return text;
}

static void note_seen(Scene *scene, const char *member, unsigned seen) {
        for (size_t i = 0; i < n_method_rights; i++) {
                const char *interface = strrchr(method_rights[i].interface, '.') + 1;
                size_t n = strlen(interface);

                if (strncmp(member, interface, n) == 0 && member[n] == '.' &&
                    strcmp(member + n + 1, method_rights[i].member) == 0)
                        scene->seen[i] |= seen;
        }
}

static void check(Scene *scene, const char *member, const char *entry) {
        bool is_done = strstr(entry, ": done");

        assert_text(next_entry(scene), entry);
        assert_no_entry(scene);
        note_seen(scene, member, is_done ? SEEN_DONE : SEEN_ERROR);
}

/* The call has this entry, and no other. */
#define EXPECT(scene, entry, path, member, ...)                                                    \
        do {                                                                                       \
                rig_call((scene)->rig, path, member, __VA_ARGS__);                                 \
                check(scene, member, entry);                                                       \
        } while (0)

#define GUESTMAP(name) "org.guestmap1.Error." name
#define DBUS(name)     "org.freedesktop.DBus.Error." name

static void call_map(Scene *scene) {
        int fd = memfd_create("patch", 0);

        assert_int_equal(write(fd, PATCH, strlen(PATCH)), strlen(PATCH));
        EXPECT(scene, "AddRegion ram: done, 2", RIG_VM, "Map.AddRegion", "sststia{sv}", "ram",
               "ram", 16 * PAGE, "system", UINT64_C(0), 0, 0);
        EXPECT(scene, "AddRegion ram: " GUESTMAP("RegionExists"), RIG_VM, "Map.AddRegion",
               "sststia{sv}", "ram", "ram", PAGE, "system", UINT64_C(0), 0, 0);
        EXPECT(scene, "AddRegion device: done, 3", RIG_VM, "Map.AddRegion", "sststia{sv}", "device",
               "mmio", PAGE, "system", 32 * PAGE, 0, 0);
        EXPECT(scene, "AddAlias alias: done, 4", RIG_VM, "Map.AddAlias", "ssttstia{sv}", "alias",
               "ram", UINT64_C(0), PAGE, "system", 64 * PAGE, 0, 0);
        EXPECT(scene, "AddAlias other: " GUESTMAP("NoSuchRegion"), RIG_VM, "Map.AddAlias",
               "ssttstia{sv}", "other", "none", UINT64_C(0), PAGE, "system", 64 * PAGE, 0, 0);
        EXPECT(scene, "EnableRegion alias: done, 5", RIG_VM, "Map.EnableRegion", "sba{sv}", "alias",
               0, 0);
        EXPECT(scene, "EnableRegion none: " GUESTMAP("NoSuchRegion"), RIG_VM, "Map.EnableRegion",
               "sba{sv}", "none", 0, 0);
        EXPECT(scene, "MoveRegion alias: done, 6", RIG_VM, "Map.MoveRegion", "sstia{sv}", "alias",
               "system", 65 * PAGE, 0, 0);
        EXPECT(scene, "MoveRegion none: " GUESTMAP("NoSuchRegion"), RIG_VM, "Map.MoveRegion",
               "sstia{sv}", "none", "system", PAGE, 0, 0);
        EXPECT(scene, "SetRegion alias: done, 7", RIG_VM, "Map.SetRegion", "sa{sv}a{sv}", "alias",
               1, "priority", "i", 1, 0);
        EXPECT(scene, "SetRegion none: " GUESTMAP("NoSuchRegion"), RIG_VM, "Map.SetRegion",
               "sa{sv}a{sv}", "none", 1, "priority", "i", 1, 0);
        EXPECT(scene, "RemoveRegion alias: done, 8", RIG_VM, "Map.RemoveRegion", "sa{sv}", "alias",
               0);
        EXPECT(scene, "RemoveRegion alias: " GUESTMAP("NoSuchRegion"), RIG_VM, "Map.RemoveRegion",
               "sa{sv}", "alias", 0);
        EXPECT(scene, "AddAddressSpace: done, 9", RIG_VM, "Map.AddAddressSpace", "ssa{sv}", "dma",
               "system", 0);
        EXPECT(scene, "AddAddressSpace: " GUESTMAP("AddressSpaceExists"), RIG_VM,
               "Map.AddAddressSpace", "ssa{sv}", "dma", "system", 0);
        EXPECT(scene, "RemoveAddressSpace: done, 10", RIG_VM, "Map.RemoveAddressSpace", "sa{sv}",
               "dma", 0);
        EXPECT(scene, "RemoveAddressSpace: " GUESTMAP("NoSuchAddressSpace"), RIG_VM,
               "Map.RemoveAddressSpace", "sa{sv}", "dma", 0);
        EXPECT(scene, "Apply: done, 10", RIG_VM, "Map.Apply", "sa{sv}", PATCH, 0);
        EXPECT(scene, "Apply: " GUESTMAP("InvalidDocument"), RIG_VM, "Map.Apply", "sa{sv}", "[", 0);
        EXPECT(scene, "ApplyFD: done, 10", RIG_VM, "Map.ApplyFD", "ha{sv}", fd, 0);
        EXPECT(scene, "ApplyFD: " DBUS("InvalidArgs"), RIG_VM, "Map.ApplyFD", "ha{sv}", fd, 1,
               "unheard", "b", 1);
        close(fd);
}

static void call_device(Scene *scene) {
        int fd = eventfd(0, 0);

        EXPECT(scene, "AddIOEventFD device: done, 11", RIG_VM, "Map.AddIOEventFD", "stubta{sv}",
               "device", UINT64_C(0), 4, 0, UINT64_C(0), 1, "fd", "h", fd);
        EXPECT(scene, "AddIOEventFD none: " GUESTMAP("NoSuchRegion"), RIG_VM, "Map.AddIOEventFD",
               "stubta{sv}", "none", UINT64_C(0), 4, 0, UINT64_C(0), 0);
        EXPECT(scene, "GetIOEventFD device: done", DEVICE, "Region.GetIOEventFD", "tubt",
               UINT64_C(0), 4, 0, UINT64_C(0));
        EXPECT(scene, "GetIOEventFD device: " GUESTMAP("NoSuchIOEventFD"), DEVICE,
               "Region.GetIOEventFD", "tubt", UINT64_C(8), 4, 0, UINT64_C(0));
        EXPECT(scene, "RemoveIOEventFD device: done, 12", RIG_VM, "Map.RemoveIOEventFD",
               "stubta{sv}", "device", UINT64_C(0), 4, 0, UINT64_C(0), 0);
        EXPECT(scene, "RemoveIOEventFD device: " GUESTMAP("NoSuchIOEventFD"), RIG_VM,
               "Map.RemoveIOEventFD", "stubta{sv}", "device", UINT64_C(0), 4, 0, UINT64_C(0), 0);
        EXPECT(scene, "AddCoalesced device: done, 13", RIG_VM, "Map.AddCoalesced", "stta{sv}",
               "device", UINT64_C(0x100), UINT64_C(0x10), 0);
        EXPECT(scene, "AddCoalesced none: " GUESTMAP("NoSuchRegion"), RIG_VM, "Map.AddCoalesced",
               "stta{sv}", "none", UINT64_C(0x100), UINT64_C(0x10), 0);
        EXPECT(scene, "ClearCoalesced device: done, 14", RIG_VM, "Map.ClearCoalesced", "sa{sv}",
               "device", 0);
        EXPECT(scene, "ClearCoalesced none: " GUESTMAP("NoSuchRegion"), RIG_VM,
               "Map.ClearCoalesced", "sa{sv}", "none", 0);
        EXPECT(scene, "SetHandler device: done, 15", RIG_VM, "Map.SetHandler", "ssa{sv}", "device",
               "latch", 0);
        EXPECT(scene, "SetHandler none: " GUESTMAP("NoSuchRegion"), RIG_VM, "Map.SetHandler",
               "ssa{sv}", "none", "latch", 0);
        close(fd);
}

static void call_region(Scene *scene) {
        EXPECT(scene, "GetMemory ram: done", RAM, "Region.GetMemory", "b", 0);
        EXPECT(scene, "GetMemory device: " GUESTMAP("NotSupported"), DEVICE, "Region.GetMemory",
               "b", 0);
        EXPECT(scene, "StartDirtyLog ram: done", RAM, "Region.StartDirtyLog", "");
        EXPECT(scene, "StartDirtyLog none: " GUESTMAP("NoSuchRegion"), NO_REGION,
               "Region.StartDirtyLog", "");
        EXPECT(scene, "GetDirty ram: done", RAM, "Region.GetDirty", "b", 1);
        EXPECT(scene, "StopDirtyLog ram: done", RAM, "Region.StopDirtyLog", "");
        EXPECT(scene, "StopDirtyLog none: " GUESTMAP("NoSuchRegion"), NO_REGION,
               "Region.StopDirtyLog", "");
        EXPECT(scene, "GetDirty device: " GUESTMAP("NotSupported"), DEVICE, "Region.GetDirty", "b",
               1);
        EXPECT(scene, "Set device: done", DEVICE, "Properties.Set", "ssv", "org.guestmap1.Region",
               "Enabled", "b", 0);
        EXPECT(scene, "Set none: " GUESTMAP("NoSuchRegion"), NO_REGION, "Properties.Set", "ssv",
               "org.guestmap1.Region", "Enabled", "b", 0);
        EXPECT(scene, "Set ram: " DBUS("Failed"), RAM, "Properties.Set", "ssv",
               "org.guestmap1.Region", "Size", "t", PAGE);
}

static void call_memory(Scene *scene) {
        EXPECT(scene, "Write: done", RIG_MEMORY, "AddressSpace.Write", "tay", PAGE, 1, 0xf4);
        EXPECT(scene, "Write: " GUESTMAP("Unassigned"), RIG_MEMORY, "AddressSpace.Write", "tay",
               20 * PAGE, 1, 0xf4);
        EXPECT(scene, "Read: done", RIG_MEMORY, "AddressSpace.Read", "tt", PAGE, UINT64_C(1));
        EXPECT(scene, "Read: " GUESTMAP("NoSuchAddressSpace"), RIG_VM "/space/none",
               "AddressSpace.Read", "tt", PAGE, UINT64_C(1));
}

static void call_vm(Scene *scene) {
        EXPECT(scene, "GetBacking: done", RIG_VM, "VM.GetBacking", "tb", UINT64_C(1), 0);
        EXPECT(scene, "GetBacking: " GUESTMAP("InvalidRange"), RIG_VM, "VM.GetBacking", "tb",
               UINT64_C(99), 0);
        EXPECT(scene, "StartDirtyLog: done", RIG_VM, "VM.StartDirtyLog", "sa{sv}", "migration", 0);
        EXPECT(scene, "StartDirtyLog: " DBUS("InvalidArgs"), RIG_VM, "VM.StartDirtyLog", "sa{sv}",
               "unheard", 0);
        EXPECT(scene, "GetDirty: done", RIG_VM, "VM.GetDirty", "b", 1);
        EXPECT(scene, "StopDirtyLog: done", RIG_VM, "VM.StopDirtyLog", "sa{sv}", "migration", 0);
        EXPECT(scene, "StopDirtyLog: " DBUS("InvalidArgs"), RIG_VM, "VM.StopDirtyLog", "sa{sv}",
               "unheard", 0);
        EXPECT(scene, "GetDirty: " DBUS("Failed"), RIG_VM, "VM.GetDirty", "s", "");
        EXPECT(scene, "OpenConnection: done", RIG_VM, "VM.OpenConnection", "a{sv}", 0);
        EXPECT(scene, "OpenConnection: " DBUS("InvalidArgs"), RIG_VM, "VM.OpenConnection", "a{sv}",
               1, "unheard", "b", 1);
        EXPECT(scene, "Unheard: " DBUS("Failed"), RIG_VM, "VM.Unheard", "");
}

static void call_transaction(Scene *scene) {
        EXPECT(scene, "Begin: done", RIG_VM, "VM.Begin", "ta{sv}", TIMEOUT, 0);
        EXPECT(scene, "Begin: " GUESTMAP("Conflict"), RIG_VM, "VM.Begin", "ta{sv}", TIMEOUT, 1,
               "expect-generation", "t", UINT64_C(1));
        EXPECT(scene, "AddRegion staged: done", TRANSACTION "1", "Map.AddRegion", "sststia{sv}",
               "staged", "mmio", PAGE, "system", 80 * PAGE, 0, 0);
        EXPECT(scene, "Preview: done", TRANSACTION "1", "Transaction.Preview", "");
        EXPECT(scene, "Commit: done, 19", TRANSACTION "1", "Transaction.Commit", "a{sv}", 0);
        EXPECT(scene, "Commit: " GUESTMAP("TransactionClosed"), TRANSACTION "1",
               "Transaction.Commit", "a{sv}", 0);
        EXPECT(scene, "Preview: " GUESTMAP("TransactionClosed"), TRANSACTION "1",
               "Transaction.Preview", "");
        EXPECT(scene, "Begin: done", RIG_VM, "VM.Begin", "ta{sv}", TIMEOUT, 0);
        EXPECT(scene, "Abort: done", TRANSACTION "2", "Transaction.Abort", "a{sv}", 0);
        EXPECT(scene, "Abort: " GUESTMAP("TransactionClosed"), TRANSACTION "2", "Transaction.Abort",
               "a{sv}", 0);
}

static void cancel_preparation(Scene *scene) {
        Rig *rig = scene->rig;

        slow_jobs_begin(&rig->service->preparing);
        rig_send(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "slow", "ram", PAGE, "system",
                 100 * PAGE, 0, 1, "prealloc", "b", 1);
        assert_no_entry(scene);
        EXPECT(scene, "Cancel: done", RIG_VM, "VM.Cancel", "s", "slow");
        slow_jobs_end();
        while (!caught_journal_take(&scene->journal))
                assert_true(sd_event_run(rig->event, UINT64_C(20000000)) > 0);
        assert_string_equal(field(scene, "GUESTMAP_MEMBER"), "AddRegion");
        assert_string_equal(field(scene, "GUESTMAP_RESULT"), GUESTMAP("Cancelled"));
        assert_no_entry(scene);
        EXPECT(scene, "Cancel: " GUESTMAP("NoSuchRegion"), RIG_VM, "VM.Cancel", "s", "none");
}

/* What runs there halts, or goes round for ever. */
static void call_vcpus(Scene *scene) {
        EXPECT(scene, "AddVCPU: done", RIG_VM, "VM.AddVCPU", "ua{sv}", 0, 1, "mode", "s", "flat");
        EXPECT(scene, "AddVCPU: " DBUS("InvalidArgs"), RIG_VM, "VM.AddVCPU", "ua{sv}", 1, 1, "mode",
               "s", "unheard");
        EXPECT(scene, "SetRegisters: done", VCPU_0, "VCPU.SetRegisters", "a{st}", 1, "rip", PAGE);
        EXPECT(scene, "SetRegisters: " DBUS("InvalidArgs"), VCPU_0, "VCPU.SetRegisters", "a{st}", 1,
               "unheard", PAGE);
        EXPECT(scene, "GetRegisters: done", VCPU_0, "VCPU.GetRegisters", "");
        EXPECT(scene, "GetRegisters: " GUESTMAP("NoSuchVCPU"), NO_VCPU, "VCPU.GetRegisters", "");
        EXPECT(scene, "Pause: done", RIG_VM, "VM.Pause", "");
        EXPECT(scene, "Resume: done", RIG_VM, "VM.Resume", "");
        EXPECT(scene, "Step: done", VCPU_0, "VCPU.Step", "u", 1);
        EXPECT(scene, "Step: " DBUS("InvalidArgs"), VCPU_0, "VCPU.Step", "u", 0);
        EXPECT(scene, "Write: done", RIG_MEMORY, "AddressSpace.Write", "tay", 2 * PAGE, 2, 0xeb,
               0xfe);
        EXPECT(scene, "SetRegisters: done", VCPU_0, "VCPU.SetRegisters", "a{st}", 1, "rip",
               2 * PAGE);
        EXPECT(scene, "Start: done", VCPU_0, "VCPU.Start", "");
        EXPECT(scene, "Step: " GUESTMAP("InUse"), VCPU_0, "VCPU.Step", "u", 1);
        EXPECT(scene, "Stop: done", VCPU_0, "VCPU.Stop", "");
        EXPECT(scene, "Stop: done", VCPU_0, "VCPU.Stop", "");
        EXPECT(scene, "Start: " GUESTMAP("NoSuchVCPU"), NO_VCPU, "VCPU.Start", "");
        EXPECT(scene, "Stop: " GUESTMAP("NoSuchVCPU"), NO_VCPU, "VCPU.Stop", "");
        EXPECT(scene, "RemoveVCPU: done", RIG_VM, "VM.RemoveVCPU", "ua{sv}", 0, 0);
        EXPECT(scene, "RemoveVCPU: " GUESTMAP("NoSuchVCPU"), RIG_VM, "VM.RemoveVCPU", "ua{sv}", 0,
               0);
}

static void assert_all_seen(const Scene *scene) {
        assert_true(n_method_rights <= ELEMENTS_OF(scene->seen));
        for (size_t i = 0; i < n_method_rights; i++) {
                const MethodRight *row = &method_rights[i];

                if ((row->right & ~GUESTMAP_RIGHT_INSPECT) == 0 ||
                    strcmp(row->interface, GUESTMAP_INTERFACE_MANAGER) == 0)
                        continue;
                if (scene->seen[i] != (SEEN_DONE | SEEN_ERROR))
                        fail_msg("%s.%s: %s is not tried here", row->interface, row->member,
                                 scene->seen[i] & SEEN_DONE ? "no error" : "no success");
        }
}

/* Each member of the table of rights, with each kind of result: the test knows none by itself. */
static void test_every_member(void **state) {
        Scene *scene, *without;

        need_kvm();
        scene = scene_new("kvm", GUESTMAP_RIGHTS_ALL);
        call_map(scene);
        call_device(scene);
        call_region(scene);
        call_memory(scene);
        call_vm(scene);
        call_transaction(scene);
        cancel_preparation(scene);
        call_vcpus(scene);
        EXPECT(scene, "Destroy: " DBUS("InvalidArgs"), RIG_VM, "VM.Destroy", "a{sv}", 1, "unheard",
               "b", 1);
        rig_send(scene->rig, RIG_VM, "VM.Destroy", "a{sv}", 0);
        check(scene, "VM.Destroy", "Destroy: done");
        without = scene_new("none", GUESTMAP_RIGHTS_ALL);
        memcpy(without->seen, scene->seen, sizeof(scene->seen));
        EXPECT(without, "Pause: " GUESTMAP("NotSupported"), RIG_VM, "VM.Pause", "");
        EXPECT(without, "Resume: " GUESTMAP("NotSupported"), RIG_VM, "VM.Resume", "");
        assert_all_seen(without);
        scene_free(without);
        scene_free(scene);
}

static void expect(Scene *scene, const char *entry) {
        assert_text(next_entry(scene), entry);
}

static void send_begin(Rig *rig) {
        rig_send(rig, RIG_VM, "VM.Begin", "ta{sv}", UINT64_C(0), 0);
}

/* In transactions, too, where nobody is asked for a right. */
static void test_denied(void **state) {
        Scene *scene = scene_new("none", GUESTMAP_RIGHT_MODIFY);
        Rig *rig = scene->rig;

        rig_call(rig, RIG_VM, "VM.Destroy", "a{sv}", 0);
        expect(scene, "Destroy: " DBUS("AccessDenied"));
        assert_string_equal(field(scene, "MESSAGE_ID"), MESSAGE_CALL_DENIED);
        assert_string_equal(field(scene, "PRIORITY"), "5");
        rig_call(rig, RIG_MEMORY, "AddressSpace.Read", "tt", PAGE, UINT64_C(1));
        expect(scene, "Read: " DBUS("AccessDenied"));
        send_begin(rig);
        expect(scene, "Begin: done");
        assert_string_equal(field(scene, "MESSAGE_ID"), MESSAGE_CALL);
        assert_string_equal(field(scene, "PRIORITY"), "6");
        rig_add(rig, TRANSACTION "1", "ram", "ram", PAGE, "system", 0);
        expect(scene, "AddRegion ram: done");
        rig_call(rig, TRANSACTION "1", "Transaction.Commit", "a{sv}", 0);
        expect(scene, "Commit: done, 2");
        assert_no_entry(scene);
        scene_free(scene);
}

/* To look, and what a client asks the bus, which it takes the VM for; what guestmapd sees. */
static void test_others_have_none(void **state) {
        Scene *scene = scene_new("none", GUESTMAP_RIGHTS_ALL);
        Rig *rig = scene->rig;

        rig_call(rig, RIG_VM, "VM.GetSlots", "");
        rig_get(rig, RIG_VM, "org.guestmap1.VM", "Generation");
        rig_call(rig, RIG_VM, "Map.FindFree", "stttt", "memory", PAGE, PAGE, UINT64_C(0),
                 UINT64_MAX);
        rig_call(rig, "/org/freedesktop/DBus", "DBus.GetNameOwner", "s", "org.guestmap1");
        rig_use(rig, scene->guestmapd);
        rig_add(rig, RIG_VM, "ram", "ram", PAGE, "system", 0);
        assert_string_equal(rig->text, "2");
        assert_no_entry(scene);
        scene_free(scene);
}

/* One that waits has its entry when it is answered; one that may not even wait, at once. */
static void test_calls_that_wait(void **state) {
        Scene *scene = scene_new("none", GUESTMAP_RIGHTS_ALL);
        Rig *rig = scene->rig;

        rig->service->vm->limits.descriptors = 0;
        rig_call(rig, RIG_VM, "Map.ApplyFD", "ha{sv}", 0, 0);
        expect(scene, "ApplyFD: " GUESTMAP("QuotaExceeded"));
        rig_lend(rig, ":1.1");
        for (int i = 0; i < GATE_LINE_USER_MAX; i++)
                send_begin(rig);
        assert_no_entry(scene);
        send_begin(rig);
        expect(scene, "Begin: " GUESTMAP("QuotaExceeded"));
        gate_take_back(&rig->service->gate);
        for (int i = 0; i < GATE_LINE_USER_MAX; i++) {
                while (!caught_journal_take(&scene->journal))
                        assert_true(sd_event_run(rig->event, UINT64_C(20000000)) > 0);
                assert_string_equal(field(scene, "GUESTMAP_MEMBER"), "Begin");
        }
        rig_settle(rig);
        assert_no_entry(scene);
        scene_free(scene);
}

static void leave(Scene *scene) {
        rig_leave(scene->rig, TAKE_PTR(scene->own));
}

/* In line, in preparation, in a job: nothing is known of what becomes of it, but that it was. */
static void test_the_caller_leaves(void **state) {
        Scene *scene = scene_new("none", GUESTMAP_RIGHTS_ALL);
        _cleanup_(closep) int patch = memfd_create("patch", MFD_CLOEXEC);
        Rig *rig = scene->rig;

        slow_jobs_begin(&rig->service->preparing);
        slow_jobs_begin(&rig->service->jobs);
        rig_send(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "slow", "ram", PAGE, "system",
                 100 * PAGE, 0, 1, "prealloc", "b", 1);
        rig_send(rig, RIG_VM, "Map.ApplyFD", "ha{sv}", patch, 0);
        send_begin(rig);
        assert_no_entry(scene);
        leave(scene);
        expect(scene, "Begin: " DBUS("Disconnected"));
        expect(scene, "AddRegion slow: " DBUS("Disconnected"));
        expect(scene, "ApplyFD: " DBUS("Disconnected"));
        slow_jobs_end();
        rig_settle(rig);
        while (gate_is_busy(&rig->service->gate))
                assert_true(sd_event_run(rig->event, UINT64_C(20000000)) > 0);
        assert_no_entry(scene);
        scene_free(scene);
}

static void test_the_vcpu_runs_on(void **state) {
        Scene *scene;
        Rig *rig;

        need_kvm();
        scene = scene_new("kvm", GUESTMAP_RIGHTS_ALL);
        rig = scene->rig;
        rig_add(rig, RIG_VM, "ram", "ram", 16 * PAGE, "system", 0);
        rig_call(rig, RIG_VM, "VM.AddVCPU", "ua{sv}", 0, 1, "mode", "s", "flat");
        rig_call(rig, RIG_MEMORY, "AddressSpace.Write", "tay", PAGE, 2, 0xeb, 0xfe);
        rig_call(rig, VCPU_0, "VCPU.SetRegisters", "a{st}", 1, "rip", PAGE);
        while (caught_journal_take(&scene->journal))
                ;
        rig_send(rig, VCPU_0, "VCPU.Step", "u", 1);
        assert_no_entry(scene);
        leave(scene);
        expect(scene, "Step: " DBUS("Disconnected"));
        assert_no_entry(scene);
        scene_free(scene);
}

int main(void) {
        struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_member),    cmocka_unit_test(test_the_vcpu_runs_on),
                cmocka_unit_test(test_denied),          cmocka_unit_test(test_others_have_none),
                cmocka_unit_test(test_calls_that_wait), cmocka_unit_test(test_the_caller_leaves),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
