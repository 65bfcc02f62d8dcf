/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "api/names.h"
#include "daemon/vm/document-number.h"
#include "daemon/vm/json-region.h"
#include "tests/common/apply.h"
#include "tests/common/edit-text.h"
#include "tests/common/unit.h"

#define LAYOUT(regions) "{\"guestmap\": 1, \"regions\": [" regions "]}"
#define PATCH(edits)    "{\"guestmap\": 1, \"edits\": [" edits "]}"
/* A layout with one region; a patch with one edit. */
#define BEGIN_REGION        "{\"guestmap\": 1, \"regions\": [{\"name\": \"r\", \"kind\": \"mmio\", "
#define REGION(members)     BEGIN_REGION members "}]}"
#define EDIT(verb, members) PATCH("{\"" verb "\": {" members "}}")

static void assert_refused(const char *text, int outcome, const char *why) {
        Document *document = NULL;
        Detail detail = {};
        int r;

        r = document_parse(&document, text, strlen(text), &vm_limits_default, &detail);
        assert_null(document);
        assert_string_equal(detail.text, why);
        assert_int_equal(r, outcome);
}

static void assert_invalid(const char *text, const char *why) {
        assert_refused(text, VM_E_INVALID_DOCUMENT, why);
}

/* The edits that a document asks for on an empty map. */
static void assert_edits(const char *text, const char *expected) {
        _cleanup_(vm_freep) VM *vm = must_vm("none");
        _cleanup_(document_freep) Document *document = NULL;
        _cleanup_(edit_list_deinit) EditList edits = {};
        Detail detail = {};

        if (document_parse(&document, text, strlen(text), &vm_limits_default, &detail) != 0 ||
            document_edits(document, vm, NULL, NULL, &edits, &detail) != 0)
                fail_msg("%s: %s", text, detail.text);
        assert_text(edits_text(&edits), expected);
}

static void test_numbers(void **state) {
        static const struct {
                const char *text;
                int r;
                uint64_t value;
        } cases[] = {
                {"0", 0, 0},
                {"4096", 0, 4096},
                {"0x1000", 0, 4096},
                {"0xDEADbeef", 0, 0xdeadbeef},
                {"1KiB", 0, 1024},
                {"0x10MiB", 0, 16 << 20},
                {"4GiB", 0, UINT64_C(4) << 30},
                {"16777215TiB", 0, UINT64_C(16777215) << 40},
                {"18446744073709551615", 0, UINT64_MAX},
                {"0xffffffffffffffff", 0, UINT64_MAX},
                {"16777216TiB", -ERANGE, 0},
                {"18446744073709551616", -ERANGE, 0},
                {"0x10000000000000000", -ERANGE, 0},
                {"18446744073709551615KiB", -ERANGE, 0},
                {"", -EINVAL, 0},
                {" 1", -EINVAL, 0},
                {"1 ", -EINVAL, 0},
                {"+1", -EINVAL, 0},
                {"-1", -EINVAL, 0},
                {"0x", -EINVAL, 0},
                {"010", -EINVAL, 0},
                {"0000000150000000", -EINVAL, 0},
                {"0x-1", -EINVAL, 0},
                {"0x0x1", -EINVAL, 0},
                {"KiB", -EINVAL, 0},
                {"1kib", -EINVAL, 0},
                {"1KB", -EINVAL, 0},
                {"1.5GiB", -EINVAL, 0},
                {"1GiBGiB", -EINVAL, 0},
                {"2^64", -EINVAL, 0},
        };

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                uint64_t value = 0;

                assert_int_equal(document_number_parse(cases[i].text, &value), cases[i].r);
                assert_int_equal(value, cases[i].value);
        }
}

