/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * FD store: descriptors of a VM's process that outlive it
 *
 * What systemd is to a service, guestmapd is to a process that it runs itself: the process sends
 * descriptors to the socket that $NOTIFY_SOCKET names, each with a name, and the process that
 * takes its place is handed them under these names. The words are those of sd_notify(3): FDSTORE=1,
 * FDSTOREREMOVE=1, FDNAME=, BARRIER=1; all others are ignored.
 *
 * I1: of each open file one descriptor is kept, under the name that came first.
 * I2: a barrier falls when all that was sent before it was looked at.
 * I3: if something of that, since the last barrier, could not be kept, a byte is sent through
 *     the barrier before it falls, an errno that says why. For that it has to be a socket.
 */

#include <stddef.h>
#include <systemd/sd-event.h>

#include "lib/util/cleanup.h"

enum { FD_STORE_MAX = 4096 };

typedef struct FDStore FDStore;
typedef struct NamedFD NamedFD;

struct NamedFD {
        int fd;
        char *name;
};

/* Listens at `path`, in place of whatever socket there is. */
int fd_store_new(FDStore **ret, sd_event *event, const char *path);

/* Closes all that is kept, and leaves the socket's name behind. */
FDStore *fd_store_free(FDStore *store);
DEFINE_CLEANUP(FDStore *, fd_store_free);

/* Looks at all that was sent by a process that has ended, which sends no more. */
void fd_store_drain(FDStore *store);

/* What is kept, good until the event loop runs again. */
const NamedFD *fd_store_list(const FDStore *store, size_t *ret_n);
