/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Load: what it takes to keep a message
 *
 * Bodies are not looked at for what they mean, but how much there is of them must be known before
 * they are copied or wait: a copy has a descriptor of its own for each mention of one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-bus.h>

typedef struct Load Load;

struct Load {
        size_t bytes; /* about */
        size_t descriptors;
};

/* Of a type and contents as sd_bus_message_peek_type() tells them: numbers of one size in a row. */
bool is_array_of_numbers(char type, const char *contents);

/* Leaves the message as if it had not been read. */
int load_measure(Load *ret, sd_bus_message *m);
