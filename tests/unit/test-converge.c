/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/vm/report.h"
#include "tests/common/apply.h"
#include "tests/common/edit-text.h"
#include "tests/common/unit.h"

#define BEGIN  "{\"guestmap\": 1, \"regions\": ["
#define SPACES "], \"address-spaces\": ["
#define END    "]}"
#define SYSTEM "{\"name\": \"system\", \"kind\": \"container\", \"size\": \"2^64\"}"
#define MEMORY SPACES "{\"name\": \"memory\", \"root\": \"system\"}" END

/* Regions in "system" as "memory" shows it. */
#define LAYOUT(...) BEGIN SYSTEM __VA_ARGS__ MEMORY
/* One at a time. */
#define IN(parent, name, kind, size, offset, more)                                                 \
        ", {\"name\": \"" name "\", \"kind\": \"" kind "\", \"size\": " #size                      \
        ", \"parent\": \"" parent "\", \"offset\": " #offset more "}"
#define MMIO(name, offset) IN("system", name, "mmio", 16, offset, "")
#define UNPLACED(name, kind, more)                                                                 \
        ", {\"name\": \"" name "\", \"kind\": \"" kind "\", \"size\": 4096" more "}"
#define ALIAS(parent, name, target, offset)                                                        \
        IN(parent, name, "alias", 4096, offset, ", \"target\": \"" target "\"")

static char *edits_of(VM *vm, const char *text) {
        _cleanup_(document_freep) Document *document = NULL;
        _cleanup_(edit_list_deinit) EditList edits = {};
        Detail detail = {};

        if (document_parse(&document, text, strlen(text), &vm_limits_default, &detail) != 0 ||
            document_edits(document, vm, NULL, NULL, &edits, &detail) != 0)
                fail_msg("%s: %s", text, detail.text);
        return edits_text(&edits);
}

/* Per region, by name: everything about it; its children, those that win first. */
static char *tree_text(const VM *vm) {
        size_t length;
        char *text;
        FILE *out = open_memstream(&text, &length);
        Region *region, *child, *other;

        RB_FOREACH(region, RegionsByName, &vm->map->regions) {
                const RegionState *s = &region->state;
                const IOEventFD *ioeventfd = ioeventfds_first(&region->ioeventfds, 0);
                const Coalesced *zone = zones_first(&region->coalesced, 0);
                uint64_t sum = 0, zones = 0;

                for (; ioeventfd; ioeventfd = ioeventfd_next(ioeventfd))
                        sum += ioeventfd->offset * 131 + ioeventfd->length * 17 + ioeventfd->data;
                for (; zone; zone = coalesced_next(zone))
                        zones += zone->range.first * 131 + zone->range.last;
                fprintf(out,
                        "%s %d %" PRIx64 " in %s @%" PRIx64 " %d of %s +%" PRIx64 " %x %" PRIx64
                        " %" PRIx64 ":",
                        region->name, region->kind, s->size, s->parent ? s->parent->name : "-",
                        s->offset, s->priority, region->target ? region->target->name : "-",
                        s->target_offset, s->flags, sum, zones);
                RB_FOREACH(child, RegionsByName, &vm->map->regions) {
                        unsigned rank = 0;

                        if (child->state.parent != region)
                                continue;
                        for (other = NULL; (other = region_child_any(region, other));)
                                rank += region_precedes(other, child);
                        fprintf(out, " %s=%u", child->name, rank);
                }
                fputc('\n', out);
        }
        fclose(out);
        return text;
}

/* All views, without the generation in front. */
static char *flat_text(const VM *vm) {
        char *text = report_text(report_flat, map_snapshot(vm->map)), *views;

        views = strdup(strchr(text, ','));
        free(text);
        return views;
}

static void assert_same_map(const VM *vm, const VM *other) {
        char *text = tree_text(other);

        assert_text(tree_text(vm), text);
        free(text);
        text = flat_text(other);
        assert_text(flat_text(vm), text);
        free(text);
}