static void test_sizes(void **state) {
        assert_edits(REGION("\"size\": \"2^64\""),
                     "add mmio \"r\" 0xffffffffffffffff flags 0x100\n");
        assert_edits(REGION("\"size\": 18446744073709551615"),
                     "add mmio \"r\" 0xffffffffffffffff flags 0x100\n");
        assert_edits(REGION("\"size\": \"0xffffffffffffffff\""),
                     "add mmio \"r\" 0xffffffffffffffff flags 0x100\n");
        assert_edits(REGION("\"size\": 0"), "add mmio \"r\" 0x0 flags 0x100\n");
        assert_invalid(REGION("\"size\": -1"), "regions[0].size: -1 is out of range: 0 to 2^64");
        assert_invalid(REGION("\"size\": \"16777216TiB\""),
                       "regions[0].size: \"16777216TiB\" is out of range: 0 to 2^64");
        assert_invalid(REGION("\"size\": null"),
                       "regions[0].size: must be a size: an integer, or a string such as "
                       "\"4GiB\", \"0x1000\", \"2^64\", not null (null)");
        assert_invalid(REGION("\"size\": 1, \"offset\": \"2^64\""),
                       "regions[0].offset: must be an integer, or a string such as \"4GiB\" or "
                       "\"0x1000\", not \"2^64\" (string)");
        assert_invalid(REGION("\"size\": 1, \"priority\": 2147483648"),
                       "regions[0].priority: 2147483648 is out of range: -2^31 to 2^31 - 1");
        assert_invalid(REGION("\"size\": 1, \"priority\": \"-2147483649\""),
                       "regions[0].priority: \"-2147483649\" is out of range: -2^31 to 2^31 - 1");
        assert_invalid(REGION("\"size\": 1, \"priority\": true"),
                       "regions[0].priority: must be an integer, not true (boolean)");
}

static void test_outermost(void **state) {
        assert_invalid("{\"regions\": []}", "the document has no \"guestmap\": 1");
        assert_invalid("{\"guestmap\": 1}",
                       "the document must have either \"regions\" or \"edits\"");
        assert_invalid("{\"guestmap\": 1, \"regions\": [], \"edits\": []}",
                       "the document must have either \"regions\" or \"edits\"");
        assert_invalid("{\"guestmap\": 1, \"address-spaces\": []}",
                       "the document must have either \"regions\" or \"edits\"");
        assert_invalid("{\"guestmap\": 2, \"regions\": []}",
                       "guestmap: must be 1, the only version there is");
        assert_invalid("{\"guestmap\": \"1\", \"regions\": []}",
                       "guestmap: must be 1, the only version there is");
        assert_invalid("{\"guestmap\": [1], \"regions\": []}",
                       "guestmap: must be 1, the only version there is");
        assert_invalid("{\"guestmap\": 1, \"regions\": {}}", "regions: must be an array");
        assert_invalid("{\"guestmap\": 1, \"regions\": [], \"address-spaces\": 1}",
                       "address-spaces: must be an array");
        assert_invalid("{\"guestmap\": 1, \"regions\": [], \"extra\": []}", "extra: unknown key");
        assert_invalid("{\"guestmap\": 1, \"regions\": [], \"extra\": 0}", "extra: unknown key");
        assert_invalid("{\"guestmap\": 1, \"edits\": [], \"address-spaces\": "
                       "[{\"name\": \"memory\", \"root\": \"r\"}]}",
                       "address-spaces: not beside \"edits\"");
        assert_edits(LAYOUT(""), "");
        assert_edits(PATCH(""), "");
}

