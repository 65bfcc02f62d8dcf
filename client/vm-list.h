/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * VMs as ListVMs answers them
 *
 * Read one by one: vm_list_enter(), then row by row. All strings are the message's. Readers return
 * 1 for one, 0 at the end, and a negative errno that has been told.
 */

#include <stdint.h>
#include <systemd/sd-bus.h>

typedef struct VMRow VMRow;

struct VMRow {
        const char *name;
        const char *path;
        uint64_t generation;
        const char *state;
};

int vm_list_enter(sd_bus_message *reply);
int vm_list_next(sd_bus_message *reply, VMRow *ret);
