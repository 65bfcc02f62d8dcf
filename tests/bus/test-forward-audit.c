/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What guestmapd's audit has of calls that come over the bus: test-forward-audit GUESTMAP_VMD
 *
 * The test is the bus, all clients, whose names end with their uids, guestmapd and the journal. So
 * whether a call was seen, sent or answered when its client leaves is decided here, not by time.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "daemon/common/message-ids.h"
#include "daemon/manager/caller-dbus.h"
#include "daemon/manager/manager.h"
#include "tests/bus/own-bus.h"
#include "tests/common/caught-journal.h"
#include "tests/common/unit.h"

#define VM1       GUESTMAP_PATH_VM "/vm1"
#define MEMORY    VM1 "/space/memory"
#define ROOT      ":1.0"
#define OWNER     ":1.1000"
#define STRANGER  ":1.2000"
#define UNKNOWN   ":1.nobody"
#define WAIT_USEC 20000000
#define CONFIG    "[User]\nCallsPerUser=3\n[Client]\nMessageBytes=1K\n"

#define GUESTMAP(name) "org.guestmap1.Error." name
#define DBUS(name)     "org.freedesktop.DBus.Error." name

/* What is in the directory of the bus. */
enum { BUS, RUN, CONF, STATE, VMD, N_PATHS };

typedef struct Scene {
        OwnBus own;
        CaughtJournal journal;
        Manager *manager;
        char path[N_PATHS][96], address[128];
        sd_bus_message *question; /* who STRANGER is, if that is not to be answered yet */
        bool answers_late;
        uintptr_t n_sent;
        bool is_answered; /* the last that was sent */
        char error[128];  /* of that; "": none */
} Scene;

static char *program;
static Scene scene;

static int answer_who(sd_bus_message *m) {
        const char *name;

        assert_true(sd_bus_message_read(m, "s", &name) > 0);
        if (strcmp(name, UNKNOWN) == 0)
                return sd_bus_reply_method_errorf(m, DBUS("NameHasNoOwner"), "it has left");
        if (scene.answers_late) {
                scene.question = sd_bus_message_ref(m);
                return 1;
        }
        return sd_bus_reply_method_return(m, "u", atoi(strrchr(name, '.') + 1));
}

/* There is no polkit. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus", "GetConnectionUnixUser"))
                return answer_who(m);
        if (sd_bus_message_is_method_call(m, NULL, "CheckAuthorization"))
                return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_SERVICE_UNKNOWN, "no polkit");
        return sd_bus_message_is_signal(m, NULL, NULL);
}

static void go_on(void) {
        assert_true(sd_event_run(scene.manager->event, WAIT_USEC) > 0);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *failure = sd_bus_message_get_error(m);

        if ((uintptr_t)userdata != scene.n_sent)
                return 1;
        snprintf(scene.error, sizeof(scene.error), "%s", failure ? failure->name : "");
        scene.is_answered = true;
        return 1;
}

static void send_as(const char *sender, const char *path, const char *interface, const char *member,
                    const char *types, ...) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        va_list values;

        assert_true(sd_bus_message_new_method_call(scene.own.bus, &m, GUESTMAP_SERVICE, path,
                                                   interface, member) >= 0);
        assert_true(sd_bus_message_set_sender(m, sender) >= 0);
        va_start(values, types);
        assert_true(sd_bus_message_appendv(m, types, values) >= 0);
        va_end(values);
        scene.is_answered = false;
        assert_true(sd_bus_call_async(scene.own.bus, NULL, m, on_answer, (void *)++scene.n_sent,
                                      UINT64_MAX) >= 0);
}

/* Sends, and waits for the answer. Calls that were sent before may wait for theirs. */
#define CALL(...)                                                                                  \
        do {                                                                                       \
                send_as(__VA_ARGS__);                                                              \
                while (!scene.is_answered)                                                         \
                        go_on();                                                                   \
        } while (0)

static void add_region(const char *sender, const char *name) {
        send_as(sender, VM1, GUESTMAP_INTERFACE_MAP, "AddRegion", "sststia{sv}", name, "mmio",
                UINT64_C(4096), "", UINT64_C(0), 0, 0);
}

/* guestmapd knows who it is, and has handled what it has sent. */
static void settle(const char *name) {
        CALL(name, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "ListVMs", "");
}

