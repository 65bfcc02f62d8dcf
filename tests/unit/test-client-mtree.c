/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is made of QEMU's dumps, rule by rule; tests/golden has those of whole machines. */

#include <string.h>

#include "client/json-print.h"
#include "client/mtree-import.h"
#include "tests/common/unit.h"

#define TREE(lines) "address-space: memory\n" lines "\n"

#define SYSTEM "  0000000000000000-ffffffffffffffff (prio 0, i/o): system\n"
#define FLAT   "FlatView #0\n AS \"memory\", root: system\n Root memory region: system\n"

static MtreeImport imported;

static int teardown(void **state) {
        mtree_import_deinit(&imported);
        return 0;
}

static void must_import(const char *tree, const char *flat) {
        MtreeError error;
        bool in_flat;

        if (mtree_import(&imported, tree, flat, &error, &in_flat) < 0)
                fail_msg("%s:%u: %s", in_flat ? "flat" : "tree", error.line, error.text);
}

static const MtreeRegion *region(const char *name) {
        for (size_t i = 0; i < imported.n_order; i++)
                if (strcmp(imported.order[i]->name, name) == 0)
                        return imported.order[i];
        fail_msg("there is no region \"%s\"", name);
        return NULL;
}

static size_t place(const char *name) {
        for (size_t i = 0; i < imported.n_order; i++)
                if (strcmp(imported.order[i]->name, name) == 0)
                        return i;
        fail_msg("there is no region \"%s\"", name);
        return 0;
}

static void assert_kind(const char *name, const char *kind) {
        assert_string_equal(mtree_region_kind(region(name)), kind);
}

static size_t count_doubts(MtreeDoubtKind kind) {
        size_t n = 0;

        for (size_t i = 0; i < imported.n_doubts; i++)
                n += imported.doubts[i].kind == kind;
        return n;
}

static void assert_doubt(MtreeDoubtKind kind, const char *name) {
        for (size_t i = 0; i < imported.n_doubts; i++)
                if (imported.doubts[i].kind == kind && imported.doubts[i].region &&
                    strcmp(imported.doubts[i].region->name, name) == 0)
                        return;
        fail_msg("\"%s\" is not doubted", name);
}

static void assert_refused(const char *tree, const char *flat, unsigned line, const char *text) {
        MtreeError error;
        bool in_flat;

        if (mtree_import(&imported, tree, flat, &error, &in_flat) >= 0)
                fail_msg("not refused");
        assert_int_equal(error.line, line);
        assert_string_equal(error.text, text);
        assert_int_equal(in_flat, flat != NULL);
}

static void test_fields(void **state) {
        must_import("address-space: cpu-memory-0\n" TREE(
                            SYSTEM "    0000000000001000-0000000000001fff (prio -7, nv-ram): a b "
                                   "[disabled]\n"),
                    NULL);
        assert_int_equal(imported.tree.n_spaces, 2);
        assert_int_equal(imported.n_order, 2);
        assert_ptr_equal(region("a b")->parent, region("system"));
        assert_int_equal(region("a b")->line->first, 0x1000);
        assert_int_equal(region("a b")->line->last, 0x1fff);
        assert_int_equal(region("a b")->line->priority, -7);
        assert_true(region("a b")->line->nonvolatile);
        assert_false(region("a b")->line->enabled);
        assert_kind("a b", "ram");
}

/* What a monitor prints around a dump, and what -o adds to it. */
static void test_noise(void **state) {
        must_import("QEMU 7.2.22 monitor - type 'help' for more information\r\n"
                    "(qemu) info mtree -D -o\r\n"
                    "address-space: memory\r\n"
                    "  0000000000000000-ffffffffffffffff (prio 0, i/o): system orphan\r\n"
                    "    0000000000000000-0000000000000fff (prio 0, ram): r [disabled] "
                    "owner:{dev id=a} parent:{obj path=/b}\r\n"
                    "\r\n"
                    "(qemu) quit\r\n",
                    "(qemu) info mtree -f -d\n" FLAT
                    "  0000000000000000-0000000000000fff (prio 0, ram): q KVM KVM\n"
                    "  Dispatch\n"
                    "    Physical sections\n"
                    "      #0 @0000000000000000\n\n");
        assert_false(region("r")->line->enabled);
        assert_string_equal(region("system")->line->name, "system");
        assert_string_equal(imported.flat.sections[0].name, "q");
        assert_int_equal(imported.flat.n_sections, 1);
}