static void test_layout_entries(void **state) {
        assert_invalid(LAYOUT("1"), "regions[0]: must be an object");
        assert_invalid(LAYOUT("null"), "regions[0]: must be an object");
        assert_invalid(LAYOUT("{\"name\": \"r\", \"size\": 1}"), "regions[0]: \"kind\" is missing");
        assert_invalid(REGION("\"size\": 1, \"parrent\": \"r\""),
                       "regions[0].parrent: unknown key");
        assert_invalid(REGION("\"size\": 1, \"size\": 2"),
                       "regions[0].size: the key stands twice in one object (line 1, byte 76)");
        assert_invalid(REGION("\"size\": 1, \"enabled\": 1"),
                       "regions[0].enabled: must be true or false, not 1 (int)");
        assert_invalid(REGION("\"size\": 1, \"parent\": 1"),
                       "regions[0].parent: must be a string, not 1 (int)");
        assert_invalid(REGION("\"size\": 1, \"offset\": 0"),
                       "regions[0].offset: only with a \"parent\"");
        assert_invalid(REGION("\"size\": 1, \"priority\": 1, \"parent\": \"\""),
                       "regions[0].priority: only with a \"parent\"");
        assert_invalid(REGION("\"size\": 1, \"target\": \"r\""),
                       "regions[0]: only an alias has a target, this is mmio");
        assert_invalid(REGION("\"size\": 1, \"target-offset\": 0"),
                       "regions[0]: only an alias has a target, this is mmio");
        assert_invalid(LAYOUT("{\"name\": \"a\", \"kind\": \"alias\", \"size\": 1}"),
                       "regions[0]: \"target\" is missing: this is an alias");
        assert_invalid(
                LAYOUT("{\"name\": \"a\", \"kind\": \"rom\", \"size\": 1, \"readonly\": false}"),
                "regions[0]: kind rom with \"readonly\" false is kind ram");
        assert_refused(LAYOUT("{\"name\": \"a\", \"kind\": \"flash\", \"size\": 1}"),
                       MAP_E_INVALID_KIND, "regions[0].kind: unknown kind \"flash\"");
        assert_refused(LAYOUT("{\"name\": \"\", \"kind\": \"ram\", \"size\": 1}"),
                       MAP_E_INVALID_NAME,
                       "regions[0].name: \"\" is not a name: 1 to 128 bytes of UTF-8 without "
                       "control characters");
        assert_refused(
                LAYOUT("{\"name\": \"a\\u0007\", \"kind\": \"ram\", \"size\": 1}"),
                MAP_E_INVALID_NAME,
                "regions[0].name: \"a\\u0007\" is not a name: 1 to 128 bytes of UTF-8 without "
                "control characters");
}

/* Messages show the beginning of what is too long, and never half a character. */
static void test_long_values(void **state) {
        char text[1024];
        unsigned n;

        n = (unsigned)sprintf(text, BEGIN_REGION "\"size\": 1, \"parent\": \"x");
        for (unsigned i = 0; i < 100; i++)
                n += (unsigned)sprintf(text + n, "\xc3\xa9");
        sprintf(text + n, "\"}]}");
        assert_refused(text, MAP_E_INVALID_NAME,
                       "regions[0].parent: \"xééééééééééééééééééééééééééééééééé... is not a name: "
                       "1 to 128 bytes of UTF-8 without control characters");
}

static void test_names(void **state) {
        assert_invalid(LAYOUT("{\"name\": \"a\", \"kind\": \"mmio\", \"size\": 1},"
                              "{\"name\": \"b\", \"kind\": \"mmio\", \"size\": 1},"
                              "{\"name\": \"a\", \"kind\": \"ram\", \"size\": 1}"),
                       "regions[2].name: a second region \"a\"");
        assert_refused(REGION("\"size\": 1, \"parent\": \"p\""), MAP_E_NO_SUCH_REGION,
                       "regions[0].parent: the document has no region \"p\"");
        assert_refused(LAYOUT("{\"name\": \"a\", \"kind\": \"alias\", \"size\": 1, "
                              "\"target\": \"t\"}"),
                       MAP_E_NO_SUCH_REGION, "regions[0].target: the document has no region \"t\"");
        assert_refused(LAYOUT("{\"name\": \"a\", \"kind\": \"alias\", \"size\": 1, "
                              "\"target\": \"t\"},"
                              "{\"name\": \"t\", \"kind\": \"mmio\", \"size\": 1, "
                              "\"parent\": \"a\"}"),
                       MAP_E_INVALID_KIND, "regions[1].parent: an alias cannot be a parent: \"a\"");
        assert_refused("{\"guestmap\": 1, \"regions\": [], \"address-spaces\": "
                       "[{\"name\": \"memory\", \"root\": \"r\"}]}",
                       MAP_E_NO_SUCH_REGION,
                       "address-spaces[0].root: the document has no region \"r\"");
        assert_invalid("{\"guestmap\": 1, \"address-spaces\": "
                       "[{\"name\": \"s\", \"root\": \"r\"}, {\"name\": \"s\", \"root\": \"r\"}], "
                       "\"regions\": [{\"name\": \"r\", \"kind\": \"mmio\", \"size\": 1}]}",
                       "address-spaces[1].name: a second address space \"s\"");
}

