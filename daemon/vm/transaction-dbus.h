/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * org.guestmap1.Transaction, and the objects that have it
 *
 * Whom a transaction does not belong to it answers like one that has ended: others learn no more
 * than how many there have been.
 */

#include <systemd/sd-bus.h>

typedef struct Service Service;

extern const sd_bus_vtable transaction_vtable[];

/* For sd-bus; userdata is the Service, what is found an OpenTransaction, or its MapTarget. */
int transaction_object_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                            void **ret_found, sd_bus_error *error);
int transaction_object_find_map(sd_bus *bus, const char *path, const char *interface,
                                void *userdata, void **ret_found, sd_bus_error *error);
int transaction_objects_enumerate(sd_bus *bus, const char *prefix, void *userdata,
                                  char ***ret_nodes, sd_bus_error *error);
