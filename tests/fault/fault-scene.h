/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Fault scene: a guestmap-vmd that the test starts, sets up, and lets things fail in
 *
 * The VM is called "test"; it has KVM, where that may be used. Functions fail the test if anything
 * goes wrong that nobody let fail.
 */

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "api/names.h"
#include "tests/common/unit.h"
#include "tests/fault/fault.h"

#define VM_PATH GUESTMAP_PATH_VM "/test"
#define MEMORY  VM_PATH "/space/memory"

typedef struct FaultScene FaultScene;

struct FaultScene {
        const char *program;     /* guestmap-vmd */
        const char *preload;     /* is loaded into it */
        const char *accelerator; /* of its VM */
        char directory[32];
        char socket[64];
        char home[64]; /* the VM's directory */
        FaultPage *page;
        int page_fd;
        pid_t vmd;            /* 0: there is none */
        sd_bus *bus;          /* NULL: there is no connection */
        unsigned descriptors; /* of the process when no step is under way */
};

/* False: as errno says. */
bool fault_scene_init(FaultScene *scene, const char *program, const char *preload);
void fault_scene_deinit(FaultScene *scene);

void start_vmd(FaultScene *scene);
bool vmd_ended(FaultScene *scene, int *status);
/* A connection; NULL when the process ended before there was one. */
sd_bus *connect_vmd(FaultScene *scene, int *status);
void reconnect(FaultScene *scene);
/* Makes the VM, from a layout. 0 or a negative errno, as the call went. */
int set_up_vm(FaultScene *scene);
void end_vmd(FaultScene *scene);

/* Of the VM's directory. */
bool has_file(FaultScene *scene, const char *name);
void empty_home(FaultScene *scene);

/* Edits as a patch has them. 0 or a negative errno, as the call went. */
int apply(FaultScene *scene, const char *edits, char **ret_words);
void must_apply(FaultScene *scene, const char *edits);
/* All that a client can see of the map, but for the header fields of the messages. */
char *map_text(FaultScene *scene);
uint64_t generation(FaultScene *scene);

unsigned count_descriptors(FaultScene *scene);
/* What is removed goes after a grace period. */
unsigned n_descriptors(FaultScene *scene, unsigned expected);
/* The number that stays for a while. */
unsigned settled_descriptors(FaultScene *scene);
/* Of region "new", which there is not. Large memory goes a while later. */
bool memory_is_left(FaultScene *scene);
