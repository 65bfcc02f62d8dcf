/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "daemon/vm/converge-internal.h"
#include "daemon/vm/sibling-order.h"
#include "lib/memory/map-error.h"

/* What an edit may set of a region's flags. */
#define FLAGS_OF_LAYOUT                                                                            \
        (REGION_ENABLED | REGION_READONLY | REGION_NONVOLATILE | REGION_UNMERGEABLE |              \
         REGION_DIRECT_READ | REGION_DIRTY_LOG)

/* Placed goals together that are siblings of one priority, in the layout's order. */
static int compare_siblings(const void *a, const void *b) {
        const Goal *left = *(Goal *const *)a, *right = *(Goal *const *)b;

        if (left->want->parent != right->want->parent)
                return left->want->parent < right->want->parent ? -1 : 1;
        if (left->want->add.priority != right->want->add.priority)
                return left->want->add.priority < right->want->add.priority ? -1 : 1;
        return left < right ? -1 : 1;
}

static bool are_equals(const Goal *a, const Goal *b) {
        return a->want->parent == b->want->parent && a->want->add.priority == b->want->add.priority;
}

/* Gives n siblings of one priority their places. */
static int order_equals(const Converge *converge, Goal **siblings, uint64_t *places, size_t n) {
        int r;

        for (size_t i = 0; i < n; i++) {
                bool stays = siblings[i]->have && !goal_changes_parent(converge, siblings[i]);

                places[i] = stays ? siblings[i]->have->state.place : 0;
        }
        r = sibling_order(places, n);
        for (size_t i = 0; r == 0 && i < n; i++)
                siblings[i]->place = places[i];
        return r;
}

/* In the layout's order, over all parents: so a map that is exported says what was applied. */
static void place_on_top(Converge *converge) {
        uint64_t top = converge->map->last_place;

        for (size_t i = 0; i < converge->layout->n_regions; i++)
                if (converge->goals[i].want->parent && converge->goals[i].place == 0)
                        converge->goals[i].place = top += PLACE_STEP;
}

static int choose_places(Converge *converge) {
        size_t n = converge->layout->n_regions, n_placed = 0, end;
        _cleanup_(freep) Goal **placed = calloc(n + 1, sizeof(*placed));
        _cleanup_(freep) uint64_t *places = calloc(n + 1, sizeof(*places));
        int r = 0;

        if (!placed || !places)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                if (converge->goals[i].want->parent)
                        placed[n_placed++] = &converge->goals[i];
        qsort(placed, n_placed, sizeof(*placed), compare_siblings);
        for (size_t i = 0; r == 0 && i < n_placed; i = end) {
                for (end = i + 1; end < n_placed && are_equals(placed[i], placed[end]);)
                        end++;
                r = order_equals(converge, placed + i, places, end - i);
        }
        if (r == 0)
                place_on_top(converge);
        return r;
}

static int add_new(Converge *converge, const Goal *goal) {
        Edit *edit;
        int r;

        r = edit_list_add_copy(converge->edits, &goal->want->add, &edit);
        if (r == 0)
                edit->place = goal->place;
        return r;
}

static int move_kept(Converge *converge, const Goal *goal) {
        const Edit *want = &goal->want->add;
        Edit *edit;
        int r;

        r = edit_list_add(converge->edits, EDIT_MOVE_REGION, want->name, &edit);
        if (r < 0)
                return r;
        edit->offset = want->offset;
        edit->priority = want->priority;
        edit->place = goal->place;
        edit->parent = strdup(want->parent);
        return edit->parent ? 0 : -ENOMEM;
}

/* What a kept region is told beside where it is placed, or while it stays there. */
static uint32_t differing_properties(const Goal *goal, bool stays) {
        const RegionState *state = &goal->have->state;
        const Edit *want = &goal->want->add;
        uint32_t mask = 0;

        if (state->size != want->size || goal->has_closed)
                mask |= PROPERTY_SIZE;
        if (goal->have->target && state->target_offset != want->target_offset)
                mask |= PROPERTY_TARGET_OFFSET;
        if ((state->flags ^ want->flags) & FLAGS_OF_LAYOUT)
                mask |= PROPERTY_FLAGS;
        if (stays && state->offset != want->offset)
                mask |= PROPERTY_OFFSET;
        if (stays && state->priority != want->priority)
                mask |= PROPERTY_PRIORITY;
        return mask;
}

static int set_kept(Converge *converge, const Goal *goal, uint32_t mask) {
        const Edit *want = &goal->want->add;
        Edit *edit;
        int r;

        r = edit_list_add(converge->edits, EDIT_SET_REGION, want->name, &edit);
        if (r < 0)
                return r;
        edit->mask = mask;
        edit->flags_mask = (goal->have->state.flags ^ want->flags) & FLAGS_OF_LAYOUT;
        edit->flags = want->flags;
        edit->size = want->size;
        edit->offset = want->offset;
        edit->priority = want->priority;
        edit->target_offset = want->target_offset;
        return 0;
}

/*
 * What is out of the tree is set first, so that it comes back as it shall be. Otherwise the smaller
 * of its two sizes is the one that fits below 2^64 in both places.
 */
static bool is_set_first(const Goal *goal) {
        return goal->has_left || goal->want->add.size < goal->have->state.size;
}

static int change_kept(Converge *converge, const Goal *goal) {
        bool is_placed = goal->want->parent;
        bool moves = is_placed && (goal_changes_parent(converge, goal) || goal->has_left ||
                                   goal->place != goal->have->state.place);
        uint32_t mask = differing_properties(goal, is_placed && !moves);
        bool set_first = is_set_first(goal);
        int r = 0;

        if (mask && set_first)
                r = set_kept(converge, goal, mask);
        if (r == 0 && moves)
                r = move_kept(converge, goal);
        if (r == 0 && mask && !set_first)
                r = set_kept(converge, goal, mask);
        return r;
}

static int make(Converge *converge, const Goal *goal) {
        return goal->have ? change_kept(converge, goal) : add_new(converge, goal);
}

/* What must be made before the goal: its parent, and an alias' target; NULL if nothing. */
static Goal *find_missing(const Converge *converge, const Goal *goal) {
        Goal *parent = goal_of(converge, goal->want->parent);
        Goal *target = goal_of(converge, goal->want->target);

        if (parent && !parent->is_reached)
                return parent;
        return target && !target->is_reached ? target : NULL;
}

/* Makes a goal, and before it what it needs. */
static int reach(Converge *converge, Goal *goal, Goal **stack) {
        Goal *next = goal->is_reached ? NULL : goal;
        size_t n = 0;
        int r;

        while (next || n > 0) {
                if (next && next->is_waiting)
                        return detail_set(converge->detail, MAP_E_WOULD_LOOP,
                                          "region \"%s\" would be inside itself",
                                          next->want->add.name);
                if (next) {
                        next->is_waiting = true;
                        stack[n++] = next;
                } else {
                        r = make(converge, stack[--n]);
                        if (r < 0)
                                return r;
                        stack[n]->is_reached = true;
                }
                next = n > 0 ? find_missing(converge, stack[n - 1]) : NULL;
        }
        return 0;
}

int converge_reach(Converge *converge) {
        size_t n = converge->layout->n_regions;
        _cleanup_(freep) Goal **stack = calloc(n + 1, sizeof(*stack));
        int r;

        if (!stack)
                return -ENOMEM;
        r = choose_places(converge);
        for (size_t i = 0; r == 0 && i < n; i++)
                r = reach(converge, &converge->goals[i], stack);
        return r;
}
