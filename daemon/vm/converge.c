/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "daemon/vm/converge-device.h"
#include "daemon/vm/converge-internal.h"
#include "daemon/vm/converge.h"
#include "lib/memory/map-error.h"

static void converge_deinit(Converge *converge) {
        free(converge->goals);
        free(converge->doomed);
}

/* The goal that keeps a region of the map; NULL if it goes. */
static Goal *goal_that_keeps(const Converge *converge, const Region *region) {
        Goal *goal = goal_of(converge, layout_find(converge->layout, region->name));

        return goal && goal->have == region ? goal : NULL;
}

static bool can_be_kept(const Region *region, const Edit *want) {
        RegionKind kind = want->kind == REGION_ROM ? REGION_RAM : want->kind;

        if (region->kind != kind)
                return false;
        if (region->backing &&
            (region->backing->spec.huge_page != want->memory.huge_page ||
             region->backing->passed != want->passed || region->backing->offset != want->fd_offset))
                return false;
        return kind != REGION_ALIAS || strcmp(region->target->name, want->target) == 0;
}

static void find_kept(Converge *converge) {
        for (size_t i = 0; i < converge->layout->n_regions; i++) {
                const LayoutRegion *want = &converge->layout->regions[i];
                Region *region = map_find_region(converge->map, want->add.name);

                converge->goals[i].want = want;
                if (region && can_be_kept(region, &want->add))
                        converge->goals[i].have = region;
        }
}

static int compare_doomed(const void *a, const void *b) {
        return strcmp(((const Doomed *)a)->region->name, ((const Doomed *)b)->region->name);
}

/* An alias goes with its target, even if another target of that name comes. */
static void find_doomed(Converge *converge) {
        Region *region, *alias;

        RB_FOREACH(region, RegionsByName, &converge->map->regions)
                if (!goal_that_keeps(converge, region))
                        converge->doomed[converge->n_doomed++].region = region;
        for (size_t i = 0; i < converge->n_doomed; i++)
                cds_list_for_each_entry(alias, &converge->doomed[i].region->aliases, link) {
                        Goal *goal = goal_that_keeps(converge, alias);

                        if (!goal)
                                continue;
                        goal->have = NULL;
                        converge->doomed[converge->n_doomed++].region = alias;
                }
        qsort(converge->doomed, converge->n_doomed, sizeof(Doomed), compare_doomed);
}

bool goal_changes_parent(const Converge *converge, const Goal *goal) {
        const Goal *parent = goal_of(converge, goal->want->parent);

        if (!parent)
                return goal->have->state.parent;
        return !parent->have || parent->have != goal->have->state.parent;
}

/* Steps 1 and 5, address spaces */

static bool space_is_kept(const Converge *converge, const AddressSpace *space) {
        const Edit *want = layout_find_space(converge->layout, space->name);

        return want && strcmp(want->parent, space->view->root->name) == 0 &&
               goal_that_keeps(converge, space->view->root);
}

static int remove_spaces(Converge *converge) {
        AddressSpace *space;
        Edit *edit;
        int r;

        RB_FOREACH(space, AddressSpaces, &converge->map->spaces) {
                if (space_is_kept(converge, space))
                        continue;
                r = edit_list_add(converge->edits, EDIT_REMOVE_ADDRESS_SPACE, space->name, &edit);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_spaces(Converge *converge) {
        const EditList *spaces = &converge->layout->spaces;
        Edit *copy;
        int r;

        for (size_t i = 0; i < spaces->n; i++) {
                AddressSpace *space = map_find_space(converge->map, spaces->items[i].name);

                if (space && space_is_kept(converge, space))
                        continue;
                r = edit_list_add_copy(converge->edits, &spaces->items[i], &copy);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Steps 1 and 5, ioeventfds and zones */

static int remove_devices(Converge *converge) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < converge->layout->n_regions; i++)
                if (converge->goals[i].have)
                        r = converge_devices_remove(converge->edits, converge->goals[i].have,
                                                    &converge->goals[i].want->devices);
        return r;
}

static int add_devices(Converge *converge) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < converge->layout->n_regions; i++)
                r = converge_devices_add(converge->edits, converge->goals[i].have,
                                         &converge->goals[i].want->devices);
        return r;
}

/* Step 2 */

/* Whether the layout gives a kept region another place, or an alias another window. */
static bool changes_geometry(const Converge *converge, const Goal *goal) {
        const RegionState *state = &goal->have->state;
        const Edit *want = &goal->want->add;

        return goal_changes_parent(converge, goal) || state->size != want->size ||
               (state->parent && state->offset != want->offset) ||
               (goal->have->target && state->target_offset != want->target_offset);
}

static bool must_leave_first(const Converge *converge, const Goal *goal) {
        const Region *parent = goal->have->state.parent;

        if (!parent)
                return false;
        return !goal->want->parent || !goal_that_keeps(converge, parent) ||
               (converge->is_careful && changes_geometry(converge, goal));
}