/* From one layout to another: by these edits, to the right map, and to rest. */
static void assert_converges(const char *from, const char *to, const char *edits) {
        _cleanup_(vm_freep) VM *vm = must_vm("none"), *fresh = must_vm("none");

        must_apply(vm, from);
        assert_text(edits_of(vm, to), edits);
        must_apply(vm, to);
        must_apply(fresh, to);
        assert_same_map(vm, fresh);
        assert_text(edits_of(vm, to), "");
}

static void test_from_nothing(void **state) {
        assert_converges(BEGIN END, LAYOUT(MMIO("a", 0)),
                         "add container \"system\" 0xffffffffffffffff flags 0x100\n"
                         "add mmio \"a\" 0x10 in \"system\" @0x0 priority 0 flags 0x100\n"
                         "add space \"memory\" of \"system\"\n");
        assert_converges(LAYOUT(MMIO("a", 0)), BEGIN END,
                         "remove space \"memory\"\n"
                         "remove \"a\"\n"
                         "remove \"system\"\n");
}

static void test_properties(void **state) {
        assert_converges(
                LAYOUT(MMIO("a", 0) UNPLACED("r", "ram", "")),
                LAYOUT(IN("system", "a", "mmio", 32, 64,
                          ", \"priority\": -2, "
                          "\"enabled\": false") UNPLACED("r", "rom", ", \"dirty-log\": true")),
                "set \"a\" size 0x20 offset 0x40 priority -2 flags 0x0/0x100\n"
                "set \"r\" flags 0x11/0x11\n");
        assert_converges(LAYOUT(UNPLACED("f", "romd", "") ALIAS("system", "a", "f", 0)),
                         LAYOUT(UNPLACED("f", "romd", ", \"romd\": false")
                                        IN("system", "a", "alias", 4096, 0,
                                           ", \"target\": \"f\", \"target-offset\": 16")),
                         "set \"f\" flags 0x0/0x8\n"
                         "set \"a\" target-offset 0x10\n");
}

static void test_order(void **state) {
        const char *abcd = LAYOUT(MMIO("a", 0) MMIO("b", 8) MMIO("c", 16) MMIO("d", 24));

        assert_converges(abcd, LAYOUT(MMIO("d", 24) MMIO("a", 0) MMIO("b", 8) MMIO("c", 16)),
                         "move \"d\" in \"system\" @0x18 priority 0\n");
        assert_converges(abcd, LAYOUT(MMIO("b", 8) MMIO("c", 16) MMIO("d", 24) MMIO("a", 0)),
                         "move \"a\" in \"system\" @0x0 priority 0\n");
        assert_converges(abcd, LAYOUT(MMIO("b", 8) MMIO("a", 0) MMIO("d", 24) MMIO("c", 16)),
                         "move \"b\" in \"system\" @0x8 priority 0\n"
                         "move \"d\" in \"system\" @0x18 priority 0\n");
        assert_converges(
                abcd, LAYOUT(MMIO("a", 0) MMIO("new", 4) MMIO("b", 8) MMIO("c", 16) MMIO("d", 24)),
                "add mmio \"new\" 0x10 in \"system\" @0x4 priority 0 flags 0x100\n");
        /* Priorities split the group: what leaves it needs no other place. */
        assert_converges(abcd,
                         LAYOUT(MMIO("b", 8) MMIO("c", 16) MMIO("d", 24)
                                        IN("system", "a", "mmio", 16, 0, ", \"priority\": 1")),
                         "set \"a\" priority 1\n");
}

static void test_forward_references(void **state) {
        assert_converges(BEGIN END,
                         BEGIN "{\"name\": \"leaf\", \"kind\": \"mmio\", \"size\": 1, "
                               "\"parent\": \"box\"}, "
                               "{\"name\": \"first\", \"kind\": \"alias\", \"size\": 1, "
                               "\"target\": \"second\"}, "
                               "{\"name\": \"second\", \"kind\": \"alias\", \"size\": 1, "
                               "\"target\": \"box\"}, "
                               "{\"name\": \"box\", \"kind\": \"container\", \"size\": 1}" END,
                         "add container \"box\" 0x1 flags 0x100\n"
                         "add mmio \"leaf\" 0x1 in \"box\" @0x0 priority 0 flags 0x100\n"
                         "add alias \"second\" 0x1 of \"box\" +0x0 flags 0x100\n"
                         "add alias \"first\" 0x1 of \"second\" +0x0 flags 0x100\n");
}

