/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the flat views tell of regions that the tree does not
 *
 *   an i/o region that is shown answers itself; one that would be, but is not, is a container
 *   of equals that overlap, the one that is shown wins
 *   what shows RAM as ROM is read-only: the only thing, or the innermost alias, on the way to it
 *   an alias of one byte, or of none, through which nothing is shown is a closed window: empty
 *
 * Each view is gone through three times: for what it shows, for what it does not show, and, when
 * all is decided, for what is not as it shows. The latter is told: nothing that the views say is
 * passed over.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/mtree-sight.h"
#include "client/print.h"

typedef struct View View;

/* One space, while it is gone through. */
struct View {
        MtreeImport *import;
        const char *name;
        const MtreeSection *sections;
        size_t n;
        size_t next; /* the first section that does not end before the walk */
        MtreeSights sights;
        bool changed;  /* the order of some siblings */
        Range differs; /* a stretch that is not as the view has it */
        bool is_different;
};

/* The section that serves a stretch, NULL if none does. */
static const MtreeSection *find_section(View *view, Range range) {
        while (view->next < view->n && view->sections[view->next].last < range.first)
                view->next++;
        if (view->next == view->n || view->sections[view->next].first > range.first)
                return NULL;
        return &view->sections[view->next];
}

static bool fits(const MtreeSight *sight, const MtreeSection *section, Range range) {
        const MtreeLine *line = sight->region->line;

        return line->priority == section->priority &&
               (line->type == section->type || section->type == MTREE_ROM) &&
               sight->offset + (range.first - sight->range.first) ==
                       section->offset + (range.first - section->first) &&
               strcmp(line->name, section->name) == 0;
}

/* Which of the sights the section is of; n if none is. */
static size_t find_shown(const MtreeSight *const *sights, size_t n, const MtreeSection *section,
                         Range range) {
        for (size_t i = 0; section && i < n; i++)
                if (fits(sights[i], section, range))
                        return i;
        return n;
}

static const MtreeSight *above(const View *view, const MtreeSight *sight) {
        const MtreeSight *up = &view->sights.items[sight->above];

        return up == sight ? NULL : up;
}

static void note_shown(void *context, Range range, const MtreeSight *const *sights, size_t n) {
        View *view = context;
        const MtreeSection *section = find_section(view, range);
        size_t i = find_shown(sights, n, section, range);

        if (i == n)
                return;
        sights[i]->region->shown = true;
        if (section->type == MTREE_ROM)
                return;
        for (const MtreeSight *sight = sights[i]; sight; sight = above(view, sight))
                sight->region->writable = true;
}

/* A ROM is read-only itself; of anything else it must be something on the way. */
static void note_readonly(View *view, const MtreeSight *shown) {
        MtreeRegion *found = NULL;
        size_t n = 0;

        if (shown->region->line->type == MTREE_ROM)
                return;
        for (const MtreeSight *sight = above(view, shown); sight; sight = above(view, sight)) {
                if (sight->region->readonly)
                        return;
                if (sight->region->writable)
                        continue;
                n++;
                if (!found || (!found->line->target && sight->region->line->target))
                        found = sight->region;
        }
        if (!found)
                return;
        found->readonly = true;
        if (n > 1)
                mtree_doubt(view->import, MTREE_DOUBT_WHICH, found, NULL);
}

/* Whether it answers, as far as is known. */
static bool answers(const MtreeRegion *region) {
        return strcmp(mtree_region_kind(region), "container") != 0;
}

/*
 * Where the paths of two sights part: at siblings of which the tree leaves open which one wins? At
 * one address the winner is printed first.
 */