static void test_names(void **state) {
        must_import(
                TREE(SYSTEM
                     "    0000000000000000-0000000000000000 (prio 0, i/o): x\n"
                     "    0000000000000001-0000000000000001 (prio 0, i/o): x\n"
                     "    0000000000000002-0000000000000002 (prio 0, i/o): x\n"
                     "    0000000000000003-0000000000000003 (prio 0, i/o): x#2\n") "\n"
                                                                                   "address-space: "
                                                                                   "I/O\n"
                                                                                   "  "
                                                                                   "000000000000000"
                                                                                   "0-"
                                                                                   "000000000000fff"
                                                                                   "f (prio 0, "
                                                                                   "i/o): "
                                                                                   "system\n\n"
                                                                                   "address-space: "
                                                                                   "memory\n"
                                                                                   "  "
                                                                                   "000000000000000"
                                                                                   "0-"
                                                                                   "0000000000000ff"
                                                                                   "f (prio 0, "
                                                                                   "i/o): system\n",
                NULL);
        /* In the order of placing: the last printed first. */
        assert_int_equal(region("x#2")->line->first, 3);
        assert_int_equal(region("x")->line->first, 2);
        assert_int_equal(region("x#3")->line->first, 1);
        assert_int_equal(region("x#4")->line->first, 0);
        assert_string_equal(imported.space_names[0], "memory");
        assert_string_equal(imported.space_names[1], "io");
        assert_string_equal(imported.space_names[2], "memory#2");
        assert_int_equal(region("system#3")->line->last, 0xfff);
}

/* What the flat view shows answers itself; what it does not show there does not. */
static void test_kinds(void **state) {
        must_import(TREE(SYSTEM "    0000000000000000-0000000000000fff (prio 0, i/o): shown\n"
                                "      0000000000000000-00000000000000ff (prio 0, i/o): hole\n"
                                "    0000000000002000-0000000000002fff (prio 0, i/o): hidden\n"
                                "    0000000000002000-0000000000002fff (prio 1, ram): over\n"),
                    FLAT "  0000000000000000-0000000000000fff (prio 0, i/o): shown\n"
                         "  0000000000002000-0000000000002fff (prio 1, ram): over\n");
        assert_kind("system", "container");
        assert_kind("shown", "mmio");
        assert_kind("hole", "container");
        assert_kind("hidden", "mmio");
        assert_int_equal(imported.n_doubts, 1);
        assert_doubt(MTREE_DOUBT_MMIO, "hidden");
}

static void test_order(void **state) {
        must_import(TREE(SYSTEM "    0000000000000000-0000000000002fff (prio 0, ram): low\n"
                                "    0000000000001000-0000000000001fff (prio 0, ram): first\n"
                                "    0000000000001000-0000000000001fff (prio 0, ram): second\n"),
                    FLAT "  0000000000000000-0000000000000fff (prio 0, ram): low\n"
                         "  0000000000001000-0000000000001fff (prio 0, ram): first\n"
                         "  0000000000002000-0000000000002fff (prio 0, ram): low @"
                         "0000000000002000\n");
        assert_true(place("low") < place("first"));
        assert_true(place("second") < place("first"));
        assert_int_equal(count_doubts(MTREE_DOUBT_VIEW), 0);
        assert_int_equal(count_doubts(MTREE_DOUBT_ORDER), 1);
        assert_doubt(MTREE_DOUBT_ORDER, "low"); /* and second: both are under first */
}

static void test_order_unknown(void **state) {
        must_import(TREE(SYSTEM "    0000000000000000-0000000000002fff (prio 0, ram): low\n"
                                "    0000000000001000-0000000000001fff (prio 0, ram): high\n"),
                    NULL);
        assert_true(place("high") < place("low"));
        assert_int_equal(count_doubts(MTREE_DOUBT_ORDER), 1);
        assert_doubt(MTREE_DOUBT_ORDER, "low");
}

#define RAM "memory-region: ram\n  0000000000000000-0000000000001fff (prio 0, ram): ram\n"

