/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * org.guestmap1.AddressSpace: what somebody sees of the map
 */

#include <systemd/sd-bus.h>

extern const sd_bus_vtable address_space_vtable[];

/* For sd-bus; userdata is the Service. */
int address_space_object_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                              void **ret_found, sd_bus_error *error);
int address_space_objects_enumerate(sd_bus *bus, const char *prefix, void *userdata,
                                    char ***ret_nodes, sd_bus_error *error);

/* VM.ListAddressSpaces. */
int method_list_address_spaces(sd_bus_message *m, void *userdata, sd_bus_error *error);
