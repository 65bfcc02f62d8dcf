/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Flat views: look-up, merging, cutting, and who keeps what alive. */

#include "lib/memory/flat-view.h"
#include "tests/common/made-view.h"
#include "tests/common/scene.h"
#include "tests/common/unit.h"

static Region *make_region(const char *name) {
        Region *region = NULL;

        assert_int_equal(region_new(&region, name, REGION_RAM, NULL, NULL), 0);
        return region;
}

static Epoch *make_epoch(void) {
        Epoch *epoch = NULL;

        assert_int_equal(epoch_new(&epoch), 0);
        return epoch;
}

/* The sections from an address on are those of an array from `index` on. */
static void check_from(const FlatView *view, uint64_t address, const Section *sections, size_t n,
                       size_t index) {
        ViewCursor cursor;
        const Section *section = flat_view_first(view, &cursor, address);

        for (; index < n; index++, section = flat_view_next(&cursor)) {
                assert_non_null(section);
                assert_memory_equal(section, &sections[index], sizeof(*section));
        }
        assert_null(section);
}

/* The section at an address is the one of an array that has it, or none. */
static void check_at(const FlatView *view, uint64_t address, const Section *sections, int index) {
        const Section *found = flat_view_find(view, address);

        if (index < 0) {
                assert_null(found);
                return;
        }
        assert_non_null(found);
        assert_memory_equal(found, &sections[index], sizeof(*found));
}

static void test_find(void **state) {
        Region *ram = make_region("ram");
        const Section sections[] = {
                {.range = {0x1000, 0x1fff}, .region = ram},
                {.range = {0x2000, 0x2000}, .region = ram, .offset = 0x5000},
                {.range = {0x3000, 0x3fff}, .region = ram, .offset = 0x8000},
                {.range = {UINT64_MAX - 1, UINT64_MAX}, .region = ram},
        };
        FlatView *view = made_view(sections, ELEMENTS_OF(sections), NULL, 0);
        static const struct {
                uint64_t address;
                int found, from; /* indices; -1: nothing there */
        } cases[] = {
                {0, -1, 0},
                {0xfff, -1, 0},
                {0x1000, 0, 0},
                {0x1fff, 0, 0},
                {0x2000, 1, 1},
                {0x2001, -1, 2},
                {0x2fff, -1, 2},
                {0x3abc, 2, 2},
                {0x4000, -1, 3},
                {UINT64_MAX - 2, -1, 3},
                {UINT64_MAX - 1, 3, 3},
                {UINT64_MAX, 3, 3},
        };

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                check_at(view, cases[i].address, sections, cases[i].found);
                check_from(view, cases[i].address, sections, ELEMENTS_OF(sections),
                           (size_t)cases[i].from);
        }
        flat_view_unref(view);
        region_unref(ram);
}

static void test_empty(void **state) {
        FlatView *view = made_view(NULL, 0, NULL, 0);
        ViewCursor cursor;

        assert_int_equal(flat_view_n_sections(view), 0);
        assert_int_equal(flat_view_n_announced(view), 0);
        assert_null(flat_view_find(view, 0));
        assert_null(flat_view_find(view, UINT64_MAX));
        assert_null(flat_view_first(view, &cursor, 0));
        assert_null(flat_view_first(view, &cursor, UINT64_MAX));
        assert_null(flat_view_first_announced(view, &cursor, 0));
        flat_view_unref(view);
}

static void test_behind_the_last(void **state) {
        Region *ram = make_region("ram");
        const Section one = {.range = {0, 7}, .region = ram};
        FlatView *view = made_view(&one, 1, NULL, 0);

        check_from(view, 7, &one, 1, 0);
        check_from(view, 8, &one, 1, 1);
        assert_null(flat_view_find(view, 8));
        flat_view_unref(view);
        region_unref(ram);
}