static void test_readonly(void **state) {
        must_import(TREE(SYSTEM
                         "    0000000000000000-0000000000000fff (prio 0, ram): alias rw @ram "
                         "0000000000000000-0000000000000fff\n"
                         "    0000000000001000-0000000000001fff (prio 0, ram): alias ro @ram "
                         "0000000000001000-0000000000001fff\n"
                         "    0000000000002000-0000000000002fff (prio 0, ram): alias off @ram "
                         "0000000000000000-0000000000000fff [disabled]\n") "\n" RAM,
                    FLAT "  0000000000000000-0000000000000fff (prio 0, ram): ram\n"
                         "  0000000000001000-0000000000001fff (prio 0, rom): ram @"
                         "0000000000001000\n");
        assert_false(region("rw")->readonly);
        assert_true(region("ro")->readonly);
        assert_ptr_equal(region("ro")->target, region("ram"));
        assert_int_equal(imported.n_doubts, 1);
        assert_doubt(MTREE_DOUBT_READONLY, "off");
}

static void test_closed_window(void **state) {
        must_import(TREE(SYSTEM
                         "    0000000000000000-0000000000000000 (prio 0, ram): alias shut @ram "
                         "0000000000000000-0000000000000000\n"
                         "    0000000000001000-0000000000001000 (prio 0, ram): alias byte @ram "
                         "0000000000000005-0000000000000005\n") "\n" RAM,
                    FLAT "  0000000000001000-0000000000001000 (prio 0, ram): ram @"
                         "0000000000000005\n");
        assert_true(region("shut")->empty);
        assert_false(region("byte")->empty);
        assert_doubt(MTREE_DOUBT_CLOSED, "shut");
        assert_int_equal(count_doubts(MTREE_DOUBT_VIEW), 0);
}

/* A tree that stands for one that was printed, and one that does not look the same. */
static void test_identity(void **state) {
        must_import(
                TREE(SYSTEM
                     "    0000000000001000-0000000000001fff (prio 0, ram): ram\n"
                     "    0000000000004000-0000000000004fff (prio 0, ram): alias a @ram "
                     "0000000000000000-0000000000000fff\n"
                     "    0000000000005000-0000000000005fff (prio 0, ram): alias b @ram "
                     "0000000000000000-0000000000000fff\n") "\n"
                                                            "memory-region: ram\n"
                                                            "  0000000000001000-0000000000001fff "
                                                            "(prio 0, ram): ram\n\n"
                                                            "memory-region: ram\n"
                                                            "  0000000000000000-0000000000001fff "
                                                            "(prio 0, ram): ram\n",
                NULL);
        assert_int_equal(imported.n_order, 5);
        assert_ptr_equal(region("a")->target, region("ram"));
        assert_ptr_equal(region("b")->target, region("ram#2"));
        assert_ptr_equal(region("ram")->parent, region("system"));
        assert_null(region("ram#2")->parent);
        assert_int_equal(count_doubts(MTREE_DOUBT_TARGET), 0);
}

/* Three aliases, two targets: the one in the middle may have either. */
static void test_target_unknown(void **state) {
        must_import(TREE(SYSTEM "    0000000000001000-0000000000001fff (prio 0, ram): alias a @ram "
                                "0000000000000000-0000000000000fff\n"
                                "    0000000000002000-0000000000002fff (prio 0, ram): alias b @ram "
                                "0000000000000000-0000000000000fff\n"
                                "    0000000000003000-0000000000003fff (prio 0, ram): alias c @ram "
                                "0000000000000000-0000000000000fff\n") "\n" RAM "\n" RAM,
                    NULL);
        assert_ptr_equal(region("a")->target, region("ram"));
        assert_ptr_equal(region("c")->target, region("ram#2"));
        assert_int_equal(count_doubts(MTREE_DOUBT_TARGET), 1);
        assert_doubt(MTREE_DOUBT_TARGET, "b");
}

/* Without -D what is below something disabled stands there alone. */
static void test_orphan(void **state) {
        must_import(
                TREE(SYSTEM
                     "      0000000000001000-0000000000001fff (prio 0, ram): lost\n"
                     "    0000000000004000-0000000000004fff (prio 0, ram): alias a @off "
                     "0000000000000000-0000000000000fff\n") "\n"
                                                            "memory-region: off\n"
                                                            "    0000000000000000-0000000000000fff "
                                                            "(prio 0, ram): below\n",
                FLAT);
        assert_int_equal(count_doubts(MTREE_DOUBT_VIEW), 0);
        assert_doubt(MTREE_DOUBT_ORPHAN, "lost");
        assert_doubt(MTREE_DOUBT_UNSEEN, "off");
        assert_ptr_equal(region("below")->parent, region("off"));
}

