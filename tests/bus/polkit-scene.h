/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Polkit scene: the test is guestmapd's bus, all clients, and polkit
 *
 * The client ":1.N" is of uid N. Calls are written down as they end, and polkit's questions as they
 * come: "action subject vm", with a "!" behind where the user may be asked.
 */

#include <stdbool.h>

#include "tests/bus/own-bus.h"
#include "tests/common/unit.h"

#define VM1        GUESTMAP_PATH_VM "/vm1"
#define PROPERTIES "org.freedesktop.DBus.Properties"

#define OWNER    1000
#define STRANGER 2000
#define OTHER    3000

typedef struct PolkitScene PolkitScene;

/* What polkit makes of a question. */
typedef enum Mood {
        MOOD_YES,
        MOOD_NO,
        MOOD_CHALLENGE,
        MOOD_ABSENT,
        MOOD_DYING,
        MOOD_SLOW,
        MOOD_LOOK, /* yes to org.guestmap1.inspect, no to all else */
} Mood;

struct PolkitScene {
        OwnBus own;
        Mood mood;
        sd_bus_message *question; /* the last, MOOD_SLOW */
        unsigned n_asked;
        bool has_asked;
        char asked[4096], cookie[64];
        char taken_back[64]; /* the cookie of such a question */
        bool was_taken_back;
        unsigned n_ended, n_left; /* calls that have been sent and not ended */
        bool is_idle;
        char ended[4096];
        int passed_fd; /* the last one */
};

extern PolkitScene polkit;

/* There is "vm1", OWNER's, made by him while polkit allowed it. */
int polkit_scene_setup(void **state);
int polkit_scene_teardown(void **state);
#define POLKIT_TEST(function)                                                                      \
        cmocka_unit_test_setup_teardown(function, polkit_scene_setup, polkit_scene_teardown)

/* All tests of a program have one guestmapd: the first argument. */
void polkit_scene_take_arguments(int argc, char *argv[]);
int polkit_scene_open(void **state);
int polkit_scene_close(void **state);
#define POLKIT_TESTS(...)                                                                          \
        int main(int argc, char *argv[]) {                                                         \
                const struct CMUnitTest tests_[] = {__VA_ARGS__};                                  \
                                                                                                   \
                polkit_scene_take_arguments(argc, argv);                                           \
                return cmocka_run_group_tests(tests_, polkit_scene_open, polkit_scene_close);      \
        }                                                                                          \
        struct polkit_tests_semicolon_

/* What was asked and has ended. */
void forget(void);
/* What was MOOD_SLOW. */
void answer_late(Mood how);

sd_bus_message *new_call(unsigned uid, const char *path, const char *interface, const char *member);
sd_bus_message *manager_call(unsigned uid, const char *member);
sd_bus_message *with_name(sd_bus_message *m, const char *name);
/* The end is written down by that name. */
void send_as(const char *what, sd_bus_message *m);
/* Sends the call that enables a region. */
void enable(const char *what, unsigned uid, const char *region);
/* Ends one call as expected. */
void expect(const char *result, sd_bus_message *m);
void create(unsigned uid, const char *name);

/* Until no call is left. */
void run(void);
void run_until_one_ended(void);
void run_until_asked(void);
