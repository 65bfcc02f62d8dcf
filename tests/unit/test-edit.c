/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Edits as data: who owns what; and names. What edits do to a map is in test-map.c. */

#include <string.h>

#include "lib/memory/edit.h"
#include "tests/common/scene.h"
#include "tests/common/unit.h"

static void test_init_copies(void **state) {
        char name[] = "ram";
        Edit edit;

        memset(&edit, 0xff, sizeof(edit));
        assert_int_equal(edit_init(&edit, EDIT_MOVE_REGION, name), 0);
        name[0] = 'x';
        assert_int_equal(edit.verb, EDIT_MOVE_REGION);
        assert_string_equal(edit.name, "ram");
        assert_null(edit.parent);
        assert_null(edit.target);
        assert_null(edit.backing);
        assert_null(edit.ioeventfd);
        assert_int_equal(edit.mask, 0);
        edit_deinit(&edit);
        assert_null(edit.name);
        edit_deinit(&edit);
}

static void test_deinit_gives_up_references(void **state) {
        IOEventFD *ioeventfd = must_ioeventfd(0, 4, false, 0);
        Backing *backing = NULL;
        Edit edit;

        assert_int_equal(backing_new_memfd(&backing, 1, "ram", 0x1000, NULL, NULL), 0);
        assert_int_equal(edit_init(&edit, EDIT_ADD_REGION, "ram"), 0);
        edit.parent = strdup("system");
        edit.target = strdup("target");
        edit.backing = backing_ref(backing);
        edit.ioeventfd = ioeventfd_ref(ioeventfd);
        edit_deinit(&edit);
        assert_int_equal(backing->ref.refcount, 1);
        assert_int_equal(ioeventfd->ref.refcount, 1);
        assert_null(edit.backing);
        assert_null(edit.ioeventfd);
        backing_unref(backing);
        ioeventfd_unref(ioeventfd);
}

static void test_valid_names(void **state) {
        static const char *const names[] = {
                "a",
                "pc.ram",
                "0000:00:02.0/bar0",
                "with space",
                "\"quoted\"",
                "%s",
                "\xc3\xa9",         /* é */
                "\xe2\x82\xac",     /* € */
                "\xf0\x9f\x98\x80", /* beyond the BMP */
                "\xc2\xa0",
                "\xed\x9f\xbf",
                "\xf4\x8f\xbf\xbd",
        };

        for (size_t i = 0; i < ELEMENTS_OF(names); i++)
                assert_true(map_name_is_valid(names[i]));
}

static void test_invalid_names(void **state) {
        static const char *const names[] = {
                "",
                "\n",
                "a\tb",
                "a\x7f",
                "\x01",
                "\xc2\x85", /* a C1 control */
                "\x80",
                "\xff",
                "a\xc3",
                "\xe2\x82",
                "\xf0\x9f\x98",
                "\xc0\x80",
                "\xc1\xbf",
                "\xef\xb7\x90", /* U+FDD0, a noncharacter, as are the next two */
                "\xef\xbf\xbe",
                "\xf4\x8f\xbf\xbf",
                "\xe0\x80\x80",
                "\xf0\x80\x80\x80", /* longer than need be */
                "\xed\xa0\x80",     /* a surrogate */
                "\xf4\x90\x80\x80", /* beyond Unicode */
                "\xf8\x88\x80\x80\x80",
        };

        for (size_t i = 0; i < ELEMENTS_OF(names); i++)
                assert_false(map_name_is_valid(names[i]));
}

static void test_length_of_names(void **state) {
        char name[MAP_NAME_MAX + 2];

        memset(name, 'x', sizeof(name));
        name[MAP_NAME_MAX] = 0;
        assert_true(map_name_is_valid(name));
        name[MAP_NAME_MAX] = 'x';
        name[MAP_NAME_MAX + 1] = 0;
        assert_false(map_name_is_valid(name));
        /* Bytes count, not characters: the last one begins in time and ends too late. */
        memcpy(name + MAP_NAME_MAX - 1, "\xc3\xa9", 3);
        assert_false(map_name_is_valid(name));
        memcpy(name + MAP_NAME_MAX - 2, "\xc3\xa9", 3);
        assert_true(map_name_is_valid(name));
}

UNIT_TESTS(cmocka_unit_test(test_init_copies), cmocka_unit_test(test_deinit_gives_up_references),
           cmocka_unit_test(test_valid_names), cmocka_unit_test(test_invalid_names),
           cmocka_unit_test(test_length_of_names));