static void test_can_merge(void **state) {
        Region *ram = make_region("ram"), *other = make_region("other");
        const Section a = {.range = {0x1000, 0x1fff},
                           .region = ram,
                           .offset = 0x100,
                           .kind = REGION_RAM,
                           .flags = REGION_NONVOLATILE};
        const Section next = {.range = {0x2000, 0x2fff},
                              .region = ram,
                              .offset = 0x1100,
                              .kind = REGION_RAM,
                              .flags = REGION_NONVOLATILE};
        Section b = next;

        assert_true(section_can_merge(&a, &b));
        assert_false(section_can_merge(&b, &a));
        b.range.first++;
        assert_false(section_can_merge(&a, &b));
        b = next;
        b.offset++;
        assert_false(section_can_merge(&a, &b));
        b = next;
        b.region = other;
        assert_false(section_can_merge(&a, &b));
        for (uint32_t flag = REGION_READONLY; flag <= REGION_DIRTY_LOG; flag <<= 1) {
                b = next;
                b.flags ^= flag;
                assert_false(section_can_merge(&a, &b));
        }
        region_unref(ram);
        region_unref(other);
}

static void test_unmergeable(void **state) {
        Region *ram = make_region("ram");
        const Section a = {.range = {0, 7}, .region = ram, .flags = REGION_UNMERGEABLE};
        const Section b = {
                .range = {8, 15}, .region = ram, .offset = 8, .flags = REGION_UNMERGEABLE};

        assert_false(section_can_merge(&a, &b));
        region_unref(ram);
}

static void test_nothing_wraps(void **state) {
        Region *ram = make_region("ram");
        const Section top = {.range = {8, UINT64_MAX}, .region = ram, .offset = 8};
        const Section zero = {.range = {0, 7}, .region = ram, .offset = 0};

        assert_false(section_can_merge(&top, &zero));
        assert_true(section_can_merge(&zero, &top));
        region_unref(ram);
}

static void test_same(void **state) {
        Region *ram = make_region("ram"), *other = make_region("other");
        const Section a = {
                .range = {0x1000, 0x1fff}, .region = ram, .offset = 0x100, .kind = REGION_RAM};
        Section b = a;

        assert_true(section_same(&a, &b));
        b.flags = REGION_DIRTY_LOG;
        assert_true(section_same(&a, &b));
        for (uint32_t flag = REGION_READONLY; flag <= REGION_DIRECT_READ; flag <<= 1) {
                b = a;
                b.flags ^= flag;
                assert_false(section_same(&a, &b));
        }
        b = a;
        b.range.last--;
        assert_false(section_same(&a, &b));
        b = a;
        b.range.first--;
        assert_false(section_same(&a, &b));
        b = a;
        b.offset--;
        assert_false(section_same(&a, &b));
        b = a;
        b.region = other;
        assert_false(section_same(&a, &b));
        region_unref(ram);
        region_unref(other);
}

static void test_cut(void **state) {
        Region *ram = make_region("ram");
        const Section whole = {.range = {0x1000, 0x1fff},
                               .region = ram,
                               .offset = 0x100,
                               .kind = REGION_ROM,
                               .flags = REGION_READONLY};
        Section part = section_cut(&whole, (Range){0x1800, 0x18ff});

        assert_int_equal(part.range.first, 0x1800);
        assert_int_equal(part.range.last, 0x18ff);
        assert_int_equal(part.offset, 0x900);
        assert_ptr_equal(part.region, ram);
        assert_int_equal(part.kind, REGION_ROM);
        assert_int_equal(part.flags, REGION_READONLY);
        part = section_cut(&whole, whole.range);
        assert_true(section_same(&part, &whole));
        region_unref(ram);
}

static void test_host(void **state) {
        Backing *backing = NULL;
        Region *region = NULL, *bare = make_region("bare");
        Section section;

        assert_int_equal(backing_new_memfd(&backing, 1, "ram", 0x2000, NULL, NULL), 0);
        assert_int_equal(region_new(&region, "ram", REGION_RAM, backing, NULL), 0);
        section = (Section){.range = {0x80, 0x8f}, .region = region, .offset = 0x1234};
        assert_ptr_equal(section_host(&section), (char *)backing->host + 0x1234);
        section.region = bare;
        assert_null(section_host(&section));
        region_unref(region);
        region_unref(bare);
        backing_unref(backing);
}