static bool find_open_fork(const View *view, const MtreeSight *a, const MtreeSight *b,
                           const MtreeSight **ret_a, const MtreeSight **ret_b) {
        const MtreeSight *last_a = NULL, *last_b = NULL;

        while (a != b) {
                bool up_a = a->depth >= b->depth, up_b = b->depth >= a->depth;

                if (up_a) {
                        last_a = a;
                        a = above(view, a);
                }
                if (up_b) {
                        last_b = b;
                        b = above(view, b);
                }
        }
        if (!last_a || !last_b || last_a->region->parent != last_b->region->parent ||
            last_a->region->line->priority != last_b->region->line->priority ||
            last_a->region->line->first == last_b->region->line->first)
                return false;
        *ret_a = last_a;
        *ret_b = last_b;
        return true;
}

/*
 * Places `over` behind `under`, and with it what stands at its address and wins over it: what was
 * printed stays true.
 */
static void place_over(const MtreeRegion *parent, const MtreeRegion *over,
                       const MtreeRegion *under) {
        size_t from = over->place, to = under->place;

        for (size_t i = 0; i < parent->n_placed; i++) {
                MtreeRegion *sibling = parent->placed[i];

                if (sibling->place > to)
                        sibling->place += parent->places;
                else if (sibling->place >= from && sibling->place < to &&
                         sibling->line->first == over->line->first &&
                         sibling->line->priority == over->line->priority)
                        sibling->place += to - from + 1;
        }
}

/* Sees to it that `winner` is above `other`, if these are siblings whose order is open. */
static bool put_above(View *view, const MtreeSight *other, const MtreeSight *winner) {
        const MtreeSight *under, *over;

        if (!find_open_fork(view, other, winner, &under, &over))
                return false;
        mtree_settle(view->import, over->region, under->region);
        if (over->region->place > under->region->place)
                return true;
        place_over(over->region->parent, over->region, under->region);
        over->region->parent->places *= 2;
        view->changed = true;
        return true;
}

static bool is_closed_window(const MtreeRegion *region) {
        return region->line->target && mtree_line_is_byte(region->line) && !region->writable &&
               !region->readonly;
}

/* Whether it is seen through a closed window. */
static bool is_closed(const View *view, const MtreeSight *sight) {
        for (; sight; sight = above(view, sight))
                if (is_closed_window(sight->region))
                        return true;
        return false;
}

/* Why is this one not shown, where it would be? `shown` is, or NULL if nothing is. */
static void note_hidden(View *view, const MtreeSight *sight, const MtreeSight *shown) {
        MtreeRegion *region = sight->region;

        if (is_closed(view, sight))
                return;
        if (region->line->type == MTREE_IO && !region->shown && (!shown || region->line->child)) {
                region->silent = true;
                return;
        }
        if (shown && !region->silent && put_above(view, sight, shown))
                return;
        if (region->line->type == MTREE_IO && !region->shown)
                region->silent = true;
}

static void note_others(void *context, Range range, const MtreeSight *const *sights, size_t n) {
        View *view = context;
        const MtreeSection *section = find_section(view, range);
        size_t i = find_shown(sights, n, section, range);

        if (section && i == n)
                return; /* of nothing that the tree has: the check will tell */
        for (size_t k = 0; k < i; k++)
                note_hidden(view, sights[k], i < n ? sights[i] : NULL);
        for (size_t k = i + 1; k < n; k++)
                if (answers(sights[k]->region))
                        put_above(view, sights[k], sights[i]);
        if (i < n && section->type == MTREE_ROM)
                note_readonly(view, sights[i]);
}

static bool is_as_shown(const View *view, const MtreeSight *const *sights, size_t n,
                        const MtreeSection *section, Range range) {
        bool readonly = false;
        size_t i = 0;

        while (i < n && !answers(sights[i]->region))
                i++;
        if (i == n || !section)
                return i == n && !section;
        for (const MtreeSight *sight = sights[i]; sight; sight = above(view, sight))
                readonly |= sight->region->readonly || sight->region->line->type == MTREE_ROM;
        return fits(sights[i], section, range) && readonly == (section->type == MTREE_ROM);
}

