/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Served: guestmap-vmd as a service that is killed, stopped and started again
 *
 * The test is what systemd is to it: it has the socket and the descriptors that are kept
 * (tests/common/keeper.h), and passes them to the next process. The VM is called "test", as that of
 * a rig; it has a journal, in the keeper's directory.
 */

#include <sys/types.h>

#include "tests/bus/rig.h"
#include "tests/common/keeper.h"

typedef struct Served Served;

struct Served {
        const char *program;
        Keeper *keeper;
        int socket; /* that it listens on */
        pid_t pid;
        Rig *rig; /* NULL while it does not run */
};

/* Runs, with a VM as CreateVM leaves it: generation 1. */
Served *served_new(const char *program, const char *accelerator);
Served *served_free(Served *served);

/* Starts a process, which is ready. */
void served_start(Served *served);
/* Sends a signal and waits for the end of the process. */
void served_end(Served *served, int number);
void served_restart(Served *served, int number);

/* A property of the VM. */
const char *served_get(Served *served, const char *property);
/* Eight bytes of guest memory. */
const char *served_write(Served *served, uint64_t at, const char *bytes);
const char *served_read(Served *served, uint64_t at);

#define TAG       "guestmap"
#define TAG_BYTES "[103, 117, 101, 115, 116, 109, 97, 112]"
