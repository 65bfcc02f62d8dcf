/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The runtime directory: one socket per VM, DIR/INSTANCE, and DIR/INSTANCE.d with its files
 *
 * It is all that guestmapd finds when it starts again: a socket that takes a connection has a
 * living VM behind it, one that refuses is what a dead one left. Nobody but its owner may write in
 * it; whoever could would pass for a VM. Directories are there for processes that guestmapd runs
 * itself only; units have theirs elsewhere.
 */

#include "lib/util/cleanup.h"

#define RUNTIME_DIR_SUFFIX ".d"      /* of a VM's directory */
#define RUNTIME_DIR_NOTIFY "/notify" /* the longest path of a socket there ends so */

/* Makes it if need be. -EPERM when others could write in it, -ENAMETOOLONG when sockets in it
 * could not be addressed. */
int runtime_dir_prepare(const char *dir);

/* A listening socket for a VM; -EADDRINUSE if there is something of that name already. */
int runtime_dir_listen(const char *dir, const char *instance, int *ret_fd);

/* A connection to it; -ECONNREFUSED if nobody listens. Never waits. */
int runtime_dir_connect(const char *dir, const char *instance, int *ret_fd);

void runtime_dir_remove(const char *dir, const char *instance);

/* Calls `found` for every VM that has left something; stops with what it returns if that is
 * negative. */
int runtime_dir_scan(const char *dir, int (*found)(const char *instance, void *userdata),
                     void *userdata);
