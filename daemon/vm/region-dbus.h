/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * org.guestmap1.Region: one node of the tree
 */

#include <systemd/sd-bus.h>

typedef struct Service Service;

extern const sd_bus_vtable region_vtable[];

/* For sd-bus; userdata is the Service. */
int region_object_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                       void **ret_found, sd_bus_error *error);
int region_objects_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                             sd_bus_error *error);

/*
 * Takes a call that sets a property: sd-bus answers when a setter returns, and a commit may have to
 * wait for disks. 1: it is, or will be, answered. 0: it is none, or not as it should be, and sd-bus
 * says so. -errno, with the error.
 */
int region_take_set(Service *service, sd_bus_message *m, sd_bus_error *error);
