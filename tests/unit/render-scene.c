/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the tests of rendering share; see render-scene.h. */

#include "tests/unit/render-scene.h"

int render_scene_setup(void **state) {
        Map *map = scene_new_empty();

        must_edit(map, add_region(REGION_CONTAINER, "root", SIZE_WHOLE, NULL, 0, 0));
        *state = map;
        return 0;
}

int render_scene_teardown(void **state) {
        map_free(*state);
        return 0;
}

char *render_text(Map *map, const char *root, Range window) {
        Sections sections = {};
        Detail detail = {};
        char *text;

        assert_int_equal(render(must_find(map, root), window, &sections, &detail), 0);
        text = scene_sections_text(sections.items, sections.n);
        sections_deinit(&sections);
        return text;
}

void check_in(Map *map, const char *root, Range window, const char *expected) {
        assert_text(render_text(map, root, window), expected);
}

void check(Map *map, const char *expected) {
        check_in(map, "root", RANGE_WHOLE, expected);
}

void ram(Map *map, const char *name, uint64_t size, const char *parent, uint64_t offset,
         int32_t priority) {
        must_edit(map, add_region(REGION_RAM, name, size, parent, offset, priority));
}

void container(Map *map, const char *name, uint64_t size, const char *parent, uint64_t offset,
               int32_t priority) {
        must_edit(map, add_region(REGION_CONTAINER, name, size, parent, offset, priority));
}

void alias(Map *map, const char *name, const char *target, uint64_t target_offset, uint64_t size,
           const char *parent, uint64_t offset) {
        must_edit(map, add_alias(name, target, target_offset, size, parent, offset, 0));
}
