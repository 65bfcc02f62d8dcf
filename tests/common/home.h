/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Home: a directory with a VM's journal, and the VM
 *
 * must_…() end the test, saying why, when it does not work.
 */

#include "daemon/vm/recovery.h"

typedef struct Home Home;

struct Home {
        char directory[32]; /* below /tmp */
        VM *vm;
};

/* A VM as CreateVM makes it without a layout, with accelerator "none". */
void home_init(Home *home);
void home_deinit(Home *home);
/* The path of a file there; valid until the next call. */
const char *home_file(const Home *home, const char *name);

/* A patch, as Apply does it. Any outcome up to the commit's. */
int home_apply(Home *home, const char *patch, Detail *detail);
void home_must_apply(Home *home, const char *patch);
/* The edits, one by one, in one commit. */
int home_commit(Home *home, const Edit *edits, size_t n, Detail *detail);

/* As if the process were killed, and another one came. Any outcome of recover(). */
int home_restart(Home *home, Recovered *ret, Detail *detail);
void home_must_restart(Home *home);
/* All that must be as it was: generation, regions and their order, views. To be freed. */
char *home_text(const Home *home);
