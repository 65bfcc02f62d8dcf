/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Which region an alias has as its target: names repeat
 *
 * QEMU prints each target once, under "memory-region:", in the order in which it came across their
 * first aliases. So a target is either the first of its name that no alias above had, or one that
 * some alias above had; and each has an alias. Where that leaves a choice, what lies below the
 * window tells a PCI bridge from its neighbours; where it does not, the choice is a doubt.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/mtree-import.h"
#include "client/print.h"

typedef struct Head Head;
typedef struct Targets Targets;

struct Head {
        const char *name;
        MtreeRegion *region;
        size_t index;     /* in order */
        size_t n_aliases; /* of the first of a name: whose targets of that name are not known yet */
};

struct Targets {
        MtreeImport *import;
        Head *heads; /* by name; of one name, in order */
        size_t n;
        size_t n_met; /* so many have been some alias' */
};

static int compare_heads(const void *a, const void *b) {
        const Head *x = a, *y = b;
        int r = strcmp(x->name, y->name);

        return r != 0 ? r : (x->index > y->index) - (x->index < y->index);
}

static void targets_init(Targets *targets, MtreeImport *import) {
        const MtreeTree *tree = &import->tree;

        *targets = (Targets){
                .import = import,
                .heads = must(calloc(tree->n_blocks + 1, sizeof(Head))),
        };
        for (size_t i = 0; i < tree->n_blocks; i++) {
                const MtreeBlock *block = &tree->blocks[i];

                if (block->is_space)
                        continue;
                targets->heads[targets->n] = (Head){
                        .name = block->name,
                        .region = import->regions[block->root - tree->lines].same,
                        .index = targets->n,
                };
                targets->n++;
        }
        qsort(targets->heads, targets->n, sizeof(*targets->heads), compare_heads);
}

/* The first of that name; NULL if there is none. */
static Head *find_heads(const Targets *targets, const char *name) {
        Head key = {.name = name};
        size_t low = 0, n = targets->n;

        while (n > 0) {
                size_t half = n / 2;

                if (compare_heads(&targets->heads[low + half], &key) < 0) {
                        low += half + 1;
                        n -= half + 1;
                } else {
                        n = half;
                }
        }
        if (low == targets->n || strcmp(targets->heads[low].name, name) != 0)
                return NULL;
        return &targets->heads[low];
}

/* An alias cannot be below what it shows. */
static bool is_below(const MtreeRegion *region, const MtreeRegion *above) {
        for (; region; region = region->parent)
                if (region == above)
                        return true;
        return false;
}

/* Whether something lies in the window. */
static bool has_view(const MtreeRegion *region, const MtreeLine *alias) {
        const MtreeLine *root = region->line;
        uint64_t size = alias->last - alias->first;

        for (const MtreeLine *child = root->child; child; child = child->next) {
                uint64_t first = child->first - root->first;
                uint64_t last = child->last - root->first;

                if (first - alias->window <= size || alias->window - first <= last - first)
                        return true;
        }
        return false;
}

static size_t count_new(const Targets *targets, const Head *head) {
        const Head *end = targets->heads + targets->n;
        const char *name = head->name;
        size_t n = 0;

        for (; head < end && strcmp(head->name, name) == 0; head++)
                n += head->index >= targets->n_met;
        return n;
}

/*
 * Of the heads of one name that may be the target, the best; *ret_sure unless others are as good.
 * One that has been met is preferred to a new one, a later one to an earlier.
 */
static Head *choose(const Targets *targets, Head *head, const MtreeRegion *alias, bool *ret_sure) {
        const Head *end = targets->heads + targets->n;
        const char *name = head->name;
        bool must_be_new = head->n_aliases <= count_new(targets, head);
        Head *best = NULL;
        bool best_view = false;

        *ret_sure = true;
        for (; head < end && strcmp(head->name, name) == 0; head++) {
                bool met = head->index < targets->n_met;
                bool view;

                if (!met && best && head->index > targets->n_met)
                        break;
                if ((met && must_be_new) || is_below(alias, head->region))
                        continue;
                view = has_view(head->region, alias->line);
                if (best)
                        *ret_sure = *ret_sure && view != best_view;
                if (!best || view > best_view || (view == best_view && met)) {
                        if (view > best_view)
                                *ret_sure = true;
                        best = head;
                        best_view = view;
                }
                if (!met)
                        break;
        }
        return best;
}

/* A target without a tree: the dump is not whole. */
static int refuse(const MtreeLine *line, MtreeError *error) {
        error->line = line->line;
        snprintf(error->text, sizeof(error->text),
                 "alias \"%s\": there is no \"memory-region: %s\" that it can be of", line->name,
                 line->target);
        return -EINVAL;
}

static int resolve(Targets *targets, MtreeRegion *alias, MtreeError *error) {
        Head *head = find_heads(targets, alias->line->target);
        bool sure;

        head = head ? choose(targets, head, alias, &sure) : NULL;
        if (!head)
                return refuse(alias->line, error);
        if (!sure)
                mtree_doubt(targets->import, MTREE_DOUBT_TARGET, alias, head->region);
        targets->n_met = MAX_OF(targets->n_met, head->index + 1);
        find_heads(targets, head->name)->n_aliases--;
        alias->target = head->region;
        return 0;
}

static void count_aliases(Targets *targets) {
        for (size_t i = 0; i < targets->import->tree.n_lines; i++) {
                const MtreeRegion *region = &targets->import->regions[i];
                Head *head = region->same == region && region->line->target
                                     ? find_heads(targets, region->line->target)
                                     : NULL;

                if (head)
                        head->n_aliases++;
        }
}

int mtree_resolve_targets(MtreeImport *import, MtreeError *error) {
        Targets targets;
        int r = 0;

        targets_init(&targets, import);
        count_aliases(&targets);
        for (size_t i = 0; r >= 0 && i < import->tree.n_lines; i++) {
                MtreeRegion *region = import->regions[i].same;

                if (region->line->target && !region->target)
                        r = resolve(&targets, region, error);
        }
        free(targets.heads);
        return r;
}