/* Who has left hears nothing more. */
static void leave(const char *name) {
        own_bus_tell_gone(&scene.own, name);
        while (callers_count(&scene.manager->callers, NULL) > 0)
                go_on();
}

static const char *field(const char *key) {
        return caught_journal_field(&scene.journal, key) ?: "";
}

static void assert_no_entry(void) {
        while (caught_journal_take(&scene.journal))
                if (field("GUESTMAP_MEMBER")[0])
                        fail_msg("an entry too many: %s", field("MESSAGE"));
}

/* Waits for the next entry of a call. */
static void take(void) {
        do
                while (!caught_journal_take(&scene.journal))
                        go_on();
        while (!field("GUESTMAP_MEMBER")[0]);
}

/* The same, and compares: "UID MEMBER ARGUMENTS: RESULT GENERATION". */
static void expect(const char *entry) {
        char text[512], uid[16];

        take();
        snprintf(uid, sizeof(uid), "%s", field("GUESTMAP_CALLER_UID"));
        snprintf(text, sizeof(text), "%s %s", uid[0] ? uid : "?", field("GUESTMAP_MEMBER"));
        for (size_t i = 0; i < 3; i++) {
                static const char *const keys[] = {"GUESTMAP_ARGUMENTS", "GUESTMAP_RESULT",
                                                   "GUESTMAP_GENERATION"};
                static const char *const marks[] = {" ", ": ", " "};
                size_t n = strlen(text);

                if (field(keys[i])[0])
                        snprintf(text + n, sizeof(text) - n, "%s%s", marks[i], field(keys[i]));
        }
        assert_string_equal(text, entry);
        assert_string_equal(field("GUESTMAP_VM"), "vm1");
}

static void start_guestmapd(int listener) {
        static const char *const names[N_PATHS] = {"bus", "run", "conf", "state", "vmd"};
        const Settings settings = {
                .address = scene.address,
                .runtime_dir = scene.path[RUN],
                .config = scene.path[CONF],
                .state_dir = scene.path[STATE],
                .vmd = scene.path[VMD],
        };

        for (size_t i = 0; i < N_PATHS; i++)
                snprintf(scene.path[i], sizeof(scene.path[i]), "%s/%s", scene.own.directory,
                         names[i]);
        snprintf(scene.address, sizeof(scene.address), "unix:path=%s", scene.path[BUS]);
        assert_int_equal(symlink(program, scene.path[VMD]), 0);
        assert_true(manager_new(&scene.manager, &settings) >= 0);
        assert_true(manager_start(scene.manager) >= 0);
        own_bus_accept(&scene.own, listener, on_message);
        assert_true(sd_bus_attach_event(scene.own.bus, scene.manager->event, 0) >= 0);
        while (!scene.manager->named)
                go_on();
}

static void create(void) {
        CALL(ROOT, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}", "vm1", 2,
             "accelerator", "s", "none", "owner", "u", 1000);
        assert_string_equal(scene.error, "");
        expect("0 CreateVM \"vm1\": done");
}

static void destroy(void) {
        CALL(ROOT, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "DestroyVM", "sa{sv}", "vm1", 0);
        assert_string_equal(scene.error, "");
        expect("0 DestroyVM \"vm1\": done");
}

static int set_up(void **state) {
        scene = (Scene){};
        caught_journal_begin(&scene.journal);
        start_guestmapd(own_bus_listen(&scene.own, CONFIG));
        create();
        leave(ROOT);
        return 0;
}

static int tear_down(void **state) {
        destroy();
        manager_free(scene.manager);
        assert_int_equal(unlink(scene.path[VMD]), 0);
        caught_journal_end(&scene.journal);
        return own_bus_close(&scene.own) ? 0 : -1;
}