static void test_flags(void **state) {
        assert_edits(LAYOUT("{\"name\": \"a\", \"kind\": \"romd\", \"size\": 4096}"),
                     "add romd \"a\" 0x1000 flags 0x108\n");
        assert_edits(
                LAYOUT("{\"name\": \"a\", \"romd\": false, \"kind\": \"romd\", \"size\": 4096}"),
                "add romd \"a\" 0x1000 flags 0x100\n");
        assert_edits(
                LAYOUT("{\"name\": \"a\", \"kind\": \"rom\", \"size\": 4096, \"readonly\": true}"),
                "add rom \"a\" 0x1000 flags 0x101\n");
        assert_edits(
                LAYOUT("{\"name\": \"a\", \"kind\": \"ram\", \"size\": 4096, \"readonly\": true, "
                       "\"nonvolatile\": true, \"unmergeable\": true, \"dirty-log\": true, "
                       "\"enabled\": false}"),
                "add ram \"a\" 0x1000 flags 0x17\n");
}

static void test_devices(void **state) {
        assert_edits(
                REGION("\"size\": 256, "
                       "\"ioeventfds\": [{\"offset\": 0, \"length\": 0}, {\"offset\": \"0x10\", "
                       "\"length\": 4, \"match\": true, \"data\": 7}], "
                       "\"coalesced\": [{\"offset\": 32, \"size\": 8}]"),
                "add mmio \"r\" 0x100 flags 0x100\n"
                "add ioeventfd \"r\" @0x0 length 0 data 0x0\n"
                "add ioeventfd \"r\" @0x10 length 4 match data 0x7\n"
                "add zone \"r\" @0x20 0x8\n");
        assert_invalid(REGION("\"size\": 256, \"ioeventfds\": [{\"offset\": 0, \"length\": 1}, "
                              "{\"offset\": 0, \"length\": 3}]"),
                       "regions[0].ioeventfds[1]: length 3 with match false: it must be 1, 2, 4 or "
                       "8, or 0 without match");
        assert_invalid(REGION("\"size\": 256, \"ioeventfds\": [{\"offset\": 0, \"length\": 0, "
                              "\"match\": true}]"),
                       "regions[0].ioeventfds[0]: length 0 with match true: it must be 1, 2, 4 or "
                       "8, or 0 without match");
        assert_invalid(REGION("\"size\": 256, \"coalesced\": [{\"offset\": 0}]"),
                       "regions[0].coalesced[0]: \"size\" is missing");
        assert_invalid(REGION("\"size\": 256, \"coalesced\": {}"),
                       "regions[0].coalesced: must be an array, not {} (object)");
}

