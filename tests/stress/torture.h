/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Torture: readers that look all the time beside one writer, for as long as one likes
 *
 * Time only bounds the run and decides nothing. What is freed is poisoned first, so that a reader
 * who still looks at it sees that it is dead.
 */

#include <stdbool.h>
#include <stdint.h>

enum {
        N_READERS = 2,
        TORTURE_SECONDS = 2, /* unless the program was given another number */
        DEAD_BYTE = 0xd5,
};

/* What is read of a freed object. */
#define DEAD 0xd5d5d5d5d5d5d5d5

typedef struct Torture Torture;

struct Torture {
        const char *(*look)(void *reader);       /* what is wrong, or NULL */
        void (*write)(void *writer, uint64_t n); /* for the n-th time */
        void *readers[N_READERS];
        void *writer;
};

/* Runs it, a TAP case for each reader; the program's exit status. */
int torture_run(const Torture *torture, int argc, char **argv);