/* The process sleeps meanwhile, and when it wakes it does what it was told. */
static void test_the_caller_leaves(void **state) {
        pid_t vm = own_bus_vm(&scene.own);

        assert_int_equal(kill(vm, SIGSTOP), 0);
        settle(OWNER);
        add_region(OWNER, "a");
        add_region(OWNER, "a");
        send_as(OWNER, MEMORY, GUESTMAP_INTERFACE_ADDRESS_SPACE, "WaitChanges", "tt", UINT64_C(2),
                UINT64_C(60000000));
        settle(OWNER);
        leave(OWNER);
        assert_no_entry();
        /* Of what nobody waits for nothing is kept; the others are the user's: one more may be. */
        settle(OWNER);
        add_region(OWNER, "b");
        CALL(OWNER, VM1, GUESTMAP_INTERFACE_MAP, "RemoveRegion", "sa{sv}", "a", 0);
        assert_string_equal(scene.error, GUESTMAP("QuotaExceeded"));
        expect("1000 RemoveRegion \"a\": " GUESTMAP("QuotaExceeded"));
        leave(OWNER);
        assert_no_entry();
        assert_int_equal(kill(vm, SIGCONT), 0);
        expect("1000 AddRegion \"a\" \"mmio\" 4096 \"\" 0 0: done 2");
        expect("1000 AddRegion \"a\" \"mmio\" 4096 \"\" 0 0: " GUESTMAP("RegionExists"));
        expect("1000 AddRegion \"b\" \"mmio\" 4096 \"\" 0 0: done 3");
        assert_true(RB_EMPTY(&scene.manager->users));
        assert_no_entry();
}

/* The VM that it had asked for is not made, and that is not its process's fault. */
static void test_the_creator_leaves(void **state) {
        destroy();
        send_as(ROOT, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}", "vm1", 1,
                "accelerator", "s", "none");
        leave(ROOT);
        expect("0 CreateVM \"vm1\": " DBUS("Disconnected"));
        assert_non_null(strstr(field("MESSAGE"), "left before the VM was there"));
        while (scene.manager->registry.n > 0)
                go_on();
        assert_no_entry();
        create();
}

/* The process dies, and the audit has what is known: it may have taken effect. */
static void test_the_process_dies_then(void **state) {
        pid_t vm = own_bus_vm(&scene.own);

        assert_int_equal(kill(vm, SIGSTOP), 0);
        settle(OWNER);
        add_region(OWNER, "a");
        settle(OWNER);
        leave(OWNER);
        assert_int_equal(kill(vm, SIGKILL), 0);
        expect("1000 AddRegion \"a\" \"mmio\" 4096 \"\" 0 0: " GUESTMAP("VMGone"));
        assert_true(RB_EMPTY(&scene.manager->users));
        assert_no_entry();
}

/* There is no program for another process: the VM recovers as long as that is so. */
static void kill_vm_for_good(void) {
        const VM *vm = registry_first(&scene.manager->registry);

        assert_int_equal(unlink(scene.path[VMD]), 0);
        assert_int_equal(kill(own_bus_vm(&scene.own), SIGKILL), 0);
        while (vm->phase != VM_RECOVERING)
                go_on();
}

static void test_calls_that_are_held(void **state) {
        kill_vm_for_good();
        settle(OWNER);
        add_region(OWNER, "a");
        settle(OWNER);
        assert_no_entry();
        leave(OWNER);
        expect("1000 AddRegion \"a\" \"mmio\" 4096 \"\" 0 0: " DBUS("Disconnected"));
        assert_non_null(strstr(field("MESSAGE"), "it had no effect"));
        add_region(OWNER, "b");
        settle(OWNER);
        assert_int_equal(symlink(program, scene.path[VMD]), 0);
        expect("1000 AddRegion \"b\" \"mmio\" 4096 \"\" 0 0: done 2");
        kill_vm_for_good();
        add_region(OWNER, "c");
        settle(OWNER);
        destroy();
        expect("1000 AddRegion \"c\" \"mmio\" 4096 \"\" 0 0: " GUESTMAP("VMGone"));
        assert_int_equal(symlink(program, scene.path[VMD]), 0);
        create();
        assert_no_entry();
}

/* Nobody has looked at its call yet, since nobody knows who it is. */
static void test_it_leaves_before_it_is_known(void **state) {
        scene.answers_late = true;
        add_region(STRANGER, "a");
        while (!scene.question)
                go_on();
        leave(STRANGER);
        sd_bus_message_unref(scene.question);
        scene.answers_late = false;
        expect("? AddRegion \"a\" \"mmio\" 4096 \"\" 0 0: " DBUS("Disconnected"));
        CALL(UNKNOWN, VM1, GUESTMAP_INTERFACE_VM, "Destroy", "a{sv}", 0);
        assert_string_equal(scene.error, DBUS("AccessDenied"));
        expect("? Destroy: " DBUS("AccessDenied"));
        assert_no_entry();
}

