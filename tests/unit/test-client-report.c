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

#define REGION(name, more)                                                                         \
        "{\"name\": \"" name "\", \"kind\": \"ram\", \"size\": \"0x40000000\"" more "}"

static const char some_changes
        [] = "{\"generation\": 7, \"changed\": true, \"edits\": 2, \"regions\": {"
             "\"removed\": {\"count\": 1, \"regions\": [" REGION(
                     "ram0", "") "]},"
                                 "\"added\": {\"count\": 70, \"regions\": [" REGION(
                                         "dimm0", ", \"parent\": \"system\", \"offset\": "
                                                  "\"0x1000\"") ", " REGION("low", ", \"target\": "
                                                                                   "\"ram0\", "
                                                                                   "\"target-"
                                                                                   "offset\": "
                                                                                   "\"0x10\","
                                                                                   "\"parent\": "
                                                                                   "\"system\", "
                                                                                   "\"offset\": "
                                                                                   "\"0x0\", "
                                                                                   "\"priority\": "
                                                                                   "-2") "]}, "
                                                                                         "\"changed"
                                                                                         "\": "
                                                                                         "{\"count"
                                                                                         "\": 2, "
                                                                                         "\"regions"
                                                                                         "\": ["
                                                                                         "{\"name\""
                                                                                         ": "
                                                                                         "\"nic\", "
                                                                                         "\"before"
                                                                                         "\": "
                                                                                         "{\"size\""
                                                                                         ": "
                                                                                         "\"0x400\""
                                                                                         ", "
                                                                                         "\"parent"
                                                                                         "\": "
                                                                                         "\"\", "
                                                                                         "\"enabled"
                                                                                         "\": "
                                                                                         "true},"
                                                                                         " \"after"
                                                                                         "\": "
                                                                                         "{\"size\""
                                                                                         ": "
                                                                                         "\"2^64\","
                                                                                         " \"parent"
                                                                                         "\": "
                                                                                         "\"bus\", "
                                                                                         "\"enabled"
                                                                                         "\": "
                                                                                         "false}},"
                                                                                         "{\"name\""
                                                                                         ": "
                                                                                         "\"hpet\","
                                                                                         " \"before"
                                                                                         "\": {}, "
                                                                                         "\"after\""
                                                                                         ": {}}]}},"
                                                                                         "\"roots\""
                                                                                         ": "
                                                                                         "{\"remove"
                                                                                         "d\": "
                                                                                         "{\"io\": "
                                                                                         "\"ports\""
                                                                                         "}, "
                                                                                         "\"added\""
                                                                                         ": "
                                                                                         "{\"dma\":"
                                                                                         " \"system"
                                                                                         "\"}},"
                                                                                         "\"ioevent"
                                                                                         "fds\": "
                                                                                         "{\"remove"
                                                                                         "d\": 2, "
                                                                                         "\"added\""
                                                                                         ": 1},"
                                                                                         "\"coalesc"
                                                                                         "ed\": "
                                                                                         "{\"remove"
                                                                                         "d\": 0, "
                                                                                         "\"added\""
                                                                                         ": 3},"
                                                                                         "\"address"
                                                                                         "-spaces\""
                                                                                         ": "
                                                                                         "{\"memory"
                                                                                         "\": {"
                                                                                         "\"removed"
                                                                                         "\": "
                                                                                         "{\"count"
                                                                                         "\": 1, "
                                                                                         "\"section"
                                                                                         "s\": "
                                                                                         "[" SECTION
                                                                                         "]},"
                                                                                         "\"added\""
                                                                                         ": "
                                                                                         "{\"count"
                                                                                         "\": 70, "
                                                                                         "\"section"
                                                                                         "s\": "
                                                                                         "[" SECTION
                                                                                         "]}}},"
                                                                                         "\"handler"
                                                                                         "s\": "
                                                                                         "{\"nic\":"
                                                                                         " \"latch"
                                                                                         "\"},"
                                                                                         "\"slot-"
                                                                                         "operation"
                                                                                         "s\": "
                                                                                         "{\"delete"
                                                                                         "\": 1, "
                                                                                         "\"move\":"
                                                                                         " 0, "
                                                                                         "\"flags\""
                                                                                         ": 0, "
                                                                                         "\"create"
                                                                                         "\": 3},"
                                                                                         "\"bytes-"
                                                                                         "remapped"
                                                                                         "\": "
                                                                                         "655360, "
                                                                                         "\"bytes-"
                                                                                         "unchanged"
                                                                                         "-remapped"
                                                                                         "\": "
                                                                                         "4096, "
                                                                                         "\"bytes-"
                                                                                         "trapped\""
                                                                                         ": 512,"
                                                                                         "\"bytes-"
                                                                                         "discarded"
                                                                                         "\": "
                                                                                         "184467440"
                                                                                         "737095516"
                                                                                         "15}";

