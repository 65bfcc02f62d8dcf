/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Which of two siblings wins, where the tree leaves it open: they overlap, are of one priority, and
 * begin at different addresses
 */

#include <search.h>
#include <stdlib.h>

#include "client/mtree-import.h"
#include "client/print.h"

typedef struct Pair Pair;

struct Pair {
        const MtreeRegion *a; /* the one that is printed first */
        const MtreeRegion *b;
};

/* So many are told; a map with more has been made to have them. */
enum { ORDER_DOUBTS_MAX = 1000 };

static int compare_pairs(const void *a, const void *b) {
        const Pair *x = a, *y = b;

        if (x->a != y->a)
                return x->a < y->a ? -1 : 1;
        return (x->b > y->b) - (x->b < y->b);
}

static Pair make_pair(const MtreeRegion *a, const MtreeRegion *b) {
        return a < b ? (Pair){a, b} : (Pair){b, a};
}

void mtree_settle(MtreeImport *import, const MtreeRegion *over, const MtreeRegion *under) {
        Pair key = make_pair(over, under), *pair, **slot;

        slot = must(tsearch(&key, &import->settled, compare_pairs));
        if (*slot != &key)
                return;
        pair = must(malloc(sizeof(*pair)));
        *pair = key;
        *slot = pair;
}

static void doubt_order(MtreeImport *import, const MtreeRegion *a, const MtreeRegion *b) {
        Pair key = make_pair(a, b);

        if (a->line->priority != b->line->priority || a->line->first == b->line->first ||
            a->empty || b->empty || tfind(&key, &import->settled, compare_pairs))
                return;
        if (a->place > b->place)
                mtree_doubt(import, MTREE_DOUBT_ORDER, a, b);
        else
                mtree_doubt(import, MTREE_DOUBT_ORDER, b, a);
}

static const MtreeRegion *region_of(const MtreeImport *import, const MtreeLine *line) {
        return import->regions[line - import->tree.lines].same;
}

void mtree_doubt_orders(MtreeImport *import) {
        size_t before = import->n_doubts;

        for (size_t i = 0; i < import->n_order; i++)
                for (const MtreeLine *a = import->order[i]->line->child; a; a = a->next)
                        for (const MtreeLine *b = a->next; b && b->first <= a->last; b = b->next) {
                                doubt_order(import, region_of(import, a), region_of(import, b));
                                if (import->n_doubts - before == ORDER_DOUBTS_MAX)
                                        return;
                        }
}