/* An alias may be seen through others: only without a window does it show nothing. */
static bool must_close_first(const Converge *converge, const Goal *goal) {
        return converge->is_careful && goal->have->target && changes_geometry(converge, goal);
}

static int leave(Converge *converge, Goal *goal) {
        Edit *edit;
        int r = 0;

        if (must_leave_first(converge, goal)) {
                r = edit_list_add(converge->edits, EDIT_MOVE_REGION, goal->have->name, &edit);
                goal->has_left = true;
        }
        if (r == 0 && must_close_first(converge, goal)) {
                r = edit_list_add(converge->edits, EDIT_SET_REGION, goal->have->name, &edit);
                goal->has_closed = true;
                if (r == 0)
                        edit->mask = PROPERTY_SIZE;
        }
        return r;
}

static int take_out(Converge *converge) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < converge->layout->n_regions; i++)
                if (converge->goals[i].have)
                        r = leave(converge, &converge->goals[i]);
        return r;
}

/* Step 3 */

static Doomed *find_one_doomed(const Converge *converge, Region *region) {
        Doomed key = {.region = region};

        return region ? bsearch(&key, converge->doomed, converge->n_doomed, sizeof(Doomed),
                                compare_doomed)
                      : NULL;
}

/* One holder less; what nobody holds any more is next to go. */
static void let_go(Doomed *doomed, Doomed **stack, size_t *n) {
        if (doomed && --doomed->n_holders == 0)
                stack[(*n)++] = doomed;
}

static void count_holders(Converge *converge) {
        for (size_t i = 0; i < converge->n_doomed; i++) {
                Region *region = converge->doomed[i].region;
                Doomed *parent = find_one_doomed(converge, region->state.parent);
                Doomed *target = find_one_doomed(converge, region->target);

                if (parent)
                        parent->n_holders++;
                if (target)
                        target->n_holders++;
        }
}

static int remove_doomed(Converge *converge) {
        _cleanup_(freep) Doomed **stack = calloc(converge->n_doomed + 1, sizeof(*stack));
        size_t n = 0;
        Edit *edit;
        int r;

        if (!stack)
                return -ENOMEM;
        count_holders(converge);
        for (size_t i = 0; i < converge->n_doomed; i++)
                if (converge->doomed[i].n_holders == 0)
                        stack[n++] = &converge->doomed[i];
        while (n > 0) {
                Region *region = stack[--n]->region;

                r = edit_list_add(converge->edits, EDIT_REMOVE_REGION, region->name, &edit);
                if (r < 0)
                        return r;
                let_go(find_one_doomed(converge, region->state.parent), stack, &n);
                let_go(find_one_doomed(converge, region->target), stack, &n);
        }
        return 0;
}

static int converge_one_way(const Layout *layout, Map *map, bool is_careful, EditList *edits,
                            Detail *detail) {
        static int (*const steps[])(Converge *) = {
                remove_devices, remove_spaces, take_out,    remove_doomed,
                converge_reach, add_spaces,    add_devices,
        };
        _cleanup_(converge_deinit) Converge converge = {
                .layout = layout,
                .map = map,
                .is_careful = is_careful,
                .edits = edits,
                .detail = detail,
                .goals = calloc(layout->n_regions + 1, sizeof(Goal)),
                .doomed = calloc(map->n_regions + 1, sizeof(Doomed)),
        };
        int r = 0;

        if (!converge.goals || !converge.doomed)
                return -ENOMEM;
        find_kept(&converge);
        find_doomed(&converge);
        for (size_t i = 0; r == 0 && i < ELEMENTS_OF(steps); i++)
                r = steps[i](&converge);
        return r;
}

/* Whether an edit changes where something is seen that was there before. */
static bool changes_place(const Edit *edit) {
        const uint32_t geometry = PROPERTY_SIZE | PROPERTY_OFFSET | PROPERTY_TARGET_OFFSET;

        return edit->verb == EDIT_MOVE_REGION ||
               (edit->verb == EDIT_SET_REGION && (edit->mask & geometry));
}

/* Whether one of the edits would close a loop. Only tried where something is moved at all. */
static bool loops_on_the_way(Map *map, const EditList *edits, size_t first) {
        size_t mark = map_mark(map), i = first;
        int r = 0;

        while (i < edits->n && !changes_place(&edits->items[i]))
                i++;
        if (i == edits->n)
                return false;
        for (i = first; r == 0 && i < edits->n; i++)
                r = map_edit(map, &edits->items[i], NULL);
        map_rollback(map, mark);
        return r == MAP_E_WOULD_LOOP;
}

int converge(const Layout *layout, Map *map, EditList *edits, Detail *detail) {
        size_t first = edits->n;
        int r;

        r = converge_one_way(layout, map, false, edits, detail);
        if (r || !loops_on_the_way(map, edits, first))
                return r;
        edit_list_truncate(edits, first);
        return converge_one_way(layout, map, true, edits, detail);
}
