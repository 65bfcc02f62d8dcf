/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Views that a watcher keeps: changes made in them, and found between them. */

#include <stdio.h>
#include <string.h>

#include "client/sections.h"
#include "tests/common/unit.h"

/* Sections by their first addresses, each of 16 bytes, of the region named by the letter. */
static Sections made(const char *text) {
        Sections sections = {};

        for (uint64_t first = 0; *text; text++, first += 16)
                if (*text != '.')
                        sections_add(&sections, &(Section){first, first + 15, (char[]){*text, '\0'},
                                                           first, "mmio", 0});
        return sections;
}

static char *text_of(const Sections *sections) {
        char *text = calloc(1, 64);

        for (size_t i = 0; i < sections->n; i++) {
                const Section *section = &sections->items[i];

                assert_true(i == 0 || sections->items[i - 1].last < section->first);
                assert_string_equal(section->kind, "mmio");
                for (size_t at = strlen(text); at < section->first / 16; at++)
                        text[at] = '.';
                text[section->first / 16] = *section->region;
        }
        return text;
}

/* Makes the change in the view; what it is then, or NULL if it did not fit and is as it was. */
static char *applied(const char *from, const char *removed, const char *added) {
        Change change = {.removed = made(removed), .added = made(added)};
        Sections view = made(from);
        bool fits = sections_apply(&view, &change);
        char *text = text_of(&view);

        change_deinit(&change);
        sections_deinit(&view);
        if (fits)
                return text;
        assert_string_equal(text, from);
        free(text);
        return NULL;
}

static void test_what_fits(void **state) {
        assert_text(applied("", "", "ab"), "ab");
        assert_text(applied("abc", "abc", ""), "");
        assert_text(applied("a.c", "", ".b"), "abc");
        assert_text(applied("abc", ".b", ".x"), "axc");
        assert_text(applied("abc", "a", "x.."), "xbc");
        assert_text(applied("abc", "..c", "...d"), "ab.d");
        assert_text(applied("abcdef", ".b..e", ".x..y.z"), "axcdyfz");
        assert_text(applied("abc", ".b", ".b"), "abc");
        assert_text(applied("ab", "", ""), "ab");
}

static void test_what_does_not(void **state) {
        assert_null(applied("abc", ".x", ""));
        assert_null(applied("a.c", ".b", ""));
        assert_null(applied("abc", "...d", ""));
        assert_null(applied("abc", "", ".x"));
        assert_null(applied("abc", "a", ".x"));
        assert_null(applied("abcd", ".b.x", ""));
}

static void test_what_reaches_over_others(void **state) {
        Sections view = made("a.b");
        Change change = {};

        sections_add(&change.added, &(Section){8, 20, "x", 0, "mmio", 0});
        assert_false(sections_apply(&view, &change));
        change_deinit(&change);
        sections_add(&change.added, &(Section){16, 32, "x", 0, "mmio", 0});
        assert_false(sections_apply(&view, &change));
        change_deinit(&change);
        sections_add(&change.added, &(Section){16, 31, "x", 0, "mmio", 0});
        assert_true(sections_apply(&view, &change));
        assert_text(text_of(&view), "axb");
        change_deinit(&change);
        sections_deinit(&view);
}

/* All that a section says counts. */
static void test_each_field_counts(void **state) {
        static const Section old = {0, 15, "a", 0, "ram", 0};
        static const Section others[] = {
                {0, 14, "a", 0, "ram", 0}, {0, 15, "b", 0, "ram", 0},  {0, 15, "a", 1, "ram", 0},
                {0, 15, "a", 0, "rom", 0}, {0, 15, "a", 0, "ram", 16},
        };

        for (size_t i = 0; i < ELEMENTS_OF(others); i++) {
                Sections from = {}, to = {};
                Change change = {};

                sections_add(&from, &old);
                sections_add(&to, &others[i]);
                sections_compare(&from, &to, &change);
                assert_int_equal(change.removed.n, 1);
                assert_int_equal(change.added.n, 1);
                change_deinit(&change);
                sections_deinit(&from);
                sections_deinit(&to);
        }
}

/* What is found between two views leads from the one to the other, for all pairs of small ones. */
static void test_what_is_found_fits(void **state) {
        static const char *const views[] = {"",    "a",   ".a",  "ab",   "b",   "ba",  "a.b",
                                            "abc", "xyz", "axc", "a..d", "..c", "abcd"};

        for (size_t i = 0; i < ELEMENTS_OF(views); i++)
                for (size_t k = 0; k < ELEMENTS_OF(views); k++) {
                        Sections from = made(views[i]), to = made(views[k]);
                        Change change = {};

                        sections_compare(&from, &to, &change);
                        assert_int_equal(change_is_empty(&change), i == k);
                        assert_true(sections_apply(&from, &change));
                        assert_text(text_of(&from), views[k]);
                        change_deinit(&change);
                        sections_deinit(&from);
                        sections_deinit(&to);
                }
}

UNIT_TESTS(cmocka_unit_test(test_what_fits), cmocka_unit_test(test_what_does_not),
           cmocka_unit_test(test_what_reaches_over_others),
           cmocka_unit_test(test_each_field_counts), cmocka_unit_test(test_what_is_found_fits));
