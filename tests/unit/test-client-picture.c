/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Bands, layers and words of pictures, and words in lines. */

#include <locale.h>
#include <string.h>

#include "client/flow.h"
#include "client/json-read.h"
#include "client/picture-words.h"
#include "lib/util/cleanup.h"
#include "tests/common/unit.h"

static const char layout[] =
        "[{'name': 'system', 'kind': 'container', 'size': '2^64'},"
        " {'name': 'ram', 'kind': 'ram', 'size': '0x4000'},"
        " {'name': 'low', 'kind': 'alias', 'size': '0x2000', 'target': 'ram',"
        "  'parent': 'system', 'offset': 0},"
        " {'name': 'high', 'kind': 'alias', 'size': '0x2000', 'target': 'ram',"
        "  'target-offset': '0x2000', 'parent': 'system', 'offset': '0x2000'},"
        " {'name': 'card', 'kind': 'mmio', 'size': '0x1000', 'parent': 'system',"
        "  'offset': '0x3000', 'priority': 1},"
        " {'name': 'register', 'kind': 'mmio', 'size': 8, 'parent': 'card', 'offset': 0},"
        " {'name': 'twin', 'kind': 'rom', 'size': '0x1000', 'parent': 'system', 'offset': 0},"
        " {'name': 'off', 'kind': 'rom', 'size': '0x1000', 'parent': 'system', 'offset': 0,"
        "  'priority': 9, 'enabled': false}]";

static Section now[] = {
        {0, 0xfff, "twin", 0, "rom", 1},
        {0x1000, 0x2fff, "ram", 0x1000, "ram", 0},
        {0x3000, 0x3007, "register", 0, "mmio", 0},
        {0x3008, 0x3fff, "card", 8, "mmio", 0},
};

/* Before it, there was no card, and something else behind it. */
static Section was[] = {
        {0, 0xfff, "twin", 0, "rom", 0},
        {0x1000, 0x3fff, "ram", 0x1000, "ram", 0},
        {0x8000, 0x8fff, "gone", 0, "mmio", 0},
};

typedef struct Scene {
        json_object *regions;
        RegionTree tree;
        Picture *picture;
} Scene;

static void scene_init(Scene *scene, bool compared) {
        const Sections new = {now, ELEMENTS_OF(now)}, old = {was, ELEMENTS_OF(was)};

        scene->regions = json_tokener_parse(layout);
        assert_non_null(scene->regions);
        region_tree_init(&scene->tree, scene->regions);
        scene->picture =
                picture_new(region_tree_find(&scene->tree, "system"), &new, compared ? &old : NULL);
}

static void scene_deinit(Scene *scene) {
        picture_free(scene->picture);
        region_tree_deinit(&scene->tree);
        json_object_put(scene->regions);
}

/* A line a phrase. */
static char *words_of(const Picture *picture, size_t i) {
        Phrases phrases;
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        assert_true(i < picture->n_bands);
        phrases_init(&phrases, picture, &picture->bands[i]);
        for (size_t k = 0; k < phrases.n; k++)
                fprintf(out, "%s\n", phrase_text(&phrases, k));
        phrases_deinit(&phrases);
        fclose(out);
        return text;
}

static void test_layers(void **state) {
        _cleanup_(scene_deinit) Scene scene;
        const Picture *picture;

        scene_init(&scene, false);
        picture = scene.picture;
        assert_int_equal(picture->n_bands, 5);
        assert_text(words_of(picture, 0), "twin\nover ram via low (placed later)\n");
        assert_text(words_of(picture, 1), "ram\nvia low and others\n");
        assert_int_equal(picture->bands[1].n_seen, 2);
        assert_true(range_equal(band_seen(picture, &picture->bands[1], 0)->range,
                                (Range){0x1000, 0x1fff}));
        assert_true(range_equal(band_seen(picture, &picture->bands[1], 1)->range,
                                (Range){0x2000, 0x2fff}));
        assert_text(words_of(picture, 2), "register\ninside card\n"
                                          "over ram via high (priority 1 over 0)\n");
        assert_text(words_of(picture, 3), "card\nover ram via high (priority 1 over 0)\n");
        assert_text(words_of(picture, 4), "");
        assert_null(picture->bands[4].now);
        assert_true(range_equal(picture->bands[4].range, (Range){0x4000, UINT64_MAX}));
}

