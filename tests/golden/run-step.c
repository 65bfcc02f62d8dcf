/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "tests/common/apply.h"
#include "tests/common/unit.h"
#include "tests/golden/run-step.h"

FlatView *run_view(const VM *vm) {
        return flat_view_ref((FlatView *)snapshot_find(map_snapshot(vm->map), "memory"));
}

/* Whether `section` is in the view as it is, and as a slot would show it. */
static bool view_has(const FlatView *view, const Section *section) {
        const Section *found = flat_view_find(view, section->range.first);

        return found && section_same(found, section);
}

/* The extents of a view that another does not have. */
static Extents list_gone(const FlatView *view, const FlatView *other, const VM *vm) {
        Extents gone = {};
        ViewCursor cursor;
        Extent extent;

        for (const Section *s = flat_view_first(view, &cursor, 0); s; s = flat_view_next(&cursor))
                if (extent_from_section(s, vm->accelerator, &extent) && !view_has(other, s))
                        assert_int_equal(extents_append(&gone, &extent), 0);
        return gone;
}

static Extents list_slots(const VM *vm) {
        Extents extents = {};

        for (const Slot *slot = slots_first(vm->slots, 0); slot; slot = slots_next(vm->slots, slot))
                assert_int_equal(extents_append(&extents, &slot->extent), 0);
        return extents;
}

/* How often one of `extents` and one of `slots` meet. */
static size_t count_pairs(const Extents *extents, const Extents *slots) {
        size_t n = 0;

        for (size_t i = 0; i < extents->n; i++)
                for (size_t j = 0; j < slots->n; j++)
                        n += range_overlaps(extents->items[i].range, slots->items[j].range);
        return n;
}

StepCost run_step(VM *vm, const char *layout) {
        _cleanup_(flat_view_unrefp) FlatView *old = run_view(vm), *new = NULL;
        _cleanup_(extents_deinit) Extents slots = list_slots(vm), removed = {}, added = {};
        uint64_t unchanged = slots_stats(vm->slots)->bytes_unchanged;
        StepCost cost;

        cost.n_ops = must_apply(vm, layout).n_slot_ops;
        cost.bytes_unchanged = slots_stats(vm->slots)->bytes_unchanged - unchanged;
        new = run_view(vm);
        removed = list_gone(old, new, vm);
        added = list_gone(new, old, vm);
        cost.n_sections = removed.n + added.n;
        cost.n_pieces = count_pairs(&removed, &slots) + added.n;
        return cost;
}