static void tell_difference(View *view) {
        if (!view->is_different)
                return;
        view->is_different = false;
        mtree_doubt_text(view->import, MTREE_DOUBT_VIEW, "%s 0x%" PRIx64 "-0x%" PRIx64, view->name,
                         view->differs.first, view->differs.last);
}

static void check(void *context, Range range, const MtreeSight *const *sights, size_t n) {
        View *view = context;
        const MtreeSection *section = find_section(view, range);

        if (is_as_shown(view, sights, n, section, range)) {
                tell_difference(view);
        } else if (view->is_different) {
                view->differs.last = range.last;
        } else {
                view->differs = range;
                view->is_different = true;
        }
}

static void go_through(View *view, MtreeRegion *root, MtreeSightVisit *visit) {
        _cleanup_(freep) uint64_t *cuts = must(calloc(2 * view->n + 1, sizeof(*cuts)));
        bool whole;

        for (size_t i = 0; i < view->n; i++) {
                cuts[2 * i] = view->sections[i].first;
                cuts[2 * i + 1] = view->sections[i].last + 1;
        }
        view->next = 0;
        mtree_sights_init(&view->sights, root);
        whole = !view->sights.too_many &&
                mtree_sights_walk(&view->sights, cuts, 2 * view->n, visit, view);
        if (!whole && visit == check)
                mtree_doubt_text(view->import, MTREE_DOUBT_VIEW, "%s 0x0-0xffffffffffffffff",
                                 view->name);
        tell_difference(view);
        mtree_sights_deinit(&view->sights);
}

/* The views of spaces of one name, in both dumps, are told apart only if they are the same. */
static bool find_view(MtreeImport *import, const MtreeSpace *space, size_t *ret) {
        const MtreeFlat *flat = &import->flat;
        size_t n = 0;

        *ret = 0;
        for (size_t i = 0; i < flat->n_spaces; i++) {
                if (strcmp(flat->spaces[i].name, space->name) != 0)
                        continue;
                if (n++ == 0)
                        *ret = flat->spaces[i].place;
                else if (*ret != flat->spaces[i].place)
                        return false;
        }
        return n > 0;
}

/* Once for each tree: all spaces that show one have the same view. */
static bool is_first(const MtreeTree *tree, size_t i) {
        return i == 0 || tree->spaces[i - 1].place != tree->spaces[i].place;
}

static void learn_spaces(MtreeImport *import, MtreeSightVisit *visit) {
        const MtreeTree *tree = &import->tree;
        const MtreeFlat *flat = &import->flat;

        for (size_t i = 0; i < tree->n_spaces; i++) {
                const MtreeLine *root = tree->blocks[tree->spaces[i].place].root;
                View view = {.import = import, .name = import->space_names[i]};
                size_t at;

                if (!is_first(tree, i) || !find_view(import, &tree->spaces[i], &at))
                        continue;
                view.sections = flat->sections + flat->views[at];
                view.n = flat->views[at + 1] - flat->views[at];
                go_through(&view, import->regions[root - tree->lines].same, visit);
                if (view.changed)
                        mtree_place(import);
        }
}

static void doubt_spaces(MtreeImport *import) {
        const MtreeTree *tree = &import->tree;
        size_t at;

        for (size_t i = 0; i < tree->n_spaces; i++)
                if (is_first(tree, i) && !find_view(import, &tree->spaces[i], &at))
                        mtree_doubt_text(import, MTREE_DOUBT_SPACE, "%s", import->space_names[i]);
}

static void close_windows(MtreeImport *import) {
        for (size_t i = 0; i < import->tree.n_lines; i++) {
                MtreeRegion *region = &import->regions[i];

                region->empty = is_closed_window(region);
        }
}

void mtree_learn(MtreeImport *import) {
        learn_spaces(import, note_shown);
        learn_spaces(import, note_others);
        close_windows(import);
        learn_spaces(import, check);
        if (import->has_flat)
                doubt_spaces(import);
}