static void test_kind_changes(void **state) {
        assert_converges(
                LAYOUT(IN("system", "bar", "mmio", 4096, 0, "") IN("bar", "msix", "mmio", 16, 0, "")
                               ALIAS("system", "w", "bar", 8192)),
                LAYOUT(IN("system", "bar", "container", 4096, 0, "") IN(
                        "bar", "msix", "mmio", 16, 0, "") ALIAS("system", "w", "bar", 8192)),
                "move \"msix\" out\n"
                "remove \"w\"\n"
                "remove \"bar\"\n"
                "add container \"bar\" 0x1000 in \"system\" @0x0 priority 0 flags 0x100\n"
                "move \"msix\" in \"bar\" @0x0 priority 0\n"
                "add alias \"w\" 0x1000 of \"bar\" +0x0 in \"system\" @0x2000 priority 0 "
                "flags 0x100\n");
}

static void test_target_changes(void **state) {
        assert_converges(LAYOUT(UNPLACED("r", "ram", "") UNPLACED("s", "ram", "")
                                        ALIAS("system", "a", "r", 0)
                                                UNPLACED("b", "alias", ", \"target\": \"a\"")),
                         LAYOUT(UNPLACED("r", "ram", "") UNPLACED("s", "ram", "")
                                        ALIAS("system", "a", "s", 0)
                                                UNPLACED("b", "alias", ", \"target\": \"a\"")),
                         "remove \"b\"\n"
                         "remove \"a\"\n"
                         "add alias \"a\" 0x1000 of \"s\" +0x0 in \"system\" @0x0 priority 0 "
                         "flags 0x100\n"
                         "add alias \"b\" 0x1000 of \"a\" +0x0 flags 0x100\n");
}

static void test_spaces(void **state) {
        assert_converges(BEGIN SYSTEM UNPLACED("x", "mmio", "") SPACES
                         "{\"name\": \"keep\", \"root\": \"system\"}, "
                         "{\"name\": \"gone\", \"root\": \"system\"}, "
                         "{\"name\": \"other\", \"root\": \"system\"}, "
                         "{\"name\": \"remade\", \"root\": \"x\"}" END,
                         BEGIN SYSTEM UNPLACED("x", "container", "") SPACES
                         "{\"name\": \"new\", \"root\": \"x\"}, "
                         "{\"name\": \"keep\", \"root\": \"system\"}, "
                         "{\"name\": \"other\", \"root\": \"x\"}, "
                         "{\"name\": \"remade\", \"root\": \"x\"}" END,
                         "remove space \"gone\"\n"
                         "remove space \"other\"\n"
                         "remove space \"remade\"\n"
                         "remove \"x\"\n"
                         "add container \"x\" 0x1000 flags 0x100\n"
                         "add space \"new\" of \"x\"\n"
                         "add space \"other\" of \"x\"\n"
                         "add space \"remade\" of \"x\"\n");
}

/* A container and what is in it change places, in either order of the document. */
static void test_turned_inside_out(void **state) {
        const char *inner_first = LAYOUT(IN("system", "in", "container", 64, 0, "")
                                                 IN("in", "out", "container", 64, 0, ""));
        const char *outer_first = LAYOUT(IN("out", "in", "container", 64, 0, "")
                                                 IN("system", "out", "container", 64, 0, ""));

        assert_converges(outer_first, inner_first,
                         "move \"in\" in \"system\" @0x0 priority 0\n"
                         "move \"out\" in \"in\" @0x0 priority 0\n");
        assert_converges(inner_first, outer_first,
                         "move \"out\" in \"system\" @0x0 priority 0\n"
                         "move \"in\" in \"out\" @0x0 priority 0\n");
}