static void test_difference(void **state) {
        must_import(TREE(SYSTEM "    0000000000001000-0000000000001fff (prio 0, ram): ram\n"),
                    FLAT "  0000000000001000-00000000000017ff (prio 0, ram): ram\n"
                         "  0000000000005000-0000000000005fff (prio 0, ram): ram\n");
        assert_int_equal(count_doubts(MTREE_DOUBT_VIEW), 2);
        assert_string_equal(imported.doubts[0].text, "memory 0x1800-0x1fff");
        assert_string_equal(imported.doubts[1].text, "memory 0x5000-0x5fff");
}

static void test_layout(void **state) {
        _cleanup_(json_putp) json_object *layout = NULL;

        must_import(TREE(SYSTEM "    0000000000001000-0000000000001fff (prio 2, ram): alias a @ram "
                                "0000000000000800-00000000000017ff [disabled]\n") "\n" RAM,
                    NULL);
        layout = mtree_import_layout(&imported);
        assert_string_equal(
                json_object_to_json_string_ext(layout, JSON_C_TO_STRING_PLAIN),
                "{\"guestmap\":1,\"regions\":["
                "{\"name\":\"system\",\"kind\":\"container\",\"size\":\"2^64\"},"
                "{\"name\":\"a\",\"kind\":\"alias\",\"size\":\"0x1000\",\"target\":\"ram\","
                "\"target-offset\":\"0x800\",\"parent\":\"system\",\"offset\":\"0x1000\","
                "\"priority\":2,\"enabled\":false},"
                "{\"name\":\"ram\",\"kind\":\"ram\",\"size\":\"0x2000\"}],"
                "\"address-spaces\":[{\"name\":\"memory\",\"root\":\"system\"}]}");
}

static void test_no_dump(void **state) {
        assert_refused("", NULL, 0, "there is no \"address-space:\" in it");
}

static void test_other_dump(void **state) {
        assert_refused(FLAT, NULL, 1, "this is of \"info mtree -f\", not a tree");
}

static void test_bad_type(void **state) {
        assert_refused(TREE("  0000000000000000-0000000000000fff (prio 0, RW): x\n"), NULL, 2,
                       "type \"RW\" is none of i/o, ram, rom, romd, ramd");
}

static void test_bad_line(void **state) {
        assert_refused(TREE(SYSTEM "    0000-zzzz (prio 0, ram): x\n"), NULL, 3,
                       "not \"FIRST-LAST (prio N, TYPE): NAME\"");
}

static void test_bad_indent(void **state) {
        assert_refused(TREE(SYSTEM "   0-1 (prio 0, ram): x\n"), NULL, 3,
                       "indented by 3 blanks; there are 2 to 256, by twos");
}

static void test_no_name(void **state) {
        assert_refused(TREE("  0-1 (prio 0, ram): \n"), NULL, 2, "there is no name");
}

static void test_no_target(void **state) {
        assert_refused(TREE(SYSTEM "    0-1 (prio 0, ram): alias a @b 0-1\n"), NULL, 3,
                       "alias \"a\": there is no \"memory-region: b\" that it can be of");
}

static void test_second_root(void **state) {
        assert_refused(TREE(SYSTEM SYSTEM), NULL, 3, "a second root below one heading");
}

static void test_bad_flat(void **state) {
        assert_refused(TREE(SYSTEM),
                       FLAT "  0000000000000000-0000000000000fff (prio 0, ram): ram\n"
                            "  0000000000000800-0000000000000fff (prio 0, ram): ram\n",
                       5, "a section that begins before the end of the one above");
}

#define IMPORTED(test) cmocka_unit_test_teardown(test, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                IMPORTED(test_fields),      IMPORTED(test_noise),
                IMPORTED(test_names),       IMPORTED(test_kinds),
                IMPORTED(test_order),       IMPORTED(test_order_unknown),
                IMPORTED(test_readonly),    IMPORTED(test_closed_window),
                IMPORTED(test_identity),    IMPORTED(test_target_unknown),
                IMPORTED(test_orphan),      IMPORTED(test_difference),
                IMPORTED(test_layout),      IMPORTED(test_no_dump),
                IMPORTED(test_other_dump),  IMPORTED(test_bad_type),
                IMPORTED(test_bad_line),    IMPORTED(test_bad_indent),
                IMPORTED(test_no_name),     IMPORTED(test_no_target),
                IMPORTED(test_second_root), IMPORTED(test_bad_flat),
        };

        return cmocka_run_group_tests_name("client/mtree", tests, NULL, NULL);
}
