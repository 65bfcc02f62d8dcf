/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What went wrong, in words: setting, prefixing, and texts that do not fit. */

#include <string.h>

#include "lib/util/detail.h"
#include "tests/common/unit.h"

static void test_set(void **state) {
        Detail detail = {};

        assert_int_equal(detail_set(&detail, 7, "region \"%s\": %d", "ram", 12), 7);
        assert_string_equal(detail.text, "region \"ram\": 12");
        assert_int_equal(detail_set(&detail, -5, "%s", ""), -5);
        assert_string_equal(detail.text, "");
}

static void test_prefix(void **state) {
        Detail detail = {};

        detail_set(&detail, 1, "100%% of \"%s\"", "%s");
        detail_prefix(&detail, "edit %d: ", 3);
        assert_string_equal(detail.text, "edit 3: 100% of \"%s\"");
        detail_prefix(&detail, "again: ");
        assert_string_equal(detail.text, "again: edit 3: 100% of \"%s\"");
}

static void test_nobody_cares(void **state) {
        assert_int_equal(detail_set(NULL, 4, "%s", "x"), 4);
        detail_prefix(NULL, "%s", "x");
}

static void test_too_long(void **state) {
        char words[2 * sizeof(Detail)];
        Detail detail = {};

        memset(words, 'x', sizeof(words) - 1);
        words[sizeof(words) - 1] = 0;
        assert_int_equal(detail_set(&detail, 2, "%s", words), 2);
        assert_int_equal(strlen(detail.text), sizeof(detail.text) - 1);

        detail_prefix(&detail, "edit %d: ", 3);
        assert_int_equal(strlen(detail.text), sizeof(detail.text) - 1);
        assert_memory_equal(detail.text, "edit 3: xxx", 11);

        detail_prefix(&detail, "%s", words);
        assert_int_equal(strlen(detail.text), sizeof(detail.text) - 1);
        assert_memory_equal(detail.text, words, 200);
}

/* Each of the three places where a text is cut, at each byte of a character of three. */
static void test_cut_character(void **state) {
        static const char euros[] = "€€€";
        const size_t room = sizeof(((Detail *)NULL)->text) - 1;
        char words[sizeof(Detail)];
        Detail detail = {};

        memset(words, 'x', sizeof(words));
        for (int cut = 1; cut <= 2; cut++) {
                detail_set(&detail, 0, "%.*s%s", (int)room - cut, words, euros);
                assert_int_equal(strlen(detail.text), room - (size_t)cut);

                detail_set(&detail, 0, "%.*s%s", (int)room - 3 - cut, words, "€");
                detail_prefix(&detail, "%s", "123");
                assert_int_equal(strlen(detail.text), room - (size_t)cut);
                detail_prefix(&detail, "1: ");
                assert_int_equal(strlen(detail.text), room);

                detail_set(&detail, 0, "end");
                detail_prefix(&detail, "%.*s%s", 255 - cut, words, euros);
                assert_int_equal(strlen(detail.text), 255 - (size_t)cut + 3);
        }
        detail_set(&detail, 0, "a\xffz");
        assert_string_equal(detail.text, "a");
}

UNIT_TESTS(cmocka_unit_test(test_set), cmocka_unit_test(test_prefix),
           cmocka_unit_test(test_nobody_cares), cmocka_unit_test(test_too_long),
           cmocka_unit_test(test_cut_character));
