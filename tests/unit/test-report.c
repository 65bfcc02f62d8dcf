/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <json-c/json.h>
#include <string.h>

#include "daemon/vm/report.h"
#include "tests/common/apply.h"
#include "tests/common/unit.h"

static const char machine[] =
        "{\"guestmap\":1,\"regions\":[\n"
        "  {\"name\":\"a \\\"quoted\\\" \\\\ name\",\"kind\":\"reserved\",\"size\":\"0x0\"},\n"
        "  {\"name\":\"flash\",\"kind\":\"romd\",\"size\":\"0x2000\",\"romd\":false},\n"
        "  {\"name\":\"io\",\"kind\":\"mmio\",\"size\":\"0x10000\","
        "\"ioeventfds\":[{\"offset\":\"0x8\",\"length\":0},"
        "{\"offset\":\"0x10\",\"length\":8,\"match\":true,\"data\":\"0xffffffffffffffff\"}],"
        "\"coalesced\":[{\"offset\":\"0x20\",\"size\":\"0x8\"}]},\n"
        "  {\"name\":\"pc.ram\",\"kind\":\"ram\",\"size\":\"0x4000\",\"dirty-log\":true},\n"
        "  {\"name\":\"system\",\"kind\":\"container\",\"size\":\"2^64\"},\n"
        "  {\"name\":\"low\",\"kind\":\"alias\",\"size\":\"0x4000\",\"target\":\"pc.ram\","
        "\"target-offset\":\"0x0\",\"parent\":\"system\",\"offset\":\"0x0\"},\n"
        "  {\"name\":\"bios\",\"kind\":\"rom\",\"size\":\"0x1000\",\"parent\":\"system\","
        "\"offset\":\"0xfffffffffffff000\",\"priority\":-5,\"enabled\":false,"
        "\"nonvolatile\":true},\n"
        "  {\"name\":\"odd\",\"kind\":\"ram\",\"size\":\"0x1800\",\"parent\":\"system\","
        "\"offset\":\"0x8000\",\"priority\":1,\"unmergeable\":true}],\n"
        " \"address-spaces\":[\n"
        "  {\"name\":\"io\",\"root\":\"io\"},\n"
        "  {\"name\":\"memory\",\"root\":\"system\"}]}\n";

static json_object *member(json_object *object, const char *key) {
        json_object *value;

        if (!json_object_object_get_ex(object, key, &value))
                fail_msg("%s: no %s", json_object_to_json_string(object), key);
        return value;
}

static void assert_json(json_object *object, const char *expected) {
        assert_string_equal(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN),
                            expected);
}

static void test_layout(void **state) {
        _cleanup_(vm_freep) VM *vm = must_vm("none");
        uint64_t generation;

        assert_text(must_layout(vm), "{\"guestmap\":1,\"regions\":[],\n \"address-spaces\":[]}\n");
        must_apply(vm, machine);
        assert_text(must_layout(vm), machine);
        generation = vm->map->generation;
        assert_int_equal(must_apply(vm, machine).n_edits, 0);
        assert_int_equal(vm->map->generation, generation);
}

static void test_flat(void **state) {
        _cleanup_(vm_freep) VM *vm = must_vm("none");
        char *text;

        must_apply(vm, machine);
        text = report_text(report_flat, map_snapshot(vm->map));
        assert_text(text, "{\"generation\":1,\"address-spaces\":{\n"
                          "  \"io\":[\n"
                          "    {\"first\":\"0x0\",\"last\":\"0xffff\",\"region\":\"io\","
                          "\"offset\":\"0x0\",\"kind\":\"mmio\",\"flags\":[]}],\n"
                          "  \"memory\":[\n"
                          "    {\"first\":\"0x0\",\"last\":\"0x3fff\",\"region\":\"pc.ram\","
                          "\"offset\":\"0x0\",\"kind\":\"ram\",\"flags\":[\"dirty-log\"]},\n"
                          "    {\"first\":\"0x8000\",\"last\":\"0x97ff\",\"region\":\"odd\","
                          "\"offset\":\"0x0\",\"kind\":\"ram\",\"flags\":[\"unmergeable\"]}]}}\n");
}

