/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What guestmapctl prints: tables, colours, JSON. */

#include <locale.h>
#include <string.h>

#include "client/json-print.h"
#include "tests/common/unit.h"
#include "tests/unit/caught-stdout.h"

static const Output plain = {.legend = true};

static Table *filled_table(const Column *columns) {
        Table *table = table_new(columns, 3);

        table_cell(table, "%s", "pc.ram");
        table_cell(table, "%d", 7);
        table_cell(table, "%s", "");
        table_cell(table, "%s", "ü");
        table_cell(table, "%d", 1000);
        table_cell(table, "%s", "last");
        return table;
}

static const Column columns[] = {{"NAME"}, {"N", true}, {"FLAGS"}};
static const Column headless[] = {{NULL}, {NULL, true}, {NULL}};

static void test_table(void **state) {
        _cleanup_(table_freep) Table *table = filled_table(columns);

        assert_int_equal(table_rows(table), 2);
        table_print(table, &plain);
        assert_string_equal(caught_text(), "NAME      N FLAGS\n"
                                           "pc.ram    7\n"
                                           "ü      1000 last\n");
        assert_int_equal(table_rows(table), 0);
}

static void test_wide_table(void **state) {
        _cleanup_(table_freep) Table *table = table_new(columns, 3);
        static const char *const names[] = {"\U0001f409", "日本語", "e\u0301", "dimm0"};

        assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
        for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
                table_cell(table, "%s", names[i]);
                table_cell(table, "1");
                table_cell(table, "%s", "");
        }
        table_print(table, &(Output){});
        assert_string_equal(caught_text(), "\U0001f409     1\n"
                                           "日本語 1\n"
                                           "e\u0301      1\n"
                                           "dimm0  1\n");
}

static void test_no_legend(void **state) {
        _cleanup_(table_freep) Table *table = filled_table(columns);

        table_print(table, &(Output){});
        assert_string_equal(caught_text(), "pc.ram    7\n"
                                           "ü      1000 last\n");
}

static void test_no_headers(void **state) {
        _cleanup_(table_freep) Table *table = filled_table(headless);

        table_print(table, &plain);
        assert_string_equal(caught_text(), "pc.ram    7\n"
                                           "ü      1000 last\n");
}

static void test_empty_table(void **state) {
        _cleanup_(table_freep) Table *table = table_new(columns, 3);

        table_print(table, &plain);
        assert_string_equal(caught_text(), "NAME N FLAGS\n");
}

static void test_paint(void **state) {
        print_line(&(Output){.colour = true}, PAINT_ADDED, "+ %d", 1);
        print_line(&(Output){.colour = true}, PAINT_NONE, "  %d", 2);
        print_line(&plain, PAINT_ADDED, "+ %d", 3);
        assert_string_equal(caught_text(), "\033[32m+ 1\033[0m\n  2\n+ 3\n");
}

static void test_flag_words(void **state) {
        static const char *const names[] = {"a", "b", "c"};

        assert_string_equal(caught_text(), "");
        assert_string_equal(flag_words(0, names, 3).text, "");
        assert_string_equal(flag_words(2, names, 3).text, "b");
        assert_string_equal(flag_words(7, names, 3).text, "a,b,c");
        assert_string_equal(flag_words(8, names, 3).text, "");
}

static json_object *sample(void) {
        static const char *const names[] = {"readonly", "nonvolatile"};
        json_object *object = json_new_object();

        json_add_hex(object, "first", UINT64_MAX);
        json_add_size(object, "size", UINT64_MAX);
        json_add_count(object, "generation", UINT64_MAX);
        json_add_int(object, "priority", -1);
        json_add_bool(object, "enabled", true);
        json_add_text(object, "region", "a/\"b\"");
        json_add_flags(object, "flags", 2, names, 2);
        return object;
}

static void test_json_short(void **state) {
        _cleanup_(json_putp) json_object *object = sample();

        json_print(&(Output){.json = JSON_SHORT}, object);
        assert_string_equal(caught_text(),
                            "{\"first\":\"0xffffffffffffffff\",\"size\":\"2^64\","
                            "\"generation\":18446744073709551615,\"priority\":-1,"
                            "\"enabled\":true,\"region\":\"a/\\\"b\\\"\","
                            "\"flags\":[\"nonvolatile\"]}\n");
}

static void test_json_pretty(void **state) {
        _cleanup_(json_putp) json_object *object = json_new_object();

        json_add_hex(object, "first", 16);
        json_print(&(Output){.json = JSON_PRETTY}, object);
        assert_string_equal(caught_text(), "{\n  \"first\": \"0x10\"\n}\n");
}

UNIT_TESTS(CAUGHT(test_table), CAUGHT(test_wide_table), CAUGHT(test_no_legend),
           CAUGHT(test_no_headers), CAUGHT(test_empty_table), CAUGHT(test_paint),
           CAUGHT(test_flag_words), CAUGHT(test_json_short), CAUGHT(test_json_pretty));
