/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reports of Apply and Preview in words. */

#include "client/report.h"
#include "client/verb.h"
#include "tests/common/unit.h"
#include "tests/unit/caught-stdout.h"

#define SECTION                                                                                    \
        "{\"first\": \"0x0\", \"last\": \"0xfff\", \"region\": \"boot rom\", \"offset\": "         \
        "\"0x10\","                                                                                \
        " \"kind\": \"rom\", \"flags\": [\"readonly\", \"unmergeable\"]}"

static const char some_changes[] =
        "{\"generation\": 7, \"edits\": 2, \"address-spaces\": {\"memory\": {"
        "\"removed\": {\"count\": 1, \"sections\": [" SECTION "]},"
        "\"added\": {\"count\": 70, \"sections\": [" SECTION "]}}},"
        "\"handlers\": {\"nic\": \"latch\"},"
        "\"slot-operations\": {\"delete\": 1, \"move\": 0, \"flags\": 0, \"create\": 3},"
        "\"bytes-remapped\": 655360, \"bytes-unchanged-remapped\": 4096, \"bytes-trapped\": 512,"
        "\"bytes-discarded\": 18446744073709551615}";

static const char no_change[] =
        "{\"generation\": 7, \"edits\": 1, \"address-spaces\": {},"
        "\"slot-operations\": {\"delete\": 0, \"move\": 0, \"flags\": 0, \"create\": 0},"
        "\"bytes-remapped\": 0, \"bytes-unchanged-remapped\": 0, \"bytes-trapped\": 0,"
        "\"bytes-discarded\": 0}";

static const Output words = {.legend = true};

static void test_done(void **state) {
        int r = report_print(&words, some_changes);

        assert_string_equal(caught_text(),
                            "Generation 7, 2 edits\n"
                            "- memory 0x0-0xfff rom boot rom @0x10 readonly,unmergeable\n"
                            "+ memory 0x0-0xfff rom boot rom @0x10 readonly,unmergeable\n"
                            "+ memory and 69 more\n"
                            "Handler of nic: latch\n"
                            "Slot operations: 1 delete, 3 create\n"
                            "Guest memory remapped: 640KiB\n"
                            "Of that, unchanged: 4KiB\n"
                            "Guest memory without a slot, in all: 512\n"
                            "Contents of RAM discarded: 2^64\n");
        assert_int_equal(r, 0);
}

static void test_done_nothing(void **state) {
        int r = report_print(&words, no_change);

        assert_string_equal(caught_text(), "Generation 7, 1 edit\n");
        assert_int_equal(r, 0);
}

static void test_plan(void **state) {
        int r = report_print_plan(&words, no_change, 6);

        assert_string_equal(caught_text(), "Would make generation 7, 1 edit\n");
        assert_int_equal(r, EXIT_WOULD_CHANGE);
}

static void test_plan_nothing(void **state) {
        int r = report_print_plan(&words, no_change, 7);

        assert_string_equal(caught_text(), "Nothing to change\n");
        assert_int_equal(r, 0);
}

static void test_json(void **state) {
        int r = report_print_plan(&(Output){.json = JSON_SHORT}, "{ \"generation\": 8 }", 7);

        assert_string_equal(caught_text(), "{\"generation\":8}\n");
        assert_int_equal(r, EXIT_WOULD_CHANGE);
}

static void test_not_json(void **state) {
        int r = report_print(&words, "what?");

        assert_string_equal(caught_text(), "");
        assert_true(r < 0);
}

UNIT_TESTS(CAUGHT(test_done), CAUGHT(test_done_nothing), CAUGHT(test_plan),
           CAUGHT(test_plan_nothing), CAUGHT(test_json), CAUGHT(test_not_json));
