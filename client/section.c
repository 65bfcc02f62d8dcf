/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "client/json-read.h"
#include "client/number.h"
#include "client/section.h"
#include "lib/util/range.h"
#include "lib/util/string-table.h"

/* By the bits of GUESTMAP_SECTION_*. */
static const char *const flag_names[] = {"readonly", "nonvolatile", "unmergeable", "romd",
                                         "dirty-log"};

const Column section_columns[SECTION_N_COLUMNS] = {
        {"FIRST", true}, {"LAST", true},   {"SIZE", true}, {"KIND"},
        {"REGION"},      {"OFFSET", true}, {"FLAGS"},
};

bool section_equal(const Section *a, const Section *b) {
        return a->first == b->first && a->last == b->last && a->offset == b->offset &&
               a->flags == b->flags && strcmp(a->region, b->region) == 0 &&
               strcmp(a->kind, b->kind) == 0;
}

int section_read(sd_bus_message *message, Section *ret) {
        Section section;
        int r;

        r = sd_bus_message_read(message, "(ttstsu)", &section.first, &section.last, &section.region,
                                &section.offset, &section.kind, &section.flags);
        if (r > 0)
                *ret = section;
        return r;
}

FlagWords section_flag_words(const Section *section) {
        return flag_words(section->flags, flag_names, ELEMENTS_OF(flag_names));
}

json_object *section_json(const Section *section) {
        json_object *object = json_new_object();

        json_add_hex(object, "first", section->first);
        json_add_hex(object, "last", section->last);
        json_add_text(object, "region", section->region);
        json_add_hex(object, "offset", section->offset);
        json_add_text(object, "kind", section->kind);
        json_add_flags(object, "flags", section->flags, flag_names, ELEMENTS_OF(flag_names));
        return object;
}

static uint32_t flags_from_json(json_object *words) {
        uint32_t flags = 0;

        for (size_t i = 0; i < json_length(words); i++) {
                const char *word = json_object_get_string(json_object_array_get_idx(words, i));
                int bit = string_table_find(flag_names, ELEMENTS_OF(flag_names), word);

                if (bit >= 0)
                        flags |= UINT32_C(1) << bit;
        }
        return flags;
}

Section section_from_json(json_object *object) {
        return (Section){
                .first = json_get_number(object, "first"),
                .last = json_get_number(object, "last"),
                .region = json_get_text(object, "region"),
                .offset = json_get_number(object, "offset"),
                .kind = json_get_text(object, "kind"),
                .flags = flags_from_json(json_get_list(object, "flags")),
        };
}

void section_row(const Section *section, Table *table) {
        Range range = {section->first, section->last};

        table_cell(table, "%s", number_hex(section->first).text);
        table_cell(table, "%s", number_hex(section->last).text);
        table_cell(table, "%s", number_size(range_size(range)).text);
        table_cell(table, "%s", section->kind);
        table_cell(table, "%s", section->region);
        table_cell(table, "%s", number_hex(section->offset).text);
        table_cell(table, "%s", section_flag_words(section).text);
}

void section_print_change(const Section *section, const Output *output, const char *space,
                          bool added) {
        FlagWords flags = section_flag_words(section);

        print_line(output, added ? PAINT_ADDED : PAINT_REMOVED, "%c %s %s-%s %s %s @%s%s%s",
                   added ? '+' : '-', space, number_hex(section->first).text,
                   number_hex(section->last).text, section->kind, section->region,
                   number_hex(section->offset).text, *flags.text ? " " : "", flags.text);
}
