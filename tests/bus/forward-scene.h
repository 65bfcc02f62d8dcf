/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Forward scene: a guestmapd on a bus, a client of it, and others that look on
 */

#include "tests/bus/forward-client.h"

#define VM1        GUESTMAP_PATH_VM "/vm1"
#define VM2        GUESTMAP_PATH_VM "/vm2"
#define MEMORY     VM1 "/space/memory"
#define PROPERTIES "org.freedesktop.DBus.Properties"

typedef struct ForwardScene ForwardScene;

struct ForwardScene {
        World world;
        sd_bus *client;
        sd_bus_message *reply; /* to the client's last call: what is read from it may be compared */
        sd_bus_error error;
};

/* The scene is the test's state. */
int forward_scene_setup(void **state);
int forward_scene_teardown(void **state);
#define FORWARD_TEST(function)                                                                     \
        cmocka_unit_test_setup_teardown(function, forward_scene_setup, forward_scene_teardown)

/* The reply is valid until the next call. */
sd_bus_message *call(ForwardScene *scene, const char *path, const char *interface,
                     const char *member, const char *types, ...);
/* The call fails with that error of the contract, and says so in its message. */
void refused(ForwardScene *scene, const char *token, const char *path, const char *interface,
             const char *member, const char *types, ...);
/* Into "system"; the new generation. */
uint64_t add_region(ForwardScene *scene, const char *vm, const char *name, const char *kind,
                    uint64_t size, uint64_t offset);
/* A property of a VM; valid until the next call. */
const char *text_of(ForwardScene *scene, const char *vm, const char *property);

/* Signals of guestmapd, in the order in which they come. */
void listen_on(sd_bus *bus);
void expect_signal(sd_bus *bus, const char *path, const char *member);
/* The next Committed, whatever else comes before it. */
void expect_committed(sd_bus *bus, uint64_t generation, uint64_t previous);

/* What busctl prints when it succeeds; valid until the next time. */
const char *output_of(ForwardScene *scene, const char *verb, const char *arguments);
void assert_has(const char *text, const char *part);