static void test_patch(void **state) {
        assert_edits(
                PATCH("{\"add-region\": {\"name\": \"a\", \"kind\": \"ram\", \"size\": \"1MiB\", "
                      "\"parent\": \"system\", \"offset\": \"4GiB\", \"priority\": -1}},"
                      "{\"add-alias\": {\"name\": \"b\", \"target\": \"a\", \"target-offset\": 8, "
                      "\"size\": 16, \"readonly\": true}},"
                      "{\"enable-region\": {\"name\": \"a\", \"enabled\": false}},"
                      "{\"move-region\": {\"name\": \"b\", \"parent\": \"system\", "
                      "\"offset\": 32}},"
                      "{\"move-region\": {\"name\": \"b\", \"parent\": \"\"}},"
                      "{\"set-region\": {\"name\": \"a\", \"properties\": {\"size\": 4096, "
                      "\"dirty-log\": true}}},"
                      "{\"set-region\": {\"name\": \"b\", \"target-offset\": 0, "
                      "\"priority\": 3}},"
                      "{\"remove-region\": {\"name\": \"b\"}},"
                      "{\"add-address-space\": {\"name\": \"s\", \"root\": \"a\"}},"
                      "{\"remove-address-space\": {\"name\": \"s\"}},"
                      "{\"add-ioeventfd\": {\"region\": \"a\", \"offset\": 0, \"length\": 2}},"
                      "{\"remove-ioeventfd\": {\"region\": \"a\", \"offset\": 0, \"length\": 2}},"
                      "{\"add-coalesced\": {\"region\": \"a\", \"offset\": 0, \"size\": 2}},"
                      "{\"clear-coalesced\": {\"region\": \"a\"}}"),
                "add ram \"a\" 0x100000 in \"system\" @0x100000000 priority -1 flags 0x100\n"
                "add alias \"b\" 0x10 of \"a\" +0x8 flags 0x101\n"
                "set \"a\" flags 0x0/0x100\n"
                "move \"b\" in \"system\" @0x20 priority 0\n"
                "move \"b\" out\n"
                "set \"a\" size 0x1000 flags 0x10/0x10\n"
                "set \"b\" priority 3 target-offset 0x0\n"
                "remove \"b\"\n"
                "add space \"s\" of \"a\"\n"
                "remove space \"s\"\n"
                "add ioeventfd \"a\" @0x0 length 2 data 0x0\n"
                "remove ioeventfd \"a\" @0x0 length 2 data 0x0\n"
                "add zone \"a\" @0x0 0x2\n"
                "clear zones \"a\"\n");
}

static void test_bad_patches(void **state) {
        assert_invalid(PATCH("{}"), "edits[0]: must be an object with one member, its verb");
        assert_invalid(PATCH("\"remove-region\""),
                       "edits[0]: must be an object with one member, its verb");
        assert_invalid(PATCH("{\"remove-region\": {\"name\": \"a\"}, \"add-region\": {}}"),
                       "edits[0]: must be an object with one member, its verb");
        assert_invalid(EDIT("delete-region", ""), "edits[0].delete-region: unknown verb");
        assert_invalid(PATCH("{\"remove-region\": \"a\"}"),
                       "edits[0].remove-region: must be an object");
        assert_invalid(EDIT("remove-region", ""), "edits[0].remove-region: \"name\" is missing");
        assert_invalid(EDIT("remove-region", "\"name\": \"a\", \"force\": true"),
                       "edits[0].remove-region.force: unknown key");
        assert_invalid(EDIT("move-region", "\"name\": \"a\""),
                       "edits[0].move-region: \"parent\" is missing");
        assert_invalid(EDIT("move-region", "\"name\": \"a\", \"parent\": \"\", \"offset\": 1"),
                       "edits[0].move-region.offset: only with a \"parent\"");
        assert_invalid(EDIT("add-region", "\"name\": \"a\", \"kind\": \"mmio\", \"size\": 1, "
                                          "\"priority\": 0"),
                       "edits[0].add-region.priority: only with a \"parent\"");
        assert_invalid(EDIT("add-alias", "\"name\": \"a\", \"target\": \"r\", \"size\": 1, "
                                         "\"offset\": 0, \"priority\": 0"),
                       "edits[0].add-alias.offset: only with a \"parent\"");
        assert_invalid(EDIT("set-region", "\"name\": \"a\", \"size\": 1, "
                                          "\"properties\": {\"size\": 2}"),
                       "edits[0].set-region.properties.size: given twice");
        assert_invalid(EDIT("set-region", "\"name\": \"a\", \"properties\": {\"kind\": \"ram\"}"),
                       "edits[0].set-region.properties.kind: unknown key");
        assert_invalid(EDIT("set-region", "\"name\": \"a\", \"properties\": []"),
                       "edits[0].set-region.properties: must be an object, not [] (array)");
        assert_invalid(EDIT("add-ioeventfd", "\"region\": \"a\", \"offset\": 0, "
                                             "\"length\": 4294967296"),
                       "edits[0].add-ioeventfd.length: 4294967296 is out of range: 0 to 2^32 - 1");
        assert_refused(EDIT("add-region", "\"name\": \"a\", \"kind\": \"alias\", \"size\": 1"),
                       MAP_E_INVALID_KIND,
                       "edits[0].add-region: an alias is added by \"add-alias\"");
}