static void test_memory_table(void **state) {
        _cleanup_(vm_freep) VM *vm = must_vm("none");
        char *text;

        must_apply(vm, machine);
        text = report_text(report_memory_table, map_snapshot(vm->map));
        assert_text(text, "{\"generation\":1,\"address-spaces\":{\n"
                          "  \"io\":[],\n"
                          "  \"memory\":[\n"
                          "    {\"first\":\"0x0\",\"last\":\"0x3fff\",\"backing\":2,"
                          "\"offset\":\"0x0\",\"flags\":[\"dirty-log\"]},\n"
                          "    {\"first\":\"0x8000\",\"last\":\"0x97ff\",\"backing\":4,"
                          "\"offset\":\"0x0\",\"flags\":[\"unmergeable\"]}]}}\n");
}

static void test_slots(void **state) {
        _cleanup_(vm_freep) VM *vm = must_vm("none");
        json_object *report, *slots;
        char *text;

        must_apply(vm, machine);
        text = report_text(report_slots, vm);
        report = json_tokener_parse(text);
        slots = member(report, "slots");
        assert_int_equal(json_object_array_length(slots), 2);
        assert_string_equal(
                json_object_get_string(member(json_object_array_get_idx(slots, 0), "last")),
                "0x3fff");
        assert_json(member(json_object_array_get_idx(slots, 0), "flags"), "[\"dirty-log\"]");
        assert_string_equal(
                json_object_get_string(member(json_object_array_get_idx(slots, 1), "last")),
                "0x8fff");
        json_object_put(report);
        free(text);
}

static void test_regions(void **state) {
        _cleanup_(vm_freep) VM *vm = must_vm("none");
        json_object *report, *regions;
        char *text;

        must_apply(vm, machine);
        text = report_text(report_regions, vm->map);
        report = json_tokener_parse(text);
        regions = member(report, "regions");
        assert_int_equal(json_object_array_length(regions), 8);
        assert_json(json_object_array_get_idx(regions, 1),
                    "{\"name\":\"bios\",\"kind\":\"rom\",\"size\":\"0x1000\","
                    "\"parent\":\"system\",\"offset\":\"0xfffffffffffff000\",\"priority\":-5,"
                    "\"enabled\":false,\"readonly\":true,\"nonvolatile\":true,"
                    "\"unmergeable\":false,\"romd\":false,\"dirty-log\":false,\"backing\":3}");
        json_object_put(report);
        free(text);
}

/* Makes the edits of a document and reports on a commit that is never applied. */
static json_object *dry_run(VM *vm, const char *document_text) {
        _cleanup_(document_freep) Document *document = NULL;
        _cleanup_(edit_list_deinit) EditList edits = {};
        _cleanup_(commit_freep) Commit *commit = NULL;
        json_object *report;
        uint64_t discarded;
        char *text;

        assert_int_equal(document_parse(&document, document_text, strlen(document_text),
                                        &vm_limits_default, NULL),
                         0);
        assert_int_equal(document_edits(document, vm, NULL, NULL, &edits, NULL), 0);
        discarded = edits_bytes_discarded(&edits, vm->map, NULL);
        for (size_t i = 0; i < edits.n; i++)
                assert_int_equal(map_edit(vm->map, &edits.items[i], NULL), 0);
        assert_int_equal(commit_new(&commit, vm->map, NULL), 0);
        assert_int_equal(report_commit(&text, vm, commit, edits.n, discarded), 0);
        map_rollback(vm->map, 0);
        report = json_tokener_parse(text);
        free(text);
        return report;
}

