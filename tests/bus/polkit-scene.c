/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "api/errors.h"
#include "api/names.h"
#include "tests/bus/polkit-scene.h"

#define POLKIT    "org.freedesktop.PolicyKit1.Authority"
#define WAIT_USEC 10000000

static const char *program;

PolkitScene polkit;

void polkit_scene_take_arguments(int argc, char *argv[]) {
        if (argc != 2)
                exit(2);
        program = argv[1];
}

static void write_down(char text[static 4096], const char *words) {
        size_t used = strlen(text);

        snprintf(text + used, 4096 - used, "%s%s", used > 0 ? ", " : "", words);
}

void forget(void) {
        polkit.asked[0] = polkit.ended[0] = '\0';
        polkit.n_asked = polkit.n_ended = 0;
        polkit.has_asked = polkit.was_taken_back = false;
}

static int answer(sd_bus_message *m, Mood how) {
        switch (how) {
        case MOOD_YES:
                return sd_bus_reply_method_return(m, "(bba{ss})", 1, 0, 0);
        case MOOD_NO:
                return sd_bus_reply_method_return(m, "(bba{ss})", 0, 0, 0);
        case MOOD_CHALLENGE:
                return sd_bus_reply_method_return(m, "(bba{ss})", 0, 1, 0);
        case MOOD_ABSENT:
                return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_SERVICE_UNKNOWN, "no polkit");
        case MOOD_DYING:
                return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_NO_REPLY, "it has left");
        default:
                polkit.question = sd_bus_message_ref(m);
                return 1;
        }
}

void answer_late(Mood how) {
        assert_true(answer(polkit.question, how) >= 0);
        polkit.question = sd_bus_message_unref(polkit.question);
}

static int on_question(sd_bus_message *m) {
        const char *kind, *subject, *action, *vm = "-", *text;
        uint32_t flags;
        char words[256];

        assert_true(sd_bus_message_read(m, "(sa{sv})s", &kind, 1, NULL, "s", &subject, &action) >
                    0);
        assert_string_equal(kind, "system-bus-name");
        assert_true(sd_bus_message_enter_container(m, 'a', "{ss}") >= 0);
        while (sd_bus_message_read(m, "{ss}", &text, &vm) > 0)
                assert_string_equal(text, "vm");
        assert_true(sd_bus_message_exit_container(m) >= 0);
        assert_true(sd_bus_message_read(m, "us", &flags, &text) > 0);
        /* Two questions at a time may not have one cookie. */
        assert_string_not_equal(text, polkit.cookie);
        snprintf(polkit.cookie, sizeof(polkit.cookie), "%s", text);
        snprintf(words, sizeof(words), "%s %s %s%s", action + strlen("org.guestmap1."),
                 subject + strlen(":1."), vm, flags & 1 ? " !" : "");
        write_down(polkit.asked, words);
        polkit.n_asked++;
        polkit.has_asked = true;
        if (polkit.mood == MOOD_LOOK)
                return answer(m, strcmp(action, "org.guestmap1.inspect") == 0 ? MOOD_YES : MOOD_NO);
        return answer(m, polkit.mood);
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *text;

        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus", "GetConnectionUnixUser")) {
                assert_true(sd_bus_message_read(m, "s", &text) > 0);
                return sd_bus_reply_method_return(m, "u", atoi(text + strlen(":1.")));
        }
        if (sd_bus_message_is_method_call(m, POLKIT, "CheckAuthorization"))
                return on_question(m);
        if (sd_bus_message_is_method_call(m, POLKIT, "CancelCheckAuthorization")) {
                assert_true(sd_bus_message_read(m, "s", &text) > 0);
                snprintf(polkit.taken_back, sizeof(polkit.taken_back), "%s", text);
                polkit.was_taken_back = true;
                return 1;
        }
        return sd_bus_message_is_signal(m, NULL, NULL);
}

static const char *last_part(const char *name) {
        return strrchr(name, '.') + 1;
}

