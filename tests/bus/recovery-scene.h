/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Recovery scene: a guestmapd whose VM loses its process, its guestmapd, or both
 *
 * The VM is called "vm", and has accelerator none. The program that serves VMs is put behind a door
 * that a test can close, so that what happens while one is away does not depend on how long that
 * takes.
 */

#include <stdbool.h>

#include "tests/bus/forward-client.h"

#define VM       GUESTMAP_PATH_VM "/vm"
#define MEMORY   VM "/space/memory"
#define PATIENCE 10000000 /* µs */
#define STEP     5000     /* µs */

typedef struct Ask Ask;
typedef struct RecoveryScene RecoveryScene;

struct RecoveryScene {
        World world;
        sd_bus *client;
        uint64_t n_changes; /* of the VM's State */
        pid_t vm;           /* the last process that was seen */
        char door[96];      /* closed while this file is there */
        char option[96];
};

/* A call under way, and how it ended. */
struct Ask {
        sd_bus_slot *slot;
        bool answered;
        uint64_t number; /* that the reply begins with */
        char error[512]; /* name and message; empty if there is none */
};

/* The scene is the test's state. */
int recovery_scene_setup(void **state);
int recovery_scene_teardown(void **state);
#define RECOVERY_TEST(function)                                                                    \
        cmocka_unit_test_setup_teardown(function, recovery_scene_setup, recovery_scene_teardown)

void ask(RecoveryScene *scene, Ask *asked, const char *path, const char *interface,
         const char *member, const char *types, ...);
void await(RecoveryScene *scene, Ask *asked);
/* The call fails, and its error's name or message has the part. */
void refused(RecoveryScene *scene, const char *part, const char *path, const char *interface,
             const char *member, const char *types, ...);

void create_vm(RecoveryScene *scene, bool durable);
/* A page of RAM in a VM or transaction. */
void ask_region(RecoveryScene *scene, Ask *asked, const char *map, const char *name,
                uint64_t offset);
/* The new generation. */
uint64_t add_region(RecoveryScene *scene, const char *map, const char *name, uint64_t offset);
void poke(RecoveryScene *scene, uint64_t address, uint8_t byte);
uint8_t peek(RecoveryScene *scene, uint64_t address);
uint64_t generation_of_vm(RecoveryScene *scene);
bool has_text(RecoveryScene *scene, const char *property, const char *expected);
void expect_state(RecoveryScene *scene, const char *state);
unsigned count_vms(RecoveryScene *scene);

void process_until_more_than(RecoveryScene *scene, const uint64_t *n, uint64_t limit);

/* The next process begins once it is open. */
void close_door(RecoveryScene *scene);
void open_door(RecoveryScene *scene);
pid_t pid_of_vm(RecoveryScene *scene);
void kill_vm(RecoveryScene *scene);
/* Return when another process has taken its place; in the second case it has the VM. */
void replace_process(RecoveryScene *scene);
void replace_vm(RecoveryScene *scene);
void restart_daemon(RecoveryScene *scene, int signal);
