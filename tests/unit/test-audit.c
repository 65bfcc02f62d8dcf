/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What an entry of the audit says: of calls that nobody gets, with a journal of the test's own */

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "api/names.h"
#include "daemon/common/audit-dbus.h"
#include "tests/common/caught-journal.h"
#include "tests/common/unit.h"

#define VM1        GUESTMAP_PATH_VM "/vm1"
#define PROPERTIES "org.freedesktop.DBus.Properties"

typedef struct Scene {
        CaughtJournal journal;
        sd_event *event;
        AuditLimit limit;
        sd_bus *bus;
        int other; /* its end */
        uint32_t uid;
} Scene;

static int set_up(void **state) {
        static Scene scene;
        int pair[2];

        caught_journal_begin(&scene.journal);
        assert_true(sd_event_new(&scene.event) >= 0);
        audit_limit_init(&scene.limit, scene.event);
        scene.uid = 7;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        scene.other = pair[1];
        assert_true(sd_bus_new(&scene.bus) >= 0);
        assert_true(sd_bus_set_fd(scene.bus, pair[0], pair[0]) >= 0);
        assert_true(sd_bus_start(scene.bus) >= 0);
        *state = &scene;
        return 0;
}

static int tear_down(void **state) {
        Scene *scene = *state;

        audit_limit_deinit(&scene->limit);
        sd_event_unref(scene->event);
        sd_bus_close_unref(scene->bus);
        close(scene->other);
        caught_journal_end(&scene->journal);
        return 0;
}

static const char *field(Scene *scene, const char *key) {
        return caught_journal_field(&scene->journal, key) ?: "";
}

static void log_call(Scene *scene, sd_bus_message *call, const sd_bus_error *error) {
        _cleanup_(audit_subject_freep) AuditSubject *subject = NULL;
        const LogFields who = {.vm = "vm1",
                               .caller = ":1.7",
                               .has_uid = scene->uid != AUDIT_NOBODY,
                               .uid = scene->uid};

        assert_true(sd_bus_message_seal(call, 1, 0) >= 0);
        subject = audit_subject_new(call);
        audit_log(&scene->limit, &who, call, subject, NULL, error);
        sd_bus_message_unref(call);
}

static sd_bus_message *new_call(Scene *scene, const char *path, const char *interface,
                                const char *member, const char *types, ...) {
        sd_bus_message *call = NULL;
        va_list values;

        assert_true(sd_bus_message_new_method_call(scene->bus, &call, NULL, path, interface,
                                                   member) >= 0);
        va_start(values, types);
        assert_true(sd_bus_message_appendv(call, types, values) >= 0);
        va_end(values);
        return call;
}

/* The call was done, and what its entry says is this. */
#define EXPECT(scene, text, ...)                                                                   \
        do {                                                                                       \
                log_call(scene, new_call(scene, __VA_ARGS__), NULL);                               \
                assert_true(caught_journal_take(&(scene)->journal));                               \
                assert_string_equal(field(scene, "MESSAGE"), "VM \"vm1\": uid 7: " text ": done"); \
        } while (0)

