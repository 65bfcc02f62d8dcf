/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "client/json-read.h"
#include "client/mtree.h"
#include "client/mtree-print.h"
#include "client/region-tree.h"
#include "lib/util/range.h"

typedef struct NameText NameText;
typedef struct Printer Printer;
typedef struct Space Space;

struct NameText {
        char text[MTREE_NAME_MAX + 1];
};

struct Space {
        const char *name;
        const RegionNode *root;
        const RegionNode *view_root; /* NULL: shows nothing */
        const Sections *view;
        bool printed;
};

struct Printer {
        const Output *output;
        bool disabled;
        RegionTree tree;
        Space *spaces;
        size_t n_spaces;
        const RegionNode **targets; /* of aliases, in the order in which these were met */
        size_t n_targets;
};

static bool has_space(const Printer *printer, const char *name) {
        for (size_t i = 0; i < printer->n_spaces; i++)
                if (strcmp(printer->spaces[i].name, name) == 0)
                        return true;
        return false;
}

static bool has_region(const Printer *printer, const char *name) {
        return region_tree_find(&printer->tree, name);
}

/* Without the number that made it unique: "ide#2", where there is an "ide", is another "ide". */
static NameText plain_name(const Printer *printer, const char *name,
                           bool (*has)(const Printer *, const char *)) {
        const char *mark = strrchr(name, '#');
        NameText plain;

        if (mark && mark[1] >= '1' && mark[1] <= '9' && strcmp(mark, "#1") != 0 &&
            !mark[1 + strspn(mark + 1, "0123456789")]) {
                snprintf(plain.text, sizeof(plain.text), "%.*s", (int)(mark - name), name);
                if (has(printer, plain.text))
                        return plain;
        }
        snprintf(plain.text, sizeof(plain.text), "%s", name);
        return plain;
}

static NameText region_name(const Printer *printer, const RegionNode *node) {
        return plain_name(printer, node->name, has_region);
}

static NameText space_name(const Printer *printer, const Space *space) {
        if (strcmp(space->name, "io") == 0)
                return (NameText){"I/O"};
        return plain_name(printer, space->name, has_space);
}

/* An alias is of its target's type. The service allows no circle of aliases. */
static const char *type_of(const RegionNode *node) {
        while (node->target)
                node = node->target;
        if (strcmp(node->kind, "rom") == 0)
                return "rom";
        if (strcmp(node->kind, "ram") == 0)
                return node->readonly ? "rom" : "ram";
        return strcmp(node->kind, "romd") == 0 && node->romd ? "romd" : "i/o";
}

static void meet_target(Printer *printer, const RegionNode *alias) {
        if (!alias->target || alias->target->marked)
                return;
        alias->target->marked = true;
        printer->targets[printer->n_targets++] = alias->target;
}

/* QEMU adds to an address what is to be added for the end: nothing for a size of 0. */
static uint64_t less_one(uint64_t size) {
        Range range;

        return range_from_size(size, &range) ? range.last : 0;
}

static void print_region(void *context, const RegionNode *node, unsigned depth, uint64_t first) {
        Printer *printer = context;
        Paint paint = node->enabled ? PAINT_NONE : PAINT_FAINT;
        uint64_t last = first + less_one(node->size);

        meet_target(printer, node);
        paint_begin(printer->output, paint);
        if (first < first - node->offset || last < first)
                fputs("[DETECTED OVERFLOW!] ", stdout);
        if (node->enabled || printer->disabled) {
                printf("%*s%016" PRIx64 "-%016" PRIx64 " (prio %" PRIi64 ", %s%s): %s%s",
                       2 * (int)depth, "", first, last, node->priority,
                       node->nonvolatile ? "nv-" : "", type_of(node), node->target ? "alias " : "",
                       region_name(printer, node).text);
                if (node->target)
                        printf(" @%s %016" PRIx64 "-%016" PRIx64,
                               region_name(printer, node->target).text, node->target_offset,
                               node->target_offset + less_one(node->size));
                fputs(node->enabled ? "" : " [disabled]", stdout);
        }
        paint_end(printer->output, paint);
        if (node->enabled || printer->disabled)
                putchar('\n');
}

static void print_tree(Printer *printer, const RegionNode *root) {
        region_tree_walk(root, root->offset, print_region, printer);
        putchar('\n');
}

/* All spaces that show one root stand above it. */
static void print_space(Printer *printer, size_t first) {
        const RegionNode *root = printer->spaces[first].root;

        for (size_t i = first; i < printer->n_spaces; i++) {
                Space *space = &printer->spaces[i];

                if (space->root != root)
                        continue;
                space->printed = true;
                print_line(printer->output, PAINT_HEADER, "address-space: %s",
                           space_name(printer, space).text);
        }
        print_tree(printer, root);
}

/*
 * What QEMU takes for the root of a space's view, so that spaces can share one: it looks through
 * aliases of the whole of something, and containers of one thing at their beginning.
 */
static const RegionNode *find_view_root(const RegionNode *node) {
        while (node && node->enabled) {
                const RegionNode *only = NULL;
                size_t n = 0;

                if (node->target && node->target_offset == 0 && node->size >= node->target->size) {
                        node = node->target;
                        continue;
                }
                if (node->target || strcmp(node->kind, "container") != 0)
                        return node;
                for (const RegionNode *child = node->child; child; child = child->next) {
                        if (!child->enabled)
                                continue;
                        only = n++ == 0 && child->offset == 0 && node->size >= child->size ? child
                                                                                           : NULL;
                }
                if (n == 0)
                        return NULL;
                if (!only)
                        return node;
                node = only;
        }
        return NULL;
}