/* An alias that is about to leave a container would, until then, close a loop. */
static void test_alias_in_the_way(void **state) {
        assert_converges(LAYOUT(IN("system", "r", "container", 4096, 0, "")
                                        IN("system", "p", "container", 4096, 4096, "")
                                                ALIAS("r", "a", "p", 0)),
                         LAYOUT(IN("p", "r", "container", 4096, 0, "")
                                        IN("system", "p", "container", 4096, 4096, "")
                                                ALIAS("system", "a", "p", 8192)),
                         "move \"r\" out\n"
                         "move \"a\" out\n"
                         "set \"a\" size 0x0\n"
                         "move \"r\" in \"p\" @0x0 priority 0\n"
                         "set \"a\" size 0x1000\n"
                         "move \"a\" in \"system\" @0x2000 priority 0\n");
}

/* Either way one size or the other would reach beyond 2^64 for a while. */
static void test_top_of_the_address_space(void **state) {
        const char *low = LAYOUT(IN("system", "box", "container", "2^64", 0, "")
                                         IN("system", "a", "mmio", "0x10000", 0, ""));
        const char *high = LAYOUT(IN("system", "box", "container", "2^64", 0, "")
                                          IN("box", "a", "mmio", 4096, "0xfffffffffffff000", ""));

        assert_converges(low, high,
                         "set \"a\" size 0x1000\n"
                         "move \"a\" in \"box\" @0xfffffffffffff000 priority 0\n");
        assert_converges(high, low,
                         "move \"a\" in \"system\" @0x0 priority 0\n"
                         "set \"a\" size 0x10000\n");
}

static void test_devices(void **state) {
        assert_converges(LAYOUT(IN("system", "d", "mmio", 256, 0,
                                   ", \"ioeventfds\": [{\"offset\": 0, \"length\": 4}, "
                                   "{\"offset\": 8, \"length\": 4}], "
                                   "\"coalesced\": [{\"offset\": 0, \"size\": 8}]")),
                         LAYOUT(IN("system", "d", "mmio", 256, 0,
                                   ", \"ioeventfds\": [{\"offset\": 16, \"length\": 0}, "
                                   "{\"offset\": 8, \"length\": 4}], "
                                   "\"coalesced\": [{\"offset\": 0, \"size\": 8}, "
                                   "{\"offset\": 32, \"size\": 8}]")),
                         "remove ioeventfd \"d\" @0x0 length 4 data 0x0\n"
                         "add ioeventfd \"d\" @0x10 length 0 data 0x0\n"
                         "add zone \"d\" @0x20 0x8\n");
        assert_converges(LAYOUT(IN("system", "d", "mmio", 256, 0,
                                   ", \"coalesced\": [{\"offset\": 0, \"size\": 8}, "
                                   "{\"offset\": 32, \"size\": 8}]")),
                         LAYOUT(IN("system", "d", "mmio", 256, 0,
                                   ", \"coalesced\": [{\"offset\": 32, \"size\": 8}]")),
                         "clear zones \"d\"\n"
                         "add zone \"d\" @0x20 0x8\n");
}

static void test_loops(void **state) {
        _cleanup_(vm_freep) VM *vm = must_vm("none");
        Detail detail = {};

        assert_int_equal(try_apply(vm,
                                   LAYOUT(IN("y", "x", "container", 64, 0, "")
                                                  IN("x", "y", "container", 64, 0, "")),
                                   NULL, &detail),
                         MAP_E_WOULD_LOOP);
        assert_string_equal(detail.text, "region \"x\" would be inside itself");
        assert_int_equal(try_apply(vm,
                                   LAYOUT(UNPLACED("x", "alias", ", \"target\": \"y\"")
                                                  UNPLACED("y", "alias", ", \"target\": \"x\"")),
                                   NULL, &detail),
                         MAP_E_WOULD_LOOP);
        assert_int_equal(try_apply(vm, LAYOUT(ALIAS("system", "x", "system", 0)), NULL, &detail),
                         MAP_E_WOULD_LOOP);
        assert_int_equal(vm->map->n_regions, 0);
        assert_int_equal(vm->map->generation, 0);
}

static uint64_t *memory_of(const VM *vm, const char *name) {
        return map_find_region(vm->map, name)->backing->host;
}

