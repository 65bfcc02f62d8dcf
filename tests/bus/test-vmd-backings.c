/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How memory is made, said in calls and in documents: it is so, is said again by layouts, and what
 * cannot be is refused in words
 */

#include <string.h>

#include "lib/util/rcu.h"
#include "tests/bus/rig.h"
#include "tests/common/huge-pages.h"
#include "tests/common/slow-unmap.h"
#include "tests/common/unit.h"

#define SIZE UINT64_C(0x400000)

/* An option of AddRegion's, and what is said of it. */
typedef struct Refused {
        const char *kind;
        uint64_t size;
        const char *option, *type;
        union {
                uint64_t number;
                const char *word;
        };
        const char *answer;
} Refused;

static const char *add_with(Rig *rig, const Refused *refused) {
        if (*refused->type == 's')
                return rig_call(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "dimm0", refused->kind,
                                refused->size, "", UINT64_C(0), 0, 1, refused->option,
                                refused->type, refused->word);
        if (*refused->type == 't')
                return rig_call(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "dimm0", refused->kind,
                                refused->size, "", UINT64_C(0), 0, 1, refused->option,
                                refused->type, refused->number);
        return rig_call(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "dimm0", refused->kind,
                        refused->size, "", UINT64_C(0), 0, 1, refused->option, refused->type,
                        (uint32_t)refused->number);
}

static void test_refused(void **state) {
        static const Refused all[] = {
                {"ram",
                 SIZE,
                 "hugepage-size",
                 "t",
                 {.number = 3 << 20},
                 "InvalidArgs: memory of \"dimm0\": there are no huge pages of 3MiB; the host "
                 "has: "},
                {"ram",
                 SIZE,
                 "hugepage-size",
                 "u",
                 {.number = 1},
                 "InvalidArgs: option \"hugepage-size\" is of type u, not t"},
                {"ram",
                 SIZE,
                 "numa-node",
                 "u",
                 {.number = 63},
                 "InvalidArgs: memory of \"dimm0\": there is no NUMA node 63; the host has: "},
                {"ram",
                 SIZE,
                 "numa-nodes",
                 "s",
                 {.word = "0-64"},
                 "InvalidArgs: memory of \"dimm0\": numa-nodes \"0-64\" is no list of nodes from "
                 "0 to 63, such as 0-1,3"},
                {"ram",
                 SIZE,
                 "numa-policy",
                 "s",
                 {.word = "bind"},
                 "InvalidArgs: memory of \"dimm0\": a numa-policy needs a numa-node"},
                {"mmio",
                 SIZE,
                 "prealloc",
                 "b",
                 {.number = 1},
                 "InvalidKind: region \"dimm0\": how memory is made is for memory, this is mmio"},
                {"container",
                 SIZE,
                 "hugepage-size",
                 "t",
                 {.number = HUGE_2M},
                 "InvalidKind: region \"dimm0\": how memory is made is for memory, this is "
                 "container"},
        };
        Rig *rig = rig_new_vm();
        char *before = rig_state(rig);

        for (size_t i = 0; i < ELEMENTS_OF(all); i++) {
                const char *answer = add_with(rig, &all[i]);

                if (strncmp(answer, all[i].answer, strlen(all[i].answer)) != 0)
                        fail_msg("%s", answer);
        }
        assert_text(rig_state(rig), before);
        free(before);
        rig_free(rig);
}

#define LAYOUT(region) "{\"guestmap\": 1, \"regions\": [{" region "}]}"
#define DIMM           "\"name\": \"dimm0\", \"kind\": \"ram\", \"size\": \"4MiB\", "

static const char *apply(Rig *rig, const char *document) {
        return rig_call(rig, RIG_VM, "Map.Apply", "sa{sv}", document, 0);
}