static void test_commit(void **state) {
        _cleanup_(vm_freep) VM *vm = must_vm("none");
        json_object *report, *memory;

        must_apply(vm, machine);
        report = dry_run(vm, "{\"guestmap\":1,\"edits\":["
                             "{\"remove-region\":{\"name\":\"low\"}},"
                             "{\"remove-region\":{\"name\":\"pc.ram\"}},"
                             "{\"set-region\":{\"name\":\"odd\",\"offset\":\"0x8800\"}},"
                             "{\"set-handler\":{\"region\":\"flash\",\"handler\":\"log\"}},"
                             "{\"set-handler\":{\"region\":\"flash\",\"handler\":\"latch\"}},"
                             "{\"enable-region\":{\"name\":\"flash\",\"enabled\":false}}]}");
        assert_json(member(report, "generation"), "2");
        assert_json(member(report, "edits"), "6");
        assert_json(member(report, "handlers"), "{\"flash\":\"latch\"}");
        assert_json(member(report, "slot-operations"),
                    "{\"delete\":2,\"move\":0,\"flags\":0,\"create\":0}");
        assert_json(member(report, "bytes-remapped"), "\"0x5000\"");
        assert_json(member(report, "bytes-unchanged-remapped"), "\"0x0\"");
        assert_json(member(report, "bytes-trapped"), "\"0x1800\"");
        assert_json(member(report, "bytes-discarded"), "\"0x4000\"");
        assert_int_equal(json_object_object_length(member(report, "address-spaces")), 1);
        memory = member(member(report, "address-spaces"), "memory");
        assert_json(member(member(memory, "removed"), "count"), "2");
        assert_json(member(memory, "added"),
                    "{\"count\":1,\"sections\":[{\"first\":\"0x8800\",\"last\":\"0x9fff\","
                    "\"region\":\"odd\",\"offset\":\"0x0\",\"kind\":\"ram\","
                    "\"flags\":[\"unmergeable\"]}]}");
        json_object_put(report);
        assert_text(must_layout(vm), machine);
}

/* The tree's part of a report, as compact JSON. */
static char *edited(VM *vm, const char *edits) {
        static const char *const keys[] = {"changed", "regions", "roots", "ioeventfds",
                                           "coalesced"};
        json_object *report, *part = json_object_new_object();
        char *document, *text;

        assert_true(asprintf(&document, "{\"guestmap\":1,\"edits\":[%s]}", edits) > 0);
        report = dry_run(vm, document);
        for (size_t i = 0; i < ELEMENTS_OF(keys); i++)
                json_object_object_add(part, keys[i], json_object_get(member(report, keys[i])));
        text = strdup(json_object_to_json_string_ext(part, JSON_C_TO_STRING_PLAIN));
        json_object_put(part);
        json_object_put(report);
        free(document);
        return text;
}

#define REGIONS(removed, added, changed)                                                           \
        "\"regions\":{\"removed\":{" removed "},\"added\":{" added "},\"changed\":{" changed "}}"
#define NONE        "\"count\":0,\"regions\":[]"
#define ONE(region) "\"count\":1,\"regions\":[" region "]"
#define NO_ROOTS    "\"roots\":{\"removed\":{},\"added\":{}}"
#define NO_DEVICES                                                                                 \
        "\"ioeventfds\":{\"removed\":0,\"added\":0},"                                              \
        "\"coalesced\":{\"removed\":0,\"added\":0}"
#define CHANGED_ONLY(before, after)                                                                \
        "{\"changed\":true," REGIONS(NONE, NONE,                                                   \
                                     ONE("{\"name\":\"odd\",\"before\":{" before "},"              \
                                         "\"after\":{" after "}}")) "," NO_ROOTS "," NO_DEVICES    \
                                                                    "}"

