/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What must be true of a map after each commit; see check.h. */

#include <string.h>

#include "lib/memory/announce.h"
#include "lib/memory/render.h"
#include "tests/property/check.h"

const char *check_shape(const FlatView *view) {
        const Section *before = NULL;
        ViewCursor cursor;
        size_t n = 0;

        for (const Section *s = flat_view_first(view, &cursor, 0); s;
             before = s, s = flat_view_next(&cursor), n++) {
                uint64_t last = s->offset + (s->range.last - s->range.first);

                if (s->range.first > s->range.last)
                        return "a section ends before it begins";
                if (before && before->range.last >= s->range.first)
                        return "two sections overlap, or do not ascend";
                if (before && section_can_merge(before, s))
                        return "two sections should be one";
                if (s->kind != REGION_ROM && s->kind != s->region->kind)
                        return "a section's kind is not its leaf's";
                if (last < s->offset || (s->region->backing && last >= s->region->backing->size))
                        return "a section reaches behind its backing";
        }
        return n == flat_view_n_sections(view) ? NULL : "a view counts its sections wrongly";
}

static bool shows(const FlatView *view, const Sections *sections) {
        ViewCursor cursor;
        const Section *s = flat_view_first(view, &cursor, 0);

        for (size_t i = 0; i < sections->n; i++, s = flat_view_next(&cursor))
                if (!s || !section_same(s, &sections->items[i]) ||
                    s->flags != sections->items[i].flags)
                        return false;
        return !s;
}

/* Zones that are equal to whoever is told may be listed in any order. */
static bool announces(const FlatView *view, const AnnouncedList *list) {
        ViewCursor cursor;
        const Announced *a = flat_view_first_announced(view, &cursor, 0);

        if (flat_view_n_announced(view) != list->n)
                return false;
        for (size_t i = 0; i < list->n; i++, a = flat_view_next_announced(&cursor)) {
                const Announced *b = &list->items[i];

                if (!a || !range_equal(a->range, b->range) || a->region != b->region ||
                    a->ioeventfd != b->ioeventfd || !a->coalesced != !b->coalesced)
                        return false;
        }
        return !a;
}

const char *check_full_render(const Region *root, const FlatView *view) {
        _cleanup_(announced_list_deinit) AnnouncedList announced = {};
        _cleanup_(sections_deinit) Sections sections = {};

        if (render(root, RANGE_WHOLE, &sections, NULL) != 0)
                return "the view cannot be rendered any more";
        if (!shows(view, &sections))
                return "rendering everything gives another view";
        if (announce_sections(sections.items, sections.n, RANGE_WHOLE, &announced) != 0)
                return "what is announced cannot be rendered any more";
        if (!announces(view, &announced))
                return "rendering everything announces something else";
        return NULL;
}

static bool agree(const Section *section, const Seen *seen, uint64_t address) {
        if (!section || !seen->region)
                return !section == !seen->region;
        return section->region == seen->region &&
               section->offset + (address - section->range.first) == seen->offset &&
               section->kind == seen->kind && section->flags == seen->flags;
}

/* The unit that starts at an address, and whether it is one section with the byte before. */
static const char *check_unit(const Oracle *oracle, const Region *root, const FlatView *view,
                              uint64_t first, uint64_t unit, Seen *last_seen) {
        const Section *section = flat_view_find(view, first);
        const Section *before = first > 0 ? flat_view_find(view, first - 1) : NULL;
        Seen seen;

        if (!oracle_see(oracle, root, first, &seen))
                return "";
        if (!agree(section, &seen, first))
                return "the first byte of a unit is not what the oracle sees";
        if (section && before && (section == before) != oracle_joins(last_seen, &seen))
                return "sections are not cut where the oracle cuts";
        if (unit > 1 && !oracle_see(oracle, root, first + unit - 1, &seen))
                return "";
        if (!agree(flat_view_find(view, first + unit - 1), &seen, first + unit - 1))
                return "the last byte of a unit is not what the oracle sees";
        *last_seen = seen;
        return NULL;
}

const char *check_oracle(const Oracle *oracle, const Region *root, const FlatView *view,
                         const Generator *world, uint64_t *n_looks) {
        const uint64_t unit = world->unit, half = (world->n_units + 32) * unit;

        for (int end = 0; end < 2; end++) {
                uint64_t from = end ? -half : 0;
                Seen seen = {};

                /* The byte before the first one that is looked at. */
                if (from > 0 && !oracle_see(oracle, root, from - 1, &seen))
                        return NULL;
                for (uint64_t at = 0; at < half; at += unit) {
                        const char *wrong = check_unit(oracle, root, view, from + at, unit, &seen);

                        if (wrong)
                                return wrong[0] ? wrong : NULL;
                        ++*n_looks;
                }
        }
        return NULL;
}

static bool has_section(const Sections *sections, const Section *section) {
        for (size_t i = 0; i < sections->n; i++)
                if (section_same(&sections->items[i], section) &&
                    sections->items[i].flags == section->flags)
                        return true;
        return false;
}

static void relog(Section *section, const Diff *diff) {
        for (size_t i = 0; i < diff->n_relogged; i++)
                if (section_same(&diff->relogged[i].old, section))
                        *section = diff->relogged[i].new;
}

static bool ascends(const Sections *sections) {
        for (size_t i = 1; i < sections->n; i++)
                if (sections->items[i].range.first <= sections->items[i - 1].range.last)
                        return false;
        return true;
}

const char *check_diff(const SpaceChange *change) {
        _cleanup_(sections_deinit) Sections result = {};
        const Diff *diff = change->diff;
        size_t added = 0, removed = 0;
        ViewCursor cursor;

        if (diff_is_empty(diff))
                return "a change that changes nothing";
        if (!ascends(&diff->removed) || !ascends(&diff->added))
                return "a list of the diff does not ascend";
        for (const Section *s = flat_view_first(change->old, &cursor, 0); s;
             s = flat_view_next(&cursor)) {
                Section kept = *s;

                if (has_section(&diff->removed, &kept)) {
                        removed++;
                        continue;
                }
                relog(&kept, diff);
                while (added < diff->added.n &&
                       diff->added.items[added].range.first < kept.range.first)
                        sections_append(&result, &diff->added.items[added++], 1);
                sections_append(&result, &kept, 1);
        }
        while (added < diff->added.n)
                sections_append(&result, &diff->added.items[added++], 1);
        if (removed != diff->removed.n)
                return "something is removed that was not there";
        if (!shows(change->new, &result))
                return "old view and diff do not make the new view";
        return NULL;
}
