/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Options: the a{sv} at the end of a call
 *
 * Read strictly: an option that the table does not have, one of another type, one given twice are
 * refused by name.
 */

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "daemon/vm/named-fds.h"
#include "daemon/vm/vm-limits.h"
#include "lib/util/detail.h"

typedef struct Option Option;

#define OPTION_NAMED_FDS 'a'
#define OPTION_LIMITS    'l'

/* A row of a table. `value` points at where the value goes; strings and fds stay the message's. */
struct Option {
        const char *name;
        /* b → bool, t → uint64_t, i → int32_t, u → uint32_t, s → const char *, h → int;
         * OPTION_NAMED_FDS: a{sh} → NamedFDs, to be deinitialised whatever comes out;
         * OPTION_LIMITS: a{st} → VMLimits, those that are not there stay */
        char type;
        void *value;
        uint32_t bit;    /* type b: `value` is a uint32_t, of which this bit is set or cleared */
        uint32_t *given; /* unless NULL: gets given_bit when the option is there */
        uint32_t given_bit;
};

/* VM_E_INVALID_ARGUMENTS, -errno. At most 32 rows. */
int options_read(sd_bus_message *m, const Option *options, size_t n_options, Detail *detail);
/* For a call that has no option yet. */
int options_read_none(sd_bus_message *m, Detail *detail);