static void test_what(void **state) {
        Scene *scene = *state;

        EXPECT(scene, "AddRegion \"ram\" \"ram\" 4096 \"system\" 0 -1", VM1, GUESTMAP_INTERFACE_MAP,
               "AddRegion", "sststia{sv}", "ram", "ram", UINT64_C(4096), "system", UINT64_C(0), -1,
               1, "readonly", "b", 1);
        assert_string_equal(field(scene, "GUESTMAP_REGION"), "ram");
        assert_string_equal(field(scene, "GUESTMAP_OBJECT"), VM1);
        assert_string_equal(field(scene, "GUESTMAP_ARGUMENTS"),
                            "\"ram\" \"ram\" 4096 \"system\" 0 -1");
        EXPECT(scene, "AddAddressSpace \"dma\" \"system\"", VM1, GUESTMAP_INTERFACE_MAP,
               "AddAddressSpace", "ssa{sv}", "dma", "system", 0);
        assert_string_equal(field(scene, "GUESTMAP_REGION"), "");
        EXPECT(scene, "Write 4096 on space/memory", VM1 "/space/memory",
               GUESTMAP_INTERFACE_ADDRESS_SPACE, "Write", "tay", UINT64_C(4096), 2, 1, 2);
        assert_string_equal(field(scene, "GUESTMAP_OBJECT"), VM1 "/space/memory");
        EXPECT(scene, "Set \"org.guestmap1.Region\" \"Enabled\" false on region/pc_2eram",
               VM1 "/region/pc_2eram", PROPERTIES, "Set", "ssv", "org.guestmap1.Region", "Enabled",
               "b", 0);
        assert_string_equal(field(scene, "GUESTMAP_REGION"), "pc.ram");
        EXPECT(scene, "StartDirtyLog on region/ram", GUESTMAP_PATH_VM "/region/region/ram",
               GUESTMAP_INTERFACE_REGION, "StartDirtyLog", "");
        assert_string_equal(field(scene, "GUESTMAP_REGION"), "ram");
        EXPECT(scene, "Destroy", GUESTMAP_PATH_VM "/region", GUESTMAP_INTERFACE_VM, "Destroy",
               "a{sv}", 0);
        assert_string_equal(field(scene, "GUESTMAP_REGION"), "");
        EXPECT(scene, "Step 3 on vcpu/1", VM1 "/vcpu/1", GUESTMAP_INTERFACE_VCPU, "Step", "u", 3);
        EXPECT(scene, "AddVCPU 4294967295", VM1, GUESTMAP_INTERFACE_VM, "AddVCPU", "ua{sv}",
               UINT32_MAX, 0);
        EXPECT(scene, "SetRegisters on vcpu/1", VM1 "/vcpu/1", GUESTMAP_INTERFACE_VCPU,
               "SetRegisters", "a{st}", 1, "rip", UINT64_C(1));
        assert_null(caught_journal_field(&scene->journal, "GUESTMAP_ARGUMENTS"));
        EXPECT(scene, "Commit on transaction/2", VM1 "/transaction/2",
               GUESTMAP_INTERFACE_TRANSACTION, "Commit", "a{sv}", 0);
        EXPECT(scene, "CreateVM \"web\"", GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, "CreateVM",
               "sa{sv}", "web", 0);
}

/* Nobody can hide what he did behind what he said. */
static void test_long_words(void **state) {
        Scene *scene = *state;
        char text[2891];

        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        text[1] = '\n';
        log_call(scene,
                 new_call(scene, VM1, GUESTMAP_INTERFACE_MAP, "Unheard", "sssss", text, text, text,
                          text, text),
                 &SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_ACCESS_DENIED, "no"));
        assert_true(caught_journal_take(&scene->journal));
        assert_non_null(strstr(field(scene, "MESSAGE"), ": uid 7: Unheard \"x\\x0axx"));
        assert_non_null(strstr(field(scene, "MESSAGE"), "xxx...\" ...: denied"));
        assert_string_equal(field(scene, "GUESTMAP_CALLER_UID"), "7");
        assert_string_equal(field(scene, "GUESTMAP_CALLER"), ":1.7");
        assert_string_equal(field(scene, "GUESTMAP_MEMBER"), "Unheard");
        assert_string_equal(field(scene, "GUESTMAP_RESULT"), SD_BUS_ERROR_ACCESS_DENIED);
}

/* Nor does an error that repeats it make another entry of it, or the name of a VM to be. */
static void test_forged_lines(void **state) {
        Scene *scene = *state;

        log_call(scene,
                 new_call(scene, VM1, GUESTMAP_INTERFACE_MAP, "EnableRegion", "sb",
                          "x\nuid 0: Destroy: done", 1),
                 &SD_BUS_ERROR_MAKE_CONST("a.b", "no \"x\nuid 0: Destroy: done\" \x1b[2K"));
        assert_true(caught_journal_take(&scene->journal));
        assert_string_equal(field(scene, "MESSAGE"),
                            "VM \"vm1\": uid 7: EnableRegion \"x\\x0auid 0: Destroy: done\" true: "
                            "no \"x\\x0auid 0: Destroy: done\" \\x1b[2K");
}