/* What guestmapd says by itself; nobody else hears of these calls. */
static void test_refusals(void **state) {
        static char text[2000];

        memset(text, ' ', sizeof(text) - 1);
        CALL(OWNER, VM1, GUESTMAP_INTERFACE_MAP, "ApplyFD", "s", "x");
        expect("1000 ApplyFD \"x\": " DBUS("InvalidArgs"));
        CALL(OWNER, VM1, GUESTMAP_INTERFACE_MAP, "Apply", "sa{sv}", text, 0);
        assert_string_equal(scene.error, GUESTMAP("QuotaExceeded"));
        take();
        assert_string_equal(field("GUESTMAP_RESULT"), GUESTMAP("QuotaExceeded"));
        assert_string_equal(field("GUESTMAP_MEMBER"), "Apply");
        CALL(OWNER, VM1, GUESTMAP_INTERFACE_VM, "Destroy", "a{sv}", 1, "unheard", "b", 1);
        expect("1000 Destroy: " DBUS("InvalidArgs"));
        CALL(OWNER, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "DestroyVM", "ss", "vm1", "x");
        expect("1000 DestroyVM \"vm1\" \"x\": " DBUS("InvalidArgs"));
        CALL(OWNER, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}", "vm1", 0);
        expect("1000 CreateVM \"vm1\": " DBUS("AccessDenied"));
        CALL(ROOT, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM", "sa{sv}", "vm1", 0);
        expect("0 CreateVM \"vm1\": " GUESTMAP("VMExists"));
        CALL(STRANGER, VM1, GUESTMAP_INTERFACE_MAP, "RemoveRegion", "sa{sv}", "a", 0);
        expect("2000 RemoveRegion \"a\": " DBUS("AccessDenied"));
        assert_string_equal(field("MESSAGE_ID"), MESSAGE_CALL_DENIED);
        assert_string_equal(field("GUESTMAP_OBJECT"), VM1);
        CALL(OWNER, VM1, GUESTMAP_INTERFACE_VM, "GetLayout", "s", "x");
        assert_string_equal(scene.error, DBUS("InvalidArgs"));
        assert_no_entry();
}

static void test_no_such_vm(void **state) {
        CALL(OWNER, GUESTMAP_PATH_VM "/vm2", GUESTMAP_INTERFACE_MAP, "RemoveRegion", "sa{sv}", "a",
             0);
        assert_string_equal(scene.error, GUESTMAP("NoSuchVM"));
        take();
        assert_string_equal(field("GUESTMAP_CALLER_UID"), "1000");
        assert_string_equal(field("GUESTMAP_MEMBER"), "RemoveRegion");
        assert_string_equal(field("GUESTMAP_OBJECT"), GUESTMAP_PATH_VM "/vm2");
        assert_string_equal(field("GUESTMAP_RESULT"), GUESTMAP("NoSuchVM"));
        assert_no_entry();
}

/* Each has three: root's begin with the VM's creation, and end with its end. */
static void test_noise_is_its_makers(void **state) {
        scene.manager->audit_limit.entries_max = 3;
        for (unsigned i = 0; i < 6; i++)
                CALL(OWNER, VM1, GUESTMAP_INTERFACE_MAP, "RemoveRegion", "sa{sv}", "a", 0);
        CALL(ROOT, VM1, GUESTMAP_INTERFACE_MAP, "RemoveRegion", "sa{sv}", "a", 0);
        for (unsigned i = 0; i < 3; i++)
                expect("1000 RemoveRegion \"a\": " GUESTMAP("NoSuchRegion"));
        expect("0 RemoveRegion \"a\": " GUESTMAP("NoSuchRegion"));
        assert_no_entry();
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                TEST(test_the_caller_leaves),
                TEST(test_the_creator_leaves),
                TEST(test_the_process_dies_then),
                TEST(test_calls_that_are_held),
                TEST(test_it_leaves_before_it_is_known),
                TEST(test_refusals),
                TEST(test_no_such_vm),
                TEST(test_noise_is_its_makers),
        };

        if (argc != 2)
                return 2;
        program = realpath(argv[1], NULL); /* a link leads there */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
