/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Turn: a lock that is held while waiting for others
 *
 * Whoever has the turn may wait for another process, so whoever wants it waits no longer than his
 * patience is (patience.h). A turn that nobody contends for costs no system call.
 *
 * I1: `state` is WANTED when anybody waits, unless a wake-up is in `fd`: who leaves a turn that is
 *     wanted puts one there, and it stays until somebody has it who then tries again.
 *
 * Source: this project.
 */

#include <stdbool.h>

typedef struct Patience Patience;
typedef struct Turn Turn;

struct Turn {
        int state; /* atomic: free, taken, or taken and wanted */
        int fd;    /* an eventfd that wakes those who want it */
};

/* -errno. */
int turn_init(Turn *turn);
/* Nobody has it. Of a turn that is all zero: nothing. */
void turn_deinit(Turn *turn);

/* Takes it if nobody has it. */
bool turn_try(Turn *turn);
/* 0; -ECANCELED: the patience was over before; -errno. */
int turn_take(Turn *turn, const Patience *patience);
void turn_leave(Turn *turn);