static void test_refused_in_documents(void **state) {
        static const struct {
                const char *document, *answer;
        } all[] = {
                {LAYOUT(DIMM "\"numa-policy\": \"bind\""),
                 "InvalidDocument: regions[0]: memory of \"dimm0\": a numa-policy needs a "
                 "numa-node"},
                {LAYOUT(DIMM "\"numa-node\": 0, \"numa-policy\": \"near\""),
                 "InvalidDocument: regions[0]: memory of \"dimm0\": numa-policy \"near\" is "
                 "none of bind, preferred, interleave"},
                {LAYOUT(DIMM "\"numa-node\": 0, \"numa-nodes\": \"0\""),
                 "InvalidDocument: regions[0]: memory of \"dimm0\": of numa-node and numa-nodes "
                 "there can be one only"},
                {LAYOUT(DIMM "\"numa-nodes\": \"0,63\""),
                 "InvalidArgs: memory of \"dimm0\": there is no NUMA node 63; the host has: "},
                {LAYOUT("\"name\": \"m\", \"kind\": \"mmio\", \"size\": 1, \"dump\": true"),
                 "InvalidKind: regions[0]: kind mmio has no memory that could be made so"},
                {LAYOUT(DIMM "\"prealloc\": 1"),
                 "InvalidDocument: regions[0].prealloc: must be true or false, not 1 (int)"},
                {LAYOUT(DIMM "\"hugepage-size\": \"3MiB\""),
                 "InvalidArgs: memory of \"dimm0\": there are no huge pages of 3MiB; the host "
                 "has: "},
        };
        Rig *rig = rig_new_vm();
        char *before = rig_state(rig);

        for (size_t i = 0; i < ELEMENTS_OF(all); i++) {
                const char *answer = apply(rig, all[i].document);

                if (strncmp(answer, all[i].answer, strlen(all[i].answer)) != 0)
                        fail_msg("%s", answer);
        }
        assert_text(rig_state(rig), before);
        free(before);
        rig_free(rig);
}

static bool has_node(void) {
        if (access("/sys/devices/system/node/node0", F_OK) == 0)
                return true;
        print_message("# the kernel knows no nodes\n");
        return false;
}

/* What AddRegion was told a layout tells, and makes again. */
static void test_layout(void **state) {
        static const char made[] =
                "\"prealloc\":true,\"numa-node\":0,\"numa-policy\":\"preferred\","
                "\"dump\":true";
        char *layout, *text;
        Rig *rig;

        if (!has_node())
                skip();
        rig = rig_new_vm();
        rig_call(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "dimm0", "ram", SIZE, "", UINT64_C(0),
                 0, 4, "prealloc", "b", 1, "numa-node", "u", 0, "numa-policy", "s", "preferred",
                 "dump", "b", 1);
        assert_string_equal(rig->text, "2");
        layout = strdup(rig_call(rig, RIG_VM, "VM.GetLayout", "a{sv}", 0));
        assert_non_null(strstr(layout, made));
        rig_free(rig);

        rig = rig_new_vm();
        apply(rig, layout);
        text = strdup(rig_call(rig, RIG_VM, "VM.GetLayout", "a{sv}", 0));
        assert_text(text, layout);
        free(layout);
        rig_free(rig);
}

/* What is there stays as it is; pages of another size are other memory. */
static void test_what_is_there(void **state) {
        Rig *rig = rig_new_vm();

        apply(rig, LAYOUT(DIMM "\"dump\": false"));
        assert_non_null(strstr(apply(rig, LAYOUT(DIMM "\"dump\": true")), "\"edits\":0,"));
        if (!huge_pages_take(HUGE_2M, 2)) {
                print_message("# the host gives no huge pages\n");
                rig_free(rig);
                skip();
        }
        assert_string_equal(rig_call(rig, RIG_VM, "Map.Apply", "sa{sv}",
                                     LAYOUT(DIMM "\"hugepage-size\": \"2MiB\""), 1, "keep-memory",
                                     "b", 1),
                            "InUse: region \"dimm0\" would lose its contents, of 4MiB of "
                            "RAM in all, and keep-memory is set");
        assert_non_null(strstr(apply(rig, LAYOUT(DIMM "\"hugepage-size\": \"2MiB\"")),
                               "\"bytes-discarded\":\"0x400000\""));
        assert_non_null(strstr(rig_call(rig, RIG_VM, "VM.GetLayout", "a{sv}", 0),
                               "\"hugepage-size\":\"0x200000\""));
        rig_free(rig);
        huge_pages_give_back();
}

