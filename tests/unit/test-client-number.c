/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Numbers as people type and read them. */

#include <errno.h>

#include "client/number.h"
#include "lib/util/cleanup.h"
#include "tests/common/unit.h"

static void test_numbers(void **state) {
        static const struct {
                const char *word;
                uint64_t value;
        } good[] = {
                {"0", 0},
                {"0x10", 16},
                {"0XfF", 255},
                {"1KiB", 1024},
                {"0x10KiB", 16384},
                {"3MiB", 3u << 20},
                {"4GiB", UINT64_C(4) << 30},
                {"1K", 1024},
                {"0x10M", 16u << 20},
                {"8G", UINT64_C(8) << 30},
                {"2T", UINT64_C(2) << 40},
                {"16777215TiB", UINT64_C(16777215) << 40},
                {"18446744073709551615", UINT64_MAX},
                {"0xffffffffffffffff", UINT64_MAX},
        };

        for (size_t i = 0; i < ELEMENTS_OF(good); i++) {
                uint64_t value = 77;

                assert_int_equal(number_parse(good[i].word, &value), 0);
                assert_true(value == good[i].value);
        }
}

static void test_not_numbers(void **state) {
        static const char *const bad[] = {
                "",    "x",     "0x",   "-1",    "+1",     " 1",   "1 ",   "1.5",   "0x0x1",
                "1kb", "1 KiB", "1kib", "1KiBx", "0xgg",   "2^64", "1e3",  "KiB",   "0b1",
                "1k",  "1g",    "1B",   "1Gi",   "1GB",    "1KM",  "G",    "1P",    "1.5G",
                "010", "00",    "0000000150000000",
        };
        uint64_t value = 77;

        for (size_t i = 0; i < ELEMENTS_OF(bad); i++)
                assert_int_equal(number_parse(bad[i], &value), -EINVAL);
        assert_int_equal(number_parse("18446744073709551616", &value), -ERANGE);
        assert_int_equal(number_parse("0x10000000000000000", &value), -ERANGE);
        assert_int_equal(number_parse("16777216TiB", &value), -ERANGE);
        assert_int_equal(value, 77);
}

static void test_sizes(void **state) {
        uint64_t value = 77;

        assert_int_equal(number_parse_size("2^64", &value), 0);
        assert_true(value == UINT64_MAX);
        assert_int_equal(number_parse_size("2MiB", &value), 0);
        assert_int_equal(value, 2 << 20);
        assert_int_equal(number_parse_size("2^63", &value), -EINVAL);
        assert_int_equal(value, 2 << 20);
}

static void test_narrow(void **state) {
        uint32_t u32 = 77;
        int32_t i32 = 77;

        assert_int_equal(number_parse_u32("4294967295", &u32), 0);
        assert_true(u32 == UINT32_MAX);
        assert_int_equal(number_parse_u32("4294967296", &u32), -ERANGE);

        assert_int_equal(number_parse_i32("-2147483648", &i32), 0);
        assert_true(i32 == INT32_MIN);
        assert_int_equal(number_parse_i32("2147483647", &i32), 0);
        assert_true(i32 == INT32_MAX);
        assert_int_equal(number_parse_i32("2147483648", &i32), -ERANGE);
        assert_int_equal(number_parse_i32("-2147483649", &i32), -ERANGE);
        assert_int_equal(number_parse_i32("--1", &i32), -EINVAL);
        assert_int_equal(number_parse_i32("-", &i32), -EINVAL);
        assert_int_equal(number_parse_i32("1KiB", &i32), -EINVAL);
        assert_true(i32 == INT32_MAX);
}

static void test_bools(void **state) {
        static const char *const yes[] = {"yes", "true", "on", "1", "YES"};
        static const char *const no[] = {"no", "false", "off", "0", "False"};
        bool value;

        for (size_t i = 0; i < ELEMENTS_OF(yes); i++) {
                assert_int_equal(number_parse_bool(yes[i], &value), 0);
                assert_true(value);
                assert_int_equal(number_parse_bool(no[i], &value), 0);
                assert_false(value);
        }
        assert_int_equal(number_parse_bool("", &value), -EINVAL);
        assert_int_equal(number_parse_bool("maybe", &value), -EINVAL);
}

static void test_timeouts(void **state) {
        uint64_t usec = 77;

        assert_int_equal(number_parse_timeout("90", &usec), 0);
        assert_int_equal(usec, 90000000);
        assert_int_equal(number_parse_timeout("250ms", &usec), 0);
        assert_int_equal(usec, 250000);
        assert_int_equal(number_parse_timeout("5min", &usec), 0);
        assert_int_equal(usec, 300000000);
        assert_int_equal(number_parse_timeout("1h", &usec), 0);
        assert_true(usec == UINT64_C(3600000000));
        assert_int_equal(number_parse_timeout("5 min", &usec), -EINVAL);
        assert_int_equal(number_parse_timeout("18446744073709551615", &usec), -ERANGE);
        assert_true(usec == UINT64_C(3600000000));
}

/* What is printed is the same number when it is typed again. */
static void test_round_trip(void **state) {
        static const struct {
                uint64_t size;
                const char *text;
        } sizes[] = {
                {0, "0"},
                {1, "1"},
                {1000, "1000"},
                {1024, "1KiB"},
                {640 << 10, "640KiB"},
                {UINT64_C(0xbff00000), "3071MiB"},
                {UINT64_C(1) << 32, "4GiB"},
                {UINT64_C(1) << 63, "8388608TiB"},
                {UINT64_MAX - 1, "18446744073709551614"},
                {UINT64_MAX, "2^64"},
        };

        for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
                uint64_t size = 77;

                assert_string_equal(number_size(sizes[i].size).text, sizes[i].text);
                assert_int_equal(number_parse_size(sizes[i].text, &size), 0);
                assert_true(size == sizes[i].size);
        }
}

static void test_hex(void **state) {
        assert_string_equal(number_hex(0).text, "0x0");
        assert_string_equal(number_hex(UINT64_MAX).text, "0xffffffffffffffff");
        assert_string_equal(number_hex_size(4096).text, "0x1000");
        assert_string_equal(number_hex_size(UINT64_MAX).text, "2^64");
}

static void test_about(void **state) {
        assert_string_equal(number_size_about(0).text, "0");
        assert_string_equal(number_size_about(1000).text, "1000");
        assert_string_equal(number_size_about(1024).text, "1KiB");
        assert_string_equal(number_size_about(1023 << 10).text, "1023KiB");
        assert_string_equal(number_size_about(UINT64_C(0x7e0f0000)).text, "1.97GiB");
        assert_string_equal(number_size_about((1 << 30) - (64 << 10)).text, "1GiB");
        assert_string_equal(number_size_about(UINT64_MAX - 1).text, "16EiB");
        assert_string_equal(number_size_about(UINT64_MAX).text, "2^64");
}

UNIT_TESTS(cmocka_unit_test(test_numbers), cmocka_unit_test(test_not_numbers),
           cmocka_unit_test(test_sizes), cmocka_unit_test(test_narrow),
           cmocka_unit_test(test_bools), cmocka_unit_test(test_timeouts),
           cmocka_unit_test(test_round_trip), cmocka_unit_test(test_hex),
           cmocka_unit_test(test_about));
