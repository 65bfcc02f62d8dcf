/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Deaf manager: a service manager that is there, and does not read
 *
 * It listens at an abstract address, and its queue is full from the beginning.
 */

/* Sets $NOTIFY_SOCKET of this process. The socket, which does not block: the caller closes it. */
int deaf_manager_new(void);
/* Empties the queue: how many of the messages there begin with `wanted`. */
unsigned deaf_manager_read(int fd, const char *wanted);
