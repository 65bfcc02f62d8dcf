/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Which prints are of the same region
 *
 * Below "address-space:" each tree has a root of its own. Below "memory-region:" stands the target
 * of some alias, once for each; if it looks the same as a region of another tree, down to all that
 * is below it, then it is that region.
 */

#include <stdlib.h>
#include <string.h>

#include "client/mtree-import.h"
#include "client/print.h"

static MtreeRegion *region_of(const MtreeImport *import, const MtreeLine *line) {
        return &import->regions[line - import->tree.lines];
}

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t n) {
        const uint8_t *bytes = data;

        for (size_t i = 0; i < n; i++)
                hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
        return hash;
}

static uint64_t hash_line(const MtreeLine *line) {
        const char *target = line->target ? line->target : "";
        uint64_t numbers[] = {
                line->last - line->first, line->window,  (uint32_t)line->priority, line->type,
                line->nonvolatile,        line->enabled,
        };
        uint64_t hash = UINT64_C(0xcbf29ce484222325);

        hash = hash_bytes(hash, line->name, strlen(line->name) + 1);
        hash = hash_bytes(hash, target, strlen(target) + 1);
        return hash_bytes(hash, numbers, sizeof(numbers));
}

/* Calls itself: trees have MTREE_DEPTH_MAX levels. */
static MtreeRegion *weigh(MtreeImport *import, const MtreeLine *line) {
        MtreeRegion *region = region_of(import, line);

        region->hash = hash_line(line);
        region->weight = 1;
        for (const MtreeLine *child = line->child; child; child = child->next) {
                const MtreeRegion *below = weigh(import, child);
                uint64_t pair[] = {below->hash, mtree_line_offset(child)};

                region->hash = hash_bytes(region->hash, pair, sizeof(pair));
                region->weight += below->weight;
        }
        return region;
}

static bool same_text(const char *a, const char *b) {
        return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool looks_the_same(const MtreeLine *a, const MtreeLine *b) {
        if (!same_text(a->name, b->name) || !same_text(a->target, b->target) ||
            a->last - a->first != b->last - b->first || a->window != b->window ||
            a->priority != b->priority || a->type != b->type || a->enabled != b->enabled ||
            a->nonvolatile != b->nonvolatile)
                return false;
        a = a->child;
        b = b->child;
        for (; a && b; a = a->next, b = b->next)
                if (mtree_line_offset(a) != mtree_line_offset(b) || !looks_the_same(a, b))
                        return false;
        return !a && !b;
}

static void make_same(MtreeImport *import, const MtreeLine *line, const MtreeLine *as) {
        region_of(import, line)->same = region_of(import, as);
        for (line = line->child, as = as->child; line; line = line->next, as = as->next)
                make_same(import, line, as);
}

static MtreeRegion *stands_for(MtreeRegion *region) {
        while (region->same != region)
                region = region->same;
        return region;
}

static int compare_hashes(const void *a, const void *b) {
        const MtreeRegion *x = *(MtreeRegion *const *)a, *y = *(MtreeRegion *const *)b;

        if (x->hash != y->hash)
                return x->hash < y->hash ? -1 : 1;
        return (x->line > y->line) - (x->line < y->line);
}

static int compare_weights(const void *a, const void *b) {
        const MtreeRegion *x = *(MtreeRegion *const *)a, *y = *(MtreeRegion *const *)b;

        if (x->weight != y->weight)
                return x->weight > y->weight ? -1 : 1;
        return (x->line > y->line) - (x->line < y->line);
}

/* Whether the root of a target's tree may be this print: where it is placed is known, too. */
static bool may_be(const MtreeRegion *root, const MtreeRegion *other) {
        return other != root && !other->line->unseen && !root->line->unseen &&
               mtree_line_offset(other->line) == root->line->first &&
               looks_the_same(root->line, other->line);
}

static size_t first_of_hash(MtreeRegion **by_hash, size_t n, uint64_t hash) {
        size_t low = 0;

        while (n > 0) {
                size_t half = n / 2;

                if (by_hash[low + half]->hash < hash) {
                        low += half + 1;
                        n -= half + 1;
                } else {
                        n = half;
                }
        }
        return low;
}

/* What is known of a print while they are compared. */
enum {
        ROOT_OF_TARGET = 1 << 0,
        ROOT_OF_SPACE = 1 << 1,
        IS_TARGET = 1 << 2, /* some ROOT_OF_TARGET is another print of it */
        IS_SPACE = 1 << 3,
};

/* Targets are all different, and so are what spaces show: a print stands for one of either. */
static void identify(MtreeImport *import, MtreeRegion *root, MtreeRegion **by_hash, uint8_t *told) {
        bool is_space = told[root - import->regions] & ROOT_OF_SPACE;
        unsigned never = is_space ? ROOT_OF_TARGET | ROOT_OF_SPACE : ROOT_OF_TARGET;
        unsigned taken = is_space ? IS_SPACE : IS_TARGET;
        size_t n = import->tree.n_lines;
        MtreeRegion *found = NULL;

        for (size_t i = first_of_hash(by_hash, n, root->hash);
             i < n && by_hash[i]->hash == root->hash; i++) {
                MtreeRegion *other = by_hash[i];

                if (told[other - import->regions] & never || !may_be(root, other))
                        continue;
                other = stands_for(other);
                if (told[other - import->regions] & taken)
                        continue;
                if (found && found != other) {
                        mtree_doubt(import, MTREE_DOUBT_IDENTITY, found, other);
                        break;
                }
                found = other;
        }
        if (!found)
                return;
        make_same(import, root->line, found->line);
        told[found - import->regions] |= taken;
}

/* The heaviest first: so a print that something is compared with stands for itself already. */
void mtree_identify(MtreeImport *import) {
        const MtreeTree *tree = &import->tree;
        _cleanup_(freep) MtreeRegion **by_hash =
                must(calloc(tree->n_lines + 1, sizeof(MtreeRegion *)));
        _cleanup_(freep) MtreeRegion **roots =
                must(calloc(tree->n_blocks + 1, sizeof(MtreeRegion *)));
        _cleanup_(freep) uint8_t *told = must(calloc(tree->n_lines + 1, 1));

        for (size_t i = 0; i < tree->n_blocks; i++) {
                MtreeRegion *root = weigh(import, tree->blocks[i].root);

                told[root - import->regions] =
                        tree->blocks[i].is_space ? ROOT_OF_SPACE : ROOT_OF_TARGET;
                roots[i] = root;
        }
        for (size_t i = 0; i < tree->n_lines; i++)
                by_hash[i] = &import->regions[i];
        qsort(by_hash, tree->n_lines, sizeof(*by_hash), compare_hashes);
        qsort(roots, tree->n_blocks, sizeof(*roots), compare_weights);
        for (size_t i = 0; i < tree->n_blocks; i++)
                identify(import, roots[i], by_hash, told);
        for (size_t i = 0; i < tree->n_lines; i++)
                import->regions[i].same = stands_for(&import->regions[i]);
}
