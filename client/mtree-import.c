/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/mtree-import.h"
#include "client/print.h"

static MtreeDoubt *add_doubt(MtreeImport *import) {
        must_reserve(&import->doubts, &import->n_doubts_allocated, import->n_doubts, 1);
        return &import->doubts[import->n_doubts++];
}

void mtree_doubt(MtreeImport *import, MtreeDoubtKind kind, const MtreeRegion *region,
                 const MtreeRegion *other) {
        *add_doubt(import) = (MtreeDoubt){.kind = kind, .region = region, .other = other};
}

void mtree_doubt_text(MtreeImport *import, MtreeDoubtKind kind, const char *format, ...) {
        va_list arguments;
        char *text = NULL;

        va_start(arguments, format);
        if (vasprintf(&text, format, arguments) < 0)
                text = NULL;
        va_end(arguments);
        *add_doubt(import) = (MtreeDoubt){.kind = kind, .text = must(text)};
}

const char *mtree_region_kind(const MtreeRegion *region) {
        static const char *const kinds[] = {
                [MTREE_RAM] = "ram",
                [MTREE_ROM] = "rom",
                [MTREE_ROMD] = "romd",
                [MTREE_RAMD] = "ram",
        };

        if (region->line->target)
                return "alias";
        if (region->line->type != MTREE_IO)
                return kinds[region->line->type];
        if (region->shown)
                return "mmio";
        return region->silent || region->line->child || region->line->unseen ? "container" : "mmio";
}

/* Each print of a region has the same children, of which one print stands for each. */
static void link_children(MtreeImport *import, MtreeRegion *region, MtreeRegion **children) {
        region->placed = children;
        for (const MtreeLine *line = region->line->child; line; line = line->next) {
                MtreeRegion *child = import->regions[line - import->tree.lines].same;

                child->parent = region;
                children[region->n_placed++] = child;
        }
        for (size_t i = 0; i < region->n_placed; i++)
                children[i]->place = region->n_placed - i;
        region->places = region->n_placed + 1;
}

static void link_regions(MtreeImport *import) {
        size_t used = 0;

        import->children = must(calloc(import->tree.n_lines + 1, sizeof(*import->children)));
        for (size_t i = 0; i < import->tree.n_lines; i++) {
                MtreeRegion *region = &import->regions[i];

                if (region->same != region)
                        continue;
                link_children(import, region, import->children + used);
                used += region->n_placed;
        }
}

static int compare_places(const void *a, const void *b) {
        const MtreeRegion *x = *(MtreeRegion *const *)a, *y = *(MtreeRegion *const *)b;

        if (x->line->priority != y->line->priority)
                return x->line->priority < y->line->priority ? -1 : 1;
        return (x->place > y->place) - (x->place < y->place);
}

void mtree_place(MtreeImport *import) {
        for (size_t i = 0; i < import->tree.n_lines; i++) {
                MtreeRegion *region = &import->regions[i];

                if (region->n_placed > 1)
                        qsort(region->placed, region->n_placed, sizeof(*region->placed),
                              compare_places);
        }
}

static void append_subtree(MtreeImport *import, MtreeRegion *region) {
        import->order[import->n_order++] = region;
        for (size_t i = 0; i < region->n_placed; i++)
                append_subtree(import, region->placed[i]);
}

static void make_order(MtreeImport *import) {
        const MtreeTree *tree = &import->tree;

        import->order = must(calloc(tree->n_lines + 1, sizeof(*import->order)));
        for (size_t i = 0; i < tree->n_blocks; i++) {
                MtreeRegion *root = &import->regions[tree->blocks[i].root - tree->lines];

                if (root->same == root)
                        append_subtree(import, root);
        }
}

typedef struct Name Name;
typedef struct Names Names;

struct Name {
        char *text;
        unsigned number; /* of the last one that was made of it */
};

struct Names {
        void *tree; /* of tsearch() */
};

static int compare_names(const void *a, const void *b) {
        return strcmp(((const Name *)a)->text, ((const Name *)b)->text);
}

/* The entry of a name; a new one if there is none. */
static Name *names_enter(Names *names, const char *text, bool *ret_new) {
        Name key = {.text = (char *)text}, *name;
        Name **slot = must(tsearch(&key, &names->tree, compare_names));

        *ret_new = *slot == &key;
        if (!*ret_new)
                return *slot;
        name = must(calloc(1, sizeof(*name)));
        name->text = must(strdup(text));
        name->number = 1;
        *slot = name;
        return name;
}

static void name_free(void *name) {
        free(((Name *)name)->text);
        free(name);
}

/* A name of its own for the next one that is called `text`; NULL if it would be too long. */
static char *names_make(Names *names, const char *text) {
        char numbered[MTREE_NAME_MAX + 16];
        bool is_new;
        Name *name = names_enter(names, text, &is_new);

        snprintf(numbered, sizeof(numbered), "%s", text);
        while (!is_new) {
                snprintf(numbered, sizeof(numbered), "%s#%u", text, ++name->number);
                names_enter(names, numbered, &is_new);
        }
        return strlen(numbered) > MTREE_NAME_MAX ? NULL : must(strdup(numbered));
}