static void test_contents(void **state) {
        _cleanup_(vm_freep) VM *vm = must_vm("none");
        Applied applied;
        Detail detail = {};

        must_apply(vm, LAYOUT(IN("system", "stays", "ram", 8192, 0, "")
                                      IN("system", "goes", "ram", 8192, 8192, "")
                                              IN("system", "turns", "ram", 8192, 16384, "")));
        *memory_of(vm, "stays") = *memory_of(vm, "turns") = 1234;
        applied = must_apply(vm, LAYOUT(UNPLACED("stays", "rom", "")
                                                IN("system", "turns", "romd", 8192, 16384, "")));
        assert_int_equal(*memory_of(vm, "stays"), 1234);
        assert_int_equal(*memory_of(vm, "turns"), 0);
        assert_int_equal(applied.discarded, 16384);

        /* It has become smaller, its backing has not; beyond that is no way. */
        applied = must_apply(vm, LAYOUT(IN("system", "stays", "ram", 8192, 0, "")));
        assert_int_equal(*memory_of(vm, "stays"), 1234);
        assert_int_equal(
                try_apply(vm, LAYOUT(IN("system", "stays", "ram", 12288, 0, "")), NULL, &detail),
                MAP_E_INVALID_RANGE);
        assert_string_equal(detail.text, "region \"stays\": size 0x3000 lies beyond its backing "
                                         "(size 0x2000)");
        assert_int_equal(*memory_of(vm, "stays"), 1234);
}

/* Random layouts */

enum { N_NAMES = 12 };

static unsigned pick(unsigned *seed, unsigned n) {
        return (unsigned)rand_r(seed) % n;
}

static void write_region(FILE *out, unsigned *seed, unsigned i) {
        static const char *const kinds[] = {"container", "container", "mmio",  "ram",
                                            "romd",      "reserved",  "alias", "alias"};
        const char *kind = i % 4 == 3 ? kinds[pick(seed, 8)] : kinds[(i * 5) % 8];
        bool is_alias = strcmp(kind, "alias") == 0, is_mmio = strcmp(kind, "mmio") == 0;
        bool is_ram = strcmp(kind, "ram") == 0 || strcmp(kind, "romd") == 0;

        fprintf(out, "%s{\"name\": \"r%u\", \"kind\": \"%s\", \"size\": %u", i ? ", " : "", i, kind,
                is_ram ? 65536 : 16384 << pick(seed, 3));
        if (is_alias)
                fprintf(out, ", \"target\": \"r%u\", \"target-offset\": %u", pick(seed, N_NAMES),
                        pick(seed, 3) * 4096);
        if (pick(seed, 5))
                fprintf(out, ", \"parent\": \"r%u\", \"offset\": %u, \"priority\": %d",
                        pick(seed, N_NAMES), pick(seed, 4) * 8192, (int)pick(seed, 2) - 1);
        if (pick(seed, 4) == 0)
                fprintf(out, ", \"readonly\": true");
        if (pick(seed, 4) == 0)
                fprintf(out, ", \"enabled\": false");
        if (is_mmio && pick(seed, 2))
                fprintf(out, ", \"ioeventfds\": [{\"offset\": %u, \"length\": 4}]",
                        pick(seed, 4) * 8);
        if (is_mmio && pick(seed, 2))
                fprintf(out, ", \"coalesced\": [{\"offset\": %u, \"size\": 8}]", pick(seed, 4) * 8);
        fputc('}', out);
}

/* Some of these are not maps: loops, aliases as parents. */
static char *random_layout(unsigned *seed) {
        size_t length;
        char *text;
        FILE *out = open_memstream(&text, &length);

        fputs(BEGIN, out);
        for (unsigned i = 0; i < N_NAMES; i++)
                write_region(out, seed, i);
        fprintf(out,
                SPACES "{\"name\": \"memory\", \"root\": \"r%u\"}, "
                       "{\"name\": \"s\", \"root\": \"r%u\"}" END,
                pick(seed, N_NAMES), pick(seed, N_NAMES));
        fclose(out);
        return text;
}

