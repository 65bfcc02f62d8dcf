/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "lib/memory/region.h"
#include "lib/util/string-table.h"

static const char *const kind_table[] = {
        [REGION_CONTAINER] = "container", [REGION_RAM] = "ram",   [REGION_ROM] = "rom",
        [REGION_ROMD] = "romd",           [REGION_MMIO] = "mmio", [REGION_RESERVED] = "reserved",
        [REGION_ALIAS] = "alias",
};

STRING_TABLE(region_kind, RegionKind, kind_table);

/* Last byte in the parent, cut at 2^64. Size 0 counts as one byte here: it must be found. */
static uint64_t last_in_parent(const Region *region) {
        Range range;

        if (!region_extent(region, &range) || !range_shift_up(range, region->state.offset, &range))
                return region->state.offset;
        return range.last;
}

static void update_subtree(Region *region) {
        const Region *left = RB_LEFT(region, by_offset), *right = RB_RIGHT(region, by_offset);
        uint64_t last = last_in_parent(region);

        if (left && left->subtree_last > last)
                last = left->subtree_last;
        if (right && right->subtree_last > last)
                last = right->subtree_last;
        region->subtree_last = last;
}

static int compare_name(const Region *a, const Region *b) {
        return strcmp(a->name, b->name);
}

/* Offset, then place, which no two children of one parent and priority share. */
static int compare_offset(const Region *a, const Region *b) {
        if (a->state.offset != b->state.offset)
                return a->state.offset < b->state.offset ? -1 : 1;
        if (a->state.place != b->state.place)
                return a->state.place < b->state.place ? -1 : 1;
        return strcmp(a->name, b->name);
}

RB_GENERATE(RegionsByName, Region, by_name, compare_name)

/* The macros tell of each node whose children they change; its ancestors are ours to update. */
#undef RB_AUGMENT
#define RB_AUGMENT(region) update_subtree(region)
RB_GENERATE_STATIC(RegionsByOffset, Region, by_offset, compare_offset)

static void update_upwards(Region *region) {
        for (; region; region = RB_PARENT(region, by_offset))
                update_subtree(region);
}

static void children_add(Region *parent, Region *child) {
        Region *above = RB_ROOT(&parent->children);

        child->subtree_last = last_in_parent(child);
        /* On the way down: the nodes beside the way need not be looked at. */
        while (above) {
                above->subtree_last = MAX_OF(above->subtree_last, child->subtree_last);
                above = compare_offset(child, above) < 0 ? RB_LEFT(above, by_offset)
                                                         : RB_RIGHT(above, by_offset);
        }
        RB_INSERT(RegionsByOffset, &parent->children, child);
        parent->n_children++;
}

static void children_remove(Region *parent, Region *child) {
        Region *above = RB_PARENT(child, by_offset);

        RB_REMOVE(RegionsByOffset, &parent->children, child);
        update_upwards(above);
        parent->n_children--;
}

int region_new(Region **ret, const char *name, RegionKind kind, Backing *backing, Region *target) {
        size_t length = strlen(name) + 1;
        Region *region;

        region = calloc(1, sizeof(*region) + length);
        if (!region)
                return -ENOMEM;
        urcu_ref_init(&region->ref);
        region->kind = kind;
        region->backing = backing_ref(backing);
        region->target = region_ref(target);
        RB_INIT(&region->children);
        CDS_INIT_LIST_HEAD(&region->aliases);
        CDS_INIT_LIST_HEAD(&region->link);
        memcpy(region->name, name, length);
        *ret = region;
        return 0;
}

static void region_free(Region *region) {
        IOEventFD *ioeventfd;
        Coalesced *zone;

        while ((ioeventfd = RB_ROOT(&region->ioeventfds))) {
                ioeventfd_unlink(ioeventfd, &region->ioeventfds);
                ioeventfd_unref(ioeventfd);
        }
        while ((zone = RB_ROOT(&region->coalesced))) {
                coalesced_unlink(zone, &region->coalesced);
                coalesced_unref(zone);
        }
        handler_unref(region->serving);
        handler_unref(region->handler);
        backing_unref(region->backing);
        free(region);
}

Region *region_ref(Region *region) {
        if (region)
                urcu_ref_get(&region->ref);
        return region;
}

/* Aliases of aliases may form a chain of any length: no recursion. */
Region *region_unref(Region *region) {
        while (region && uatomic_sub_return(&region->ref.refcount, 1) == 0) {
                Region *target = region->target;

                region_free(region);
                region = target;
        }
        return NULL;
}

static void region_link(Region *region) {
        if (!region_is(region, REGION_PRESENT))
                return;
        if (region->state.parent)
                children_add(region->state.parent, region);
        if (region->target && cds_list_empty(&region->link)) {
                cds_list_add_tail(&region->link, &region->target->aliases);
                region->target->n_aliases++;
        }
}