/* Arguments of other types than the contract's are shown as far as they can be. */
static void test_other_types(void **state) {
        Scene *scene = *state;

        EXPECT(scene, "AddRegion", VM1, GUESTMAP_INTERFACE_MAP, "AddRegion", "");
        assert_string_equal(field(scene, "GUESTMAP_REGION"), "");
        EXPECT(scene, "AddRegion 5 \"ram\"", VM1, GUESTMAP_INTERFACE_MAP, "AddRegion", "us(s)", 5,
               "ram", "ram");
}

/* "RemoveRegion NAME", of that uid. */
static void remove_as(Scene *scene, uint32_t uid) {
        scene->uid = uid;
        log_call(scene,
                 new_call(scene, VM1, GUESTMAP_INTERFACE_MAP, "RemoveRegion", "sa{sv}", "a", 0),
                 NULL);
}

static void expect_entry(Scene *scene, const char *text) {
        assert_true(caught_journal_take(&scene->journal));
        assert_string_equal(field(scene, "MESSAGE"), text);
}

/* One user's noise is at nobody's expense, and it is said how much of it there was. */
static void test_noise(void **state) {
        Scene *scene = *state;

        scene->limit.entries_max = 2;
        scene->limit.span_usec = 1;
        for (unsigned i = 0; i < 5; i++)
                remove_as(scene, 7);
        remove_as(scene, 0);
        expect_entry(scene, "VM \"vm1\": uid 7: RemoveRegion \"a\": done");
        expect_entry(scene, "VM \"vm1\": uid 7: RemoveRegion \"a\": done");
        expect_entry(scene, "VM \"vm1\": uid 0: RemoveRegion \"a\": done");
        assert_false(caught_journal_take(&scene->journal));
        while (!RB_EMPTY(&scene->limit.spans))
                assert_true(sd_event_run(scene->event, UINT64_C(10000000)) > 0);
        expect_entry(scene, "uid 7: 3 entries left out, beyond 2 in 0 s");
        assert_string_equal(field(scene, "MESSAGE_ID"), MESSAGE_CALLS_UNLOGGED);
        assert_string_equal(field(scene, "GUESTMAP_CALLER_UID"), "7");
        assert_string_equal(field(scene, "PRIORITY"), "4");
        assert_false(caught_journal_take(&scene->journal));
        remove_as(scene, 7);
        expect_entry(scene, "VM \"vm1\": uid 7: RemoveRegion \"a\": done");
}

/* What was left out is told also if the process ends before the time does. */
static void test_noise_until_the_end(void **state) {
        Scene *scene = *state;

        for (unsigned i = 0; i < 10001; i++) {
                remove_as(scene, 7);
                assert_int_equal(caught_journal_take(&scene->journal), i < 10000);
        }
        audit_limit_deinit(&scene->limit);
        expect_entry(scene, "uid 7: 1 entries left out, beyond 10000 in 30 s");
}

/* Callers whom the bus did not know share one limit, and have no uid that could be anybody's. */
static void test_noise_of_nobody(void **state) {
        Scene *scene = *state;

        scene->limit.entries_max = 1;
        for (unsigned i = 0; i < 3; i++)
                remove_as(scene, AUDIT_NOBODY);
        expect_entry(scene, "VM \"vm1\": uid unknown: RemoveRegion \"a\": done");
        assert_null(caught_journal_field(&scene->journal, "GUESTMAP_CALLER_UID"));
        audit_limit_deinit(&scene->limit);
        expect_entry(scene, "uid unknown: 2 entries left out, beyond 1 in 30 s");
        assert_null(caught_journal_field(&scene->journal, "GUESTMAP_CALLER_UID"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_what),
                TEST(test_long_words),
                TEST(test_forged_lines),
                TEST(test_other_types),
                TEST(test_noise),
                TEST(test_noise_until_the_end),
                TEST(test_noise_of_nobody),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
