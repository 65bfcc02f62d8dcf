/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Enums and their words, with a gap in the table. */

#include "lib/util/string-table.h"
#include "tests/common/unit.h"

typedef enum Fruit {
        FRUIT_APPLE,
        FRUIT_UNNAMED,
        FRUIT_PEAR,
} Fruit;

static const char *const fruits[] = {[FRUIT_APPLE] = "apple", [FRUIT_PEAR] = "pear"};

const char *fruit_to_string(Fruit value);
int fruit_from_string(const char *word);
STRING_TABLE(fruit, Fruit, fruits);

static void test_to_string(void **state) {
        assert_string_equal(fruit_to_string(FRUIT_APPLE), "apple");
        assert_string_equal(fruit_to_string(FRUIT_PEAR), "pear");
        assert_null(fruit_to_string(FRUIT_UNNAMED));
        assert_null(fruit_to_string(3));
        assert_null(fruit_to_string((Fruit)-1));
}

static void test_from_string(void **state) {
        assert_int_equal(fruit_from_string("apple"), FRUIT_APPLE);
        assert_int_equal(fruit_from_string("pear"), FRUIT_PEAR);
        assert_int_equal(fruit_from_string("plum"), -EINVAL);
        assert_int_equal(fruit_from_string(""), -EINVAL);
        assert_int_equal(fruit_from_string("Apple"), -EINVAL);
        assert_int_equal(fruit_from_string("apples"), -EINVAL);
}

UNIT_TESTS(cmocka_unit_test(test_to_string), cmocka_unit_test(test_from_string));