static const char tree_change[] = "{\"generation\": 7, \"changed\": true, \"edits\": 1}";
static const char no_change[] = "{\"generation\": 7, \"changed\": false, \"edits\": 1}";

#define SOME_WORDS                                                                                 \
        "- region ram0: ram, 1GiB, nowhere\n"                                                      \
        "+ region dimm0: ram, 1GiB, in system @0x1000\n"                                           \
        "+ region low: ram, 1GiB of ram0 @0x10, in system @0x0 priority -2\n"                      \
        "+ region and 68 more\n"                                                                   \
        "~ region nic: size 1KiB -> 2^64, parent nowhere -> bus, enabled yes -> no\n"              \
        "~ region hpet: placed again among its equals\n"                                           \
        "- address space io: root ports\n"                                                         \
        "+ address space dma: root system\n"                                                       \
        "- memory 0x0-0xfff rom boot rom @0x10 readonly,unmergeable\n"                             \
        "+ memory 0x0-0xfff rom boot rom @0x10 readonly,unmergeable\n"                             \
        "+ memory and 69 more\n"                                                                   \
        "Handler of nic: latch\n"                                                                  \
        "Ioeventfds: 1 added, 2 removed\n"                                                         \
        "Coalesced zones: 3 added, 0 removed\n"                                                    \
        "Slot operations: 1 delete, 3 create\n"                                                    \
        "Guest memory remapped: 640KiB\n"                                                          \
        "Of that, unchanged: 4KiB\n"                                                               \
        "Guest memory without a slot, in all: 512\n"                                               \
        "Contents of RAM discarded: 2^64\n"

static const Output words = {.legend = true};

static void test_done(void **state) {
        int r = report_print(&words, some_changes);

        assert_string_equal(caught_text(), "Generation 7, 2 edits\n" SOME_WORDS
                                           "Regions: 70 added, 2 changed, 1 removed\n");
        assert_int_equal(r, 0);
}

static void test_done_nothing(void **state) {
        int r = report_print(&words, no_change);

        assert_string_equal(caught_text(), "Nothing to change\n");
        assert_int_equal(r, 0);
}

static void test_plan(void **state) {
        int r = report_print_plan(&words, some_changes);

        assert_string_equal(caught_text(), "Would make generation 7, 2 edits\n" SOME_WORDS
                                           "Regions: 70 to add, 2 to change, 1 to remove\n");
        assert_int_equal(r, EXIT_WOULD_CHANGE);
}

/* What nobody sees is a change all the same. */
static void test_plan_of_little(void **state) {
        int r = report_print_plan(&words, tree_change);

        assert_string_equal(caught_text(), "Would make generation 7, 1 edit\n");
        assert_int_equal(r, EXIT_WOULD_CHANGE);
}

static void test_plan_nothing(void **state) {
        int r = report_print_plan(&words, no_change);

        assert_string_equal(caught_text(), "Nothing to change\n");
        assert_int_equal(r, 0);
}

static void test_colours(void **state) {
        static const char text[] =
                "{\"generation\": 8, \"changed\": true, \"edits\": 1, \"regions\": {\"changed\": "
                "{\"count\": 1, \"regions\": [{\"name\": \"nic\", \"before\": {}}]}}}";

        report_print(&(Output){.colour = true}, text);
        assert_string_equal(caught_text(),
                            "Generation 8, 1 edit\n"
                            "\033[33m~ region nic: placed again among its equals\033[0m\n"
                            "Regions: 0 added, 1 changed, 0 removed\n");
}

static void test_json(void **state) {
        int r = report_print_plan(&(Output){.json = JSON_SHORT}, "{ \"changed\": true }");

        assert_string_equal(caught_text(), "{\"changed\":true}\n");
        assert_int_equal(r, EXIT_WOULD_CHANGE);
}

static void test_not_json(void **state) {
        int r = report_print(&words, "what?");

        assert_string_equal(caught_text(), "");
        assert_true(r < 0);
}

UNIT_TESTS(CAUGHT(test_done), CAUGHT(test_done_nothing), CAUGHT(test_plan),
           CAUGHT(test_plan_of_little), CAUGHT(test_plan_nothing), CAUGHT(test_colours),
           CAUGHT(test_json), CAUGHT(test_not_json));
