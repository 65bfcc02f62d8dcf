/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A VM's object as far as guestmapd itself shows it
 *
 * Its place in the tree of objects; its properties, which are the process' and are read into the
 * VM to be listed, and shown when the process has crashed; its signals.
 */

#include <systemd/sd-bus.h>

#include "daemon/manager/link-dbus.h"
#include "daemon/manager/vm.h"

int vm_path_from_name(char **ret, const char *name);

/* The VM whose object `path` is, or is above of; NULL if there is none. */
VM *vm_from_path(Manager *manager, const char *path);

/* The children of GUESTMAP_PATH_VM, and what is left of those that crashed. */
int vm_register(Manager *manager);

/* Takes what it knows from an a{sv}; leaves alone what is not there. */
int vm_read_properties(VM *vm, sd_bus_message *m);

/* Asks the process which VM it is. */
int vm_ask_description(VM *vm, uint64_t usec, LinkDone done);

/* Asks the process for its properties, and takes them from the reply that `done` gets. */
int vm_query(VM *vm, LinkDone done, void *userdata);
bool vm_read_reply(VM *vm, sd_bus_message *reply);

/* Soon, and once for many changes. */
void vm_query_later(VM *vm);

/*
 * Answers a Get of a property that is known here for sure, whether or not the process would: such
 * as a VM's state, whose changes it tells. 0: it is another call, and unread.
 */
int vm_get_property(VM *vm, sd_bus_message *m);

/* Appends a{sa{sv}}: the interfaces of its object, with properties. */
int vm_append_interfaces(VM *vm, sd_bus_message *m);

/* Signals that it is there: VMNew, InterfacesAdded. Or that it has gone. */
void vm_announce(VM *vm);
void vm_announce_removal(VM *vm);

/* A client, which is there, waits for the VM to come or to go. */
void vm_take_request(VM *vm, sd_bus_message *m);
/* Lets go of the request and the answer. */
void vm_drop_messages(VM *vm);
/* guestmapd ends: whoever waits for the VM to come or to go is told what becomes of it. */
void vm_abandon_request(VM *vm);
