/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Keeper: what systemd is to a service that has descriptors kept
 *
 * A notify socket in a directory of its own, and a thread that does what its messages say, by
 * systemd's rules: one descriptor of each open file under the first name it came by; none beyond a
 * maximum; a barrier's pipe is closed once all before it is done, unless barriers are held back.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct Keeper Keeper;

enum { KEEPER_MAX = 1024 };

struct Keeper {
        char directory[32];
        char path[64]; /* of the socket */
        int fd;
        pthread_t thread;
        pthread_mutex_t lock; /* of all that follows */
        pthread_cond_t changed;
        struct KeptFile {
                char name[64];
                int fd;
        } files[KEEPER_MAX];
        size_t n;
        size_t n_max;
        unsigned n_barriers; /* that have come */
        bool holds;          /* barriers back */
        int held;            /* the pipe of one; -1 */
        int refusal;         /* an errno to send through barriers; 0: none */
        bool is_ready;       /* READY=1 has come */
};

/* Sets $NOTIFY_SOCKET and $FDSTORE of this process. */
Keeper *keeper_new(size_t max);
Keeper *keeper_free(Keeper *keeper);

/* All names, in the order in which they came, blanks between; the caller frees. */
char *keeper_names(Keeper *keeper);
/* One of a name; -1. The keeper's. */
int keeper_find(Keeper *keeper, const char *name);
/* Holds barriers back from now on, or lets them through. */
void keeper_hold(Keeper *keeper, bool hold);
/* Says through barriers from now on that something failed, by an errno; 0: no longer. */
void keeper_refuse(Keeper *keeper, int error);
/* Waits until so many barriers have come in all. */
void keeper_await_barriers(Keeper *keeper, unsigned n);
/* READY=1 has come, which is forgotten. */
void keeper_await_ready(Keeper *keeper);
/* Waits until all that was sent so far is done. */
void keeper_settle(Keeper *keeper);
/* Forgets everything. */
void keeper_clear(Keeper *keeper);
