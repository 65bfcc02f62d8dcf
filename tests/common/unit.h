/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * cmocka, with what it wants included before it, and a main() from a list of tests
 *
 *   UNIT_TESTS(cmocka_unit_test(test_one), cmocka_unit_test(test_other));
 *
 * Asserts belong to the main thread.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* Compares and frees a text that was made for the purpose. */
#define assert_text(text, expected)                                                                \
        do {                                                                                       \
                char *text_ = (text);                                                              \
                                                                                                   \
                assert_string_equal(text_, expected);                                              \
                free(text_);                                                                       \
        } while (0)

#define UNIT_TESTS(...)                                                                            \
        int main(void) {                                                                           \
                const struct CMUnitTest tests_[] = {__VA_ARGS__};                                  \
                                                                                                   \
                return cmocka_run_group_tests(tests_, NULL, NULL);                                 \
        }                                                                                          \
        struct unit_tests_semicolon_