static void test_too_large(void **state) {
        char *text = malloc(GUESTMAP_DOCUMENT_MAX + 1);
        Document *document;
        Detail detail = {};

        memset(text, ' ', GUESTMAP_DOCUMENT_MAX + 1);
        assert_int_equal(document_parse(&document, text, GUESTMAP_DOCUMENT_MAX + 1,
                                        &vm_limits_default, &detail),
                         MAP_E_TOO_LARGE);
        assert_string_equal(detail.text, "the document has 8388609 bytes, the limit is 8388608");
        assert_int_equal(
                document_parse(&document, text, GUESTMAP_DOCUMENT_MAX, &vm_limits_default, &detail),
                VM_E_INVALID_DOCUMENT);
        free(text);
}

static void test_too_many_regions(void **state) {
        _cleanup_(vm_freep) VM *vm = must_vm("none");
        Detail detail = {};

        vm->map->limits.regions = 1;
        assert_int_equal(try_apply(vm,
                                   LAYOUT("{\"name\": \"a\", \"kind\": \"mmio\", \"size\": 1},"
                                          "{\"name\": \"b\", \"kind\": \"mmio\", \"size\": 1}"),
                                   NULL, &detail),
                         MAP_E_QUOTA_EXCEEDED);
        assert_string_equal(detail.text, "the document has more than 1 regions, the limit Regions");
}

/* Edits come with what they need from the host. */
static void test_edits_are_equipped(void **state) {
        _cleanup_(vm_freep) VM *vm = must_vm("none");
        _cleanup_(document_freep) Document *document = NULL;
        _cleanup_(edit_list_deinit) EditList edits = {};
        const char *text = PATCH("{\"add-region\": {\"name\": \"a\", \"kind\": \"rom\", "
                                 "\"size\": 4096}},"
                                 "{\"add-ioeventfd\": {\"region\": \"a\", \"offset\": 8, "
                                 "\"length\": 4, \"match\": true, \"data\": 5}}");

        assert_int_equal(document_parse(&document, text, strlen(text), &vm_limits_default, NULL),
                         0);
        assert_true(document_is_patch(document));
        assert_int_equal(document_edits(document, vm, NULL, NULL, &edits, NULL), 0);
        assert_int_equal(edits.items[0].backing->size, 4096);
        assert_true(edits.items[1].ioeventfd->fd >= 0);
        assert_int_equal(edits.items[1].ioeventfd->offset, 8);
        assert_int_equal(edits.items[1].ioeventfd->data, 5);
}

static void write_memory(JSONWriter *writer, const void *spec) {
        json_open(writer, '{');
        json_region_memory(writer, spec);
        json_close(writer, '}');
}

static void test_memory(void **state) {
        const BackingSpec bound = {.numa = {NUMA_BIND, 8}};
        const BackingSpec interleaved = {.numa = {NUMA_INTERLEAVE, 11}};

        assert_text(report_text(write_memory, &bound),
                    "{\"numa-node\":3,\"numa-policy\":\"bind\"}\n");
        assert_text(report_text(write_memory, &interleaved),
                    "{\"numa-nodes\":\"0-1,3\",\"numa-policy\":\"interleave\"}\n");
}

UNIT_TESTS(cmocka_unit_test(test_numbers), cmocka_unit_test(test_sizes),
           cmocka_unit_test(test_outermost), cmocka_unit_test(test_layout_entries),
           cmocka_unit_test(test_long_values), cmocka_unit_test(test_names),
           cmocka_unit_test(test_flags), cmocka_unit_test(test_memory),
           cmocka_unit_test(test_devices), cmocka_unit_test(test_patch),
           cmocka_unit_test(test_bad_patches), cmocka_unit_test(test_too_large),
           cmocka_unit_test(test_too_many_regions), cmocka_unit_test(test_edits_are_equipped));
