/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The parser of "info mtree"
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/mtree-scan.h"
#include "client/print.h"

typedef struct Parser {
        MtreeScan scan;
        MtreeTree *tree;
        MtreeBlock *block;                    /* NULL: none has begun, or its end has been seen */
        MtreeLine *open[MTREE_DEPTH_MAX + 1]; /* the last line at each depth, NULL if none */
} Parser;

static int begin_block(Parser *parser, const char *name, bool is_space) {
        MtreeTree *tree = parser->tree;

        if (tree->n_blocks == MTREE_BLOCKS_MAX)
                return mtree_scan_refuse(&parser->scan, "more than %u trees", MTREE_BLOCKS_MAX);
        parser->block = &tree->blocks[tree->n_blocks++];
        *parser->block = (MtreeBlock){
                .name = name,
                .is_space = is_space,
                .line = parser->scan.line,
        };
        memset(parser->open, 0, sizeof(parser->open));
        return 0;
}

/* Several headers stand above what several spaces show. */
static int read_space(Parser *parser) {
        MtreeTree *tree = parser->tree;
        const char *name;
        int r;

        r = mtree_scan_name(&parser->scan, &name);
        if (r < 0)
                return r;
        if (!parser->block || !parser->block->is_space || parser->block->root)
                r = begin_block(parser, name, true);
        if (r < 0)
                return r;
        tree->spaces[tree->n_spaces++] = (MtreeSpace){
                .name = name,
                .place = tree->n_blocks - 1,
                .line = parser->scan.line,
        };
        return 0;
}

static int read_region(Parser *parser) {
        const char *name;
        int r;

        r = mtree_scan_name(&parser->scan, &name);
        return r < 0 ? r : begin_block(parser, name, false);
}

/* What was not printed, being disabled, where there must have been something: the root. */
static MtreeLine *add_unseen_root(Parser *parser, MtreeBlock *block) {
        MtreeLine *root = &parser->tree->lines[parser->tree->n_lines++];

        *root = (MtreeLine){
                .name = block->name,
                .last = UINT64_MAX,
                .unseen = true,
                .line = block->line,
                .depth = 1,
        };
        block->root = parser->open[1] = root;
        return root;
}

static int link_line(Parser *parser, MtreeLine *line) {
        unsigned above = line->depth - 1;

        if (line->depth == 1 && parser->block->root)
                return mtree_scan_refuse(&parser->scan, "a second root below one heading");
        if (line->depth == 1)
                parser->block->root = line;
        else if (!parser->block->root)
                add_unseen_root(parser, parser->block);
        for (unsigned i = line->depth + 1; i <= MTREE_DEPTH_MAX; i++)
                parser->open[i] = NULL;
        parser->open[line->depth] = line;
        if (line->depth == 1)
                return 0;
        line->orphan = !parser->open[above];
        while (!parser->open[above])
                above--;
        line->parent = parser->open[above];
        if (line->parent->last_child)
                line->parent->last_child->next = line;
        else
                line->parent->child = line;
        line->parent->last_child = line;
        return 0;
}

static int read_alias(MtreeScan *scan, MtreeLine *line) {
        char *mark = NULL;
        int r;

        for (char *at = strstr(scan->at, " @"); at; at = strstr(at + 1, " @"))
                mark = at;
        if (!mark)
                return mtree_scan_refuse(scan, "not \"alias NAME @TARGET FIRST-LAST\"");
        *mark = '\0';
        r = mtree_scan_name(scan, &line->name);
        if (r < 0)
                return r;
        scan->at = mark + 2;
        return mtree_scan_name(scan, &line->target);
}

/* "FIRST-LAST (prio N, TYPE): [alias ]NAME[ @TARGET FIRST-LAST][ [disabled]]" */
static int read_fields(MtreeScan *scan, MtreeLine *line) {
        MtreeSection section;
        int r;

        r = mtree_scan_range(scan, &section, &line->nonvolatile);
        if (r < 0)
                return r;
        line->first = section.first;
        line->last = section.last;
        line->priority = section.priority;
        line->type = section.type;
        mtree_scan_owner(scan);
        line->enabled = !mtree_scan_end(scan, " [disabled]");
        if (strncmp(scan->at, "alias ", 6) != 0 || !mtree_scan_window(scan, " ", &line->window))
                return mtree_scan_name(scan, &line->name);
        scan->at += 6;
        return read_alias(scan, line);
}

static int read_line(Parser *parser) {
        MtreeScan *scan = &parser->scan;
        MtreeLine *line;
        size_t indent;
        int r;

        if (!parser->block)
                return mtree_scan_refuse(scan,
                                         "not below \"address-space:\" or \"memory-region:\"");
        mtree_scan_word(scan, "[DETECTED OVERFLOW!] ");
        indent = mtree_scan_blanks(scan);
        if (indent < 2 || indent % 2 != 0 || indent / 2 > MTREE_DEPTH_MAX)
                return mtree_scan_refuse(scan, "indented by %zu blanks; there are 2 to %u, by twos",
                                         indent, 2 * MTREE_DEPTH_MAX);
        line = &parser->tree->lines[parser->tree->n_lines++];
        *line = (MtreeLine){.line = scan->line, .depth = (unsigned)indent / 2};
        r = read_fields(scan, line);
        return r < 0 ? r : link_line(parser, line);
}

static int read_any(Parser *parser) {
        MtreeScan *scan = &parser->scan;

        if (mtree_scan_word(scan, "address-space: "))
                return read_space(parser);
        if (mtree_scan_word(scan, "memory-region: "))
                return read_region(parser);
        if (mtree_scan_word(scan, "FlatView #"))
                return mtree_scan_refuse(scan, "this is of \"info mtree -f\", not a tree");
        if (mtree_scan_is_noise(scan)) {
                if (parser->block && parser->block->root)
                        parser->block = NULL;
                return 0;
        }
        /* The monitor's greeting. */
        if (parser->tree->n_blocks == 0 && *scan->at != ' ')
                return 0;
        return read_line(parser);
}

static void add_unseen_roots(Parser *parser) {
        MtreeTree *tree = parser->tree;

        for (size_t i = 0; i < tree->n_blocks; i++)
                if (!tree->blocks[i].root)
                        add_unseen_root(parser, &tree->blocks[i]);
}

int mtree_parse_tree(MtreeTree *ret, const char *text, MtreeError *error) {
        size_t n = mtree_scan_count(text);
        Parser parser = {.tree = ret};
        int r;

        *ret = (MtreeTree){
                .text = must(strdup(text)),
                .lines = must(calloc(n + 1, sizeof(*ret->lines))),
                .blocks = must(calloc(MTREE_BLOCKS_MAX, sizeof(*ret->blocks))),
                .spaces = must(calloc(n + 1, sizeof(*ret->spaces))),
        };
        parser.scan = (MtreeScan){.rest = ret->text, .error = error};
        while (mtree_scan_next(&parser.scan)) {
                r = read_any(&parser);
                if (r < 0)
                        return r;
        }
        add_unseen_roots(&parser);
        parser.scan.line = 0;
        if (ret->n_spaces == 0)
                return mtree_scan_refuse(&parser.scan, "there is no \"address-space:\" in it");
        return 0;
}

void mtree_tree_deinit(MtreeTree *tree) {
        free(tree->text);
        free(tree->lines);
        free(tree->blocks);
        free(tree->spaces);
}
