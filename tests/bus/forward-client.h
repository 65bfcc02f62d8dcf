/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A client of guestmapd in a test, and what the test sees of the daemons from outside
 *
 * What is not as it must be fails the test. Programs of such tests are called with KIND GUESTMAPD:
 * the kind of bus, and the program.
 *
 *   FORWARD_TESTS(cmocka_unit_test_setup_teardown(test_one, set_up, tear_down));
 */

#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "tests/bus/world.h"
#include "tests/common/unit.h"

/* Skips all, and ends the program, where there is no such bus. */
void forward_take_arguments(int argc, char *argv[]);
/* world_open() with what the arguments were. */
bool forward_open_world(World *world, const char *mode);

#define FORWARD_TESTS(...)                                                                         \
        int main(int argc, char *argv[]) {                                                         \
                const struct CMUnitTest tests_[] = {__VA_ARGS__};                                  \
                                                                                                   \
                forward_take_arguments(argc, argv);                                                \
                return cmocka_run_group_tests(tests_, NULL, NULL);                                 \
        }                                                                                          \
        struct forward_tests_semicolon_

/* Calls guestmapd; the reply is the caller's. */
sd_bus_message *must_call(sd_bus *bus, const char *path, const char *interface, const char *member,
                          const char *types, ...);
/* The call fails with the error, and what that says has the part. */
void must_refuse(sd_bus *bus, const char *name, const char *part, const char *path,
                 const char *interface, const char *member, const char *types, ...);
/* A VM on accelerator none. */
void must_create(sd_bus *bus, const char *name);
void must_destroy(sd_bus *bus, const char *name);
uint64_t must_get_generation(sd_bus *bus, const char *vm);
/* A property of a VM that is a string; the caller frees. */
char *must_get_text(sd_bus *bus, const char *vm, const char *property);

/* A connection of the client's own to a VM's process. */
sd_bus *must_open_connection(sd_bus *bus, const char *vm);

/* Handles one message that has come, or waits for one. */
void must_process(sd_bus *bus);

/* Bytes of memory that a process has, and the most that it had since process_forget_peak(). */
long process_memory(pid_t pid);
long process_peak(pid_t pid);
void process_forget_peak(pid_t pid);
/* How many descriptors it has open. */
unsigned process_descriptors(pid_t pid);
/* Those with a sanitizer give back what they free, so that their memory can be looked at. */
void processes_keep_no_freed_memory(void);
