/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Section: a range of an address space that one region serves, as (ttstsu) of the contract
 *
 * Text is borrowed from what a section was read from.
 */

#include <stdbool.h>
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

bool section_equal(const Section *a, const Section *b);
/* Reads one; 1, or 0 at the end of an array. */
int section_read(sd_bus_message *message, Section *ret);
json_object *section_json(const Section *section);
/* The reverse; text is borrowed from `object`. */
Section section_from_json(json_object *object);
/* "readonly,romd" */
FlagWords section_flag_words(const Section *section);
void section_row(const Section *section, Table *table);
/* A line about one that leaves an address space or comes: "- memory 0x0-0xfff ram dimm0 @0x0". */
void section_print_change(const Section *section, const Output *output, const char *space,
                          bool added);
