/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Pager: long output on a terminal goes through one, as that of systemctl does
 *
 * $SYSTEMD_PAGER, else $PAGER is the command; empty or "cat" for none. Without either it is the
 * first of pager, less and more that there is. less gets the options of $SYSTEMD_LESS, FRSXMK if
 * that is not set, and starts no shell and no editor unless $SYSTEMD_PAGERSECURE says that it may.
 */

#include <sys/types.h>

/*
 * Puts a pager between stdout and the terminal. The pager's process, or 0 if stdout is no terminal,
 * or a dumb one, or no pager is wanted or to be had: then output is as it was.
 */
pid_t pager_open(void);
/* Waits until its reader has seen enough. Nothing to do for 0. */
void pager_close(pid_t pager);
