/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Calls that no handler is for: the errors are sd-bus's, on a connection of somebody's own as on
 * guestmapd's, nothing has changed, and the audit has an entry
 */

#include <stdarg.h>
#include <string.h>

#include "api/names.h"
#include "daemon/common/rights.h"
#include "tests/bus/rig-own.h"
#include "tests/common/caught-journal.h"
#include "tests/common/unit.h"

#define RAM            RIG_VM "/region/ram"
#define NO_REGION      RIG_VM "/region/none"
#define OTHER          GUESTMAP_PATH_VM "/other"
#define PROPERTIES     "org.freedesktop.DBus.Properties"
#define PAGE           UINT64_C(0x1000)
#define GUESTMAP(name) "org.guestmap1.Error." name
#define DBUS(name)     "org.freedesktop.DBus.Error." name

typedef struct Scene Scene;

struct Scene {
        Rig *rig;
        sd_bus *own;
        CaughtJournal journal;
};

/* Of what sd-bus refuses by itself it does not say why. */
static void check_entry(Scene *scene, const char *member, const char *error) {
        bool is_ours = strncmp(error, GUESTMAP(""), strlen(GUESTMAP(""))) == 0;

        rig_settle(scene->rig);
        if (!caught_journal_take(&scene->journal))
                fail_msg("%s: %s: no entry", member, error);
        assert_string_equal(caught_journal_field(&scene->journal, "GUESTMAP_MEMBER"), member);
        assert_string_equal(caught_journal_field(&scene->journal, "GUESTMAP_RESULT"),
                            is_ours ? error : DBUS("Failed"));
        assert_false(caught_journal_take(&scene->journal));
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        char **name = userdata;
        const sd_bus_error *got = sd_bus_message_get_error(m);

        *name = strdup(got ? got->name : "done");
        return 0;
}

static char *call(const Scene *scene, sd_bus *bus, sd_bus_message *m) {
        char *name = NULL;

        assert_true(sd_bus_call_async(bus, NULL, m, on_answer, &name, 0) >= 0);
        for (unsigned n = 0; n < 1000 && !name; n++)
                assert_true(sd_event_run(scene->rig->event, UINT64_C(20000000)) > 0);
        sd_bus_message_unref(m);
        return name;
}

/* Without an interface if that is NULL. */
static void expect(Scene *scene, const char *expected, const char *path, const char *interface,
                   const char *member, const char *types, ...) {
        sd_bus *const buses[] = {scene->rig->bus, scene->own};

        for (size_t i = 0; i < ELEMENTS_OF(buses); i++) {
                sd_bus_message *m;
                va_list values;
                char *name;

                assert_true(sd_bus_message_new_method_call(buses[i], &m, NULL, path, interface,
                                                           member) >= 0);
                va_start(values, types);
                assert_true(sd_bus_message_appendv(m, types, values) >= 0);
                va_end(values);
                name = call(scene, buses[i], m);
                if (!name || strcmp(name, expected) != 0)
                        fail_msg("%s %s.%s \"%s\" on %s: %s, not %s", path, interface ?: "?",
                                 member, types, i == 0 ? "guestmapd's" : "its own", name, expected);
                free(name);
        }
        check_entry(scene, member, expected);
}

static void call_methods(Scene *scene) {
        expect(scene, DBUS("UnknownObject"), OTHER, GUESTMAP_INTERFACE_VM, "Pause", "");
        expect(scene, DBUS("UnknownMethod"), RIG_VM, GUESTMAP_INTERFACE_VM, "Unheard", "");
        expect(scene, DBUS("UnknownMethod"), RIG_VM, "org.example.Unheard", "Pause", "");
        expect(scene, DBUS("InvalidArgs"), RIG_VM, GUESTMAP_INTERFACE_VM, "Pause", "s", "");
        expect(scene, DBUS("InvalidArgs"), RIG_VM, GUESTMAP_INTERFACE_MAP, "EnableRegion", "sb",
               "ram", 0);
        expect(scene, GUESTMAP("NoSuchRegion"), NO_REGION, GUESTMAP_INTERFACE_REGION,
               "StartDirtyLog", "");
        expect(scene, DBUS("UnknownObject"), RIG_VM, NULL, "EnableRegion", "sba{sv}", "ram", 0, 0);
}

static void call_set(Scene *scene) {
        const char *region = GUESTMAP_INTERFACE_REGION;

        expect(scene, DBUS("InvalidArgs"), RAM, PROPERTIES, "Set", "ssv", region, "Enabled", "s",
               "no");
        expect(scene, DBUS("PropertyReadOnly"), RAM, PROPERTIES, "Set", "ssv", region, "Size", "t",
               PAGE);
        expect(scene, DBUS("UnknownProperty"), RAM, PROPERTIES, "Set", "ssv", region, "Unheard",
               "b", 0);
        expect(scene, DBUS("UnknownProperty"), RAM, PROPERTIES, "Set", "ssv", "org.example.Unheard",
               "Enabled", "b", 0);
        expect(scene, DBUS("UnknownObject"), OTHER, PROPERTIES, "Set", "ssv", region, "Enabled",
               "b", 0);
        expect(scene, GUESTMAP("NoSuchRegion"), NO_REGION, PROPERTIES, "Set", "ssv", region, "Size",
               "t", PAGE);
        expect(scene, DBUS("InvalidArgs"), RAM, PROPERTIES, "Set", "s", region);
}

static void test_errors_are_the_same_everywhere(void **state) {
        Scene scene = {.rig = rig_new_vm()};
        char *before;

        rig_add(scene.rig, RIG_VM, "ram", "ram", PAGE, "system", 0);
        scene.own = rig_connect_as(scene.rig, STRANGER, GUESTMAP_RIGHTS_ALL);
        before = rig_state(scene.rig);
        caught_journal_begin(&scene.journal);
        call_methods(&scene);
        call_set(&scene);
        assert_text(rig_state(scene.rig), before);
        free(before);
        caught_journal_end(&scene.journal);
        rig_leave(scene.rig, scene.own);
        rig_free(scene.rig);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_errors_are_the_same_everywhere),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
