/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Load: what it takes to keep a message
 *
 * Bodies are not looked at for what they mean, but how much there is of them must be known before
 * they are copied: a copy has a descriptor of its own for each mention of one.
 */

#include <stddef.h>
#include <systemd/sd-bus.h>

typedef struct Load Load;

struct Load {
        size_t bytes; /* about */
        size_t descriptors;
};

/* Leaves the message as if it had not been read. */
int load_measure(Load *ret, sd_bus_message *m);
