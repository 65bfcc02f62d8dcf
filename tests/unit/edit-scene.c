/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the tests of edits share; see edit-scene.h. */

#include <string.h>

#include "tests/unit/edit-scene.h"

int edit_scene_setup(void **state) {
        Map *map = scene_new();

        must_edit(map, add_region(REGION_CONTAINER, "bus", 0x10000, "system", 0x10000, 0));
        must_edit(map, add_region(REGION_RAM, "ram", 0x1000, "system", 0, 0));
        must_edit(map, add_region(REGION_MMIO, "device", 0x100, "bus", 0x100, 0));
        must_edit(map, add_alias("alias", "ram", 0, 0x1000, "bus", 0x1000, 0));
        must_commit(map);
        *state = map;
        return 0;
}

int edit_scene_teardown(void **state) {
        map_free(*state);
        return 0;
}

/* The words, separated by "|", all have to be in the message. */
static void assert_words(const char *text, const char *words) {
        char *copy = strdup(words), *rest = copy, *word;

        while ((word = strsep(&rest, "|")))
                if (!strstr(text, word))
                        fail_msg("\"%s\" is not in: %s", word, text);
        free(copy);
}

void refused(Map *map, Edit edit, int outcome, const char *words) {
        char *before = scene_text(map), *after;
        size_t mark = map_mark(map);
        Detail detail = {};

        assert_int_equal(map_edit(map, &edit, &detail), outcome);
        assert_words(detail.text, words);
        assert_int_equal(map_mark(map), mark);
        after = scene_text(map);
        assert_string_equal(after, before);
        free(before);
        free(after);
        /* Nobody has to listen. */
        assert_int_equal(map_edit(map, &edit, NULL), outcome);
}

void reversible(Map *map, Edit edit) {
        char *before = scene_text(map), *between, *after;
        bool was_unchanged = map_is_unchanged(map);
        size_t mark = map_mark(map);

        must_edit(map, edit);
        between = scene_text(map);
        assert_string_not_equal(between, before);
        assert_false(map_is_unchanged(map));
        map_rollback(map, mark);
        after = scene_text(map);
        assert_string_equal(after, before);
        assert_int_equal(map_mark(map), mark);
        assert_int_equal(map_is_unchanged(map), was_unchanged);
        free(before);
        free(between);
        free(after);
}

void changes_nothing(Map *map, Edit edit) {
        size_t mark = map_mark(map);

        must_edit(map, edit);
        assert_int_equal(map_mark(map), mark);
}

void refused_ioeventfd(Map *map, const char *region, uint64_t offset, uint32_t length, bool match,
                       uint64_t data, int outcome, const char *words) {
        _cleanup_(ioeventfd_unrefp) IOEventFD *ioeventfd =
                must_ioeventfd(offset, length, match, data);

        refused(map, add_ioeventfd(region, ioeventfd), outcome, words);
}

void reversible_ioeventfd(Map *map, const char *region, uint64_t offset, uint32_t length,
                          bool match, uint64_t data) {
        _cleanup_(ioeventfd_unrefp) IOEventFD *ioeventfd =
                must_ioeventfd(offset, length, match, data);

        reversible(map, add_ioeventfd(region, ioeventfd));
}
