/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Random edits for a small world; see generator.h. */

#include <string.h>

#include "tests/property/generator.h"

static const char names[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN";

static uint64_t below(Generator *g, uint64_t n) {
        return random_below(&g->random, n);
}

static bool one_in(Generator *g, uint64_t n) {
        return random_one_in(&g->random, n);
}

int generator_init(Generator *g, uint64_t seed, const Map *map, bool large) {
        int r = 0;

        *g = (Generator){
                .random = {seed}, .map = map, .large = large, .n_units = large ? 4096 : 192};
        /* A unit of one byte, or one that makes some sections fit host pages and some not. */
        g->unit = one_in(g, 3) ? 1 : 0x800;
        for (int i = 0; r == 0 && i < WORLD_BACKINGS; i++)
                r = backing_new_memfd(&g->backings[i], (uint64_t)i + 1, "property",
                                      BACKING_UNITS * g->unit, NULL, NULL);
        return r;
}

void generator_deinit(Generator *g) {
        for (int i = 0; i < WORLD_BACKINGS; i++)
                backing_unref(g->backings[i]);
}

static char *must_copy(const char *string) {
        char *copy = strdup(string);

        if (!copy)
                abort();
        return copy;
}

/* One of forty, or of eight hundred. */
static char *some_name(Generator *g) {
        char name[] = {names[below(g, sizeof(names) - 1)], '\0', '\0'};

        if (g->large)
                name[1] = names[below(g, 20)];
        return must_copy(name);
}

/* That of a region, mostly. Not of the root: without it there is little to see. */
static char *region_name(Generator *g) {
        char *name = some_name(g);
        const Region *region = one_in(g, 8) ? NULL : map_next_region(g->map, name);

        if (!region || strcmp(region->name, "root") == 0)
                return name;
        free(name);
        return must_copy(region->name);
}

/* That of no region, mostly. */
static char *new_name(Generator *g) {
        char *name = some_name(g);

        for (int i = 0; i < 3 && map_find_region(g->map, name); i++) {
                free(name);
                name = some_name(g);
        }
        return name;
}

static char *region_name_or_root(Generator *g) {
        return one_in(g, 2) ? must_copy("root") : region_name(g);
}

static char *space_name(Generator *g) {
        static const char *const spaces[] = {"memory", "io", "dma"};

        return must_copy(spaces[below(g, ELEMENTS_OF(spaces))]);
}

static char *parent_name(Generator *g) {
        if (one_in(g, 10))
                return must_copy("");
        return one_in(g, 2) ? must_copy("root") : region_name_or_root(g);
}

static uint64_t some_offset(Generator *g) {
        uint64_t units = below(g, one_in(g, 2) ? g->n_units : g->n_units / 6);

        return one_in(g, 12) ? -(units + 1) * g->unit : units * g->unit;
}

static uint64_t some_size(Generator *g, RegionKind kind) {
        bool large = kind == REGION_CONTAINER ? one_in(g, 2) : one_in(g, 12);

        if (one_in(g, 30))
                return 0;
        if (large && !region_kind_has_backing(kind))
                return one_in(g, 2) ? SIZE_WHOLE : g->n_units * g->unit;
        return (1 + below(g, one_in(g, 4) ? BACKING_UNITS : 16)) * g->unit;
}

static int32_t some_priority(Generator *g) {
        return (int32_t)below(g, 4) - 1;
}

static uint32_t some_flags(Generator *g, RegionKind kind) {
        uint32_t flags = one_in(g, 12) ? 0 : REGION_ENABLED;

        flags |= one_in(g, 8) ? REGION_READONLY : 0;
        flags |= one_in(g, 12) ? REGION_NONVOLATILE : 0;
        flags |= one_in(g, 8) ? REGION_UNMERGEABLE : 0;
        if (kind == REGION_ROMD)
                flags |= one_in(g, 2) ? REGION_DIRECT_READ : 0;
        if (region_kind_has_backing(kind))
                flags |= one_in(g, 6) ? REGION_DIRTY_LOG : 0;
        return flags;
}

static void fill_region(Generator *g, Edit *edit) {
        static const RegionKind kinds[] = {REGION_CONTAINER, REGION_CONTAINER, REGION_RAM,
                                           REGION_RAM,       REGION_ROM,       REGION_ROMD,
                                           REGION_MMIO,      REGION_MMIO,      REGION_RESERVED};

        edit->kind = kinds[below(g, ELEMENTS_OF(kinds))];
        edit->name = new_name(g);
        edit->parent = parent_name(g);
        edit->size = some_size(g, edit->kind);
        edit->offset = some_offset(g);
        edit->priority = some_priority(g);
        edit->flags = some_flags(g, edit->kind);
        if (region_kind_has_backing(edit->kind) && !one_in(g, 8))
                edit->backing = backing_ref(g->backings[below(g, WORLD_BACKINGS)]);
}

static void fill_alias(Generator *g, Edit *edit) {
        edit->kind = REGION_ALIAS;
        edit->name = new_name(g);
        edit->parent = parent_name(g);
        edit->target = region_name_or_root(g);
        edit->target_offset = some_offset(g);
        edit->size = some_size(g, REGION_ALIAS);
        edit->offset = one_in(g, 2) ? edit->target_offset : some_offset(g);
        edit->priority = some_priority(g);
        edit->flags = some_flags(g, REGION_ALIAS);
}

static void fill_properties(Generator *g, Edit *edit) {
        static const uint32_t flags[] = {REGION_ENABLED,     REGION_ENABLED,     REGION_ENABLED,
                                         REGION_READONLY,    REGION_UNMERGEABLE, REGION_NONVOLATILE,
                                         REGION_DIRECT_READ, REGION_DIRTY_LOG};

        edit->name = region_name(g);
        edit->size = some_size(g, one_in(g, 2) ? REGION_RAM : REGION_CONTAINER);
        edit->offset = some_offset(g);
        edit->target_offset = some_offset(g);
        edit->priority = some_priority(g);
        edit->mask = 1U << below(g, 5);
        if (one_in(g, 4))
                edit->mask |= 1U << below(g, 5);
        edit->flags_mask = flags[below(g, ELEMENTS_OF(flags))];
        /* Most are enabled, few have other flags. */
        edit->flags = one_in(g, 4) == (edit->flags_mask != REGION_ENABLED) ? edit->flags_mask : 0;
}

static void fill_ioeventfd(Generator *g, Edit *edit) {
        static const uint32_t lengths[] = {0, 1, 2, 4, 8};
        uint32_t length = lengths[below(g, ELEMENTS_OF(lengths))];
        uint64_t offset = below(g, 16) * g->unit;
        bool match = length > 0 && one_in(g, 2);

        /* Sometimes across the border of two units. */
        offset -= offset > 0 && one_in(g, 3) ? 2 : 0;
        edit->name = region_name(g);
        if (ioeventfd_new(&edit->ioeventfd, offset, length, match, match ? below(g, 2) : 0, -1) < 0)
                abort();
}

static EditVerb some_verb(Generator *g) {
        static const EditVerb verbs[] = {
                EDIT_ADD_REGION,    EDIT_ADD_REGION,       EDIT_ADD_REGION,    EDIT_ADD_REGION,
                EDIT_ADD_ALIAS,     EDIT_ADD_ALIAS,        EDIT_REMOVE_REGION, EDIT_REMOVE_REGION,
                EDIT_REMOVE_REGION, EDIT_REMOVE_REGION,    EDIT_REMOVE_REGION, EDIT_REMOVE_REGION,
                EDIT_MOVE_REGION,   EDIT_MOVE_REGION,      EDIT_SET_REGION,    EDIT_SET_REGION,
                EDIT_SET_REGION,    EDIT_SET_REGION,       EDIT_SET_REGION,    EDIT_ADD_IOEVENTFD,
                EDIT_ADD_IOEVENTFD, EDIT_REMOVE_IOEVENTFD, EDIT_ADD_COALESCED, EDIT_CLEAR_COALESCED,
                EDIT_SET_HANDLER,
        };

        if (one_in(g, 16))
                return one_in(g, 2) ? EDIT_ADD_ADDRESS_SPACE : EDIT_REMOVE_ADDRESS_SPACE;
        return verbs[below(g, ELEMENTS_OF(verbs))];
}

Edit generator_next(Generator *g) {
        Edit edit = {.verb = some_verb(g)};

        switch (edit.verb) {
        case EDIT_ADD_REGION:
                fill_region(g, &edit);
                break;
        case EDIT_ADD_ALIAS:
                fill_alias(g, &edit);
                break;
        case EDIT_MOVE_REGION:
                edit.name = region_name(g);
                edit.parent = parent_name(g);
                edit.offset = some_offset(g);
                edit.priority = some_priority(g);
                break;
        case EDIT_SET_REGION:
                fill_properties(g, &edit);
                break;
        case EDIT_ADD_ADDRESS_SPACE:
                edit.name = space_name(g);
                edit.parent = region_name_or_root(g);
                break;
        case EDIT_REMOVE_ADDRESS_SPACE:
                edit.name = space_name(g);
                break;
        case EDIT_ADD_IOEVENTFD:
        case EDIT_REMOVE_IOEVENTFD:
                fill_ioeventfd(g, &edit);
                break;
        case EDIT_ADD_COALESCED:
                edit.name = region_name(g);
                edit.offset = below(g, 16) * g->unit;
                edit.size = (1 + below(g, 8)) * g->unit;
                break;
        case EDIT_SET_HANDLER:
                edit.name = region_name(g);
                if (handler_new_constant(&edit.handler, below(g, 2)) < 0)
                        abort();
                break;
        case EDIT_REMOVE_REGION:
        case EDIT_CLEAR_COALESCED:
                edit.name = region_name(g);
                break;
        }
        return edit;
}

Row generator_row(Generator *g, const char *target) {
        return (Row){.target = target,
                     .offset = below(g, g->n_units - 32) * g->unit,
                     .target_offset = below(g, 4) * g->unit};
}

Edit generator_window(Generator *g, Row *row) {
        Edit edit = {.verb = EDIT_ADD_ALIAS,
                     .kind = REGION_ALIAS,
                     .name = new_name(g),
                     .parent = must_copy("root"),
                     .target = must_copy(row->target),
                     .size = (1 + below(g, 4)) * g->unit,
                     .offset = row->offset,
                     .target_offset = row->target_offset,
                     .priority = 3,
                     .flags = REGION_ENABLED};

        edit.flags |= one_in(g, 4) ? REGION_READONLY : 0;
        edit.flags |= one_in(g, 4) ? REGION_UNMERGEABLE : 0;
        row->offset += edit.size;
        row->target_offset += edit.size;
        return edit;
}

Edit generator_root(Generator *g) {
        return (Edit){.verb = EDIT_ADD_REGION,
                      .kind = REGION_CONTAINER,
                      .name = must_copy("root"),
                      .size = SIZE_WHOLE,
                      .flags = REGION_ENABLED};
}

Edit generator_memory(Generator *g) {
        return (Edit){.verb = EDIT_ADD_ADDRESS_SPACE,
                      .name = must_copy("memory"),
                      .parent = must_copy("root")};
}