static void region_unlink(Region *region, bool leaves) {
        if (!region_is(region, REGION_PRESENT))
                return;
        if (region->state.parent)
                children_remove(region->state.parent, region);
        if (region->target && leaves) {
                cds_list_del_init(&region->link);
                region->target->n_aliases--;
        }
}

/* Whether two states differ in nothing that the parent's index is made of. */
static bool same_place(const RegionState *a, const RegionState *b) {
        return a->parent == b->parent && a->offset == b->offset && a->size == b->size &&
               a->place == b->place && !((a->flags ^ b->flags) & REGION_PRESENT);
}

void region_set_state(Region *region, const RegionState *state) {
        if (same_place(&region->state, state)) {
                region->state = *state;
                return;
        }
        region_unlink(region, !(state->flags & REGION_PRESENT));
        region->state = *state;
        region_link(region);
}

bool region_state_equal(const RegionState *a, const RegionState *b) {
        return same_place(a, b) && a->target_offset == b->target_offset &&
               a->priority == b->priority && a->flags == b->flags;
}

RegionKind region_kind_in(const Region *region, const RegionState *state) {
        if (region->kind == REGION_RAM && state->flags & REGION_READONLY)
                return REGION_ROM;
        return region->kind;
}

RegionKind region_reported_kind(const Region *region) {
        return region_kind_in(region, &region->state);
}

bool region_is_leaf(const Region *region) {
        return region->kind != REGION_CONTAINER && region->kind != REGION_ALIAS;
}

bool region_kind_has_registers(RegionKind kind) {
        return kind == REGION_MMIO || kind == REGION_ROMD;
}

bool region_kind_has_backing(RegionKind kind) {
        return kind == REGION_RAM || kind == REGION_ROM || kind == REGION_ROMD;
}

uint32_t region_default_flags(RegionKind kind) {
        uint32_t flags = REGION_ENABLED;

        if (kind == REGION_ROM)
                flags |= REGION_READONLY;
        if (kind == REGION_ROMD)
                flags |= REGION_DIRECT_READ;
        return flags;
}

bool region_extent(const Region *region, Range *ret) {
        return range_from_size(region->state.size, ret);
}

/* A walk that turns left here comes back and goes to the right: that costs less if it is known. */
static void prefetch_right(const Region *region, Range window) {
        const Region *right = RB_RIGHT(region, by_offset);

        if (!right || region->state.offset > window.last)
                return;
        __builtin_prefetch(right);
        __builtin_prefetch(&right->by_offset);
}

/* The first node below `region` (itself included), in order, that meets the window. */
static Region *leftmost(Region *region, Range window) {
        while (region && region->subtree_last >= window.first) {
                Region *left = RB_LEFT(region, by_offset);

                if (left && left->subtree_last >= window.first) {
                        prefetch_right(region, window);
                        region = left;
                        continue;
                }
                if (region->state.offset > window.last)
                        return NULL;
                if (last_in_parent(region) >= window.first)
                        return region;
                region = RB_RIGHT(region, by_offset);
        }
        return NULL;
}

/* The next node in order that meets the window, behind one that does. */
static Region *following(Region *region, Range window) {
        Region *right = RB_RIGHT(region, by_offset), *from;

        if (right && right->subtree_last >= window.first)
                return leftmost(right, window);
        for (;;) {
                do {
                        from = region;
                        region = RB_PARENT(region, by_offset);
                        if (!region)
                                return NULL;
                } while (from == RB_RIGHT(region, by_offset));

                if (region->state.offset > window.last)
                        return NULL;
                if (last_in_parent(region) >= window.first)
                        return region;
                right = RB_RIGHT(region, by_offset);
                if (right && right->subtree_last >= window.first)
                        return leftmost(right, window);
        }
}

/* The index finds regions of size 0 too; they meet no window. */
static Region *skip_empty(Region *region, Range window) {
        while (region && region->state.size == 0)
                region = following(region, window);
        return region;
}

Region *region_child_first(const Region *region, Range window) {
        return skip_empty(leftmost(RB_ROOT(&region->children), window), window);
}

Region *region_child_next(const Region *child, Range window) {
        return skip_empty(following((Region *)child, window), window);
}

Region *region_child_any(const Region *region, const Region *after) {
        return after ? RB_NEXT(RegionsByOffset, &region->children, (Region *)after)
                     : RB_MIN(RegionsByOffset, (struct RegionsByOffset *)&region->children);
}

bool region_precedes(const Region *a, const Region *b) {
        if (a->state.priority != b->state.priority)
                return a->state.priority > b->state.priority;
        if (a->state.place != b->state.place)
                return a->state.place > b->state.place;
        return compare_name(a, b) > 0;
}

const char *region_handler_kind(const Region *region) {
        if (!region_kind_has_registers(region->kind))
                return "";
        return region->handler ? region->handler->ops->kind : "none";
}
