/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Inherited descriptors: those that the service manager has started this process with
 */

/*
 * The one that listens is *ret_socket, which is left alone if there is none; every other is given
 * to `take` with its name, which takes it over, also when it fails. Once in a process. -errno.
 */
int inherited_fds_take(int *ret_socket, int (*take)(void *userdata, int fd, const char *name),
                       void *userdata);