/* One that is a map; that map, made of an empty one, is left in `fresh`. */
static char *random_map(VM *fresh, unsigned *seed) {
        for (;;) {
                char *text = random_layout(seed);

                must_apply(fresh, BEGIN END);
                if (try_apply(fresh, text, NULL, NULL) == 0)
                        return text;
                free(text);
        }
}

static void test_random_layouts(void **state) {
        _cleanup_(vm_freep) VM *vm = must_vm("none"), *fresh = must_vm("none");
        unsigned seed = 7;

        for (unsigned round = 0; round < 500; round++) {
                char *layout = random_map(fresh, &seed);

                must_apply(vm, layout);
                assert_same_map(vm, fresh);
                assert_text(edits_of(vm, layout), "");
                free(layout);
        }
}

/* Large maps */

enum { N_LARGE = 100000 };

static char *large_layout(unsigned first, unsigned step) {
        size_t length;
        char *text;
        FILE *out = open_memstream(&text, &length);

        fputs(BEGIN SYSTEM, out);
        for (unsigned i = 0; i < N_LARGE; i++) {
                unsigned number = (unsigned)((first + (uint64_t)i * step) % N_LARGE);

                fprintf(out,
                        ",{\"name\":\"r%u\",\"kind\":\"mmio\",\"size\":1,"
                        "\"parent\":\"system\",\"offset\":%u}",
                        number, number * 2);
        }
        fputs(MEMORY, out);
        fclose(out);
        return text;
}

/* The time-out of the test is what keeps this from being quadratic. */
static void test_large(void **state) {
        _cleanup_(vm_freep) VM *vm = must_vm("none");
        char *ordered = large_layout(0, 1), *rotated = large_layout(N_LARGE - 1, 1),
             *shuffled = large_layout(17, 12347);

        assert_int_equal(must_apply(vm, ordered).n_edits, N_LARGE + 2);
        assert_int_equal(must_apply(vm, ordered).n_edits, 0);
        assert_int_equal(must_apply(vm, rotated).n_edits, 1);
        assert_true(must_apply(vm, shuffled).n_edits > N_LARGE / 2);
        assert_int_equal(must_apply(vm, shuffled).n_edits, 0);
        assert_int_equal(must_apply(vm, BEGIN END).n_edits, N_LARGE + 2);
        free(ordered);
        free(rotated);
        free(shuffled);
}

/* As deep as it goes: no recursion. */
/* Each region in the one that comes after it. The caller frees. */
static char *nested(unsigned n) {
        size_t length;
        char *text;
        FILE *out = open_memstream(&text, &length);

        fputs(BEGIN, out);
        for (unsigned i = 1; i < n; i++)
                fprintf(out,
                        "{\"name\":\"r%u\",\"kind\":\"container\",\"size\":1,"
                        "\"parent\":\"r%u\"},",
                        i, i + 1);
        fprintf(out, "{\"name\":\"r%u\",\"kind\":\"container\",\"size\":1}" END, n);
        fclose(out);
        return text;
}

static void test_deep(void **state) {
        _cleanup_(vm_freep) VM *vm = must_vm("none");
        _cleanup_(freep) char *deep = nested(128), *too_deep = nested(5000);
        Applied applied;
        Detail detail;

        must_apply(vm, deep);
        assert_int_equal(must_apply(vm, BEGIN END).n_edits, 128);
        assert_int_equal(try_apply(vm, too_deep, &applied, &detail), MAP_E_TOO_LARGE);
        assert_non_null(strstr(detail.text, "128"));
}

UNIT_TESTS(cmocka_unit_test(test_from_nothing), cmocka_unit_test(test_properties),
           cmocka_unit_test(test_order), cmocka_unit_test(test_forward_references),
           cmocka_unit_test(test_kind_changes), cmocka_unit_test(test_target_changes),
           cmocka_unit_test(test_spaces), cmocka_unit_test(test_turned_inside_out),
           cmocka_unit_test(test_alias_in_the_way), cmocka_unit_test(test_top_of_the_address_space),
           cmocka_unit_test(test_devices), cmocka_unit_test(test_loops),
           cmocka_unit_test(test_contents), cmocka_unit_test(test_random_layouts),
           cmocka_unit_test(test_large), cmocka_unit_test(test_deep));
