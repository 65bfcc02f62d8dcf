/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "tests/common/home.h"
#include "tests/common/unit.h"

#define PATCH(edits) "{\"guestmap\": 1, \"edits\": [" edits "]}"
#define AND          ","
#define RAM(name, size, offset)                                                                    \
        "{\"add-region\": {\"name\": \"" name "\", \"kind\": \"ram\", \"size\": \"" size           \
        "\", \"parent\": \"system\", \"offset\": \"" offset "\"}}"
#define MMIO(name, offset)                                                                         \
        "{\"add-region\": {\"name\": \"" name "\", \"kind\": \"mmio\", \"size\": 4096, "           \
        "\"parent\": \"system\", \"offset\": \"" offset "\"}}"

static int setup(void **state) {
        static Home home;

        home_init(&home);
        *state = &home;
        return 0;
}

static int teardown(void **state) {
        home_deinit(*state);
        return 0;
}

static void must_be_the_same_again(Home *home) {
        char *before = home_text(home);

        home_must_restart(home);
        assert_text(home_text(home), before);
        free(before);
}

static void test_new_vm(void **state) {
        must_be_the_same_again(*state);
}

static void test_every_verb(void **state) {
        static const char *const patches[] = {
                PATCH(RAM("a", "1MiB", "0") AND RAM("b", "1MiB", "0x80000")
                              AND MMIO("m", "0x200000")),
                PATCH("{\"add-alias\": {\"name\": \"w\", \"target\": \"b\", \"target-offset\": "
                      "4096, \"size\": 8192, \"parent\": \"system\", \"offset\": \"16MiB\", "
                      "\"priority\": -3, \"readonly\": true}}"),
                PATCH("{\"add-region\": {\"name\": \"rom\", \"kind\": \"rom\", \"size\": 4096}}" AND
                      "{\"add-region\": {\"name\": \"flash\", \"kind\": \"romd\", \"size\": 4096, "
                      "\"romd\": false}}"),
                PATCH("{\"move-region\": {\"name\": \"a\", \"parent\": \"system\", \"offset\": 0, "
                      "\"priority\": 2}}" AND
                      "{\"move-region\": {\"name\": \"rom\", \"parent\": \"system\"}}"),
                PATCH("{\"set-region\": {\"name\": \"b\", \"size\": 8192, \"offset\": \"2GiB\", "
                      "\"unmergeable\": true, \"dirty-log\": true}}"),
                PATCH("{\"enable-region\": {\"name\": \"a\", \"enabled\": false}}"),
                PATCH("{\"add-ioeventfd\": {\"region\": \"m\", \"offset\": 8, \"length\": 4, "
                      "\"match\": true, \"data\": 7}}" AND
                      "{\"add-ioeventfd\": {\"region\": \"m\", \"offset\": 16, \"length\": 0}}" AND
                      "{\"add-coalesced\": {\"region\": \"m\", \"offset\": 64, \"size\": 64}}" AND
                      "{\"set-handler\": {\"region\": \"m\", \"handler\": \"latch\", \"value\": "
                      "\"0x55\", \"min-width\": 2}}" AND
                      "{\"set-handler\": {\"region\": \"flash\", \"handler\": \"log\"}}"),
                PATCH("{\"add-address-space\": {\"name\": \"dma\", \"root\": \"b\"}}"),
                PATCH("{\"remove-ioeventfd\": {\"region\": \"m\", \"offset\": 8, \"length\": 4, "
                      "\"match\": true, \"data\": 7}}"),
                PATCH("{\"move-region\": {\"name\": \"rom\", \"parent\": \"\"}}"),
                PATCH("{\"clear-coalesced\": {\"region\": \"m\"}}"),
                PATCH("{\"remove-address-space\": {\"name\": \"dma\"}}" AND
                      "{\"remove-region\": {\"name\": \"rom\"}}"),
        };
        Home *home = *state;

        for (size_t i = 0; i < ELEMENTS_OF(patches); i++) {
                home_must_apply(home, patches[i]);
                must_be_the_same_again(home);
        }
        assert_int_equal(home->vm->map->generation, 1 + ELEMENTS_OF(patches));
}

static void test_numbers_never_run_backwards(void **state) {
        Home *home = *state;

        home_must_apply(home, PATCH(RAM("a", "1MiB", "0")));
        home_must_apply(home, PATCH("{\"remove-region\": {\"name\": \"a\"}}"));
        home_must_restart(home);
        assert_int_equal(home->vm->last_backing, 1);
        assert_int_equal(home->vm->lost, 0);
        home_must_apply(home, PATCH(RAM("a", "1MiB", "0")));
        assert_int_equal(map_find_region(home->vm->map, "a")->backing->id, 2);
        home_must_restart(home);
        assert_int_equal(home->vm->lost, VM_LOST_MEMORY);
}

static void test_what_fails_is_not_there(void **state) {
        Home *home = *state;
        Detail detail;

        home_must_apply(home, PATCH(MMIO("m", "0")));
        assert_int_equal(home_apply(home, PATCH(MMIO("n", "0") AND MMIO("m", "0")), &detail),
                         MAP_E_REGION_EXISTS);
        must_be_the_same_again(home);
        home_must_apply(home, PATCH(MMIO("n", "0x1000")));
        must_be_the_same_again(home);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

UNIT_TESTS(TEST(test_new_vm), TEST(test_every_verb), TEST(test_numbers_never_run_backwards),
           TEST(test_what_fails_is_not_there));