static void test_changes(void **state) {
        static const struct {
                uint64_t first;
                BandChange change;
        } expected[] = {
                {0, CHANGE_REPLACED},      {0x1000, CHANGE_NONE}, {0x3000, CHANGE_REPLACED},
                {0x3008, CHANGE_REPLACED}, {0x4000, CHANGE_NONE}, {0x8000, CHANGE_REMOVED},
                {0x9000, CHANGE_NONE},
        };
        _cleanup_(scene_deinit) Scene scene;

        scene_init(&scene, true);
        assert_int_equal(scene.picture->n_bands, ELEMENTS_OF(expected));
        for (size_t i = 0; i < ELEMENTS_OF(expected); i++) {
                assert_int_equal(scene.picture->bands[i].range.first, expected[i].first);
                assert_int_equal(scene.picture->bands[i].change, expected[i].change);
        }
        assert_text(words_of(scene.picture, 3), "card\nwas ram (ram)\n"
                                                "over ram via high (priority 1 over 0)\n");
        assert_text(words_of(scene.picture, 5), "was gone (mmio)\n");
}

static void test_added(void **state) {
        _cleanup_(scene_deinit) Scene scene;
        const Sections new = {now, ELEMENTS_OF(now)};

        scene_init(&scene, false);
        scene.picture = picture_free(scene.picture);
        scene.picture = picture_new(region_tree_find(&scene.tree, "system"), &new, &(Sections){});
        assert_int_equal(scene.picture->bands[3].change, CHANGE_ADDED);
        assert_int_equal(scene.picture->bands[4].change, CHANGE_NONE);
}

/* Aliases of aliases, each twice: there are 2^40 ways down. */
static void test_too_many_paths(void **state) {
        json_object *regions = json_object_new_array();
        RegionTree tree;
        Picture *picture;

        for (int i = 0; i < 40; i++) {
                char text[512];

                snprintf(text, sizeof(text), "{'name': 'box%d', 'kind': '%s', 'size': '0x1000'}", i,
                         i == 0 ? "mmio" : "container");
                json_object_array_add(regions, json_tokener_parse(text));
                for (int k = 0; i > 0 && k < 2; k++) {
                        snprintf(text, sizeof(text),
                                 "{'name': 'way%d-%d', 'kind': 'alias', 'size': '0x1000',"
                                 " 'target': 'box%d', 'parent': 'box%d', 'offset': 0}",
                                 i, k, i - 1, i);
                        json_object_array_add(regions, json_tokener_parse(text));
                }
        }
        region_tree_init(&tree, regions);
        picture = picture_new(region_tree_find(&tree, "box39"), &(Sections){}, NULL);
        assert_true(picture->partial);
        assert_int_equal(picture->n_paths, PICTURE_PATHS_MAX);
        picture_free(picture);
        region_tree_deinit(&tree);
        json_object_put(regions);
}

static char *lines_of(int room, const char *const *phrases, size_t n) {
        Flow flow = {.room = room};
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        for (size_t i = 0; i < n; i++)
                flow_phrase(&flow, i, phrases[i]);
        for (size_t i = 0; i < flow.n; i++) {
                const Span *span = &flow.spans[i];

                if (i > 0 && span->line > flow.spans[i - 1].line)
                        fputc('\n', out);
                fprintf(out, "%*s%.*s", span->blanks, "", (int)span->n, span->text);
        }
        flow_deinit(&flow);
        fclose(out);
        return text;
}

static void test_flow(void **state) {
        static const char *const phrases[] = {"a name", "via some alias"};
        static const char *const wide[] = {"ünïcödé日本語", "x"};

        assert_text(lines_of(40, phrases, 2), "a name  via some alias");
        assert_text(lines_of(21, phrases, 2), "a name\n  via some alias");
        assert_text(lines_of(10, phrases, 2), "a name\n  via some\n  alias");
        assert_text(lines_of(6, phrases, 2), "a name\n  via\n  some\n  alia\n  s");
        assert_text(lines_of(9, wide, 2), "ünïcödé日\n  本語  x");
        assert_text(lines_of(1, wide + 1, 1), "x");
}

static int use_utf8(void **state) {
        return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

UNIT_TESTS(cmocka_unit_test(test_layers), cmocka_unit_test(test_changes),
           cmocka_unit_test(test_added), cmocka_unit_test(test_too_many_paths),
           cmocka_unit_test_setup(test_flow, use_utf8));
