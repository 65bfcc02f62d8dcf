/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Counts: named numbers that a VM's process tells, kept for when it has gone
 *
 * An a{st} as it came; guestmapd knows none of the names. More than there is room for is left out.
 */

#include <stddef.h>
#include <stdint.h>

typedef struct sd_bus_message sd_bus_message;
typedef struct Counts Counts;

enum { COUNTS_MAX = 12, COUNT_NAME_MAX = 47 };

struct Counts {
        size_t n;
        struct {
                char name[COUNT_NAME_MAX + 1];
                uint64_t value;
        } items[COUNTS_MAX];
};

/* Reads a variant of an a{st}. A negative errno leaves what was there before. */
int counts_read(Counts *counts, sd_bus_message *m);
int counts_append(const Counts *counts, sd_bus_message *m);
