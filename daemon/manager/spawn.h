/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * VM processes that guestmapd runs itself
 *
 * On a session bus, or where there is no systemd, guestmapd does for a VM what units do for it
 * elsewhere: it listens at RUNTIME_DIR/INSTANCE, makes the directory RUNTIME_DIR/INSTANCE.d for the
 * process, keeps the descriptors that the process wants kept, and starts it, also again.
 *
 * I1: a process is started only when nobody listens at the socket any more.
 */

#include <limits.h>

#include "daemon/manager/vm.h"

/* A new process, which is given what the VM's last one stored. */
int spawn_start(VM *vm);

/*
 * The process at the other end of the VM's link was started by an earlier guestmapd: keeps its
 * descriptors from now on, and watches it as far as that can be.
 */
int spawn_adopt(VM *vm);

/* Where its journal is. */
void spawn_directory(const VM *vm, char path[static PATH_MAX]);

/* Removes its socket and its directory. */
void spawn_remove(VM *vm);
