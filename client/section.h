/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Section: a range of an address space that one region serves, as (ttstsu) of the contract
 *
 * Text is borrowed from the message that a section was read from.
 */

#include <stdint.h>
#include <systemd/sd-bus.h>

#include "client/json-print.h"
#include "client/print.h"

typedef struct Section Section;

struct Section {
        uint64_t first;
        uint64_t last;
        const char *region;
        uint64_t offset; /* of first in the region */
        const char *kind;
        uint32_t flags; /* GUESTMAP_SECTION_* */
};

enum { SECTION_N_COLUMNS = 7 };

/* The columns that section_row() fills. */
extern const Column section_columns[SECTION_N_COLUMNS];

/* Reads one; 1, or 0 at the end of an array. */
int section_read(sd_bus_message *message, Section *ret);
FlagWords section_flag_words(const Section *section);
json_object *section_json(const Section *section);
void section_row(const Section *section, Table *table);