static void test_edited(void **state) {
        static const struct {
                const char *edits, *text;
        } cases[] = {
                {"{\"enable-region\":{\"name\":\"odd\",\"enabled\":false}},"
                 "{\"enable-region\":{\"name\":\"odd\",\"enabled\":true}}",
                 "{\"changed\":false," REGIONS(NONE, NONE, NONE) "," NO_ROOTS "," NO_DEVICES "}"},
                {"{\"set-region\":{\"name\":\"odd\",\"size\":\"0x1000\",\"unmergeable\":false}},"
                 "{\"move-region\":{\"name\":\"odd\",\"parent\":\"io\",\"offset\":16,"
                 "\"priority\":-1}}",
                 CHANGED_ONLY("\"size\":\"0x1800\",\"parent\":\"system\",\"offset\":\"0x8000\","
                              "\"priority\":1,\"unmergeable\":true",
                              "\"size\":\"0x1000\",\"parent\":\"io\",\"offset\":\"0x10\","
                              "\"priority\":-1,\"unmergeable\":false")},
                {"{\"add-region\":{\"name\":\"new\",\"kind\":\"mmio\",\"size\":1,"
                 "\"parent\":\"system\",\"offset\":\"0x8000\",\"priority\":1}},"
                 "{\"move-region\":{\"name\":\"odd\",\"parent\":\"system\",\"offset\":\"0x8000\","
                 "\"priority\":1}},"
                 "{\"remove-region\":{\"name\":\"new\"}}",
                 CHANGED_ONLY("", "")},
                /* Another region of the same name has gone and come. */
                {"{\"remove-region\":{\"name\":\"bios\"}},"
                 "{\"add-region\":{\"name\":\"bios\",\"kind\":\"ram\",\"size\":4096}}",
                 "{\"changed\":true," REGIONS(
                         ONE("{\"name\":\"bios\",\"kind\":\"rom\",\"size\":\"0x1000\","
                             "\"parent\":\"system\",\"offset\":\"0xfffffffffffff000\",\"priority\":"
                             "-5,"
                             "\"enabled\":false,\"nonvolatile\":true}"),
                         ONE("{\"name\":\"bios\",\"kind\":\"ram\",\"size\":\"0x1000\"}"),
                         NONE) "," NO_ROOTS "," NO_DEVICES "}"},
                /* So has a space with another root, but not one with the same. */
                {"{\"remove-address-space\":{\"name\":\"io\"}},"
                 "{\"add-address-space\":{\"name\":\"io\",\"root\":\"pc.ram\"}},"
                 "{\"remove-address-space\":{\"name\":\"memory\"}},"
                 "{\"add-address-space\":{\"name\":\"memory\",\"root\":\"system\"}}",
                 "{\"changed\":true," REGIONS(
                         NONE, NONE, NONE) ","
                                           "\"roots\":{\"removed\":{\"io\":\"io\"},\"added\":{"
                                           "\"io\":\"pc.ram\"}}," NO_DEVICES "}"},
                {"{\"remove-ioeventfd\":{\"region\":\"io\",\"offset\":8,\"length\":0}},"
                 "{\"add-ioeventfd\":{\"region\":\"io\",\"offset\":64,\"length\":4}},"
                 "{\"add-ioeventfd\":{\"region\":\"io\",\"offset\":72,\"length\":4}},"
                 "{\"remove-ioeventfd\":{\"region\":\"io\",\"offset\":72,\"length\":4}},"
                 "{\"clear-coalesced\":{\"region\":\"io\"}}",
                 "{\"changed\":true," REGIONS(NONE, NONE,
                                              NONE) "," NO_ROOTS ","
                                                    "\"ioeventfds\":{\"removed\":1,\"added\":1},"
                                                    "\"coalesced\":{\"removed\":1,\"added\":0}}"},
        };
        _cleanup_(vm_freep) VM *vm = must_vm("none");

        must_apply(vm, machine);
        for (size_t i = 0; i < ELEMENTS_OF(cases); i++)
                assert_text(edited(vm, cases[i].edits), cases[i].text);
        assert_text(must_layout(vm), machine);
}

/* Lists end at 64 sections, counts do not. */
static void test_commit_of_many(void **state) {
        _cleanup_(vm_freep) VM *vm = must_vm("none");
        json_object *report, *added, *regions;
        size_t length;
        char *text;
        FILE *out = open_memstream(&text, &length);

        fprintf(out, "{\"guestmap\":1,\"address-spaces\":[{\"name\":\"s\",\"root\":\"root\"}],"
                     "\"regions\":[{\"name\":\"root\",\"kind\":\"container\",\"size\":\"2^64\"}");
        for (unsigned i = 0; i < 65; i++)
                fprintf(out,
                        ",{\"name\":\"r%u\",\"kind\":\"mmio\",\"size\":16,"
                        "\"parent\":\"root\",\"offset\":%u}",
                        i, i * 32);
        fprintf(out, "]}");
        fclose(out);
        report = dry_run(vm, text);
        added = member(member(member(report, "address-spaces"), "s"), "added");
        assert_json(member(added, "count"), "65");
        assert_int_equal(json_object_array_length(member(added, "sections")), 64);
        regions = member(member(report, "regions"), "added");
        assert_json(member(regions, "count"), "66");
        assert_int_equal(json_object_array_length(member(regions, "regions")), 64);
        json_object_put(report);
        free(text);
}

UNIT_TESTS(cmocka_unit_test(test_layout), cmocka_unit_test(test_flat),
           cmocka_unit_test(test_memory_table), cmocka_unit_test(test_slots),
           cmocka_unit_test(test_regions), cmocka_unit_test(test_commit),
           cmocka_unit_test(test_edited), cmocka_unit_test(test_commit_of_many));
