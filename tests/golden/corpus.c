/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/common/apply.h"
#include "tests/common/unit.h"
#include "tests/golden/corpus.h"

static const char *wanted_prefix;

static int is_wanted(const struct dirent *entry) {
        size_t length = strlen(entry->d_name);

        return strncmp(entry->d_name, wanted_prefix, strlen(wanted_prefix)) == 0 && length > 5 &&
               strcmp(entry->d_name + length - 5, ".json") == 0;
}

static void die(const char *what, const char *path) {
        fprintf(stderr, "%s: %s\n", path, what);
        exit(1);
}

static void load(Case *into, const char *directory, const char *file_name) {
        json_object *layout;
        char *path;

        if (asprintf(&path, "%s/%s", directory, file_name) < 0)
                die("no memory", directory);
        into->file = json_object_from_file(path);
        if (!json_object_object_get_ex(into->file, "layout", &layout) ||
            !json_object_object_get_ex(into->file, "expected", &into->expected))
                die("not a case", path);
        into->layout = json_object_to_json_string(layout);
        into->name = strndup(file_name, strlen(file_name) - 5);
        free(path);
}

Corpus corpus_load(const char *directory, const char *prefix) {
        struct dirent **entries;
        Corpus corpus = {};
        int n;

        wanted_prefix = prefix;
        n = scandir(directory, &entries, is_wanted, alphasort);
        if (n <= 0)
                die("no cases", directory);
        corpus.cases = calloc((size_t)n, sizeof(Case));
        for (; corpus.n < (size_t)n; corpus.n++) {
                load(&corpus.cases[corpus.n], directory, entries[corpus.n]->d_name);
                free(entries[corpus.n]);
        }
        free(entries);
        return corpus;
}

void corpus_free(Corpus *corpus) {
        for (size_t i = 0; i < corpus->n; i++) {
                free(corpus->cases[i].name);
                json_object_put(corpus->cases[i].file);
        }
        free(corpus->cases);
        *corpus = (Corpus){};
}

static const char *text_at(json_object *array, size_t i) {
        return json_object_get_string(json_object_array_get_idx(array, i));
}

static uint64_t number_at(json_object *array, size_t i) {
        return strtoull(text_at(array, i), NULL, 0);
}

static uint32_t flags_at(json_object *array, size_t i) {
        static const char *const words[] = {"readonly", "nonvolatile", "unmergeable", "romd",
                                            "dirty-log"};
        json_object *list = json_object_array_get_idx(array, i);
        uint32_t flags = 0;

        for (size_t k = 0; k < json_object_array_length(list); k++) {
                size_t bit = 0;

                while (strcmp(words[bit], text_at(list, k)) != 0)
                        assert_true(++bit < ELEMENTS_OF(words));
                flags |= 1u << bit;
        }
        return flags;
}

static bool section_is(const Section *section, json_object *expected) {
        return section->range.first == number_at(expected, 0) &&
               section->range.last == number_at(expected, 1) &&
               strcmp(section->region->name, text_at(expected, 2)) == 0 &&
               section->offset == number_at(expected, 3) &&
               strcmp(region_kind_to_string(section->kind), text_at(expected, 4)) == 0 &&
               section->flags == flags_at(expected, 5);
}

static void assert_view(const FlatView *view, const char *name, const char *space,
                        json_object *expected) {
        size_t n = json_object_array_length(expected), n_walked = 0;
        const Section *section;
        ViewCursor cursor;

        for (section = flat_view_first(view, &cursor, 0); section && n_walked < n;
             section = flat_view_next(&cursor), n_walked++) {
                json_object *row = json_object_array_get_idx(expected, n_walked);

                if (!section_is(section, row))
                        fail_msg("%s: space %s: section %zu is 0x%" PRIx64 "-0x%" PRIx64
                                 " %s @0x%" PRIx64 " %s flags 0x%x, expected %s",
                                 name, space, n_walked, section->range.first, section->range.last,
                                 section->region->name, section->offset,
                                 region_kind_to_string(section->kind), section->flags,
                                 json_object_to_json_string(row));
        }
        if (section || n_walked != n || flat_view_n_sections(view) != n)
                fail_msg("%s: space %s: %zu sections, expected %zu", name, space,
                         flat_view_n_sections(view), n);
}

void assert_views(const VM *vm, const Case *expected) {
        json_object_object_foreach(expected->expected, space, sections) {
                const FlatView *view = snapshot_find(map_snapshot(vm->map), space);

                if (!view)
                        fail_msg("%s: there is no address space %s", expected->name, space);
                assert_view(view, expected->name, space, sections);
        }
}
