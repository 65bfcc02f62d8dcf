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

/* "system @0x1000", or "nowhere" */
static void print_place(json_object *region) {
        const char *parent = json_get_text(region, "parent");

        if (!*parent) {
                printf(", nowhere");
                return;
        }
        printf(", in %s @%s", parent, number_hex(json_get_number(region, "offset")).text);
        if (json_get_int(region, "priority"))
                printf(" priority %" PRIi64, json_get_int(region, "priority"));
}

static void print_region(json_object *region) {
        printf("%s, %s", json_get_text(region, "kind"),
               number_size(json_get_number(region, "size")).text);
        if (*json_get_text(region, "target"))
                printf(" of %s @%s", json_get_text(region, "target"),
                       number_hex(json_get_number(region, "target-offset")).text);
        print_place(region);
}

/* As people write it: sizes with units, what is true or false as yes or no. */
static void print_value(const char *key, json_object *value, json_object *region) {
        if (strcmp(key, "size") == 0)
                fputs(number_size(json_get_number(region, key)).text, stdout);
        else if (json_object_is_type(value, json_type_boolean))
                fputs(json_object_get_boolean(value) ? "yes" : "no", stdout);
        else if (strcmp(key, "parent") == 0 && !*json_object_get_string(value))
                fputs("nowhere", stdout);
        else
                fputs(json_object_get_string(value), stdout);
}

/* "offset 0x1000 -> 0x2000, enabled no -> yes" */
static void print_differences(json_object *region) {
        json_object *before = json_get_object(region, "before");
        json_object *after = json_get_object(region, "after");
        const char *comma = "";

        if (!after || json_object_object_length(after) == 0) {
                fputs("placed again among its equals", stdout);
                return;
        }
        json_object_object_foreach(after, key, value) {
                printf("%s%s ", comma, key);
                print_value(key, json_object_object_get(before, key), before);
                fputs(" -> ", stdout);
                print_value(key, value, after);
                comma = ", ";
        }
}

static void print_regions(const Output *output, json_object *counted, Paint paint, char sign,
                          void (*print_one)(json_object *region)) {
        json_object *list = json_get_list(counted, "regions");
        uint64_t count = json_get_number(counted, "count");
        size_t listed = json_length(list);

        for (size_t i = 0; i < listed; i++) {
                json_object *region = json_object_array_get_idx(list, i);

                paint_begin(output, paint);
                printf("%c region %s: ", sign, json_get_text(region, "name"));
                print_one(region);
                paint_end(output, paint);
                putchar('\n');
        }
        if (count > listed)
                print_line(output, paint, "%c region and %" PRIu64 " more", sign, count - listed);
}

static void print_roots(const Output *output, json_object *roots, Paint paint, char sign) {
        json_object_object_foreach(roots, space, root)
                print_line(output, paint, "%c address space %s: root %s", sign, space,
                           json_object_get_string(root));
}

static void print_tree(const Output *output, json_object *regions, json_object *roots) {
        json_object *removed = json_get_object(roots, "removed");
        json_object *added = json_get_object(roots, "added");

        print_regions(output, json_get_object(regions, "removed"), PAINT_REMOVED, '-',
                      print_region);
        print_regions(output, json_get_object(regions, "added"), PAINT_ADDED, '+', print_region);
        print_regions(output, json_get_object(regions, "changed"), PAINT_CHANGED, '~',
                      print_differences);
        if (removed)
                print_roots(output, removed, PAINT_REMOVED, '-');
        if (added)
                print_roots(output, added, PAINT_ADDED, '+');
}

static uint64_t count_of(json_object *regions, const char *key) {
        return json_get_number(json_get_object(regions, key), "count");
}

/* The summary: "Regions: 1 added, 0 changed, 2 removed" */
static void print_summary(json_object *regions, bool is_plan) {
        uint64_t added = count_of(regions, "added"), changed = count_of(regions, "changed");
        uint64_t removed = count_of(regions, "removed");

        if (added || changed || removed)
                printf("Regions: %" PRIu64 " %s, %" PRIu64 " %s, %" PRIu64 " %s\n", added,
                       is_plan ? "to add" : "added", changed, is_plan ? "to change" : "changed",
                       removed, is_plan ? "to remove" : "removed");
}

static void print_devices(json_object *report, const char *key, const char *words) {
        json_object *counts = json_get_object(report, key);
        uint64_t added = json_get_number(counts, "added");
        uint64_t removed = json_get_number(counts, "removed");

        if (added || removed)
                printf("%s: %" PRIu64 " added, %" PRIu64 " removed\n", words, added, removed);
}

static void print_handlers(json_object *handlers) {
        json_object_object_foreach(handlers, region, kind)
                printf("Handler of %s: %s\n", region, json_object_get_string(kind));
}

static void print_words(const Output *output, json_object *report, bool is_plan) {
        json_object *regions = json_get_object(report, "regions");
        json_object *spaces = json_get_object(report, "address-spaces");

        print_tree(output, regions, json_get_object(report, "roots"));
        if (spaces)
                print_spaces(output, spaces);
        if (json_get_object(report, "handlers"))
                print_handlers(json_get_object(report, "handlers"));
        print_devices(report, "ioeventfds", "Ioeventfds");
        print_devices(report, "coalesced", "Coalesced zones");
        report_print_cost(json_get_object(report, "slot-operations"), report);
        print_bytes(report, "bytes-trapped", "Guest memory without a slot, in all");
        print_bytes(report, "bytes-discarded", "Contents of RAM discarded");
        print_summary(regions, is_plan);
}

static int parse(const char *text, json_object **ret) {
        enum json_tokener_error error;

        *ret = json_tokener_parse_verbose(text, &error);
        return *ret ? 0 : fail("cannot read the report: %s", json_tokener_error_desc(error));
}

/* Whether there is any change. */
static bool print(const Output *output, json_object *report, bool is_plan) {
        bool changed = json_get_bool(report, "changed", true);
        uint64_t edits = json_get_number(report, "edits");

        if (output->json != JSON_OFF) {
                json_print(output, report);
        } else if (changed) {
                printf("%s %" PRIu64 ", %" PRIu64 " edit%s\n",
                       is_plan ? "Would make generation" : "Generation",
                       json_get_number(report, "generation"), edits, PLURAL(edits));
                print_words(output, report, is_plan);
        } else {
                puts("Nothing to change");
        }
        return changed;
}

int report_print(const Output *output, const char *text) {
        _cleanup_(json_putp) json_object *report = NULL;
        int r;

        r = parse(text, &report);
        if (r < 0)
                return r;
        print(output, report, false);
        return 0;
}

int report_print_plan(const Output *output, const char *text) {
        _cleanup_(json_putp) json_object *report = NULL;
        int r;

        r = parse(text, &report);
        if (r < 0)
                return r;
        return print(output, report, true) ? EXIT_WOULD_CHANGE : 0;
}