/* Of huge pages it is memory as any: it can be read and written, and has a slot. */
static void test_huge(void **state) {
        Rig *rig = rig_new_vm();

        if (!huge_pages_take(HUGE_2M, 2)) {
                print_message("# the host gives no huge pages\n");
                rig_free(rig);
                skip();
        }
        assert_string_equal(rig_call(rig, RIG_VM, "Map.AddRegion", "sststia{sv}", "dimm0", "ram",
                                     SIZE, "system", UINT64_C(0), 0, 3, "hugepage-size", "t",
                                     HUGE_2M, "prealloc", "b", 1, "dump", "b", 1),
                            "2");
        assert_string_equal(
                rig_call(rig, RIG_MEMORY, "AddressSpace.Write", "tay", SIZE - 2, 2, 'g', 'm'), "");
        assert_string_equal(
                rig_call(rig, RIG_MEMORY, "AddressSpace.Read", "tt", SIZE - 3, UINT64_C(3)),
                "[0, 103, 109]");
        assert_string_equal(rig_call(rig, RIG_VM, "VM.GetSlots", ""), "[(0 0 4194303 0 1 0)]");
        assert_string_equal(rig_remove(rig, RIG_VM, "dimm0"), "3");
        rig_free(rig);
        huge_pages_give_back();
}

#define LARGE_DIMM "\"name\": \"dimm0\", \"kind\": \"ram\", \"size\": \"64MiB\""

/* What the last one has left is still there, and others are answered, by the same loop. */
static void assert_loop_goes_on(Rig *rig, const char *sender) {
        rcu_barrier_all();
        assert_true(memory_is_mapped("dimm0"));
        rig->sender = sender;
        assert_non_null(strstr(rig_call(rig, RIG_MEMORY, "AddressSpace.Find", "t", BACKING_LARGE),
                               " (67108864 67112959 rest 0 ram 0)"));
        rig->sender = NULL;
}

/* Large memory takes the kernel a while, which is nobody's. */
static void test_freed_beside_calls(void **state) {
        Rig *rig = rig_new_vm();

        rig_announce(rig, ":1.2", 1000);
        rig_add(rig, RIG_VM, "rest", "ram", 4096, "system", BACKING_LARGE);
        rig_add(rig, RIG_VM, "dimm0", "ram", BACKING_LARGE, "system", 0);
        slow_unmap_begin();
        assert_string_equal(rig_remove(rig, RIG_VM, "dimm0"), "4");
        assert_loop_goes_on(rig, ":1.2");
        slow_unmap_end("dimm0");

        apply(rig, "{\"guestmap\": 1, \"edits\": [{\"add-region\": {" LARGE_DIMM "}}]}");
        slow_unmap_begin();
        apply(rig, "{\"guestmap\": 1, \"edits\": [{\"remove-region\": {\"name\": \"dimm0\"}}, "
                   "{\"add-region\": {\"name\": \"a\", \"kind\": \"ram\", \"size\": 1}}]}");
        assert_string_equal(rig_get(rig, RIG_VM, "org.guestmap1.VM", "Generation"), "6");
        assert_loop_goes_on(rig, ":1.2");
        slow_unmap_end("dimm0");
        rig_free(rig);
}

/* Nor does a VM that ends wait for it. */
static void test_freed_behind_its_end(void **state) {
        Rig *rig = rig_new_vm();

        rig_add(rig, RIG_VM, "dimm0", "ram", BACKING_LARGE, "system", 0);
        slow_unmap_begin();
        rig_free(rig);
        assert_true(memory_is_mapped("dimm0"));
        slow_unmap_end("dimm0");
}

UNIT_TESTS(cmocka_unit_test(test_refused), cmocka_unit_test(test_refused_in_documents),
           cmocka_unit_test(test_layout), cmocka_unit_test(test_what_is_there),
           cmocka_unit_test(test_huge), cmocka_unit_test(test_freed_beside_calls),
           cmocka_unit_test(test_freed_behind_its_end));
