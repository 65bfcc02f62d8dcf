/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Pictures of real machines: what is drawn on top is what QEMU printed, everywhere, and each path
 * to it leads there.
 */

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "client/json-read.h"
#include "client/picture.h"
#include "tests/common/unit.h"

static const char *text_at(json_object *array, size_t i) {
        return json_object_get_string(json_object_array_get_idx(array, i));
}

/* [first, last, region, offset, kind, flags], numbers as strings. */
static Sections view_of(json_object *list) {
        Sections view = {};

        for (size_t i = 0; i < json_length(list); i++) {
                json_object *row = json_object_array_get_idx(list, i);

                sections_add(&view, &(Section){
                                            .first = strtoull(text_at(row, 0), NULL, 16),
                                            .last = strtoull(text_at(row, 1), NULL, 16),
                                            .region = text_at(row, 2),
                                            .offset = strtoull(text_at(row, 3), NULL, 16),
                                            .kind = text_at(row, 4),
                                    });
        }
        return view;
}

static const char *root_of(json_object *layout, const char *space) {
        json_object *spaces = json_get_list(layout, "address-spaces");

        for (size_t i = 0; i < json_length(spaces); i++) {
                json_object *object = json_object_array_get_idx(spaces, i);

                if (strcmp(json_get_text(object, "name"), space) == 0)
                        return json_get_text(object, "root");
        }
        return "";
}

static void check_top(const Picture *picture, const Band *band, const char *where) {
        const Layer *top = band_layer(picture, band, 0);

        if (!band->now) {
                if (band->n_layers > 0)
                        fail_msg("%s: %s in a gap at %#" PRIx64, where,
                                 layer_region(picture, top)->name, band->range.first);
                return;
        }
        if (band->n_layers == 0)
                fail_msg("%s: nothing at %#" PRIx64, where, band->range.first);
        if (strcmp(layer_region(picture, top)->name, band->now->region) != 0 ||
            top->offset - top->range.first != band->now->offset - band->now->first)
                fail_msg("%s: %s instead of %s at %#" PRIx64, where,
                         layer_region(picture, top)->name, band->now->region, band->range.first);
        if (!range_equal(top->range, band->range))
                fail_msg("%s: only part of %s at %#" PRIx64, where, band->now->region,
                         band->range.first);
}

/* Where an address of the space is in the region at a path's end, whichever ways lead there. */
static uint64_t follow(const Picture *picture, uint32_t path, uint64_t address) {
        const Path *step = &picture->paths[path];
        const RegionNode *before;

        if (step->before == PICTURE_NO_PATH)
                return address;
        before = picture->paths[step->before].region;
        address = follow(picture, step->before, address);
        address += before->target ? before->target_offset : -step->region->offset;
        assert_true(address < step->region->size);
        return address;
}

static void check_seen(const Picture *picture, const Band *band, const char *where) {
        uint64_t next = band->range.first;

        for (size_t i = 0; i < band->n_seen; i++) {
                const Layer *part = band_seen(picture, band, i);
                uint64_t delta = band->now->offset - band->now->first;

                assert_int_equal(part->range.first, next);
                next = part->range.last + 1;
                assert_string_equal(layer_region(picture, part)->name, band->now->region);
                if (follow(picture, part->path, part->range.first) != part->range.first + delta ||
                    follow(picture, part->path, part->range.last) != part->range.last + delta)
                        fail_msg("%s: %#" PRIx64 "-%#" PRIx64 " has a path to elsewhere", where,
                                 part->range.first, part->range.last);
        }
        assert_int_equal(next, band->now ? band->range.last + 1 : band->range.first);
}

static void check_picture(const Picture *picture, const Sections *view, const char *where) {
        uint64_t next = 0;
        size_t n = 0;

        for (size_t i = 0; i < picture->n_bands; i++) {
                const Band *band = &picture->bands[i];

                assert_int_equal(band->range.first, next);
                next = band->range.last + 1;
                assert_int_equal(band->change, CHANGE_NONE);
                assert_ptr_equal(band->now, band->was);
                if (band->now)
                        assert_ptr_equal(band->now, &view->items[n++]);
                check_top(picture, band, where);
                check_seen(picture, band, where);
        }
        assert_int_equal(next, 0);
        assert_int_equal(n, view->n);
        assert_false(picture->partial);
}

static size_t check_map(const char *path) {
        json_object *map = json_object_from_file(path), *layout = json_get_object(map, "layout");
        json_object *expected = json_get_object(map, "expected");
        RegionTree tree;
        size_t n = 0;

        assert_non_null(expected);
        region_tree_init(&tree, json_get_list(layout, "regions"));
        json_object_object_foreach(expected, space, list) {
                RegionNode *root = region_tree_find(&tree, root_of(layout, space));
                Sections view = view_of(list);
                Picture *picture;

                assert_non_null(root);
                picture = picture_new(root, &view, NULL);
                check_picture(picture, &view, path);
                picture_free(picture);
                sections_deinit(&view);
                n++;
        }
        region_tree_deinit(&tree);
        json_object_put(map);
        return n;
}

static void test_corpus(void **state) {
        DIR *directory = opendir(CORPUS);
        struct dirent *entry;
        size_t n = 0;

        assert_non_null(directory);
        while ((entry = readdir(directory))) {
                char path[PATH_MAX];

                if (!strstr(entry->d_name, ".json"))
                        continue;
                snprintf(path, sizeof(path), CORPUS "/%s", entry->d_name);
                n += check_map(path);
        }
        closedir(directory);
        assert_true(n > 1000);
}

UNIT_TESTS(cmocka_unit_test(test_corpus));
