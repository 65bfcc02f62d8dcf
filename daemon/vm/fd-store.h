/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * FD store: descriptors that outlive the process
 *
 * The service manager keeps what it is sent (FDSTORE=1) for as long as the service is not stopped,
 * and hands it to the next process under the same name (LISTEN_FDNAMES). Memory, doorbells and
 * sockets of the map are kept there: KIND-NUMBER, "backing-7".
 *
 *   fd_store_keep() ─▶ waits ─▶ sent ─▶ settled …… the last object leaves ─▶ removed
 *                      └─ fd_store_settle() ─┘
 *
 * systemd says nothing to what it is sent. That it has taken it is known once it has closed the
 * descriptor of a BARRIER=1 that was sent behind; that it had room is known from counting here.
 * guestmapd says through that descriptor if it could not take all.
 *
 * I1: the manager keeps one descriptor of each open file and drops further ones, whatever their
 *     names. Objects of one open file share an entry, whose name is that of the first.
 * I2: each entry has a descriptor of its own: it does not matter which object goes first.
 * I3: once fd_store_settle() has succeeded, all that was kept before it began is with the manager,
 *     unless that has lost it since, which fd_store_offer() says.
 * I4: only fd_store_settle() waits for a manager that does not read, as long as that takes some of
 *     it now and then, without a lock.
 *
 * Any thread may call. For whoever works without a store NULL is one that keeps nothing.
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/memory/kept.h"
#include "lib/util/cleanup.h"
#include "lib/util/detail.h"

typedef struct FDStore FDStore;

/*
 * Takes what was passed to this process. There is a store, that keeps, if there is a socket to
 * notify and room, $FDSTORE descriptors. Looks at the environment, once in a process. -errno.
 */
int fd_store_new(FDStore **ret);
/* No object may be left that has anything kept. */
FDStore *fd_store_free(FDStore *store);
DEFINE_CLEANUP(FDStore *, fd_store_free);

/* How many the VM may have kept; what it has already stays. */
void fd_store_set_limit(FDStore *store, uint64_t limit);

/* The passed socket that listens, which is not one of the kept; -1. */
int fd_store_socket(const FDStore *store);
/* Readable, to be polled by the loop, when there is room to tell the manager of what has left. */
int fd_store_room(const FDStore *store);
void fd_store_flush(FDStore *store);

/* What was kept as KIND-NUMBER, by this process or an earlier one, still the store's; -1. */
int fd_store_find(FDStore *store, const char *kind, uint64_t number);
/* All that was kept of a kind. `found` may not call the store. */
void fd_store_list(FDStore *store, const char *kind,
                   void (*found)(uint64_t number, int fd, void *userdata), void *userdata);
/* What was passed and nobody has kept again goes. */
void fd_store_end_recovery(FDStore *store);
/* The process ends, its objects go, and the manager keeps what it has. */
void fd_store_close(FDStore *store);

/*
 * Has a descriptor kept, which stays the caller's, as KIND-NUMBER; number 0: one that is free. A
 * file that is kept already has the number that it has. *ret is NULL if nothing keeps it.
 * MAP_E_QUOTA_EXCEEDED: StoredDescriptors. MAP_E_INVALID_ARGUMENT: the file is kept as one of
 * another kind. MAP_E_NO_MEMORY, -ENOMEM.
 */
int fd_store_keep(FDStore *store, const char *kind, uint64_t number, int fd, Kept **ret,
                  Detail *detail);

/* Whether all that is kept is with the manager for sure. */
bool fd_store_is_settled(FDStore *store);
/* Sends what waits, and waits for the manager. VM_E_NO_SPACE: it has not taken it. */
int fd_store_settle(FDStore *store, Detail *detail);
/* For a manager that has lost what it had: all waits to be sent again. */
void fd_store_offer(FDStore *store);