/* Several at one address: all of them, in their order, from that address on and not behind it. */
static void test_announced(void **state) {
        const Announced announced[] = {
                {.range = {4, 4}}, {.range = {8, 8}}, {.range = {8, 9}}, {.range = {8, 15}}};
        FlatView *view = made_view(NULL, 0, announced, ELEMENTS_OF(announced));
        static const struct {
                uint64_t address;
                size_t from;
        } cases[] = {{0, 0}, {4, 0}, {5, 1}, {8, 1}, {9, 4}, {UINT64_MAX, 4}};

        assert_int_equal(flat_view_n_announced(view), ELEMENTS_OF(announced));
        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                ViewCursor cursor;
                const Announced *a = flat_view_first_announced(view, &cursor, cases[i].address);

                for (size_t j = cases[i].from; j < ELEMENTS_OF(announced); j++) {
                        assert_non_null(a);
                        assert_true(range_equal(a->range, announced[j].range));
                        a = flat_view_next_announced(&cursor);
                }
                assert_null(a);
        }
        flat_view_unref(view);
}

/* The view copies what it is made of, and keeps the epoch that keeps what its items point at. */
static void test_lifetime(void **state) {
        Epoch *epoch = make_epoch(), *next = make_epoch();
        Region *ram = make_region("ram");
        Section section = {.range = {0, 7}, .region = ram};
        IOEventFD *ioeventfd = must_ioeventfd(4, 4, false, 0);
        Hidden *hidden = calloc(2, sizeof(*hidden));
        ViewTree sections = {}, announced = {};
        FlatView *view = NULL;
        ViewSplice splice;
        ViewCursor cursor;
        Coalesced *zone = NULL;

        assert_non_null(hidden);
        assert_int_equal(coalesced_new(&zone, (Range){0, 3}), 0);
        Announced both[] = {{.range = {0, 3}, .region = ram, .coalesced = zone},
                            {.range = {4, 7}, .region = ram, .ioeventfd = ioeventfd}};

        view_splice_init(&splice);
        assert_int_equal(
                view_tree_splice(&sections, &splice, sizeof(section), RANGE_WHOLE, &section, 1), 0);
        assert_int_equal(view_tree_splice(&announced, &splice, sizeof(*both), RANGE_WHOLE, both, 2),
                         0);
        assert_int_equal(flat_view_new(&view, epoch, &sections, &announced), 0);
        section.range.last = 0;
        both[0] = both[1] = (Announced){};

        /* It is replaced by nothing: all that it has is left to its epoch, references included. */
        view_splice_settle(&splice, &epoch->nodes);
        view_splice_kill(&splice, &sections);
        view_splice_kill(&splice, &announced);
        view_splice_settle(&splice, &epoch->nodes);
        hidden[0] = (Hidden){.region = ram, .ioeventfd = ioeventfd};
        hidden[1] = (Hidden){.coalesced = zone};
        epoch_close(epoch, next, hidden, 2);
        epoch_unref(epoch);
        epoch_unref(next);

        assert_ptr_equal(flat_view_ref(view), view);
        flat_view_retire(view);
        rcu_barrier_all();
        assert_int_equal(flat_view_n_sections(view), 1);
        assert_int_equal(flat_view_find(view, 3)->range.last, 7);
        assert_string_equal(flat_view_find(view, 3)->region->name, "ram");
        assert_int_equal(flat_view_first_announced(view, &cursor, 0)->coalesced->range.last, 3);
        assert_int_equal(flat_view_next_announced(&cursor)->ioeventfd->offset, 4);
        assert_null(flat_view_unref(view));
        assert_null(flat_view_unref(NULL));
}

UNIT_TESTS(cmocka_unit_test(test_find), cmocka_unit_test(test_empty),
           cmocka_unit_test(test_behind_the_last), cmocka_unit_test(test_can_merge),
           cmocka_unit_test(test_unmergeable), cmocka_unit_test(test_nothing_wraps),
           cmocka_unit_test(test_same), cmocka_unit_test(test_cut), cmocka_unit_test(test_host),
           cmocka_unit_test(test_announced), cmocka_unit_test(test_lifetime));
