/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Rig: a VM's service and a client of it, over a socketpair in one event loop
 *
 * Messages become text, so that a test compares what came with a string: arguments separated by
 * blanks, numbers in decimal, [arrays], (structs), {names: values}, descriptors as "fd". A reply is
 * its arguments; an error is its message. Signals are collected in the order in which they come,
 * "Member @path arguments", a line each; a reply among them is the line "reply". The VM's path is
 * cut from the front of paths.
 */

#include <stdbool.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/vm/service-dbus.h"

typedef struct Rig Rig;

#define RIG_VM      "/org/guestmap1/vm/test"
#define RIG_MEMORY  RIG_VM "/space/memory"
#define RIG_PRIVATE "/org/guestmap1/private"

struct Rig {
        sd_event *event;
        Service *service;
        sd_bus *bus;           /* the client's end */
        const char *sender;    /* in whose name calls are made; NULL: the connection's own */
        bool verbose;          /* InterfacesAdded and InterfacesRemoved with all arguments */
        sd_bus_message *reply; /* the last one */
        bool answered;
        char *text; /* of the last reply */
        char *log;  /* signals and replies since rig_log() */
};

/* A service without a VM, connected. */
Rig *rig_new(void);
/* The same with a VM "test" on accelerator none, uid 1000, as CreateVM leaves it: generation 1. */
Rig *rig_new_vm(void);
/* A client only, on a socket that is connected to a service, and becomes its own. */
Rig *rig_new_remote(int fd);
Rig *rig_free(Rig *rig);
/* Connects again; the older connection is not closed by the client but replaced. */
void rig_reconnect(Rig *rig);

/*
 * Calls "Interface.Member" (org.guestmap1., org.freedesktop.DBus., or before DBus org.freedesktop.
 * is put in front) and runs the
 * loop until it is answered and all is told. The text is valid until the next call.
 */
const char *rig_call(Rig *rig, const char *path, const char *member, const char *types, ...);
/* Sends the call only. */
void rig_send(Rig *rig, const char *path, const char *member, const char *types, ...);
/* Runs the loop until nothing more happens. */
void rig_settle(Rig *rig);
/* Runs the loop until the call that was sent is answered. */
const char *rig_wait(Rig *rig);
/* What has come since the last rig_log(); the caller frees. */
char *rig_log(Rig *rig);

/* Map verbs with their usual arguments, on a VM or transaction. */
const char *rig_add(Rig *rig, const char *path, const char *name, const char *kind, uint64_t size,
                    const char *parent, uint64_t offset);
const char *rig_alias(Rig *rig, const char *path, const char *name, const char *target,
                      uint64_t target_offset, uint64_t size, const char *parent, uint64_t offset);
/* n mmio regions of a page in "system", a hole after each, in one commit: NAME00000 and so on. */
void rig_add_many(Rig *rig, const char *name, unsigned n, uint64_t at);
const char *rig_remove(Rig *rig, const char *path, const char *name);
const char *rig_enable(Rig *rig, const char *path, const char *name, bool enabled);
/* A flat view as GetFlatView gives it. */
const char *rig_flat(Rig *rig, const char *space);
/* A property's value. */
const char *rig_get(Rig *rig, const char *path, const char *interface, const char *property);
/* Lets another client come, with that uid. */
void rig_announce(Rig *rig, const char *sender, uint32_t uid);

/* All that a refused call must leave as it was: tree, views, slots, generation. Caller frees. */
char *rig_state(Rig *rig);
