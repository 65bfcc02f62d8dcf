/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The parser of "info mtree -f"
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/mtree-scan.h"
#include "client/print.h"

typedef struct Parser {
        MtreeScan scan;
        MtreeFlat *flat;
        bool inside;  /* a view */
        bool ignored; /* what -d appends to it */
} Parser;

static void begin_view(Parser *parser) {
        MtreeFlat *flat = parser->flat;

        flat->views[flat->n_views++] = flat->n_sections;
        parser->inside = true;
        parser->ignored = false;
}

/* "AS "NAME", root: REGION[, alias REGION]" */
static int read_space(Parser *parser) {
        MtreeScan *scan = &parser->scan;
        MtreeFlat *flat = parser->flat;
        char *end = strstr(scan->at, "\", root: ");
        const char *name;
        int r;

        if (!end)
                return mtree_scan_refuse(scan, "not \"AS \"NAME\", root: REGION\"");
        *end = '\0';
        r = mtree_scan_name(scan, &name);
        if (r < 0)
                return r;
        flat->spaces[flat->n_spaces++] = (MtreeSpace){
                .name = name,
                .place = flat->n_views - 1,
                .line = scan->line,
        };
        return 0;
}

/* Sections of a view stand in address order, apart from one another. */
static int check_order(Parser *parser, const MtreeSection *section) {
        MtreeFlat *flat = parser->flat;
        size_t i = flat->n_sections;

        if (section->last < section->first)
                return mtree_scan_refuse(&parser->scan, "a section that ends before it begins");
        if (i > flat->views[flat->n_views - 1] && flat->sections[i - 1].last >= section->first)
                return mtree_scan_refuse(&parser->scan, "a section that begins before the end of "
                                                        "the one above");
        return 0;
}

/* "FIRST-LAST (prio N, TYPE): NAME[ @OFFSET][ KVM]..." */
static int read_section(Parser *parser) {
        MtreeFlat *flat = parser->flat;
        MtreeScan *scan = &parser->scan;
        MtreeSection section = {.view = flat->n_views - 1};
        bool nonvolatile;
        int r;

        r = mtree_scan_range(scan, &section, &nonvolatile);
        if (r < 0)
                return r;
        while (mtree_scan_end(scan, " KVM"))
                ;
        mtree_scan_owner(scan);
        mtree_scan_tail(scan, " @", &section.offset);
        r = mtree_scan_name(scan, &section.name);
        if (r < 0)
                return r;
        r = check_order(parser, &section);
        if (r < 0)
                return r;
        flat->sections[flat->n_sections++] = section;
        return 0;
}

static int read_inside(Parser *parser) {
        MtreeScan *scan = &parser->scan;

        if (mtree_scan_is_noise(scan)) {
                parser->inside = false;
                return 0;
        }
        if (parser->ignored || mtree_scan_word(scan, " Root memory region: ") ||
            mtree_scan_word(scan, "  No rendered FlatView"))
                return 0;
        if (mtree_scan_word(scan, " AS \""))
                return read_space(parser);
        if (mtree_scan_word(scan, "  Dispatch")) {
                parser->ignored = true;
                return 0;
        }
        mtree_scan_blanks(scan);
        return read_section(parser);
}

static int read_any(Parser *parser) {
        MtreeScan *scan = &parser->scan;

        if (mtree_scan_word(scan, "FlatView #")) {
                begin_view(parser);
                return 0;
        }
        if (mtree_scan_word(scan, "address-space: "))
                return mtree_scan_refuse(scan, "this is of \"info mtree\", not a flat view");
        if (parser->inside)
                return read_inside(parser);
        if (mtree_scan_is_noise(scan) || parser->flat->n_views == 0)
                return 0;
        return mtree_scan_refuse(scan, "not below \"FlatView\"");
}

int mtree_parse_flat(MtreeFlat *ret, const char *text, MtreeError *error) {
        size_t n = mtree_scan_count(text);
        Parser parser = {.flat = ret};
        int r;

        *ret = (MtreeFlat){
                .text = must(strdup(text)),
                .sections = must(calloc(n, sizeof(*ret->sections))),
                .views = must(calloc(n + 1, sizeof(*ret->views))),
                .spaces = must(calloc(n, sizeof(*ret->spaces))),
        };
        parser.scan = (MtreeScan){.rest = ret->text, .error = error};
        while (mtree_scan_next(&parser.scan)) {
                r = read_any(&parser);
                if (r < 0)
                        return r;
        }
        ret->views[ret->n_views] = ret->n_sections;
        parser.scan.line = 0;
        if (ret->n_views == 0)
                return mtree_scan_refuse(&parser.scan, "there is no \"FlatView\" in it");
        return 0;
}

void mtree_flat_deinit(MtreeFlat *flat) {
        free(flat->text);
        free(flat->sections);
        free(flat->views);
        free(flat->spaces);
}
