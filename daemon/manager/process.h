/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A VM's process, by its pidfd
 *
 * It must outlive guestmapd, so it gets a session of its own and dies of nothing that befalls its
 * parent; and a guestmapd that has started again must see the end of processes that are no children
 * of its. A pidfd serves children and strangers alike.
 *
 * I1: `ended` is called once, when the process has ended, and never after process_free().
 * I2: no pid is signalled but through a pidfd that was opened while the process certainly lived.
 */

#include <systemd/sd-event.h>

#include "daemon/manager/fd-store.h"

typedef struct Process Process;
typedef struct ProcessStart ProcessStart;

/* What a process is to be started with, as systemd would. */
struct ProcessStart {
        const char *program;
        const NamedFD *passed; /* descriptors, which stay the caller's */
        size_t n_passed;
        const char *notify_socket;
        const char *runtime_directory;
        const char *state_directory; /* NULL: none */
};

/* `how` says how it ended ("exit status 1", "signal 9"), as far as that can be known. */
typedef void (*ProcessEnded)(void *userdata, const char *how);

int process_spawn(Process **ret, sd_event *event, const ProcessStart *start, ProcessEnded ended,
                  void *userdata);

/*
 * Takes charge of the process that listens at the other end of `socket`. -ESRCH when that cannot be
 * known: the process has not called listen() itself, has ended, or lives in another pid namespace.
 */
int process_adopt(Process **ret, sd_event *event, int socket, ProcessEnded ended, void *userdata);

/* Ends it at once; `ended` follows. */
void process_kill(Process *process);

Process *process_free(Process *process);
DEFINE_CLEANUP(Process *, process_free);