static void take_fd(sd_bus_message *m) {
        assert_true(sd_bus_message_read(m, "h", &polkit.passed_fd) > 0);
        polkit.passed_fd = fcntl(polkit.passed_fd, F_DUPFD_CLOEXEC, 3);
        assert_true(polkit.passed_fd >= 0);
}

/* The client is known by what was written behind the call: nothing else comes back. */
static int on_end(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *failure = sd_bus_message_get_error(m);
        const char *what = userdata;
        char words[128];

        if (sd_bus_message_has_signature(m, "h"))
                take_fd(m);
        snprintf(words, sizeof(words), "%s %s", what, failure ? last_part(failure->name) : "done");
        write_down(polkit.ended, words);
        polkit.n_ended++;
        polkit.is_idle = --polkit.n_left == 0;
        return 1;
}

sd_bus_message *new_call(unsigned uid, const char *path, const char *interface,
                         const char *member) {
        sd_bus_message *m = NULL;
        char sender[32];

        snprintf(sender, sizeof(sender), ":1.%u", uid);
        assert_true(sd_bus_message_new_method_call(polkit.own.bus, &m, GUESTMAP_SERVICE, path,
                                                   interface, member) >= 0);
        assert_true(sd_bus_message_set_sender(m, sender) >= 0);
        return m;
}

void send_as(const char *what, sd_bus_message *m) {
        polkit.is_idle = false;
        polkit.n_left++;
        assert_true(sd_bus_call_async(polkit.own.bus, NULL, m, on_end, (void *)what, WAIT_USEC) >=
                    0);
        sd_bus_message_unref(m);
}

void enable(const char *what, unsigned uid, const char *region) {
        sd_bus_message *m = new_call(uid, VM1, GUESTMAP_INTERFACE_MAP, "EnableRegion");

        assert_true(sd_bus_message_append(m, "sba{sv}", region, 1, 0) >= 0);
        send_as(what, m);
}

void run(void) {
        own_bus_run_until(&polkit.own, &polkit.is_idle);
}

void run_until_one_ended(void) {
        while (polkit.n_ended < 1)
                assert_true(sd_bus_process(polkit.own.bus, NULL) > 0 ||
                            sd_bus_wait(polkit.own.bus, WAIT_USEC) > 0);
}

void run_until_asked(void) {
        own_bus_run_until(&polkit.own, &polkit.has_asked);
        polkit.has_asked = false;
}

void expect(const char *result, sd_bus_message *m) {
        char words[128];

        polkit.ended[0] = '\0';
        send_as("it", m);
        run();
        snprintf(words, sizeof(words), "it %s", result);
        assert_string_equal(polkit.ended, words);
}

sd_bus_message *with_name(sd_bus_message *m, const char *name) {
        assert_true(sd_bus_message_append(m, "sa{sv}", name, 0) >= 0);
        return m;
}

sd_bus_message *manager_call(unsigned uid, const char *member) {
        return new_call(uid, GUESTMAP_PATH, GUESTMAP_INTERFACE_MANAGER, member);
}

void create(unsigned uid, const char *name) {
        sd_bus_message *m = manager_call(uid, "CreateVM");

        assert_true(sd_bus_message_append(m, "sa{sv}", name, 1, "accelerator", "s", "none") >= 0);
        expect("done", m);
}

int polkit_scene_open(void **state) {
        own_bus_open(&polkit.own, program, "", on_message);
        return 0;
}

int polkit_scene_close(void **state) {
        return own_bus_close(&polkit.own) ? 0 : -1;
}

int polkit_scene_setup(void **state) {
        polkit.mood = MOOD_YES;
        create(OWNER, "vm1");
        forget();
        return 0;
}

int polkit_scene_teardown(void **state) {
        polkit.mood = MOOD_NO;
        expect("done", with_name(manager_call(0, "DestroyVM"), "vm1"));
        return 0;
}
