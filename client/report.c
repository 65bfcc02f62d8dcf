/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <string.h>

#include "client/json-print.h"
#include "client/json-read.h"
#include "client/number.h"
#include "client/report.h"
#include "client/section.h"
#include "client/verb.h"

static void print_sections(const Output *output, const char *space, json_object *counted,
                           bool added) {
        json_object *list = json_get_list(counted, "sections");
        uint64_t count = json_get_number(counted, "count");
        size_t listed = json_length(list);

        for (size_t i = 0; i < listed; i++) {
                Section section = section_from_json(json_object_array_get_idx(list, i));

                section_print_change(&section, output, space, added);
        }
        if (count > listed)
                printf("%c %s and %" PRIu64 " more\n", added ? '+' : '-', space, count - listed);
}

static void print_spaces(const Output *output, json_object *spaces) {
        json_object_object_foreach(spaces, space, change) {
                print_sections(output, space, json_get_object(change, "removed"), false);
                print_sections(output, space, json_get_object(change, "added"), true);
        }
}

/* "Slot operations: 1 delete, 2 create" */
static void print_operations(json_object *operations) {
        const char *before = "Slot operations: ";

        json_object_object_foreach(operations, name, count) {
                if (json_object_get_uint64(count) == 0 || strncmp(name, "bytes-", 6) == 0)
                        continue;
                printf("%s%" PRIu64 " %s", before, json_object_get_uint64(count), name);
                before = ", ";
        }
        if (*before == ',')
                putchar('\n');
}

static void print_bytes(json_object *report, const char *key, const char *words) {
        uint64_t bytes = json_get_number(report, key);

        if (bytes)
                printf("%s: %s\n", words, number_size(bytes).text);
}

void report_print_cost(json_object *operations, json_object *bytes) {
        if (operations)
                print_operations(operations);
        print_bytes(bytes, "bytes-remapped", "Guest memory remapped");
        print_bytes(bytes, "bytes-unchanged-remapped", "Of that, unchanged");
}

static void print_handlers(json_object *handlers) {
        json_object_object_foreach(handlers, region, kind)
                printf("Handler of %s: %s\n", region, json_object_get_string(kind));
}

static void print_words(const Output *output, json_object *report) {
        json_object *spaces = json_get_object(report, "address-spaces");

        if (spaces)
                print_spaces(output, spaces);
        if (json_get_object(report, "handlers"))
                print_handlers(json_get_object(report, "handlers"));
        report_print_cost(json_get_object(report, "slot-operations"), report);
        print_bytes(report, "bytes-trapped", "Guest memory without a slot, in all");
        print_bytes(report, "bytes-discarded", "Contents of RAM discarded");
}

static int parse(const char *text, json_object **ret) {
        enum json_tokener_error error;

        *ret = json_tokener_parse_verbose(text, &error);
        return *ret ? 0 : fail("cannot read the report: %s", json_tokener_error_desc(error));
}

static void print(const Output *output, json_object *report, const char *heading) {
        uint64_t edits = json_get_number(report, "edits");

        if (output->json != JSON_OFF) {
                json_print(output, report);
                return;
        }
        printf("%s %" PRIu64 ", %" PRIu64 " edit%s\n", heading,
               json_get_number(report, "generation"), edits, PLURAL(edits));
        print_words(output, report);
}

int report_print(const Output *output, const char *text) {
        _cleanup_(json_putp) json_object *report = NULL;
        int r;

        r = parse(text, &report);
        if (r < 0)
                return r;
        print(output, report, "Generation");
        return 0;
}

int report_print_plan(const Output *output, const char *text, uint64_t generation) {
        _cleanup_(json_putp) json_object *report = NULL;
        int r;

        r = parse(text, &report);
        if (r < 0)
                return r;
        if (json_get_number(report, "generation") != generation) {
                print(output, report, "Would make generation");
                return EXIT_WOULD_CHANGE;
        }
        if (output->json != JSON_OFF)
                json_print(output, report);
        else
                puts("Nothing to change");
        return 0;
}
