/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Hex dumps: what hexdump -C prints, byte for byte, at any address. */

#include <string.h>

#include "client/hex-dump.h"
#include "tests/common/unit.h"
#include "tests/unit/caught-stdout.h"

static void dump_text(uint64_t address, const char *text) {
        size_t n = strlen(text);
        HexDump dump;

        hex_dump_begin(&dump, address, address + n - 1);
        hex_dump_add(&dump, text, n);
        hex_dump_end(&dump);
}

static void test_lines(void **state) {
        dump_text(0x1000, "0123456789abcdef Hi\n\x7f\x80");
        assert_string_equal(
                caught_text(),
                "00001000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|\n"
                "00001010  20 48 69 0a 7f 80                                 | Hi...|\n"
                "00001016\n");
}

static void test_one_byte(void **state) {
        dump_text(7, "x");
        assert_string_equal(caught_text(),
                            "00000007  78                                                |x|\n"
                            "00000008\n");
}

static void test_nine_bytes(void **state) {
        dump_text(0, "abcdefghi");
        assert_string_equal(caught_text(),
                            "00000000  61 62 63 64 65 66 67 68  69                       "
                            "|abcdefghi|\n"
                            "00000009\n");
}

/* Lines that repeat become one "*", across pieces too; an incomplete line never does. */
static void test_repeated_lines(void **state) {
        static const uint8_t zeroes[64], ones[16] = {1};
        HexDump dump;

        hex_dump_begin(&dump, 0, 200);
        hex_dump_add(&dump, zeroes, 16);
        hex_dump_add(&dump, zeroes, 64);
        hex_dump_add(&dump, ones, 16);
        hex_dump_add(&dump, ones, 16);
        hex_dump_add(&dump, zeroes, 16);
        hex_dump_add(&dump, zeroes, 8);
        hex_dump_end(&dump);
        assert_string_equal(
                caught_text(),
                "00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n"
                "*\n"
                "00000050  01 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n"
                "*\n"
                "00000070  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n"
                "00000080  00 00 00 00 00 00 00 00                           |........|\n"
                "00000088\n");
}

static void test_wide_addresses(void **state) {
        dump_text(0xfffffff8, "0123456789");
        assert_string_equal(caught_text(),
                            "00000000fffffff8  30 31 32 33 34 35 36 37  38 39                    "
                            "|0123456789|\n"
                            "0000000100000002\n");
}

static void test_last_byte_of_all(void **state) {
        dump_text(UINT64_MAX, "z");
        assert_string_equal(caught_text(),
                            "ffffffffffffffff  7a                                              "
                            "  |z|\n"
                            "10000000000000000\n");
}

static void test_nothing(void **state) {
        HexDump dump;

        hex_dump_begin(&dump, 5, 5);
        hex_dump_end(&dump);
        assert_string_equal(caught_text(), "");
}

UNIT_TESTS(CAUGHT(test_lines), CAUGHT(test_one_byte), CAUGHT(test_nine_bytes),
           CAUGHT(test_repeated_lines), CAUGHT(test_wide_addresses), CAUGHT(test_last_byte_of_all),
           CAUGHT(test_nothing));