static int refuse_name(MtreeError *error, unsigned line, const char *name) {
        error->line = line;
        snprintf(error->text, sizeof(error->text),
                 "there are several of the name \"%s\", to which no number can be appended: names "
                 "have at most %u bytes",
                 name, MTREE_NAME_MAX);
        return -EINVAL;
}

static int name_regions(MtreeImport *import, MtreeError *error) {
        Names names = {};
        int r = 0;

        for (size_t i = 0; r >= 0 && i < import->n_order; i++) {
                MtreeRegion *region = import->order[i];

                region->name = names_make(&names, region->line->name);
                if (!region->name)
                        r = refuse_name(error, region->line->line, region->line->name);
        }
        tdestroy(names.tree, name_free);
        return r;
}

static int name_spaces(MtreeImport *import, MtreeError *error) {
        Names names = {};
        int r = 0;

        import->space_names = must(calloc(import->tree.n_spaces, sizeof(char *)));
        for (size_t i = 0; r >= 0 && i < import->tree.n_spaces; i++) {
                const MtreeSpace *space = &import->tree.spaces[i];
                bool is_ports = strcmp(space->name, "I/O") == 0;

                import->space_names[i] = names_make(&names, is_ports ? "io" : space->name);
                if (!import->space_names[i])
                        r = refuse_name(error, space->line, space->name);
        }
        tdestroy(names.tree, name_free);
        return r;
}

static MtreeRegion *regions_new(const MtreeTree *tree) {
        MtreeRegion *regions = must(calloc(tree->n_lines + 1, sizeof(*regions)));

        for (size_t i = 0; i < tree->n_lines; i++) {
                regions[i].line = &tree->lines[i];
                regions[i].same = &regions[i];
        }
        return regions;
}

/* What the tree leaves open about a region by itself. */
static void doubt_region(MtreeImport *import, const MtreeRegion *region) {
        const MtreeLine *line = region->line;

        if (line->unseen)
                mtree_doubt(import, MTREE_DOUBT_UNSEEN, region, NULL);
        if (line->orphan)
                mtree_doubt(import, MTREE_DOUBT_ORPHAN, region, NULL);
        if (line->target) {
                if ((line->type == MTREE_RAM || line->type == MTREE_RAMD) && !region->writable &&
                    !region->readonly)
                        mtree_doubt(import, MTREE_DOUBT_READONLY, region, NULL);
                if (region->empty)
                        mtree_doubt(import, MTREE_DOUBT_CLOSED, region, NULL);
                return;
        }
        if (line->type == MTREE_RAMD)
                mtree_doubt(import, MTREE_DOUBT_DEVICE, region, NULL);
        if (line->type == MTREE_IO && !region->shown && !region->silent && !line->unseen)
                mtree_doubt(import, line->child ? MTREE_DOUBT_CONTAINER : MTREE_DOUBT_MMIO, region,
                            NULL);
        if (mtree_line_is_byte(line) && !region->shown)
                mtree_doubt(import, MTREE_DOUBT_BYTE, region, NULL);
}

static int decide(MtreeImport *import, MtreeError *error) {
        int r;

        import->regions = regions_new(&import->tree);
        mtree_identify(import);
        link_regions(import);
        mtree_place(import);
        r = mtree_resolve_targets(import, error);
        if (r < 0)
                return r;
        r = name_spaces(import, error);
        if (r < 0)
                return r;
        mtree_learn(import);
        make_order(import);
        for (size_t i = 0; i < import->n_order; i++)
                doubt_region(import, import->order[i]);
        mtree_doubt_orders(import);
        return name_regions(import, error);
}

int mtree_import(MtreeImport *ret, const char *tree, const char *flat, MtreeError *error,
                 bool *ret_in_flat) {
        int r;

        *ret = (MtreeImport){.has_flat = flat};
        *ret_in_flat = false;
        r = mtree_parse_tree(&ret->tree, tree, error);
        if (r < 0)
                return r;
        if (flat) {
                *ret_in_flat = true;
                r = mtree_parse_flat(&ret->flat, flat, error);
                if (r < 0)
                        return r;
                *ret_in_flat = false;
        }
        return decide(ret, error);
}

void mtree_import_deinit(MtreeImport *import) {
        for (size_t i = 0; import->regions && i < import->tree.n_lines; i++)
                free(import->regions[i].name);
        for (size_t i = 0; import->space_names && i < import->tree.n_spaces; i++)
                free(import->space_names[i]);
        for (size_t i = 0; i < import->n_doubts; i++)
                free(import->doubts[i].text);
        free(import->regions);
        free(import->children);
        free(import->order);
        free(import->space_names);
        free(import->doubts);
        tdestroy(import->settled, free);
        mtree_tree_deinit(&import->tree);
        mtree_flat_deinit(&import->flat);
}
