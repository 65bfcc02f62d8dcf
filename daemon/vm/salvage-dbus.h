/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Salvage: what is left of a VM that cannot be made again
 *
 * Its journal is missing, or that or its facts are damaged, and nobody guesses what they said; or
 * something else is in the way, KVM cannot be opened, say. The process does not end for that: of a
 * service that has failed systemd drops the memory. It stays, says which VM this was, and why, and
 * hands the memory out by the numbers that the journal has for it, until the VM is back
 * (restore-dbus.h) or destroyed. A process that takes its place tries again: somebody may have
 * mended the files.
 */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/vm/vm.h"

typedef struct Salvage Salvage;
typedef struct Service Service;

struct Salvage {
        VM *vm;     /* as far as it could be read, to say who it was; NULL: not even that */
        Detail why; /* it cannot be made again */
        sd_event_source *retry; /* NULL: there is nothing to be hoped for */
        unsigned attempts;
};

/* Of the service's VM, which has none. Nothing is known yet of who it was. */
int salvage_new(Salvage **ret, Service *service, const Detail *why);
Salvage *salvage_free(Salvage *salvage);
DEFINE_CLEANUP(Salvage *, salvage_free);

/* org.guestmap1.VM of what is left. */
extern const sd_bus_vtable salvage_vtable[];
int salvage_object_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                        void **ret_found, sd_bus_error *error);