static void printer_init(Printer *printer, const Output *output, json_object *layout,
                         const Sections *views) {
        json_object *regions = json_get_list(layout, "regions");
        json_object *spaces = json_get_list(layout, "address-spaces");

        *printer = (Printer){.output = output, .n_spaces = json_length(spaces)};
        region_tree_init(&printer->tree, regions);
        printer->spaces = must(calloc(printer->n_spaces + 1, sizeof(Space)));
        printer->targets = must(calloc(printer->tree.n + 1, sizeof(*printer->targets)));
        for (size_t i = 0; i < printer->n_spaces; i++) {
                json_object *space = json_object_array_get_idx(spaces, i);
                const char *root = json_get_text(space, "root");

                printer->spaces[i] = (Space){
                        .name = json_get_text(space, "name"),
                        .root = region_tree_find(&printer->tree, root),
                        .view = views ? &views[i] : NULL,
                };
                printer->spaces[i].view_root = find_view_root(printer->spaces[i].root);
        }
}

static void printer_deinit(Printer *printer) {
        region_tree_deinit(&printer->tree);
        free(printer->spaces);
        free(printer->targets);
}

void mtree_print_tree(const Output *output, json_object *layout, bool disabled) {
        Printer printer;

        printer_init(&printer, output, layout, NULL);
        printer.disabled = disabled;
        for (size_t i = 0; i < printer.n_spaces; i++)
                if (!printer.spaces[i].printed)
                        print_space(&printer, i);
        for (size_t i = 0; i < printer.n_targets; i++) {
                print_line(output, PAINT_HEADER, "memory-region: %s",
                           region_name(&printer, printer.targets[i]).text);
                print_tree(&printer, printer.targets[i]);
        }
        printer_deinit(&printer);
}

static const char *section_type(const Section *section) {
        if (section->flags & GUESTMAP_SECTION_READONLY)
                return "rom";
        if (section->flags & GUESTMAP_SECTION_ROMD)
                return "romd";
        return strcmp(section->kind, "ram") == 0 ? "ram" : "i/o";
}

static void print_section(const Printer *printer, const Section *section) {
        const RegionNode *node = region_tree_find(&printer->tree, section->region);

        printf("  %016" PRIx64 "-%016" PRIx64 " (prio %" PRIi64 ", %s%s): %s", section->first,
               section->last, node ? node->priority : 0,
               section->flags & GUESTMAP_SECTION_NONVOLATILE ? "nv-" : "", section_type(section),
               plain_name(printer, section->region, has_region).text);
        if (section->offset > 0)
                printf(" @%016" PRIx64, section->offset);
        putchar('\n');
}

static void print_view_space(const Printer *printer, const Space *space) {
        const RegionNode *target = space->root->target;

        printf(" AS \"%s\", root: %s", space_name(printer, space).text,
               region_name(printer, space->root).text);
        if (target)
                printf(", alias %s", region_name(printer, target).text);
        putchar('\n');
}

static void print_view(Printer *printer, size_t first, unsigned number) {
        const RegionNode *root = printer->spaces[first].view_root;
        const Sections *view = printer->spaces[first].view;

        print_line(printer->output, PAINT_HEADER, "FlatView #%u", number);
        for (size_t i = first; i < printer->n_spaces; i++) {
                if (printer->spaces[i].view_root != root)
                        continue;
                printer->spaces[i].printed = true;
                print_view_space(printer, &printer->spaces[i]);
        }
        if (root)
                printf(" Root memory region: %s\n", region_name(printer, root).text);
        else
                puts(" Root memory region: (none)");
        if (view->n == 0)
                puts("  No rendered FlatView");
        for (size_t i = 0; i < view->n; i++)
                print_section(printer, &view->items[i]);
        putchar('\n');
}

/* Where the view of a space stands first, by the spaces that share it; n_spaces for none. */
static size_t find_view(const Printer *printer, const char *name) {
        const Space *space = NULL;

        for (size_t i = 0; i < printer->n_spaces; i++)
                if (strcmp(printer->spaces[i].name, name) == 0)
                        space = &printer->spaces[i];
        for (size_t i = 0; space && i < printer->n_spaces; i++)
                if (printer->spaces[i].view_root == space->view_root)
                        return i;
        return printer->n_spaces;
}

int mtree_print_flat(const Output *output, json_object *layout, const Sections *views,
                     const char *wanted) {
        Printer printer;
        unsigned number = 0;
        size_t only = 0;
        int r = 0;

        printer_init(&printer, output, layout, views);
        if (wanted)
                only = find_view(&printer, wanted);
        if (wanted && only == printer.n_spaces)
                r = fail("NoSuchAddressSpace: there is no address space \"%s\"", wanted);
        for (size_t i = 0; r >= 0 && i < printer.n_spaces; i++)
                if (!printer.spaces[i].printed && (!wanted || i == only))
                        print_view(&printer, i, number++);
        printer_deinit(&printer);
        return r;
}
