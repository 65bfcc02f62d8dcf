/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Link: the private connection to a VM's process
 *
 * I1: `done` is called once for each call that is not cancelled, whatever happens: with the reply,
 *     which may be an error message, or with NULL when the process has gone. With NULL it may only
 *     let go of what is its own: the VM is dealt with by `closed`, which follows.
 * I2: `closed` is called once, when the process hangs up, after all calls are done. It frees the
 *     link. A link that its owner frees has all its calls done with NULL and `closed` not called.
 * I3: messages arrive in the order of sending. So a process that has answered a call has taken all
 *     that were passed on before; those of which that is not known are its backlog.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "daemon/manager/vm.h"

typedef struct LinkCall LinkCall;
typedef struct LinkLoad LinkLoad;

typedef void (*LinkDone)(VM *vm, sd_bus_message *reply, void *userdata);
typedef void (*LinkSignal)(VM *vm, sd_bus_message *signal);
typedef void (*LinkClosed)(VM *vm);

#define LINK_NEVER UINT64_MAX /* no time-out */

/* How large the backlog may be: enough for the process to have something to do. */
enum {
        LINK_CALLS_MAX = 16,
        LINK_BYTES_MAX = 256 << 10, /* about; beyond it no further call is passed on */
};

struct LinkLoad {
        uint64_t calls, bytes;
};

/* `fd` is a connected socket, taken in any case. */
int link_new(Link **ret, VM *vm, int fd, LinkSignal signal, LinkClosed closed);
Link *link_free(Link *link);
DEFINE_CLEANUP(Link *, link_free);

/* The socket, to be looked at. */
int link_fd(Link *link);

/* None of NULL. */
LinkLoad link_backlog(const Link *link);
bool link_has_room(const Link *link);

/* What the process may call on this connection. */
int link_add_object(Link *link, const char *path, const char *interface,
                    const sd_bus_vtable *vtable, void *userdata);

int link_new_call(Link *link, sd_bus_message **ret, const char *path, const char *interface,
                  const char *member);

/* What is returned may be cancelled until it is done; it is nobody's to free. NULL: not wanted. */
int link_call(Link *link, LinkCall **ret, sd_bus_message *call, uint64_t usec, LinkDone done,
              void *userdata);
void link_call_cancel(LinkCall *call);

/* The same for a call of `bytes`, about, that a client has made, without a time-out. */
int link_pass(Link *link, LinkCall **ret, sd_bus_message *call, size_t bytes, LinkDone done,
              void *userdata);

/* Sends a call that wants no reply; an answer to a call of the process. */
int link_tell(Link *link, sd_bus_message *call);
int link_answer(Link *link, sd_bus_message *reply);
