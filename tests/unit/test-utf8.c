/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* UTF-8: every character there is, and what is none. */

#include <stdbool.h>
#include <string.h>

#include "lib/util/cleanup.h"
#include "lib/util/utf8.h"
#include "tests/common/unit.h"

/* Writes a character in the given number of bytes, which may be more than it needs. */
static void write_character(char *to, uint32_t character, size_t n) {
        static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};

        for (size_t i = n - 1; i > 0; i--, character >>= 6)
                to[i] = (char)(0x80 | (character & 0x3f));
        to[0] = (char)(leads[n] | character);
}

static size_t needs(uint32_t character) {
        return character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
}

static void test_every_character(void **state) {
        char bytes[4];

        for (uint32_t c = 0; c < 0x110000; c++) {
                bool is_surrogate = c >= 0xd800 && c <= 0xdfff;
                bool is_none = (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe;
                size_t n = needs(c);

                write_character(bytes, c, n);
                if (utf8_length(bytes, n) != (is_surrogate || is_none ? 0 : n))
                        fail_msg("U+%X", c);
        }
}

static void test_longer_than_need_be(void **state) {
        char bytes[4];

        for (uint32_t c = 0; c < 0x10000; c++)
                for (size_t n = needs(c) + 1; n <= 4; n++) {
                        write_character(bytes, c, n);
                        if (utf8_length(bytes, n) != 0)
                                fail_msg("U+%X in %zu bytes", c, n);
                }
}

static void test_cut_short(void **state) {
        static const char *const characters[] = {"a", "\xc3\xa9", "\xe2\x82\xac",
                                                 "\xf0\x9f\x98\x80"};

        for (size_t i = 0; i < ELEMENTS_OF(characters); i++)
                for (size_t left = 0; left <= i + 1; left++)
                        assert_int_equal(utf8_length(characters[i], left), left > i ? i + 1 : 0);
}

static void test_ill_formed(void **state) {
        static const char *const bytes[] = {"\x80",
                                            "\xbf",
                                            "\xc3\x28",
                                            "\xc3\xc3",
                                            "\xe2\x28\xa1",
                                            "\xe2\x82",
                                            "\xe2\x82\x28",
                                            "\xf0\x28\x8c\xbc",
                                            "\xf0\x90\x28\xbc",
                                            "\xf0\x90\x8c\x28",
                                            "\xf4\x90\x80\x80",
                                            "\xf5\x80\x80\x80",
                                            "\xf8\x88\x80\x80\x80",
                                            "\xfe",
                                            "\xff"};

        for (size_t i = 0; i < ELEMENTS_OF(bytes); i++)
                assert_int_equal(utf8_length(bytes[i], strlen(bytes[i])), 0);
}

static void test_show(void **state) {
        static const struct {
                const char *text, *shown;
        } cases[] = {
                {"", ""},
                {"a \xc3\xa9 \\", "a \xc3\xa9 \\"},
                {"a\nb\x7f", "a\\x0ab\\x7f"},
                {"\xc2\x9f\xc2\xa0", "\\xc2\\x9f\xc2\xa0"},
                {"\xff\xc3", "\\xff\\xc3"},
                /* What ends is told from what is cut: there is always room for the dots. */
                {"123456789012", "123456789012"},
                {"1234567890123", "123456789012..."},
                {"12345678901\xc3\xa9", "12345678901..."},
                {"123456789\n", "123456789..."},
        };
        char shown[16];

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                utf8_show(shown, sizeof(shown), cases[i].text);
                assert_string_equal(shown, cases[i].shown);
        }
}

UNIT_TESTS(cmocka_unit_test(test_every_character), cmocka_unit_test(test_longer_than_need_be),
           cmocka_unit_test(test_cut_short), cmocka_unit_test(test_ill_formed),
           cmocka_unit_test(test_show));
