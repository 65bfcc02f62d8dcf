/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Pager: long output on a terminal goes through $PAGER, else less
 */

#include <sys/types.h>

/*
 * Puts a pager between stdout and the terminal. The pager's process, or 0 if stdout is no terminal
 * or no pager is wanted ($PAGER empty or "cat"); without a working pager output is as it was.
 */
pid_t pager_open(void);
/* Waits until its reader has seen enough. Nothing to do for 0. */
void pager_close(pid_t pager);
