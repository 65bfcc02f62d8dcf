/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The arguments of CreateVM
 *
 * Strings point into the message, which must stay.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "daemon/manager/quota.h"

typedef struct CreationOptions CreationOptions;

struct CreationOptions {
        const char *name;
        const char *accelerator; /* these: NULL if not given */
        const char *layout;
        const char *memory_space;
        int layout_fd; /* the message's; negative if not given */
        int durable;   /* a boolean of D-Bus */
        bool has_owner;
        uint32_t owner;
};

/* Checks what guestmapd can judge; what the VM's process judges passes. */
int creation_options_read(CreationOptions *ret, sd_bus_message *m, sd_bus_error *error);

/* Appends the a{sv} for the VM's process: what of the options is its, and its limits. */
int creation_options_append(const CreationOptions *options, const Quotas *quotas,
                            sd_bus_message *m);
